// Keeps the store's space within its bound: decides what to compact, has it
// compacted, and retires the inputs once nobody can be reading them.
//
//   retired --(everybody who was inside has left)--> files unlinked
//
// One compaction at a time. RunOnce() is what the background calls, and tests
// call; each call does one step. Thread-safe.

#ifndef PEAT_ENGINE_COMPACT_COMPACTOR_H_
#define PEAT_ENGINE_COMPACT_COMPACTOR_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/compact/compaction.h"
#include "engine/compact/compaction_policy.h"
#include "engine/compact/tombstone_watch.h"
#include "engine/log/core.h"
#include "index/mutex.h"

namespace peat::engine {

class Compactor final {
 public:
  explicit Compactor(const Core& core) : parts_(core) {}

  enum class Step {
    kNothing,  // there is nothing to do now
    kWaiting,  // but files to unlink, once their readers have left
    kDone,     // something was done: there may be more
  };
  // Does what the bound asks for next. ResourceExhausted when there is no space
  // for it.
  absl::StatusOr<Step> RunOnce() ABSL_LOCKS_EXCLUDED(mutex_);

  // Compacts every sealed segment in which anything is to be gained. An input
  // that is damaged is set aside; the rest goes on, and DataLoss is returned.
  absl::Status CompactAll() ABSL_LOCKS_EXCLUDED(mutex_);

  // Joins what is so small and so much that RunOnce() would: a store that is
  // closed after each few writes may never get there.
  absl::Status JoinSmall() ABSL_LOCKS_EXCLUDED(mutex_);

  // Calls `work` while no compaction is under way.
  absl::Status AtRest(absl::FunctionRef<absl::Status()> work)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // FailedPrecondition from then on, also for who compacts everything. Never
  // waits.
  void StopSoon() { is_stopped_.store(true, std::memory_order_release); }

  // The same, and waits for a compaction under way.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  // How long until there is more to do because records expire, as of the last
  // step that found nothing; nullopt: that is not known, or not for the clock
  // to say.
  std::optional<std::chrono::milliseconds> UntilExpiry() const;

  // What is known of each segment of the manifest, ascending by id.
  std::vector<SegmentFacts> Facts() const;

  // Since the store was opened.
  struct Counters {
    uint64_t compaction_count = 0;
    uint64_t written_bytes = 0;  // of segments, by compaction
    uint64_t removed_bytes = 0;  // of segments that were taken out
  };
  Counters counters() const;

 private:
  // What has left the store and may still be read.
  struct Retired {
    uint64_t stamp = 0;
    std::vector<std::shared_ptr<Segment>> segments;
    format::Lsn last_lsn = 0;  // of the log, then
    std::vector<format::SegmentId> value_files;
  };
  // Files of values that only views from before `last_lsn` may show.
  struct RetiredValues {
    format::Lsn last_lsn = 0;
    std::vector<format::SegmentId> files;
  };
  // A file that nobody needs.
  struct LeavingFile {
    format::SegmentId id = 0;
    bool is_value = false;
  };
  using Known = SealedSegment;  // or one that is not sealed yet

  // Ends the active segment if it refers to value files that nobody needs; and
  // if most of it has expired, and what is in it is worth it: whether it has.
  void EndActiveForValues() const;
  bool EndExpiredActive() const;
  // Notes when more of the segments that may be compacted expires.
  void NoteNextExpiry(const std::vector<Known>& known,
                      const std::vector<SegmentFacts>& facts);
  absl::Status CheckGoesOn() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Every segment of the manifest that is open, ascending by id.
  std::vector<Known> KnownSegments() const;
  std::vector<SegmentFacts> FactsOf(const std::vector<Known>& known) const;
  // The same; short of space, as if all tombstones had to stay: then what is
  // written can be no more than expected.
  std::vector<SegmentFacts> CautiousFactsOf(const std::vector<Known>& known)
      const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  CompactionGoal Goal() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False: an input has been set aside instead, damage_ says why.
  absl::StatusOr<bool> Compact(const std::vector<Known>& known,
                               const std::vector<format::SegmentId>& ids)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Retire(const Compaction& compaction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Unlinks what nobody can be reading any more.
  void Reclaim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReclaimValues() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Now, or once no copy needs it.
  void Unlink(const LeavingFile& file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WatchTombstones(const std::vector<Known>& known)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Core& parts_;

  // Held during a compaction, I/O included; taken with no other lock held.
  index::Mutex mutex_{index::LockRank::kCompactor};
  absl::Status damage_ ABSL_GUARDED_BY(mutex_);
  std::deque<Retired> retired_ ABSL_GUARDED_BY(mutex_);  // oldest first
  // Released, but read with pread, by name, by somebody who took it before: a
  // scan.
  std::vector<std::shared_ptr<Segment>> held_ ABSL_GUARDED_BY(mutex_);
  std::deque<RetiredValues> retired_values_ ABSL_GUARDED_BY(mutex_);
  // What would be unlinked, but for a copy that is under way.
  std::vector<LeavingFile> pinned_ ABSL_GUARDED_BY(mutex_);
  TombstoneWatch tombstones_ ABSL_GUARDED_BY(mutex_);
  // The last compaction failed for it: the next writes no more than the reserve
  // holds.
  bool is_short_of_space_ ABSL_GUARDED_BY(mutex_) = false;

  // Release: whoever sees it finds the store closing.
  std::atomic<bool> is_stopped_{false};

  std::atomic<format::Millis> next_expiry_{format::kNever};

  // For statistics.
  std::atomic<uint64_t> compaction_count_{0};
  std::atomic<uint64_t> written_bytes_{0};
  std::atomic<uint64_t> removed_bytes_{0};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_COMPACT_COMPACTOR_H_
