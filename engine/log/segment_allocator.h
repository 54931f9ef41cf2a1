// Where log segments come from: the one place that acquires disk space for the
// log, so that a full disk is a clean status and never half a record.
//
// A segment is prepared in this order, each step durable before the next: the
// file is created and allocated, its header is written and synced, its name is
// synced, the manifest names it. Then the appender may roll into it.
//
// A reserve of two preallocated files is kept for a full disk: one for the
// log, so that deletes go on, one for compaction. While the log's is not there,
// writes that add data are refused; each such write, and the background, tries
// to get it back.
//
// Thread-safe.

#ifndef PEAT_ENGINE_LOG_SEGMENT_ALLOCATOR_H_
#define PEAT_ENGINE_LOG_SEGMENT_ALLOCATOR_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "engine/log/core.h"
#include "engine/log/segment_sizer.h"
#include "engine/os/file_system.h"
#include "engine/segment/config.h"
#include "engine/segment/segment_set.h"
#include "format/manifest.h"
#include "index/mutex.h"

namespace peat::engine {

// Who asks: what adds data keeps out of the reserve.
enum class Need { kAddData, kRemoveData };

class SegmentAllocator {
 public:
  // Log segments that wait to be sealed, each with a file handle. When there
  // are more, none is prepared ahead, and a writer that needs one seals them.
  static constexpr size_t kRolledMax = 128;

  // Numbers of segments that are kept back: for segments of compaction, which
  // give more back than they take; and as many more for those of deletes, which
  // give it something to do.
  static constexpr size_t kNumbersKept = 256;

  explicit SegmentAllocator(const Core& core);

  // The size of the next log segment, in bytes; and the size that the live
  // bytes alone ask for (see segment_sizer.h), which is that of the reserve,
  // too.
  uint64_t current_segment_size() const {
    return sizer_.Size(parts_.segments->LiveBytes());
  }
  uint64_t base_segment_size() const {
    return SegmentSizer::BaseSize(parts_.segments->LiveBytes(), *parts_.config);
  }

  // Values over this size go to files of their own. As of the last segment
  // prepared.
  uint64_t large_value_size() const {
    return large_value_size_.load(std::memory_order_relaxed);
  }

  // Gives the appender a prepared segment that can take records of `size`
  // bytes, unless it has one. ResourceExhausted when there is no space, and for
  // kRemoveData when the reserve is spent too.
  absl::Status PrepareFor(uint64_t size, Need need) ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives it one more, of the usual size, ahead of need.
  absl::Status PrepareAhead() ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives the appender an empty segment that the manifest names already.
  absl::Status Reuse(const format::ManifestSegment& entry)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes what is prepared back, and out of the store: the next open need not
  // look whether anything is in it.
  absl::Status GiveUpPrepared() ABSL_LOCKS_EXCLUDED(mutex_);

  // A file with disk space.
  struct Acquired {
    std::unique_ptr<File> file;
    uint64_t capacity = 0;
  };
  // A file of at least `capacity` bytes named `name`, for what compaction
  // writes: new, or made of compaction's reserve when there is no space.
  absl::StatusOr<Acquired> AcquireForCompaction(const std::string& name,
                                                uint64_t capacity)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Restores what is missing of the reserve. ResourceExhausted when there is
  // no space for it.
  absl::Status RefillReserve() ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether data may be added: the reserve is there.
  bool reserve_complete() const {
    return reserve_complete_.load(std::memory_order_acquire);
  }
  uint64_t reserve_bytes() const {
    return reserve_bytes_.load(std::memory_order_relaxed);
  }

 private:
  absl::Status Prepare(uint64_t size, Need need)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckNumbers(Need need) const;
  absl::Status RefillReserveLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RefillOne(const std::string& name, uint64_t size)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the manifest names the segment.
  bool IsNamed(format::SegmentId id) const;

  // How many bytes a segment should have, and how many are enough.
  struct Capacity {
    uint64_t wanted = 0;
    uint64_t enough = 0;
  };
  // A file of that capacity named `name`: new, or made of the log's reserve if
  // that must be and may be.
  absl::StatusOr<Acquired> Acquire(const std::string& name,
                                   const Capacity& capacity, Need need)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static constexpr size_t kLogReserve = 0;
  static constexpr size_t kCompactionReserve = 1;
  absl::StatusOr<Acquired> TakeReserve(size_t which, const std::string& name,
                                       uint64_t capacity_needed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes the acquired file a segment, durably, and offers it.
  absl::Status Finish(format::SegmentId id, Acquired acquired)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Maps a prepared segment and gives it to the appender.
  absl::Status Offer(const SegmentIdentity& identity,
                     std::unique_ptr<File> file,
                     std::unique_ptr<Mapping> mapping)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Core& parts_;
  SegmentSizer sizer_;  // its NoteSegment() is called under mutex_

  // Held while a segment is being prepared, I/O included; taken with no other
  // lock held.
  index::Mutex mutex_{index::LockRank::kSegmentAllocator};
  std::array<uint64_t, 2> reserve_sizes_ ABSL_GUARDED_BY(mutex_) = {};
  const format::StoreId store_id_;

  // Release and acquire: whoever sees the reserve there may add data.
  std::atomic<bool> reserve_complete_{false};
  std::atomic<uint64_t> reserve_bytes_{0};  // for statistics
  std::atomic<uint64_t> large_value_size_;  // relaxed: any recent one will do
};

// A segment's salt: random, never 0.
uint64_t RandomSalt(FileSystem& file_system);

// Opens the file of `entry` and checks its header against it: DataLoss when it
// is missing, cut short or not the one that the manifest names.
absl::StatusOr<std::unique_ptr<File>> OpenSegmentFile(
    const Directory& directory, const format::ManifestSegment& entry,
    const format::StoreId& store_id, OpenMode mode);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_SEGMENT_ALLOCATOR_H_
