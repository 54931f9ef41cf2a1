// How many keys are disabled, and how many forgotten: of a store, or of those
// whose current record lies in one segment.

#ifndef PEAT_ENGINE_SEGMENT_MASK_COUNTS_H_
#define PEAT_ENGINE_SEGMENT_MASK_COUNTS_H_

#include <atomic>
#include <cstdint>

#include "engine/segment/key_state.h"

namespace peat::engine {

// Thread-safe. Relaxed: sums that nothing is ordered by.
class MaskCounts {
 public:
  // `count` more keys are in `state`. Counts of other states are not kept.
  void Add(KeyState state, int64_t count) {
    const auto change = static_cast<uint64_t>(count);
    if (state == KeyState::kDisabled) disabled_.fetch_add(change, kRelaxed);
    if (state == KeyState::kForgotten) forgotten_.fetch_add(change, kRelaxed);
  }

  void Add(const MaskCounts& other) {
    disabled_.fetch_add(other.disabled(), kRelaxed);
    forgotten_.fetch_add(other.forgotten(), kRelaxed);
  }

  uint64_t disabled() const { return disabled_.load(kRelaxed); }
  uint64_t forgotten() const { return forgotten_.load(kRelaxed); }

 private:
  static constexpr std::memory_order kRelaxed = std::memory_order_relaxed;

  std::atomic<uint64_t> disabled_{0};
  std::atomic<uint64_t> forgotten_{0};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_MASK_COUNTS_H_
