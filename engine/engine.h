// A store, composed: who owns what, in which order it is opened and closed, and
// that nobody is inside when it ends. It owns no algorithm.
//
//   put      encode -> find and compare -> lock the shard, recheck -> append
//            -> upsert                                        (Writer)
//   get      enter -> index find -> verify -> return          (Reader)
//   scan     keys in order -> as a view shows them            (Cursor)
//   flush    one sync for all who wait                        (GroupCommit)
//   open     lock -> manifest -> log's end -> mend -> replay  (recovery)
//   behind   prepare, touch, sync, seal                       (Housekeeping)
//   compact  pick -> scan -> is it current? -> copy -> commit -> index
//            replace-if -> retire                             (Compactor)
//   copy     end the active segment -> seal -> link           (checkpoint.h)
//
//   save     at rest: the end, the counts -> the tables as they were then
//                                                             (IndexImageWriter)
//
// The order of locks: docs/architecture.md.
//
// Thread-safe. Every call holds an epoch guard of the store's domain or is a
// long visit (gate.h), which is how Close() knows that nobody is inside any
// more; it waits for no other store's calls.

#ifndef PEAT_ENGINE_ENGINE_H_
#define PEAT_ENGINE_ENGINE_H_

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/changes/change_reader.h"
#include "engine/compact/compaction_loop.h"
#include "engine/compact/compactor.h"
#include "engine/housekeeping.h"
#include "engine/log/appender.h"
#include "engine/log/core.h"
#include "engine/log/file_pins.h"
#include "engine/log/group_commit.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/log/sealer.h"
#include "engine/log/segment_allocator.h"
#include "engine/log/store_clock.h"
#include "engine/log/value_references.h"
#include "engine/os/file_system.h"
#include "engine/os/fork.h"
#include "engine/os/gate.h"
#include "engine/os/worker.h"
#include "engine/query/cursor.h"
#include "engine/query/key_source.h"
#include "engine/query/mask_scan.h"
#include "engine/query/ordered_builder.h"
#include "engine/query/query.h"
#include "engine/query/segment_sources.h"
#include "engine/query/snapshot.h"
#include "engine/read/read_ahead.h"
#include "engine/read/reader.h"
#include "engine/read/view_reader.h"
#include "engine/read/views.h"
#include "engine/recover/index_image_reader.h"
#include "engine/recover/replay.h"
#include "engine/save/checkpoint.h"
#include "engine/save/index_image_writer.h"
#include "engine/segment/config.h"
#include "engine/segment/mask_counts.h"
#include "engine/segment/segment_set.h"
#include "engine/write/throttle.h"
#include "engine/write/writer.h"
#include "index/epoch.h"
#include "index/hash_index.h"
#include "index/key_hash.h"
#include "index/mutex.h"
#include "index/ordered_index.h"
#include "peat/stats.h"

namespace peat::engine {

class Engine {
 public:
  // `file_system` must outlive the engine.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(
      FileSystem& file_system, const std::filesystem::path& path,
      const Config& config);

  // Closes. Must not be called in a forked child: see is_foreign().
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  absl::Status Close() ABSL_LOCKS_EXCLUDED(close_mutex_);

  // True in a process that was forked from the one that opened this.
  bool is_foreign() const { return fork_generation_ != ForkGeneration(); }

  // OK, or why calls are refused.
  absl::Status CheckOpen() const {
    const index::EpochGuard guard(epochs_);
    return IsOpen(guard) ? absl::OkStatus() : WhyNot();
  }

  absl::Status Get(std::string_view key, std::string* value) const;
  absl::StatusOr<Pinned> GetPinned(std::string_view key) const;
  absl::Status MultiGet(std::span<const std::string_view> keys,
                        Reader::Answer answer) const;
  absl::StatusOr<KeyState> State(std::string_view key) const;
  absl::StatusOr<uint64_t> ValueSize(std::string_view key) const;
  absl::StatusOr<KeyInfo> Describe(std::string_view key) const;

  // The store's time; and, if it is the program that says it, a later one.
  format::Millis Now() const { return core_.clock->Now(); }
  format::Millis highest_time() const { return core_.clock->highest(); }
  absl::Status AdvanceTime(format::Millis time);
  void RaiseTime(format::Millis seen) { core_.clock->Raise(seen); }

  // `expiry` is from 1 to kMillisMax, or kNever.
  absl::Status Put(std::string_view key, std::string_view value,
                   format::Millis expiry = format::kNever);
  absl::StatusOr<bool> PutIfAbsent(std::string_view key, std::string_view value,
                                   format::Millis expiry = format::kNever);
  absl::StatusOr<std::optional<std::string>> Update(
      std::string_view key, std::string_view value,
      format::Millis expiry = format::kNever);
  absl::StatusOr<bool> CompareAndSet(std::string_view key,
                                     std::optional<std::string_view> expected,
                                     std::string_view desired,
                                     format::Millis expiry = format::kNever);
  absl::StatusOr<bool> Delete(std::string_view key);
  absl::Status Disable(std::string_view key, std::string_view reason);
  absl::Status Enable(std::string_view key, std::string_view reason);
  absl::StatusOr<ForgetReceipt> Forget(std::string_view key,
                                       std::string_view reason);
  absl::Status Modify(std::string_view key, Decision decide);
  absl::Status MultiPutIfAbsent(std::span<const KeyValue> pairs,
                                Writer::InsertAnswer answer);
  absl::Status Write(std::span<const BatchOperation> operations,
                     const BatchContext& context = {});
  absl::StatusOr<format::Lsn> Flush();

  // For the audit: all masks; the value of the put or mask `record`, of this
  // store; the preserved value of a key that is disabled or forgotten.
  absl::StatusOr<std::unique_ptr<MaskScan>> ScanMasks(
      const MaskQuery& query) const;
  absl::Status CopyValue(const format::Record& record,
                         std::string* value) const;
  absl::Status Reveal(std::string_view key, std::string* value) const;
  const format::StoreId& store_id() const { return manifest_.store_id(); }

  // Of positions in the store.
  uint64_t epoch() const { return epoch_; }
  // Of the last unit that is acknowledged; 0 once the store is closed.
  format::Lsn last_lsn() const;
  // A stream of what lies behind `after`, or of what is yet to come.
  absl::StatusOr<std::unique_ptr<ChangeReader>> OpenChanges(
      std::optional<format::Lsn> after, bool durable_only) const;

  // Compacts all that is sealed, as Store::Compact() has it.
  absl::Status Compact();

  // Makes a copy in `target`, as Store::Checkpoint() has it.
  absl::StatusOr<CheckpointResult> Checkpoint(
      const std::filesystem::path& target);

  // Never null; it may be a snapshot or cursor that says why it could not be
  // opened.
  std::unique_ptr<Snapshot> OpenSnapshot() const;
  std::unique_ptr<Cursor> Scan(Query query) const;

  Stats GetStats() const;

  // What the background does; for tests, which have no background.
  void RunSupply() { log_->housekeeping.RunSupply(); }
  void RunSync() { log_->housekeeping.RunSync(); }
  absl::StatusOr<Compactor::Step> RunCompaction() {
    return log_->compactor.RunOnce();
  }
  absl::Status RunSnapshot() { return log_->saver.Save(); }
  const index::OrderedIndex* ordered() const { return ordered_.get(); }
  const SegmentSet& segments() const { return segments_; }

 private:
  // What only a store that is written to has, in the order of construction.
  struct Log {
    // Makes `core` whole.
    Log(Core& core, std::unique_ptr<DirectoryLock> directory_lock,
        const LogEnd& end, const CurrentSnapshot& found);

    void StartBackground(Engine& engine);
    void EndBackground();

    std::unique_ptr<DirectoryLock> lock;
    Appender appender;
    SegmentAllocator supply;
    GroupCommit syncer;
    Sealer sealer;
    ValueReferences references;
    Throttle throttle;
    Writer writer;
    Housekeeping housekeeping;
    index::Mutex commit_mutex{index::LockRank::kCommit};
    FilePins pins;
    ImageAnchors anchors;
    Compactor compactor;
    IndexImageWriter saver;
    std::optional<CompactionLoop> compaction_loop;
    // Last, so that they end first.
    std::optional<BackgroundTask> supply_task;
    std::optional<BackgroundTask> sync_task;
    std::optional<BackgroundTask> compaction_task;
    std::optional<BackgroundTask> index_task;  // loads it; makes its pages huge
    std::optional<BackgroundTask> save_task;   // of an index image
    std::optional<BackgroundTask> build_task;  // of the ordered index
  };

  Engine(FileSystem& file_system, std::unique_ptr<Directory> directory,
         const Config& config, const NewestManifest& manifest);

  static absl::StatusOr<std::unique_ptr<Engine>> OpenToWrite(
      FileSystem& file_system, const std::filesystem::path& path,
      const Config& config);
  static absl::StatusOr<std::unique_ptr<Engine>> OpenToRead(
      FileSystem& file_system, const std::filesystem::path& path,
      const Config& config);
  absl::Status RecoverToWrite(std::unique_ptr<DirectoryLock> lock);
  absl::Status RecoverToRead();
  // Whether `manifest` is an older copy, by what `age` says. The status itself
  // where that ends the attempt to open.
  absl::StatusOr<bool> IsOlderCopy(const format::Manifest& manifest,
                                   const absl::Status& age) const;
  // Takes what there is from an index image, and opens the sealed segments
  // of `manifest`. Returns what is to be replayed.
  absl::StatusOr<std::vector<ReplaySource>> OpenSegments(
      const format::Manifest& manifest);
  absl::StatusOr<std::vector<ReplaySource>> OpenSegmentsDespiteDamage(
      const format::Manifest& manifest, FoundDamage* damage);
  // Drops segments that nothing is known to have been written to, if there is
  // an index image that does not fit. That may be all that a power loss has
  // left of what was written to them: it would fit once they were used again.
  absl::Status DropIfSnapshotMisfits(
      std::vector<format::ManifestSegment>* unused);
  // Begins with an ordered index, if there is to be one; and completes it, if
  // that will not be done in the background.
  absl::Status BeginOrdered();
  absl::Status ReplayInto(const std::vector<ReplaySource>& sources,
                          FoundDamage damage);

  // Whether a call, whose `guard` it is, may go on; and why it may not.
  bool IsOpen(const index::EpochGuard&) const {
    return !is_foreign() && !closed_.load(std::memory_order_acquire);
  }
  bool IsWritable(const index::EpochGuard& guard) const {
    return IsOpen(guard) && log_ != nullptr;
  }
  absl::Status WhyNot() const;
  void CountCompaction(Stats* stats) const;
  void CountSegments(const format::Manifest& manifest, Stats* stats) const;
  absl::StatusOr<std::vector<SegmentSource>> Sources() const;
  absl::Status CloseLog();
  QueryParts PartsForQueries() const;

  FileSystem& file_system_;
  const std::unique_ptr<Directory> directory_;
  const Config config_;
  const uint64_t fork_generation_ = ForkGeneration();
  Poison poison_;
  ManifestStore manifest_;
  const index::KeyHasher hasher_;
  SegmentSet segments_{config_.segment_count_max};
  // Of a store opened despite damage: what an index image says was current as
  // of proven_lsn_; null: there is none that fits.
  std::unique_ptr<index::HashIndex> proven_;
  format::Lsn proven_lsn_ = 0;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  index::EpochDomain* const epochs_ = gate_->epochs();
  index::HashIndex index_;
  mutable Views views_;
  // Cursors may outlive the store.
  const std::shared_ptr<MaskCounts> mask_counts_ =
      std::make_shared<MaskCounts>();
  // Set once, by Open().
  std::unique_ptr<index::OrderedIndex> ordered_;  // null: there is none
  std::optional<OrderedBuilder> ordered_builder_;
  // Passes over the whole log that queries have made. Cursors may outlive the
  // store.
  const std::shared_ptr<std::atomic<uint64_t>> log_passes_ =
      std::make_shared<std::atomic<uint64_t>>(0);
  ReadAhead read_ahead_;
  Core core_;  // points to what stands above, and to the log
  std::optional<ViewReader> view_reader_;
  std::optional<Reader> reader_;
  std::unique_ptr<DirectoryLock> manifest_lock_;  // null: to read only
  std::unique_ptr<Log> log_;                      // null: to read only
  OpenStats open_stats_;
  const uint64_t epoch_;
  format::Lsn opened_lsn_ = 0;  // the last one that Open() found
  // Of a store that is open to read only: what of that is known to be durable.
  format::Lsn opened_durable_lsn_ = 0;
  CurrentSnapshot found_snapshot_;

  // Set before Close() waits for everybody inside to leave.
  std::atomic<bool> closed_{false};
  index::Mutex close_mutex_{index::LockRank::kClose};
  bool close_done_ ABSL_GUARDED_BY(close_mutex_) = false;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_ENGINE_H_
