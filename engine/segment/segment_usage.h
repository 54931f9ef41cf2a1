// How the bytes of a segment are used, and the counter that moves these counts.
//
// The counts are moved when a record comes, when a newer one supersedes it, and
// when compaction moves it. Writers and compaction move them on their own, so
// for a moment one may be too low by a record that is on its way: below zero,
// which Read() shows as zero.

#ifndef PEAT_ENGINE_SEGMENT_SEGMENT_USAGE_H_
#define PEAT_ENGINE_SEGMENT_SEGMENT_USAGE_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace peat::engine {

// Of one segment, or a sum over some.
struct SegmentUsage {
  uint64_t used_bytes = 0;        // of all records, and the header
  uint64_t live_bytes = 0;        // of records that the index points to
  uint64_t tombstone_bytes = 0;   // of all tombstones
  uint64_t idle_bytes = 0;        // of those that are believed to be needless
  uint64_t value_bytes = 0;       // of value files that records refer to
  uint64_t live_value_bytes = 0;  // of those that the index points to

  // A count below zero wraps around, so that a sum over segments is right
  // while a record moves from one to another.
  SegmentUsage& operator+=(const SegmentUsage& other) {
    used_bytes += other.used_bytes;
    live_bytes += other.live_bytes;
    tombstone_bytes += other.tombstone_bytes;
    idle_bytes += other.idle_bytes;
    value_bytes += other.value_bytes;
    live_value_bytes += other.live_value_bytes;
    return *this;
  }

  // With zero for each count that is below it.
  SegmentUsage NotNegative() const {
    const auto clamp = [](uint64_t count) {
      return static_cast<int64_t>(count) < 0 ? 0 : count;
    };
    const uint64_t tombstones = clamp(tombstone_bytes);
    return {.used_bytes = used_bytes,
            .live_bytes = clamp(live_bytes),
            .tombstone_bytes = tombstones,
            .idle_bytes = std::min(idle_bytes, tombstones),
            .value_bytes = clamp(value_bytes),
            .live_value_bytes = clamp(live_value_bytes)};
  }
};

// Thread-safe. Relaxed: sums that nothing is ordered by.
class UsageCounter final {
 public:
  // Of live, tombstone and value bytes; the segment knows what is used. Any
  // thread.
  void Add(const SegmentUsage& more) {
    Move<&UsageCounter::AddAtomically>(more, 1);
  }
  void Remove(const SegmentUsage& less) {
    Move<&UsageCounter::AddAtomically>(less, -1);
  }

  // The same under the appender's lock, once the store is open. Nobody else
  // moves live and tombstone bytes then, which spares a locked instruction that
  // would wait for the stores of the append.
  void AddUnderLock(const SegmentUsage& more) {
    Move<&UsageCounter::AddAlone>(more, 1);
  }
  void RemoveUnderLock(const SegmentUsage& less) {
    Move<&UsageCounter::AddAlone>(less, -1);
  }

  // Set by compaction.
  void set_idle_bytes(uint64_t bytes) {
    idle_bytes_.store(bytes, std::memory_order_relaxed);
  }

  // Counts below zero wrap around.
  SegmentUsage ReadRaw() const {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    return {.live_bytes = live_bytes_.load(kRelaxed),
            .tombstone_bytes = tombstone_bytes_.load(kRelaxed),
            .idle_bytes = idle_bytes_.load(kRelaxed),
            .value_bytes = value_bytes_.load(kRelaxed),
            .live_value_bytes = live_value_bytes_.load(kRelaxed)};
  }

 private:
  using Count = std::atomic<uint64_t>;

  static void AddAtomically(Count& count, uint64_t bytes) {
    count.fetch_add(bytes, std::memory_order_relaxed);
  }
  static void AddAlone(Count& count, uint64_t bytes) {
    count.store(count.load(std::memory_order_relaxed) + bytes,
                std::memory_order_relaxed);
  }

  // Inlined: what a caller does not name costs nothing.
  template <void (*add)(Count&, uint64_t)>
  void Move(const SegmentUsage& usage, int64_t sign) {
    const auto by = [sign](uint64_t bytes) {
      return static_cast<uint64_t>(sign) * bytes;
    };
    if (usage.live_bytes != 0) add(live_bytes_, by(usage.live_bytes));
    if (usage.tombstone_bytes != 0) {
      add(tombstone_bytes_, by(usage.tombstone_bytes));
    }
    if (usage.value_bytes != 0) add(value_bytes_, by(usage.value_bytes));
    if (usage.live_value_bytes != 0) {
      add(live_value_bytes_, by(usage.live_value_bytes));
    }
  }

  Count live_bytes_{0};
  Count tombstone_bytes_{0};
  Count idle_bytes_{0};
  Count value_bytes_{0};
  Count live_value_bytes_{0};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_SEGMENT_USAGE_H_
