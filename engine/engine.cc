#include "engine/engine.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "engine/recover/recovery.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::Lsn;
using format::Manifest;
using format::SegmentId;

index::KeyHasher MakeHasher(const Config& config, const Manifest& manifest) {
  if (config.weak_hash_bits > 0) {
    return index::KeyHasher::WeakForTest(config.weak_hash_bits);
  }
  return index::KeyHasher(manifest.hash_seed);
}

Config Effective(Config config) {
  // A store beside a writer must not map what may be truncated.
  if (config.access != Access::kReadWrite) {
    config.read_method = ReadMethod::kPositional;
  }
  return config;
}

absl::Status ForeignStatus() {
  return absl::FailedPreconditionError(
      "the store was opened before this process was forked");
}

}  // namespace

Engine::Log::Log(Core& core, std::unique_ptr<DirectoryLock> directory_lock,
                 const LogEnd& end, const CurrentSnapshot& found)
    : lock(std::move(directory_lock)),
      appender(end, core.manifest),
      supply(core),
      syncer(core.directory, &appender, core.manifest, core.poison,
             end.last_lsn),
      sealer(core),
      writer(core),
      housekeeping(core),
      anchors{.current = found.log_segment},
      compactor(core),
      saver(core, &compactor, found) {
  core.appender = &appender;
  core.supply = &supply;
  core.syncer = &syncer;
  core.sealer = &sealer;
  core.references = &references;
  core.throttle = &throttle;
  core.pins = &pins;
  core.anchors = &anchors;
  core.commit_mutex = &commit_mutex;
  core.wake_background = [this, index = core.index] {
    housekeeping.NoteWrite();
    if (!supply_task.has_value()) return;
    supply_task->Wake();
    sync_task->Wake();
    if (index->WantsCollapse()) index_task->Wake();
    if (compaction_task.has_value()) compaction_task->Wake();
  };
  core.after_wake = [this, &core] {
    const Appender::Due due = appender.TakeDue();
    if (due.signal) appender.signal()->Tell();
    if (due.background) core.wake_background();
  };
  core.flush_later = [this](std::chrono::milliseconds delay) {
    if (sync_task.has_value()) sync_task->WakeAfter(delay);
  };
}

void Engine::Log::StartBackground(Engine& engine) {
  if (!engine.config_.background_threads) return;
  const uint64_t volume = engine.directory_->Volume();
  if (engine.config_.background_snapshots) {
    // What fails is tried again when the next one is due.
    save_task.emplace([this] { (void)saver.Save(); }, Lane::kLong, volume);
  }
  index_task.emplace(
      [&engine] {
        for (int i = 0; i < index::HashIndex::kShardCount; ++i) {
          if (engine.closed_.load(std::memory_order_relaxed)) return;
          engine.index_.EnsureLoaded(i);
        }
        while (engine.index_.WantsCollapse()) {
          if (engine.closed_.load(std::memory_order_relaxed)) return;
          engine.index_.Collapse();
        }
      },
      Lane::kLong, volume);
  index_task->Wake();
  supply_task.emplace([this] { housekeeping.RunSupply(); }, Lane::kShort,
                      volume);
  sync_task.emplace(
      [this] {
        housekeeping.RunSync();
        if (save_task.has_value() && saver.IsDue()) save_task->Wake();
      },
      Lane::kShort, volume);
  if (engine.ordered_builder_.has_value()) {
    // What fails is told to queries.
    build_task.emplace(
        [&engine] { engine.ordered_builder_->state()->BuildOnce(); },
        Lane::kBuild, volume);
    build_task->Wake();
  }
  if (!engine.config_.background_compaction) return;
  compaction_loop.emplace(&compactor, &engine.config_,
                          [this](std::chrono::milliseconds rest) {
                            compaction_task->WakeAfter(rest);
                          });
  compaction_task.emplace(
      [this] {
        const bool is_able = compaction_loop->Run();
        housekeeping.WatchSpace();
        if (!is_able) throttle.Release();
      },
      Lane::kLong, volume);
  compaction_task->Wake();
}

// Ended, not destroyed: until then they may still wake themselves.
void Engine::Log::EndBackground() {
  if (build_task.has_value()) build_task->End();
  if (index_task.has_value()) index_task->End();
  if (save_task.has_value()) save_task->End();
  if (compaction_task.has_value()) compaction_task->End();
  compactor.Stop();
  if (sync_task.has_value()) sync_task->End();
  if (supply_task.has_value()) supply_task->End();
}

Engine::Engine(FileSystem& file_system, std::unique_ptr<Directory> directory,
               const Config& config, const NewestManifest& manifest)
    : file_system_(file_system),
      directory_(std::move(directory)),
      config_(Effective(config)),
      manifest_(directory_.get(), manifest, &poison_),
      hasher_(MakeHasher(config, manifest.manifest)),
      index_(epochs_),
      views_(&segments_, &index_, gate_, &manifest_.clock()),
      core_{.file_system = &file_system_,
            .directory = directory_.get(),
            .config = &config_,
            .poison = &poison_,
            .manifest = &manifest_,
            .clock = &manifest_.clock(),
            .hasher = &hasher_,
            .segments = &segments_,
            .index = &index_,
            .views = &views_,
            .mask_counts = mask_counts_.get(),
            .read_ahead = &read_ahead_},
      epoch_(manifest.manifest.epoch) {
  manifest_.clock().SetSource(config_, [this] { core_.wake_background(); });
}

Engine::~Engine() {
  PEAT_CHECK(!is_foreign());
  (void)Close();
}

absl::Status Engine::Close() {
  // First of all: in a forked child even the mutex may be held for ever.
  if (is_foreign()) return ForeignStatus();
  index::MutexLock lock(&close_mutex_);
  if (close_done_) {
    return absl::FailedPreconditionError("the store is closed");
  }
  close_done_ = true;
  closed_.store(true, std::memory_order_seq_cst);
  gate_->Close();
  if (ordered_builder_.has_value()) ordered_builder_->Stop(gate_->WhyNot());
  if (log_ != nullptr) {
    log_->compactor.StopSoon();
    log_->appender.signal()->Tell();
  }
  // Whoever entered before that leaves; whoever enters later turns back.
  gate_->AwaitLeaving();
  if (ordered_builder_.has_value()) ordered_builder_->state()->AwaitNobody();
  if (log_ == nullptr) return absl::OkStatus();
  return CloseLog();
}

absl::Status Engine::CloseLog() {
  // What fails here is tried again by the next to open the store.
  if (config_.background_compaction) (void)log_->compactor.JoinSmall();
  log_->EndBackground();
  absl::Status status = poison_.status();
  if (status.ok()) {
    status = log_->syncer.SyncAll();
  }
  if (status.ok()) {
    log_->appender.EndActive();
    status = log_->sealer.Seal();
  }
  if (status.ok()) status = log_->supply.GiveUpPrepared();
  // Without one the next open reads the log.
  if (status.ok()) (void)log_->saver.Save();
  log_->lock.reset();
  manifest_lock_.reset();
  return status;
}

absl::Status Engine::WhyNot() const {
  if (is_foreign()) {
    return ForeignStatus();
  }
  if (closed_.load(std::memory_order_acquire)) {
    return absl::FailedPreconditionError("the store is closed");
  }
  PEAT_CHECK(log_ == nullptr);
  return absl::FailedPreconditionError("the store is open to read only");
}

absl::Status Engine::Get(std::string_view key, std::string* value) const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) [[unlikely]]
    return WhyNot();
  return reader_->Get(key, value);
}

absl::StatusOr<Pinned> Engine::GetPinned(std::string_view key) const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) [[unlikely]]
    return WhyNot();
  return reader_->GetPinned(key);
}

absl::Status Engine::MultiGet(std::span<const std::string_view> keys,
                              Reader::Answer answer) const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) [[unlikely]]
    return WhyNot();
  reader_->MultiGet(keys, answer);
  return absl::OkStatus();
}

absl::StatusOr<KeyState> Engine::State(std::string_view key) const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) [[unlikely]]
    return WhyNot();
  return reader_->State(key);
}

absl::StatusOr<uint64_t> Engine::ValueSize(std::string_view key) const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) return WhyNot();
  return reader_->ValueSize(key);
}

absl::StatusOr<KeyInfo> Engine::Describe(std::string_view key) const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) return WhyNot();
  return reader_->Describe(key);
}

absl::Status Engine::AdvanceTime(format::Millis time) {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) return WhyNot();
  StoreClock& clock = *core_.clock;
  if (clock.source() != TimeSource::kCaller) {
    return absl::FailedPreconditionError(
        "the store's time is that of the machine's clock");
  }
  clock.Raise(time);
  // What has expired is to be recorded, and its space given back.
  (void)clock.HasCome(time);
  return absl::OkStatus();
}

absl::Status Engine::Put(std::string_view key, std::string_view value,
                         format::Millis expiry) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.Put(key, value, expiry);
}

absl::StatusOr<bool> Engine::PutIfAbsent(std::string_view key,
                                         std::string_view value,
                                         format::Millis expiry) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.PutIfAbsent(key, value, expiry);
}

absl::StatusOr<std::optional<std::string>> Engine::Update(
    std::string_view key, std::string_view value, format::Millis expiry) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.Update(key, value, expiry);
}

absl::StatusOr<bool> Engine::CompareAndSet(
    std::string_view key, std::optional<std::string_view> expected,
    std::string_view desired, format::Millis expiry) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.CompareAndSet(key, expected, desired, expiry);
}

absl::StatusOr<bool> Engine::Delete(std::string_view key) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.Delete(key);
}

absl::Status Engine::Disable(std::string_view key, std::string_view reason) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) return WhyNot();
  return log_->writer.Disable(key, reason);
}

absl::Status Engine::Enable(std::string_view key, std::string_view reason) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) return WhyNot();
  return log_->writer.Enable(key, reason);
}

absl::StatusOr<ForgetReceipt> Engine::Forget(std::string_view key,
                                             std::string_view reason) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) return WhyNot();
  return log_->writer.Forget(key, reason);
}

absl::Status Engine::Modify(std::string_view key, Decision decide) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.Modify(key, decide);
}

absl::Status Engine::MultiPutIfAbsent(std::span<const KeyValue> pairs,
                                      Writer::InsertAnswer answer) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  log_->writer.MultiPutIfAbsent(pairs, answer);
  return absl::OkStatus();
}

absl::Status Engine::Write(std::span<const BatchOperation> operations,
                           const BatchContext& context) {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.Write(operations, context);
}

absl::StatusOr<std::vector<SegmentSource>> Engine::Sources() const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) return WhyNot();
  if (log_ != nullptr) log_->appender.UpdateEnd();
  return TakeSources(manifest_, segments_);
}

absl::StatusOr<std::unique_ptr<MaskScan>> Engine::ScanMasks(
    const MaskQuery& query) const {
  PEAT_ASSIGN_OR_RETURN(std::vector<SegmentSource> sources, Sources());
  return std::make_unique<MaskScan>(std::move(sources), query);
}

absl::Status Engine::CopyValue(const format::Record& record,
                               std::string* value) const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) return WhyNot();
  return reader_->CopyValue(record, value);
}

absl::Status Engine::Reveal(std::string_view key, std::string* value) const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) return WhyNot();
  return reader_->Reveal(key, value);
}

absl::Status Engine::Compact() {
  const LongVisit visit(*gate_);
  if (!visit.is_inside() || log_ == nullptr) return WhyNot();
  return log_->compactor.CompactAll();
}

absl::StatusOr<CheckpointResult> Engine::Checkpoint(
    const std::filesystem::path& target) {
  const LongVisit visit(*gate_);
  if (!visit.is_inside() || log_ == nullptr) return WhyNot();
  PEAT_RETURN_IF_ERROR(poison_.status());
  absl::StatusOr<CheckpointResult> result = TakeCheckpoint(core_, target);
  // For the files that it kept.
  if (log_->compaction_task.has_value()) log_->compaction_task->Wake();
  return result;
}

absl::StatusOr<Lsn> Engine::Flush() {
  const index::EpochGuard guard(epochs_);
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  PEAT_RETURN_IF_ERROR(poison_.status());
  PEAT_RETURN_IF_ERROR(log_->syncer.SyncAll());
  return log_->syncer.durable_lsn();
}

}  // namespace peat::engine
