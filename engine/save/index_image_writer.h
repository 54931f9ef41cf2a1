// Saves the index to a file, while the store is open or when it is closed.
//
//   at rest (no compaction, all shards locked): where the log ends, what is
//   counted of each segment, BeginSave -> write the tables, while everybody
//   goes on -> the head -> the name -> unlink the snapshot before
//
// The snapshot is the index as it was at that one moment: who changes a table
// that is not yet in the file hands it there first (HashIndex::BeginSave). So
// writers wait some 10 us at the beginning, and some us once for each table at
// most, and memory grows by no more than what the file gathers (SlotFile).
//
// It is due when an eighth of the live data has been written since the last
// one, by writers and by compaction: that much is to be replayed at the next
// open, at most, and that much work is to be done for it.

#ifndef PEAT_ENGINE_SAVE_INDEX_IMAGE_WRITER_H_
#define PEAT_ENGINE_SAVE_INDEX_IMAGE_WRITER_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "engine/compact/compactor.h"
#include "engine/log/appender.h"
#include "engine/log/core.h"
#include "engine/recover/index_image_reader.h"
#include "engine/save/slot_file.h"
#include "format/index_image.h"
#include "index/mutex.h"

namespace peat::engine {

class IndexImageWriter final {
 public:
  // `found`: the one that the store was opened with, if there was one.
  IndexImageWriter(const Core& core, Compactor* compactor,
                   const CurrentSnapshot& found);

  // Saves the index as it is at some moment of the call, and unlinks other
  // snapshots; nothing when it has been saved as it is, or when reading the log
  // takes no longer. A failure leaves the snapshot that there was, and is tried
  // again when the next one is due. Any thread.
  absl::Status Save() ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether it is time to. Costs a look at each segment. Any thread.
  bool IsDue() const;

  // Since the store was opened.
  struct Counters {
    uint64_t snapshot_count = 0;
    uint64_t written_bytes = 0;
  };
  Counters counters() const {
    return {.snapshot_count = snapshot_count_.load(std::memory_order_relaxed),
            .written_bytes = written_bytes_.load(std::memory_order_relaxed)};
  }

 private:
  // Bytes that were written to segments since the store was opened.
  uint64_t WorkDone() const;
  absl::Status SaveTo(SlotFile& file, format::IndexImage* head)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What is counted at one moment, and the beginning of the images.
  absl::Status Begin(SlotFile& file, format::IndexImage* head) const;
  // The rest of what is known of that moment.
  void Complete(const Appender::State& log, format::IndexImage* head) const;

  const Core& parts_;
  Compactor* const compactor_;

  // Held while the index is saved, I/O included; before the compactor's.
  index::Mutex mutex_{index::LockRank::kIndexImage};
  CurrentSnapshot current_ ABSL_GUARDED_BY(mutex_);
  uint64_t compactions_before_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<uint64_t> work_before_{0};  // at the last attempt
  std::atomic<uint64_t> snapshot_count_{0};
  std::atomic<uint64_t> written_bytes_{0};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SAVE_INDEX_IMAGE_WRITER_H_
