// One small table of the index: 64 buckets of `width` slots, nothing else.
//
//   slot   63..43  tag           21 bits of the hash
//          42      has_guests    in slot 0 of a bucket: a key whose home this
//                                is lies in one of the next three buckets
//          41..40  displacement  how far from its home bucket the key lies
//          39..0   location      0: the slot is free
//
// A key's home bucket comes from 6 hash bits that are not in its tag; it lies
// there or, when that was full, in one of the three buckets behind it. So a
// table can be built anew, wider or in two halves, without reading a key.
//
// A table has no header: its width and its depth (how many tag bits chose it
// in the directory) travel in the low bits of the pointer to it.
//
// Writers hold the shard's lock. Readers hold an EpochGuard and take no lock:
// they look at the home bucket, then, if it has guests, at the next three in
// order. A key that moves within a table only moves to a bucket that is looked
// at later, and is there before it leaves the old place; so no reader misses
// it. A table that was replaced is never written again.

#ifndef PEAT_INDEX_BUCKET_TABLE_H_
#define PEAT_INDEX_BUCKET_TABLE_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "format/bytes.h"
#include "format/check.h"
#include "format/location.h"
#include "index/arena.h"
#include "index/epoch.h"

namespace peat::index {

using format::Location;

using Slot = std::atomic<uint64_t>;

inline constexpr int kTagBits = 21;
inline constexpr int kBucketBits = 6;
inline constexpr uint32_t kBucketCount = 1 << kBucketBits;
inline constexpr uint32_t kWindow = 4;  // buckets in which a key may lie
inline constexpr uint32_t kWidthMax = 24;

inline constexpr int kDisplacementShift = format::kLocationBits;
inline constexpr int kHasGuestsShift = kDisplacementShift + 2;
inline constexpr int kTagShift = kHasGuestsShift + 1;
inline constexpr uint64_t kLocationMask =
    (uint64_t{1} << format::kLocationBits) - 1;
inline constexpr uint64_t kHasGuests = uint64_t{1} << kHasGuestsShift;
// What a reader compares: tag and displacement.
inline constexpr uint64_t kIdentityMask = ~(kLocationMask | kHasGuests);
static_assert(kTagShift + kTagBits == 64);
static_assert(size_t{kWidthMax} * kBucketCount * sizeof(Slot) ==
              size_t{Arena::kUnitCountMax} * Arena::kUnitSize);

// The parts of a key's hash that place it within its shard.
struct Placement {
  uint32_t home;  // bucket
  uint32_t tag;
};

constexpr bool IsFree(uint64_t slot) { return (slot & kLocationMask) == 0; }
constexpr Location LocationOf(uint64_t slot) {
  return Location::FromBits(slot & kLocationMask);
}
constexpr uint32_t TagOf(uint64_t slot) {
  return static_cast<uint32_t>(slot >> kTagShift);
}
constexpr uint32_t DisplacementOf(uint64_t slot) {
  return static_cast<uint32_t>(slot >> kDisplacementShift) & (kWindow - 1);
}
constexpr uint64_t Identity(uint32_t tag, uint32_t displacement) {
  return (uint64_t{tag} << kTagShift) |
         (uint64_t{displacement} << kDisplacementShift);
}

// A pointer to a table with its width and depth, or, without a table, a depth
// alone. A value; copies point to the same table.
class TableRef final {
 public:
  constexpr TableRef() = default;
  static constexpr TableRef FromBits(uint64_t bits) {
    TableRef table;
    table.bits_ = bits;
    return table;
  }
  static TableRef Of(std::byte* units, uint32_t width, uint32_t depth) {
    const uint64_t address = reinterpret_cast<uintptr_t>(units);
    PEAT_DCHECK(address % Arena::kUnitSize == 0);
    return FromBits(address | (uint64_t{depth} << kDepthShift) | (width / 2));
  }

  static constexpr TableRef None(uint32_t depth) {
    return FromBits(uint64_t{depth} << kDepthShift);
  }

  constexpr uint64_t bits() const { return bits_; }
  constexpr bool is_null() const { return bits_ < Arena::kUnitSize; }
  constexpr uint32_t width() const {
    return 2 * static_cast<uint32_t>(bits_ & ((1 << kDepthShift) - 1));
  }
  constexpr uint32_t depth() const {
    return static_cast<uint32_t>(bits_ >> kDepthShift) & 31;
  }
  // Tables are as many units as half their width.
  constexpr uint32_t unit_count() const { return width() / 2; }
  std::byte* units() const {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a pointer with bits to spare
    return reinterpret_cast<std::byte*>(address());
  }
  Slot* bucket(uint32_t number) const {
    return reinterpret_cast<Slot*>(units()) +
           size_t{number % kBucketCount} * width();
  }

  friend constexpr bool operator==(TableRef, TableRef) = default;

  // Calls visit(Slot*, uint64_t slot) on each key with this tag and home until
  // it returns true; returns whether it did.
  template <typename Visit>
  bool Look(Placement placement, Visit&& visit) const {
    PEAT_DCHECK(!is_null());
    Slot* const home = bucket(placement.home);
    const uint32_t width = this->width();
    if (LookInBucket(home, width, Identity(placement.tag, 0), visit)) {
      return true;
    }
    // After the slots, not before: a key may have moved on in the meantime.
    if ((home->load(std::memory_order_acquire) & kHasGuests) == 0) return false;
    for (uint32_t i = 1; i < kWindow; ++i) {
      if (LookInBucket(bucket(placement.home + i), width,
                       Identity(placement.tag, i), visit)) {
        return true;
      }
    }
    return false;
  }

  // Asks for the cache lines of the home bucket.
  void Prefetch(uint32_t home) const {
    const std::byte* const first =
        reinterpret_cast<const std::byte*>(bucket(home));
    format::PrefetchToRead(first);
    format::PrefetchToRead(first + 64);
    format::PrefetchToRead(first + width() * sizeof(Slot) - 1);
  }

 private:
  friend struct Probe;
  static constexpr int kDepthShift = 4;

  uint64_t address() const { return bits_ & ~uint64_t{Arena::kUnitSize - 1}; }

  template <typename Visit>
  static bool LookInBucket(Slot* bucket, uint32_t width, uint64_t identity,
                           Visit&& visit);

  uint64_t bits_ = 0;
};

// Slots of `bucket`, as bits, that may hold `identity`: all that do, and
// perhaps some that do not.
[[gnu::always_inline]] inline uint32_t MatchingSlots(const Slot* bucket,
                                                     uint32_t width,
                                                     uint64_t identity) {
  uint32_t matches = 0;
#if defined(__SSE2__) && !PEAT_INDEX_TSAN
  // Compares the upper halves of four slots at a time; the last four overlap
  // those before if need be. An aligned half of a 16-byte load is never torn,
  // and no load of this processor overtakes another; the fences keep the
  // compiler to that too.
  static_assert(kDisplacementShift >= 32);
  const __m128i mask = _mm_set1_epi32(static_cast<int>(kIdentityMask >> 32));
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(identity >> 32));
  const __m128i* const pairs = reinterpret_cast<const __m128i*>(bucket);
  const auto compare_four_from = [&](uint32_t i) {
    const __m128 upper = _mm_shuffle_ps(
        _mm_castsi128_ps(_mm_load_si128(pairs + i / 2)),
        _mm_castsi128_ps(_mm_load_si128(pairs + i / 2 + 1)), 0xDD);
    const __m128i equal =
        _mm_cmpeq_epi32(_mm_and_si128(_mm_castps_si128(upper), mask), wanted);
    matches |= static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(equal)))
               << i;
  };
  if (width >= 4) [[likely]] {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    for (uint32_t i = 0; i < width - 4; i += 4) compare_four_from(i);
    compare_four_from(width - 4);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return matches;
  }
#endif
  for (uint32_t i = 0; i < width; ++i) {
    const uint64_t slot = bucket[i].load(std::memory_order_acquire);
    matches |= static_cast<uint32_t>((slot & kIdentityMask) == identity) << i;
  }
  return matches;
}

template <typename Visit>
bool TableRef::LookInBucket(Slot* bucket, uint32_t width, uint64_t identity,
                            Visit&& visit) {
  uint32_t matches = MatchingSlots(bucket, width, identity);
  for (; matches != 0; matches &= matches - 1) {
    Slot* const place = bucket + std::countr_zero(matches);
    const uint64_t slot = place->load(std::memory_order_acquire);
    if ((slot & kIdentityMask) != identity) continue;
    if (IsFree(slot)) continue;
    if (visit(place, slot)) return true;
  }
  return false;
}

// A look that has begun: the table, which is readable under the guard that was
// there, also when another has replaced it since.
struct Probe {
  TableRef table = {};
  Placement placement = {};

  // The first candidate in the home bucket, or none: a hint.
  Location PeekAtHome() const {
    Location location;
    if (table.is_null()) return location;
    TableRef::LookInBucket(table.bucket(placement.home), table.width(),
                           Identity(placement.tag, 0),
                           [&location](Slot*, uint64_t slot) {
                             location = LocationOf(slot);
                             return true;
                           });
    return location;
  }
};

// Points a slot that is in use elsewhere, for readers to see at once.
inline void StoreLocation(Slot* slot, Location location) {
  const uint64_t old = slot->load(std::memory_order_relaxed);
  PEAT_DCHECK(!IsFree(old));
  PEAT_CHECK(!location.is_none());
  PEAT_CHECK((location.bits() & ~kLocationMask) == 0);
  slot->store((old & ~kLocationMask) | location.bits(),
              std::memory_order_release);
}

// Frees a slot; what it says about guests stays.
inline void ClearSlot(Slot* slot) {
  const uint64_t old = slot->load(std::memory_order_relaxed);
  PEAT_DCHECK(!IsFree(old));
  slot->store(old & kHasGuests, std::memory_order_release);
}

// A table without keys.
TableRef MakeTable(Arena* arena, uint32_t width, uint32_t depth);

// Adds a key that is not in the table. False when there is no room for it: the
// table must grow first.
bool Insert(TableRef table, Placement placement, Location location);

// The smallest width at which `key_count` keys very likely find room.
uint32_t WidthFor(uint64_t key_count);

// A wider copy. `table` stays as it is, and the caller's.
TableRef Widen(TableRef table, Arena* arena);

// The keys of `table` in two tables by the next bit of their tags, either of
// which is null when it would be empty. `table` stays as it is.
std::pair<TableRef, TableRef> Split(TableRef table, Arena* arena);

// A narrower copy with room for some more keys, null for a table without keys;
// nothing if that is no narrower. `table` stays as it is, and the caller's.
std::optional<TableRef> Narrow(TableRef table, Arena* arena);

// The keys of two tables that Split could have made in one, with room for many
// more; null when there are none, nothing when they are too many. Both stay as
// they are.
std::optional<TableRef> Join(TableRef lower, TableRef upper, Arena* arena);

}  // namespace peat::index

#endif  // PEAT_INDEX_BUCKET_TABLE_H_
