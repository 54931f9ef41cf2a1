// Tests of one small table.

#include "index/bucket_table.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <utility>

#include "tests/index/key_model.h"

namespace peat::index {
namespace {

constexpr uint32_t kTagCount = 1 << kTagBits;

Placement PlacementOf(uint64_t key) {
  const uint64_t hash = Scatter(key);
  return {.home = static_cast<uint32_t>(hash) % kBucketCount,
          .tag = static_cast<uint32_t>(hash >> 32) % kTagCount};
}

bool Holds(TableRef table, uint64_t key) {
  return table.Look(PlacementOf(key), [key](Slot*, uint64_t slot) {
    return LocationOf(slot) == RecordOf(key);
  });
}

// Adds the keys 1, 2, 3, ... until there is no room for the next; returns how
// many there are then.
uint64_t Fill(TableRef table) {
  uint64_t key = 1;
  while (Insert(table, PlacementOf(key), RecordOf(key))) ++key;
  return key - 1;
}

class BucketTableWidthTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  Arena arena_;
};

TEST_P(BucketTableWidthTest, FindsEveryKeyWhenItIsFull) {
  const TableRef table = MakeTable(&arena_, GetParam(), 0);

  const uint64_t count = Fill(table);

  EXPECT_GE(count, kBucketCount * GetParam() * 40 / 100);
  for (uint64_t key = 1; key <= count; ++key) EXPECT_TRUE(Holds(table, key));
  for (uint64_t key = count + 1; key < 2 * count; ++key) {
    EXPECT_FALSE(Holds(table, key));
  }
}

TEST_P(BucketTableWidthTest, KeepsEveryKeyWhenItWidens) {
  if (GetParam() == kWidthMax) GTEST_SKIP() << "splits instead";
  const TableRef table = MakeTable(&arena_, GetParam(), 5);
  const uint64_t count = Fill(table);

  const TableRef wide = Widen(table, &arena_);

  EXPECT_EQ(wide.depth(), 5);
  EXPECT_GT(wide.width(), table.width());
  for (uint64_t key = 1; key <= count; ++key) EXPECT_TRUE(Holds(wide, key));
  EXPECT_TRUE(Insert(wide, PlacementOf(count + 1), RecordOf(count + 1)));
}

TEST_P(BucketTableWidthTest, DealsEveryKeyToTheHalfOfItsTagWhenItSplits) {
  constexpr uint32_t kDepth = 3;
  const TableRef table = MakeTable(&arena_, GetParam(), kDepth);
  const uint64_t count = Fill(table);

  const auto [lower, upper] = Split(table, &arena_);

  EXPECT_EQ(lower.depth(), kDepth + 1);
  EXPECT_EQ(upper.depth(), kDepth + 1);
  for (uint64_t key = 1; key <= count; ++key) {
    const bool is_upper =
        ((PlacementOf(key).tag >> (kTagBits - kDepth - 1)) & 1) != 0;
    EXPECT_EQ(Holds(upper, key), is_upper);
    EXPECT_EQ(Holds(lower, key), !is_upper);
  }
}

TEST_P(BucketTableWidthTest, KeepsEveryKeyWhenItIsNarrowed) {
  const TableRef table = MakeTable(&arena_, kWidthMax, 5);
  const uint64_t count = kBucketCount * GetParam() * 80 / 100;
  for (uint64_t key = 1; key <= count; ++key) {
    ASSERT_TRUE(Insert(table, PlacementOf(key), RecordOf(key)));
  }

  const std::optional<TableRef> narrow = Narrow(table, &arena_);

  ASSERT_EQ(narrow.has_value(), GetParam() < kWidthMax);
  if (!narrow.has_value()) return;
  EXPECT_EQ(narrow->depth(), 5);
  EXPECT_LE(narrow->width(), GetParam() + 2);
  for (uint64_t key = 1; key <= count; ++key) {
    EXPECT_TRUE(Holds(*narrow, key));
  }
  EXPECT_FALSE(Holds(*narrow, count + 1));
}

TEST_P(BucketTableWidthTest, KeepsEveryKeyWhenHalvesAreJoined) {
  const TableRef table = MakeTable(&arena_, GetParam(), 3);
  const uint64_t count = Fill(table);
  const auto [lower, upper] = Split(table, &arena_);

  const std::optional<TableRef> joined = Join(lower, upper, &arena_);

  // A table that would be about to split is not made.
  EXPECT_EQ(joined.has_value(), GetParam() <= 20);
  if (!joined.has_value()) return;
  EXPECT_EQ(joined->depth(), 3);
  for (uint64_t key = 1; key <= count; ++key) {
    EXPECT_TRUE(Holds(*joined, key));
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, BucketTableWidthTest,
                         ::testing::Values(2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
                                           22, 24));

TEST(BucketTableTest, HoldsAWindowOfKeysOfOneHome) {
  Arena arena;
  const TableRef table = MakeTable(&arena, 4, 0);
  const Placement last = {.home = kBucketCount - 1, .tag = 9};

  uint64_t count = 0;
  while (Insert(table, last, RecordOf(count + 1))) ++count;

  EXPECT_EQ(count, 4 * kWindow);
  uint64_t seen = 0;
  table.Look(last, [&](Slot*, uint64_t slot) {
    seen += LocationOf(slot).bits();
    return false;
  });
  EXPECT_EQ(seen, count * (count + 1) / 2);
}

TEST(BucketTableTest, MovesKeysOnToMakeRoom) {
  Arena arena;
  const TableRef table = MakeTable(&arena, 2, 0);
  // Buckets 1 to 3, which are in the window of home 0, are full.
  for (uint32_t home = 1; home <= 3; ++home) {
    for (uint32_t i = 0; i < 2; ++i) {
      ASSERT_TRUE(
          Insert(table, {.home = home, .tag = home}, RecordOf(10 * home + i)));
    }
  }

  for (uint32_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(Insert(table, {.home = 0, .tag = 0}, RecordOf(1 + i)));
  }

  std::map<uint32_t, int> counts;
  for (uint32_t home = 0; home <= 3; ++home) {
    table.Look({.home = home, .tag = home}, [&](Slot*, uint64_t) {
      ++counts[home];
      return false;
    });
  }
  EXPECT_EQ(counts, (std::map<uint32_t, int>{{0, 5}, {1, 2}, {2, 2}, {3, 2}}));
}

TEST(BucketTableTest, SplitsOffNothingAsNull) {
  Arena arena;
  const TableRef table = MakeTable(&arena, 24, 0);
  ASSERT_TRUE(Insert(table, {.home = 0, .tag = kTagCount - 1}, RecordOf(1)));

  const auto [lower, upper] = Split(table, &arena);

  EXPECT_TRUE(lower.is_null());
  EXPECT_EQ(lower.depth(), 1);
  EXPECT_FALSE(upper.is_null());
}

TEST(BucketTableTest, MakesNoTableOfNoKeys) {
  Arena arena;
  const TableRef empty = MakeTable(&arena, 4, 2);
  const TableRef none = TableRef::None(2);

  EXPECT_EQ(Narrow(empty, &arena), TableRef::None(2));
  EXPECT_EQ(Join(empty, none, &arena), TableRef::None(1));
  EXPECT_EQ(Narrow(none, &arena), std::nullopt);
}

TEST(BucketTableTest, KeepsGuestsInSightWhenASlotIsCleared) {
  Arena arena;
  const TableRef table = MakeTable(&arena, 2, 0);
  const Placement placement = {.home = 0, .tag = 1};
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(Insert(table, placement, RecordOf(i)));
  }

  ClearSlot(table.bucket(0));

  EXPECT_TRUE(table.Look(placement, [](Slot*, uint64_t slot) {
    return LocationOf(slot) == RecordOf(3);
  }));
}

}  // namespace
}  // namespace peat::index
