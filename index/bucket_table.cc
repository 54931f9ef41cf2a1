#include "index/bucket_table.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <vector>

namespace peat::index {

namespace {

// The share of its slots that a new table's keys may take: above it, finding
// places for them gets slow, and the table would have to grow again soon.
constexpr uint64_t kFillPercent = 86;

// Two tables are joined to one that is not wider: it would soon be split again.
constexpr uint32_t kJoinWidthMax = 20;

// A free slot of `bucket`, or null.
Slot* FreeSlotOf(Slot* bucket, uint32_t width) {
  for (uint32_t i = 0; i < width; ++i) {
    if (IsFree(bucket[i].load(std::memory_order_relaxed))) return &bucket[i];
  }
  return nullptr;
}

// Makes readers who look for keys of this home look on into the next buckets.
void AnnounceGuest(Slot* home) {
  const uint64_t old = home->load(std::memory_order_relaxed);
  if ((old & kHasGuests) != 0) return;
  home->store(old | kHasGuests, std::memory_order_release);
}

// What `slot` says about guests is about its bucket, not about its key.
void StoreKey(Slot* slot, uint64_t identity, Location location) {
  const uint64_t old = slot->load(std::memory_order_relaxed);
  slot->store((old & kHasGuests) | identity | location.bits(),
              std::memory_order_release);
}

// Moves some key of the full window of `home` to a free slot behind the
// window that is still within that key's own. Returns the slot that the key
// leaves, which still holds it, and its displacement from `home`.
std::optional<std::pair<Slot*, uint32_t>> MoveKeyAway(TableRef table,
                                                      uint32_t home) {
  const uint32_t width = table.width();
  for (uint32_t behind = 1; behind < kWindow; ++behind) {
    const uint32_t target = home + kWindow - 1 + behind;
    Slot* const free = FreeSlotOf(table.bucket(target), width);
    if (free == nullptr) continue;
    for (uint32_t from = kWindow - 1; from >= behind; --from) {
      Slot* const bucket = table.bucket(home + from);
      for (uint32_t i = 0; i < width; ++i) {
        const uint64_t slot = bucket[i].load(std::memory_order_relaxed);
        const uint32_t displacement = DisplacementOf(slot);
        const uint32_t distance = kWindow - 1 + behind - from + displacement;
        if (distance >= kWindow) continue;
        AnnounceGuest(table.bucket(home + kBucketCount + from - displacement));
        StoreKey(free, Identity(TagOf(slot), distance), LocationOf(slot));
        return std::make_pair(&bucket[i], from);
      }
    }
  }
  return std::nullopt;
}

struct Key {
  Placement placement;
  Location location;
};

// Calls visit(Placement, Location) on each key.
template <typename Visit>
void ForEachKey(TableRef table, Visit&& visit) {
  if (table.is_null()) return;
  const uint32_t width = table.width();
  for (uint32_t number = 0; number < kBucketCount; ++number) {
    const Slot* const bucket = table.bucket(number);
    for (uint32_t i = 0; i < width; ++i) {
      const uint64_t slot = bucket[i].load(std::memory_order_relaxed);
      if (IsFree(slot)) continue;
      const uint32_t home =
          (number + kBucketCount - DisplacementOf(slot)) % kBucketCount;
      visit(Placement{.home = home, .tag = TagOf(slot)}, LocationOf(slot));
    }
  }
}

// Fills a table that no reader has seen.
class Filler final {
 public:
  Filler() = default;
  explicit Filler(TableRef table) : table_(table), width_(table.width()) {}

  void Add(Placement placement, Location location) {
    for (uint32_t i = 0; i < kWindow; ++i) {
      const uint32_t number = (placement.home + i) % kBucketCount;
      if (used_[number] == width_) continue;
      table_.bucket(number)[used_[number]++].store(
          Identity(placement.tag, i) | location.bits(),
          std::memory_order_relaxed);
      if (i != 0) has_guests_ |= uint64_t{1} << placement.home;
      return;
    }
    left_over_.push_back({.placement = placement, .location = location});
  }

  // False when not all keys found room.
  bool Finish() {
    for (; has_guests_ != 0; has_guests_ &= has_guests_ - 1) {
      AnnounceGuest(
          table_.bucket(static_cast<uint32_t>(std::countr_zero(has_guests_))));
    }
    return std::all_of(left_over_.begin(), left_over_.end(),
                       [this](const Key& key) {
                         return Insert(table_, key.placement, key.location);
                       });
  }

 private:
  TableRef table_;
  uint32_t width_ = 0;
  std::array<uint8_t, kBucketCount> used_ = {};
  uint64_t has_guests_ = 0;
  std::vector<Key> left_over_;  // nearly always empty
};

// The keys of `table` for which `takes(tag)`, each in the bucket where it was.
// For when placing them anew fails; this cannot, in a table as wide.
template <typename Takes>
void CopyAsItLies(TableRef table, TableRef to, Takes&& takes) {
  PEAT_CHECK(to.width() >= table.width());
  for (uint32_t number = 0; number < kBucketCount; ++number) {
    const Slot* const from = table.bucket(number);
    Slot* const bucket = to.bucket(number);
    bucket->fetch_or(from->load() & kHasGuests);
    for (uint32_t i = 0; i < table.width(); ++i) {
      const uint64_t slot = from[i].load(std::memory_order_relaxed);
      if (IsFree(slot) || !takes(TagOf(slot))) continue;
      StoreKey(&bucket[i], slot & kIdentityMask, LocationOf(slot));
    }
  }
}

constexpr bool TakesAll(uint32_t) { return true; }

struct Widths {
  uint32_t min = 0;
  uint32_t max = 0;
};

// The keys of `tables` for which `takes(tag)`, in a new table of the least of
// `widths` at which they find room; nothing if they find none.
template <typename Takes>
std::optional<TableRef> Build(std::span<const TableRef> tables, Widths widths,
                              uint32_t depth, Takes&& takes, Arena* arena) {
  for (uint32_t width = widths.min; width <= widths.max; width += 2) {
    const TableRef built = MakeTable(arena, width, depth);
    Filler filler(built);
    for (const TableRef table : tables) {
      ForEachKey(table, [&](Placement placement, Location location) {
        if (takes(placement.tag)) filler.Add(placement, location);
      });
    }
    if (filler.Finish()) return built;
    arena->Free(built.units(), built.unit_count());
  }
  return std::nullopt;
}

// All keys of `tables` in a new table, as narrow as they very likely find room
// in; null if there are none, nothing if it would be wider than `width_max`.
std::optional<TableRef> BuildOrNone(std::span<const TableRef> tables,
                                    uint32_t width_max, uint32_t depth,
                                    Arena* arena) {
  uint64_t count = 0;
  for (const TableRef table : tables) {
    ForEachKey(table, [&count](Placement, Location) { ++count; });
  }
  if (count == 0) return TableRef::None(depth);
  return Build(tables, {WidthFor(count), width_max}, depth, TakesAll, arena);
}

// The keys of `table` for which `takes(tag)`, in a new table of `width` or, if
// they find no room there, wider.
template <typename Takes>
TableRef Rebuild(TableRef table, uint32_t width, uint32_t depth, Takes&& takes,
                 Arena* arena) {
  const std::optional<TableRef> built =
      Build({&table, 1}, {width, kWidthMax}, depth, takes, arena);
  if (built.has_value()) return *built;
  const TableRef copy = MakeTable(arena, kWidthMax, depth);
  CopyAsItLies(table, copy, takes);
  return copy;
}

}  // namespace

TableRef MakeTable(Arena* arena, uint32_t width, uint32_t depth) {
  PEAT_CHECK(width >= 2);
  PEAT_CHECK(width <= kWidthMax);
  PEAT_CHECK(width % 2 == 0);
  PEAT_CHECK(depth <= kTagBits);
  return TableRef::Of(arena->Allocate(width / 2), width, depth);
}

bool Insert(TableRef table, Placement placement, Location location) {
  PEAT_CHECK(!location.is_none());
  PEAT_CHECK((location.bits() & ~kLocationMask) == 0);
  const uint32_t width = table.width();
  Slot* const home = table.bucket(placement.home);
  for (uint32_t i = 0; i < kWindow; ++i) {
    Slot* const free = FreeSlotOf(table.bucket(placement.home + i), width);
    if (free == nullptr) continue;
    if (i != 0) AnnounceGuest(home);
    StoreKey(free, Identity(placement.tag, i), location);
    return true;
  }
  const auto left = MoveKeyAway(table, placement.home);
  if (!left.has_value()) return false;
  if (left->second != 0) AnnounceGuest(home);
  StoreKey(left->first, Identity(placement.tag, left->second), location);
  return true;
}

uint32_t WidthFor(uint64_t key_count) {
  constexpr uint64_t kStep = uint64_t{2} * kBucketCount;
  const uint64_t slots = key_count * 100 / kFillPercent + 1;
  const uint64_t width = (slots + kStep - 1) / kStep * 2;
  return static_cast<uint32_t>(std::min<uint64_t>(width, kWidthMax));
}

TableRef Widen(TableRef table, Arena* arena) {
  PEAT_CHECK(table.width() < kWidthMax);
  return Rebuild(table, table.width() + 2, table.depth(), TakesAll, arena);
}

std::pair<TableRef, TableRef> Split(TableRef table, Arena* arena) {
  PEAT_CHECK(table.depth() < kTagBits);
  const uint32_t depth = table.depth() + 1;
  const uint32_t bit = uint32_t{1} << (kTagBits - depth);
  std::array<uint64_t, 2> counts = {};
  ForEachKey(table, [&](Placement placement, Location) {
    ++counts[(placement.tag & bit) != 0 ? 1 : 0];
  });
  std::array<TableRef, 2> halves = {TableRef::None(depth),
                                    TableRef::None(depth)};
  std::array<Filler, 2> fillers;
  for (size_t i = 0; i < 2; ++i) {
    if (counts[i] == 0) continue;
    halves[i] = MakeTable(arena, WidthFor(counts[i]), depth);
    fillers[i] = Filler(halves[i]);
  }
  // One pass, and the half chosen by an index: a branch that depends on a
  // hash bit is predicted wrong every other time.
  ForEachKey(table, [&](Placement placement, Location location) {
    fillers[(placement.tag & bit) != 0 ? 1 : 0].Add(placement, location);
  });
  for (size_t i = 0; i < 2; ++i) {
    if (counts[i] == 0 || fillers[i].Finish()) continue;
    const uint32_t width = std::min(halves[i].width() + 2, kWidthMax);
    arena->Free(halves[i].units(), halves[i].unit_count());
    halves[i] = Rebuild(
        table, width, depth,
        [&](uint32_t tag) { return ((tag & bit) != 0) == (i == 1); }, arena);
  }
  return {halves[0], halves[1]};
}

std::optional<TableRef> Narrow(TableRef table, Arena* arena) {
  if (table.is_null()) return std::nullopt;
  return BuildOrNone({&table, 1}, table.width() - 2, table.depth(), arena);
}

std::optional<TableRef> Join(TableRef lower, TableRef upper, Arena* arena) {
  PEAT_DCHECK(lower.depth() == upper.depth());
  PEAT_CHECK(lower.depth() > 0);
  const std::array<TableRef, 2> tables = {lower, upper};
  return BuildOrNone(tables, kJoinWidthMax, lower.depth() - 1, arena);
}

}  // namespace peat::index
