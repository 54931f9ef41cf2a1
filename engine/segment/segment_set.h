// The open segments by number.
//
// A reader enters an epoch before it consults the index. Whatever location the
// index then returns stays readable until the reader leaves. That is why Get()
// has no retry loop. A pinned value shares the ownership of its own segment and
// so may outlive the set.
//
//   Add -> in use -> Retire (the index points to it no more) -> in use by who
//   entered before -> Release (they have left) -> its number is free again
//
// Thread-safe.

#ifndef PEAT_ENGINE_SEGMENT_SEGMENT_SET_H_
#define PEAT_ENGINE_SEGMENT_SEGMENT_SET_H_

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "engine/segment/segment.h"
#include "format/location.h"
#include "index/mutex.h"

namespace peat::engine {

class SegmentSet {
 public:
  // It gives out numbers up to `number_max`.
  explicit SegmentSet(
      format::SegmentNumber number_max = format::kSegmentNumberMax);
  SegmentSet(const SegmentSet&) = delete;
  SegmentSet& operator=(const SegmentSet&) = delete;
  ~SegmentSet();

  // Makes `segment` readable and gives it its number. Precedes the first index
  // entry that points to it. ResourceExhausted when all numbers are taken.
  absl::Status Add(std::shared_ptr<Segment> segment)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The same with a number that an index image has for it: larger than any
  // that was given out before.
  void AddNumbered(std::shared_ptr<Segment> segment,
                   format::SegmentNumber number) ABSL_LOCKS_EXCLUDED(mutex_);

  // The same for a segment that holds copies of what lies in others, until
  // Exchange() says that it stands for them.
  absl::Status AddCopies(std::shared_ptr<Segment> segment)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // How many more segments there can be.
  size_t free_number_count() const ABSL_LOCKS_EXCLUDED(mutex_);

  // The segment `number`, which must have come from the index, under an epoch
  // guard that is still held. Number 0, and one that has been released, stand
  // for Segment::Nowhere().
  Segment& At(format::SegmentNumber number) const {
    Chunk* const chunk =
        chunks_[number / kChunkSize].load(std::memory_order_acquire);
    Segment* const segment =
        (*chunk)[number % kChunkSize].load(std::memory_order_acquire);
    PEAT_DCHECK(segment != nullptr);
    return *segment;
  }

  // The index points to none of `retired` any more and never will: all their
  // places are stale, they count no longer, but stay readable for whoever
  // entered before. At the same moment `copies` come to stand for them.
  using Some = std::span<const std::shared_ptr<Segment>>;
  void Exchange(Some retired, Some copies) ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives up a retired segment, and its number. Every guard that was there when
  // it was retired must be gone.
  void Release(const Segment& segment) ABSL_LOCKS_EXCLUDED(mutex_);

  // All segments that are not retired, ascending by number.
  std::vector<std::shared_ptr<Segment>> All() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Sums over them.
  SegmentUsage Sum() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t LiveBytes() const { return Sum().live_bytes; }

  // Whether `segment` is in the set, by its number.
  bool Has(const Segment& segment) const {
    const format::SegmentNumber number = segment.number();
    const Chunk* const chunk =
        chunks_[number / kChunkSize].load(std::memory_order_acquire);
    return (*chunk)[number % kChunkSize].load(std::memory_order_acquire) ==
           &segment;
  }

  // The segments that hold each record that the index points to, and hold it
  // once: neither retired ones nor copies. Each is at the place of its number,
  // null where there is none; what the list holds stays readable. The same
  // list until the set changes.
  using List = std::vector<std::shared_ptr<Segment>>;
  std::shared_ptr<const List> TakeList() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  static constexpr size_t kChunkSize = 256;
  static constexpr size_t kChunkCount =
      (format::kSegmentNumberMax + kChunkSize) / kChunkSize;
  using Chunk = std::array<std::atomic<Segment*>, kChunkSize>;

  const format::SegmentNumber number_max_;
  const std::shared_ptr<Segment> nowhere_ = Segment::Nowhere();

  // The innermost lock of the engine: nothing is acquired and no I/O is done
  // under it.
  mutable index::Mutex mutex_{index::LockRank::kSegmentSet};
  struct Owner {
    std::shared_ptr<Segment> segment;
    bool is_retired = false;
    bool is_copy = false;
  };
  absl::Status AddOwner(Owner owner) ABSL_LOCKS_EXCLUDED(mutex_);
  Chunk& ChunkFor(format::SegmentNumber number)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `number` has a place in owners_ and nobody there.
  void Place(Owner owner, format::SegmentNumber number)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::vector<Owner> owners_ ABSL_GUARDED_BY(mutex_);  // by number
  std::vector<format::SegmentNumber> free_numbers_ ABSL_GUARDED_BY(mutex_);
  // Their segments; null: to be made when it is asked for.
  mutable std::shared_ptr<const List> list_ ABSL_GUARDED_BY(mutex_);

  // What readers see; nowhere_ where there is no segment. Chunks are made once
  // and live as long as the set.
  std::array<std::atomic<Chunk*>, kChunkCount> chunks_ = {};
  std::vector<std::unique_ptr<Chunk>> chunk_owners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_SEGMENT_SET_H_
