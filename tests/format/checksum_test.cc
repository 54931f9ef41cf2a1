// Tests of format/checksum.

#include "format/checksum.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <unordered_set>

namespace peat::format {
namespace {

constexpr Place kPlace = {.salt = 0x1122334455667788, .offset = 4096};

TEST(ChecksumTest, TellsWhereTheKeyEnds) {
  EXPECT_NE(PayloadHash("ab", "c"), PayloadHash("a", "bc"));
  EXPECT_NE(PayloadHash("abc", ""), PayloadHash("", "abc"));
  EXPECT_NE(PayloadHash("a", "b"), PayloadHash("b", "a"));
}

// Long bytes are hashed elsewhere than short ones where the library has a
// choice of vector widths. The number is what xxHash's header alone gives.
TEST(ChecksumTest, IsTheSameHashForAllSizes) {
  std::string bytes;
  uint64_t all = 0;
  for (size_t size = 0; size < 3000; ++size) {
    bytes.push_back(static_cast<char>(size * 31));
    all = (all * 1099511628211) ^ Checksum64(AsBytes(bytes)) ^
          PayloadHash(std::string_view(bytes).substr(0, size / 2), bytes);
  }
  EXPECT_EQ(all, 0x60ad1bd276b6c428);
}

TEST(ChecksumTest, AcceptsEmptyViewsWithoutAnAddress) {
  EXPECT_EQ(PayloadHash({}, {}), PayloadHash("", ""));
  EXPECT_EQ(Checksum64({}), Checksum64(AsBytes("")));
}

TEST(ChecksumTest, DependsOnEveryBitOfThePlace) {
  const std::string header(20, 'h');
  for (int bit = 0; bit < 64; ++bit) {
    SCOPED_TRACE(bit);
    const uint64_t flip = uint64_t{1} << bit;
    for (const Place other : {Place{kPlace.salt ^ flip, kPlace.offset},
                              Place{kPlace.salt, kPlace.offset ^ flip}}) {
      EXPECT_NE(PayloadChecksum(7, other), PayloadChecksum(7, kPlace));
      EXPECT_NE(HeaderChecksum(AsBytes(header), other),
                HeaderChecksum(AsBytes(header), kPlace));
    }
  }
}

TEST(ChecksumTest, DependsOnEveryBitOfThePayloadHash) {
  for (int bit = 0; bit < 64; ++bit) {
    SCOPED_TRACE(bit);
    EXPECT_NE(PayloadChecksum(uint64_t{1} << bit, kPlace),
              PayloadChecksum(0, kPlace));
  }
}

// A change of salt must not be undone by a change of offset: two segments whose
// salts differ by a multiple of the offsets' unit, or by one of its products,
// share no checksums at any distance.
TEST(ChecksumTest, LetsNoOffsetUndoAnotherSalt) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;
  for (const uint64_t unit : {uint64_t{1}, kGolden}) {
    for (uint64_t distance = 8; distance <= 4096; distance += 8) {
      SCOPED_TRACE(distance);
      int agreements = 0;
      for (uint64_t offset = 4096; offset < 4096 + 64 * 8; offset += 8) {
        const Place moved = {.salt = kPlace.salt - unit * distance,
                             .offset = offset + distance};
        const Place here = {.salt = kPlace.salt, .offset = offset};
        if (PayloadChecksum(7, here) == PayloadChecksum(7, moved)) ++agreements;
      }
      EXPECT_LE(agreements, 1);
    }
  }
}

// 2^17 checksums of 32 bits hold 2 equal pairs on average.
TEST(ChecksumTest, SpreadsPlacesOverAllItsBits) {
  std::unordered_set<uint32_t> seen;
  std::mt19937_64 random(1);
  int repeats = 0;
  for (int segment = 0; segment < 16; ++segment) {
    const uint64_t salt = random();
    for (uint64_t offset = 0; offset < 8 * 8192; offset += 8) {
      if (!seen.insert(PayloadChecksum(7, {salt, offset})).second) ++repeats;
    }
  }
  EXPECT_LE(repeats, 12);
}

// One payload at two places must not give checksums that are related.
TEST(ChecksumTest, FoldsBothHalvesOfTheHash) {
  std::unordered_set<uint32_t> high;
  std::unordered_set<uint32_t> low;
  for (uint64_t i = 0; i < 4096; ++i) {
    high.insert(PayloadChecksum(i << 52, kPlace));
    low.insert(PayloadChecksum(i, kPlace));
  }
  EXPECT_GE(high.size(), 4094U);
  EXPECT_GE(low.size(), 4094U);
}

}  // namespace
}  // namespace peat::format
