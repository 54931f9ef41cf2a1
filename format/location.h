// The vocabulary that every room shares: where a record lies and what its
// place in the order of writes is.

#ifndef PEAT_FORMAT_LOCATION_H_
#define PEAT_FORMAT_LOCATION_H_

#include <cstdint>

namespace peat::format {

// Log sequence number: the position of a put, tombstone or mask in the store's
// order of writes. Starts at 1, dense over the log; the only thing that decides
// what is newer.
using Lsn = uint64_t;

// Names a segment (or a value file) for ever: a counter, never reused. 0 is
// "none".
using SegmentId = uint64_t;
inline constexpr SegmentId kSegmentIdMax = SegmentId{1} << 63;

// A segment's number in memory: small, mapped to the id while the store is
// open, recycled once no reader can hold it. Starts at 1; 0 is "none".
using SegmentNumber = uint32_t;

inline constexpr int kSegmentNumberBits = 15;
inline constexpr int kOffsetBits = 25;  // of offset / 8
inline constexpr uint64_t kSegmentSizeMax = uint64_t{8} << kOffsetBits;
inline constexpr uint64_t kSegmentSizeMin = uint64_t{1} << 20;
inline constexpr SegmentNumber kSegmentNumberMax =
    (SegmentNumber{1} << kSegmentNumberBits) - 1;

// Where a record lies, as the index keeps it: 40 bits. 0 is "nowhere"; a
// record never lies at offset 0, where its segment's header is.
class Location {
 public:
  constexpr Location() = default;
  constexpr Location(SegmentNumber segment, uint64_t offset)
      : bits_((uint64_t{segment} << kOffsetBits) | (offset >> 3)) {}

  static constexpr Location FromBits(uint64_t bits) {
    Location location;
    location.bits_ = bits;
    return location;
  }

  constexpr SegmentNumber segment() const {
    return static_cast<SegmentNumber>(bits_ >> kOffsetBits);
  }
  constexpr uint64_t offset() const {
    return (bits_ & ((uint64_t{1} << kOffsetBits) - 1)) << 3;
  }
  constexpr uint64_t bits() const { return bits_; }
  constexpr bool is_none() const { return bits_ == 0; }

  friend constexpr bool operator==(Location, Location) = default;

 private:
  uint64_t bits_ = 0;
};

inline constexpr int kLocationBits = kSegmentNumberBits + kOffsetBits;

}  // namespace peat::format

#endif  // PEAT_FORMAT_LOCATION_H_
