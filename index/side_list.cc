#include "index/side_list.h"

namespace peat::index {

std::unique_ptr<SideList> SideList::Longer() const {
  auto longer = std::make_unique<SideList>(2 * capacity_);
  const uint32_t count = count_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t slot = places_[i].slot.load(std::memory_order_relaxed);
    if (IsFree(slot)) continue;
    const bool has_room = longer->Insert(
        places_[i].hash.load(std::memory_order_relaxed), LocationOf(slot));
    PEAT_CHECK(has_room);
  }
  return longer;
}

bool SideList::Insert(uint64_t hash, Location location) {
  PEAT_CHECK(!location.is_none());
  const uint32_t count = count_.load(std::memory_order_relaxed);
  uint32_t free = 0;
  while (free < count &&
         !IsFree(places_[free].slot.load(std::memory_order_relaxed))) {
    ++free;
  }
  if (free == capacity_) return false;
  places_[free].hash.store(hash, std::memory_order_release);
  places_[free].slot.store(location.bits(), std::memory_order_release);
  if (free == count) count_.store(count + 1, std::memory_order_release);
  return true;
}

}  // namespace peat::index
