#include "engine/housekeeping.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "engine/compact/compaction_policy.h"
#include "engine/log/group_commit.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/log/sealer.h"
#include "engine/log/segment_allocator.h"
#include "engine/log/store_clock.h"
#include "engine/segment/segment_set.h"
#include "engine/write/throttle.h"
#include "format/check.h"
#include "index/epoch.h"
#include "index/hash_index.h"

namespace peat::engine {
namespace {

// More than this is synced without being asked for, so that a tail stays short.
constexpr uint64_t kUnsyncedMax = uint64_t{32} << 20;

// Writeback starts in pieces of this size.
constexpr uint64_t kWritebackPiece = uint64_t{4} << 20;

// Pages are touched ahead of the tail, in proportion to how much has been
// appended since the last look: a sync writes every page that is touched and
// not yet used, too, and a store that flushes each write would pay for all of
// them.
constexpr uint64_t kTouchAheadMax = uint64_t{2} << 20;
constexpr uint64_t kTouchAheadMin = uint64_t{256} << 10;

// How often the background looks, in appended bytes.
constexpr uint64_t kLookEveryMin = uint64_t{64} << 10;
constexpr uint64_t kLookEveryMax = uint64_t{2} << 20;

}  // namespace

void Housekeeping::RunSupply() {
  if (parts_.poison->is_set()) return;
  const Appender::Progress progress = parts_.appender->TakeProgress();
  // Failures here are for the writer to meet, at its own attempt.
  if (!parts_.supply->reserve_complete()) (void)parts_.supply->RefillReserve();
  const bool half_full =
      progress.tail >= progress.capacity / 2 || progress.rolls_early;
  const bool has_room =
      parts_.appender->rolled_count() < SegmentAllocator::kRolledMax;
  const size_t wanted = progress.active == nullptr || !half_full || !has_room
                            ? 0
                        : progress.starved ? 2
                                           : 1;
  for (size_t i = progress.prepared.size(); i < wanted; ++i) {
    if (!parts_.supply->PrepareAhead().ok()) break;
  }
  const uint64_t appended = progress.appended_bytes - appended_before_;
  appended_before_ = progress.appended_bytes;
  const uint64_t ahead = std::min(4 * appended, kTouchAheadMax);
  if (ahead >= kTouchAheadMin) TouchAhead(progress, ahead);
  if (parts_.index->WantsProvision()) parts_.index->Provision();
  index::ReclaimRetired(parts_.index->epochs());
  WatchSpace();
  parts_.appender->WakeAfter(std::clamp(std::min(ahead, progress.capacity) / 4,
                                        kLookEveryMin, kLookEveryMax));
}

void Housekeeping::TouchAhead(const Appender::Progress& progress,
                              uint64_t ahead) {
  if (progress.active == nullptr) return;
  const LogFile& active = *progress.active;
  const format::SegmentId id = active.segment->identity().id;
  const uint64_t touched = touched_.segment == id ? touched_.end : 0;
  const uint64_t from = std::max(progress.tail, touched);
  const uint64_t to = std::min(progress.tail + ahead, progress.capacity);
  if (from < to) {
    TouchUpTo(active, from, to);
    touched_ = {.segment = id, .end = to};
  }
  const uint64_t rest = progress.tail + ahead - to;
  if (rest == 0 || progress.prepared.empty()) return;
  const LogFile& next = *progress.prepared.front();
  const format::SegmentId next_id = next.segment->identity().id;
  const uint64_t next_from = touched_.segment == next_id ? touched_.end : 0;
  const uint64_t next_to = std::min(rest, next.segment->identity().capacity);
  if (next_from >= next_to) return;
  TouchUpTo(next, next_from, next_to);
  touched_ = {.segment = next_id, .end = next_to};
}

void Housekeeping::TouchUpTo(const LogFile& file, uint64_t from, uint64_t to) {
  PEAT_DCHECK(from < to);
  PEAT_DCHECK(to <= file.segment->identity().capacity);
  file.mapping->Touch(from, to - from);
}

void Housekeeping::RunSync() {
  if (parts_.poison->is_set()) return;
  const Appender::Progress progress = parts_.appender->TakeProgress();
  const bool is_full =
      progress.unsynced_bytes >= kUnsyncedMax ||
      progress.unsynced_rolled.size() >= SegmentAllocator::kRolledMax / 2;
  for (const std::shared_ptr<LogFile>& log : progress.unsynced_rolled) {
    StartWriteback(*log, log->end);
    log->mapping->Protect();
  }
  if (progress.active != nullptr) {
    LogFile& active = *progress.active;
    if (is_full || progress.tail >= active.writeback_end + kWritebackPiece) {
      StartWriteback(active, progress.tail);
    }
  }
  // A failure poisons the store, which tells every writer.
  if (is_full) (void)parts_.syncer->SyncUpTo(parts_.appender->last_lsn());
  if (parts_.config->sync == SyncPolicy::kInterval) FlushAtIntervals();
  RecordTime();
  if (parts_.index->WantsShrink()) parts_.index->Shrink();
  (void)parts_.sealer->Seal();  // tried again at the next look
}

// A failure poisons the store, or is for want of space and tried again.
void Housekeeping::RecordTime() {
  StoreClock& clock = parts_.manifest->clock();
  if (!clock.IsDue()) return;
  const format::Millis time = clock.highest();
  if (parts_.appender->AppendTime(time)) {
    clock.SetRecorded(time);
  } else {
    (void)parts_.manifest->Edit([](format::Manifest&) {});
  }
}

void Housekeeping::StartWriteback(LogFile& log, uint64_t end) {
  PEAT_DCHECK(log.file != nullptr);
  PEAT_DCHECK(end <= log.segment->identity().capacity);
  if (end <= log.writeback_end) return;
  const uint64_t size = end - log.writeback_end;
  log.mapping->Unload(log.writeback_end, size);
  log.file->StartWriteback(log.writeback_end, size);
  log.writeback_end = end;
}

void Housekeeping::NoteWrite() {
  if (parts_.config->sync != SyncPolicy::kInterval) return;
  int64_t clean = kClean;
  if (dirty_since_.load(std::memory_order_relaxed) != clean) return;
  const int64_t now = parts_.config->now().time_since_epoch().count();
  (void)dirty_since_.compare_exchange_strong(clean, now,
                                             std::memory_order_relaxed);
}

void Housekeeping::FlushAtIntervals() {
  using Time = std::chrono::steady_clock::time_point;
  const auto is_dirty = [this] {
    return parts_.appender->last_lsn() > parts_.syncer->durable_lsn();
  };
  const Time now = parts_.config->now();
  if (is_dirty()) NoteWrite();
  const int64_t since = dirty_since_.load(std::memory_order_relaxed);
  const bool is_due = since != kClean && now - Time(Time::duration(since)) >=
                                             parts_.config->sync_interval;
  if (is_due && is_dirty()) {
    (void)parts_.syncer->SyncUpTo(parts_.appender->last_lsn());
    if (parts_.poison->is_set()) return;
    // What has come since then came during the sync.
    dirty_since_.store(now.time_since_epoch().count(),
                       std::memory_order_relaxed);
  }
  if (!is_dirty()) {
    // The next write starts the clock, and no other one wakes the background
    // for it. Set before that is asked for: a write may come in between.
    dirty_since_.store(kClean, std::memory_order_relaxed);
    awaited_since_.reset();
    if (parts_.appender->WakeAtNextUnit(parts_.syncer->durable_lsn())) return;
    NoteWrite();
  }
  const int64_t dirty = dirty_since_.load(std::memory_order_relaxed);
  if (dirty != kClean) AwaitFlush(Time(Time::duration(dirty)));
}

void Housekeeping::AwaitFlush(std::chrono::steady_clock::time_point since) {
  using std::chrono::milliseconds;
  if (awaited_since_ == since) return;
  awaited_since_ = since;
  const auto due = since + parts_.config->sync_interval;
  const auto left = std::chrono::ceil<milliseconds>(due - parts_.config->now());
  parts_.flush_later(std::max(left, milliseconds(1)));
}

std::chrono::milliseconds Housekeeping::FlushOverdue() const {
  using std::chrono::milliseconds;
  using Time = std::chrono::steady_clock::time_point;
  const int64_t since = dirty_since_.load(std::memory_order_relaxed);
  if (since == kClean ||
      parts_.appender->last_lsn() <= parts_.syncer->durable_lsn()) {
    return milliseconds(0);
  }
  const auto waited = parts_.config->now() - Time(Time::duration(since));
  return std::max(
      std::chrono::floor<milliseconds>(waited - parts_.config->sync_interval),
      milliseconds(0));
}

void Housekeeping::WatchSpace() {
  const Config& config = *parts_.config;
  if (!config.background_compaction) return;
  parts_.appender->UpdateEnd();
  const SegmentUsage totals = parts_.segments->Sum();
  parts_.throttle->Update(
      totals.used_bytes + totals.value_bytes,
      LimitsFor({.max_space_amplification = config.max_space_amplification,
                 .space_extra_min = config.space_extra_min,
                 .segment_size = parts_.supply->base_segment_size()},
                totals.live_bytes + totals.tombstone_bytes - totals.idle_bytes +
                    totals.live_value_bytes));
}

}  // namespace peat::engine
