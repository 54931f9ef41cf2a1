// Keys that no growth of a table can make room for: more of them share one
// hash than a window of buckets has slots.
//
// With a keyed hash that does not happen; with a broken or weak one it makes
// such keys slow to find (one step per listed key of the shard), and nothing
// else. Writers hold the shard's lock; readers hold an EpochGuard. A list that
// is full is replaced by a longer copy and never written again.

#ifndef PEAT_INDEX_SIDE_LIST_H_
#define PEAT_INDEX_SIDE_LIST_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "format/location.h"
#include "index/bucket_table.h"

namespace peat::index {

class SideList final {
 public:
  explicit SideList(uint32_t capacity)
      : capacity_(capacity), places_(std::make_unique<Place[]>(capacity)) {}

  // A copy with room for twice as many.
  std::unique_ptr<SideList> Longer() const;

  // False when the list is full.
  bool Insert(uint64_t hash, Location location);

  // Calls visit(Slot*, uint64_t slot) on each key of this hash, and perhaps on
  // one of another, until it returns true; returns whether it did.
  template <typename Visit>
  bool Look(uint64_t hash, Visit&& visit) const {
    const uint32_t count = count_.load(std::memory_order_acquire);
    for (uint32_t i = 0; i < count; ++i) {
      Place& place = places_[i];
      if (place.hash.load(std::memory_order_acquire) != hash) continue;
      const uint64_t slot = place.slot.load(std::memory_order_acquire);
      if (!IsFree(slot) && visit(&place.slot, slot)) return true;
    }
    return false;
  }

  // Calls visit(Slot*, uint64_t slot) on every key.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    const uint32_t count = count_.load(std::memory_order_acquire);
    for (uint32_t i = 0; i < count; ++i) {
      const uint64_t slot = places_[i].slot.load(std::memory_order_acquire);
      if (!IsFree(slot)) visit(&places_[i].slot, slot);
    }
  }

  uint64_t memory_bytes() const {
    return sizeof(*this) + capacity_ * sizeof(Place);
  }

 private:
  struct Place {
    std::atomic<uint64_t> hash = 0;
    Slot slot = 0;  // a location alone
  };

  const uint32_t capacity_;
  const std::unique_ptr<Place[]> places_;
  std::atomic<uint32_t> count_ = 0;
};

}  // namespace peat::index

#endif  // PEAT_INDEX_SIDE_LIST_H_
