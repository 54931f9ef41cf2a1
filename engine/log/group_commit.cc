#include "engine/log/group_commit.h"

#include <algorithm>

#include "engine/segment/seeded_bug.h"
#include "format/check.h"
#include "format/status_macros.h"

namespace peat::engine {

using format::Lsn;
using format::Millis;

GroupCommit::GroupCommit(Directory* directory, Appender* appender,
                         ManifestStore* manifest, Poison* poison,
                         Lsn durable_lsn)
    : directory_(directory),
      appender_(appender),
      manifest_(manifest),
      poison_(poison),
      durable_lsn_(durable_lsn) {}

absl::Status GroupCommit::SyncUpTo(Lsn lsn, Millis time) {
  PEAT_CHECK(lsn <= appender_->last_lsn());
  if (IsDurable(lsn, time)) return absl::OkStatus();
  arrival_count_.fetch_add(1, std::memory_order_relaxed);
  index::MutexLock lock(&mutex_);
  while (!IsDurable(lsn, time)) {
    if (poison_->is_set()) return poison_->status();
    if (sync_under_way_) {
      if (arrival_count_.load(std::memory_order_relaxed) >= awaited_count_) {
        arrived_.Signal();
      }
      sync_ended_.Wait(&mutex_);
      continue;
    }
    sync_under_way_ = true;
    const uint64_t covered_before = covered_count_;
    AwaitArrivals(covered_before + last_group_size_);
    mutex_.Unlock();
    const auto begin = std::chrono::steady_clock::now();
    const uint64_t covered = arrival_count_.load(std::memory_order_relaxed);
    const absl::StatusOr<Lsn> synced = Sync();
    const auto end = std::chrono::steady_clock::now();
    mutex_.Lock();
    sync_under_way_ = false;
    covered_count_ = covered;
    last_group_size_ =
        arrival_count_.load(std::memory_order_relaxed) - covered_before;
    last_duration_ = end - begin;
    if (synced.ok()) {
      PEAT_CHECK(*synced >= durable_lsn());
      durable_lsn_.store(*synced, std::memory_order_release);
    }
    sync_ended_.SignalAll();
    if (!synced.ok()) return synced.status();
  }
  return absl::OkStatus();
}

void GroupCommit::AwaitArrivals(uint64_t expected) {
  PEAT_CHECK(sync_under_way_);
  const auto deadline = std::chrono::steady_clock::now() + last_duration_;
  awaited_count_ = expected;
  while (arrival_count_.load(std::memory_order_relaxed) < expected) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= left.zero()) break;
    (void)arrived_.WaitFor(&mutex_, left);
  }
  awaited_count_ = UINT64_MAX;
}

absl::StatusOr<Lsn> GroupCommit::Sync() {
  StoreClock& clock = manifest_->clock();
  const Millis time = clock.TimeToSync();
  const bool is_in_log = time != 0 && appender_->AppendTime(time);
  const Appender::Sample sample = appender_->TakeSample();
  absl::Status status;
  for (const std::shared_ptr<File>& file : sample.value_files) {
    if (HasBug(Bug::kNoValueSync)) break;
    if (status.ok()) status = file->Sync();
  }
  if (status.ok() && !sample.value_files.empty() &&
      !HasBug(Bug::kNoValueDirectorySync)) {
    status = directory_->Sync();
  }
  for (const std::shared_ptr<LogFile>& rolled : sample.rolled) {
    if (HasBug(Bug::kFlushOnlyActive)) break;
    if (status.ok()) status = rolled->file->Sync();
  }
  if (status.ok() && sample.active != nullptr) {
    status = sample.active->file->Sync();
    if (HasBug(Bug::kFsyncRetried) && !status.ok()) {
      status = sample.active->file->Sync();
    }
  }
  if (!status.ok()) return poison_->Set(status);
  PEAT_CHECK(sample.end.last_lsn >= durable_lsn());
  PEAT_RETURN_IF_ERROR(RecordInManifest(sample, is_in_log ? 0 : time));
  if (is_in_log) clock.SetDurable(time);
  sync_count_.fetch_add(1, std::memory_order_relaxed);
  appender_->SetDurable(sample.end);
  return sample.end.last_lsn;
}

absl::Status GroupCommit::RecordInManifest(const Appender::Sample& sample,
                                           Millis time) {
  const bool has_forget = sample.last_forget_lsn > durable_lsn() &&
                          !HasBug(Bug::kForgetNotRecorded);
  // An edit that came meanwhile may have recorded it.
  if (!has_forget && time <= manifest_->clock().durable()) {
    return absl::OkStatus();
  }
  return manifest_->Edit([&sample](format::Manifest& manifest) {
    manifest.durable_lsn = std::max(manifest.durable_lsn, sample.end.last_lsn);
  });
}

}  // namespace peat::engine
