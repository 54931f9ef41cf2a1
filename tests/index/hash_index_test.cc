// Tests of the index by one thread: against a model, and call by call.

#include "index/hash_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include "tests/index/key_model.h"

namespace peat::index {
namespace {

uint64_t BitOf(uint64_t hash) {
  return uint64_t{1} << HashIndex::ShardOf(hash);
}

std::vector<uint64_t> KeysOf(HashIndex& index) {
  std::vector<Location> locations;
  for (int shard = 0; shard < HashIndex::kShardCount; ++shard) {
    index.ListShard(shard, &locations);
  }
  std::vector<uint64_t> keys;
  for (const Location location : locations) keys.push_back(KeyAt(location));
  std::sort(keys.begin(), keys.end());
  return keys;
}

TEST(HashIndexTest, CostsLittleWhenItIsEmpty) {
  const HashIndex index;

  EXPECT_EQ(index.size(), 0);
  EXPECT_LE(index.memory_bytes(), 17 << 10);
}

TEST(HashIndexTest, GivesShardsSharesThatDifferByAFactorOfTwo) {
  std::array<int, HashIndex::kShardCount> counts = {};
  for (uint64_t x = 0; x < 1 << 16; ++x) {
    ++counts[static_cast<size_t>(HashIndex::ShardOf(x << 48))];
  }

  EXPECT_TRUE(std::is_sorted(counts.begin(), counts.end(), [](int a, int b) {
    return a < b - 4;  // rounding
  }));
  EXPECT_NEAR(1.0 * counts.back() / counts.front(), 2, 0.1);
}

TEST(HashIndexTest, OverwritesInPlace) {
  HashIndex index;
  Put(index, Scatter(1), 1, 0);

  Put(index, Scatter(1), 1, 5);

  EXPECT_EQ(VersionAt(Get(index, Scatter(1), 1)), 5);
  EXPECT_EQ(index.size(), 1);
}

TEST(HashIndexTest, StopsWhenTheCallerSaysSo) {
  HashIndex index;
  Put(index, Scatter(1), 1);
  const EpochGuard guard;

  const auto stop = [](Location) { return Verdict::kStop; };

  EXPECT_EQ(index.Find(Scatter(1), stop), Verdict::kStop);
  EXPECT_EQ(index.Find(Scatter(2), stop), Verdict::kOther);
  EXPECT_EQ(index.Locate(Scatter(1), stop).verdict, Verdict::kStop);
  EXPECT_EQ(index.Locate(Scatter(1), stop).location, RecordOf(1));
}

TEST(HashIndexTest, PeeksAtTheFirstCandidate) {
  HashIndex index;
  const EpochGuard guard;
  EXPECT_TRUE(index.Peek(Scatter(1)).is_none());

  Put(index, Scatter(1), 1);

  index.Prefetch(Scatter(1));
  EXPECT_EQ(index.Peek(Scatter(1)), RecordOf(1));
}

TEST(HashIndexTest, ReplacesOnlyWhatIsExpected) {
  HashIndex index;
  Put(index, Scatter(1), 1, 3);
  const EpochGuard guard;
  const HashIndex::ShardLock lock(index, HashIndex::ShardOf(Scatter(1)));

  EXPECT_FALSE(index.ReplaceIf(Scatter(1), RecordOf(1, 2), RecordOf(1, 9)));
  EXPECT_TRUE(index.ReplaceIf(Scatter(1), RecordOf(1, 3), RecordOf(1, 4)));

  EXPECT_EQ(Get(index, Scatter(1), 1), RecordOf(1, 4));
}

// What makes a position stale, and what does not.
class PositionTest : public ::testing::Test {
 protected:
  PositionTest() { Put(index_, kHash, 1); }

  HashIndex::Position LocateKey(uint64_t key) {
    return index_.Locate(kHash, [key](Location location) {
      return KeyAt(location) == key ? Verdict::kMatch : Verdict::kOther;
    });
  }
  bool IsCurrent(const HashIndex::Position& position) {
    const HashIndex::ShardLock lock(index_, HashIndex::ShardOf(kHash));
    return index_.IsCurrent(kHash, position);
  }

  static constexpr uint64_t kHash = 0x123456789ABCDEF0;
  HashIndex index_;
  const EpochGuard guard_;
};

TEST_F(PositionTest, OfAMatchIsCurrentWhileTheKeyStays) {
  const HashIndex::Position position = LocateKey(1);

  Put(index_, kHash, 2);

  EXPECT_TRUE(IsCurrent(position));
}

TEST_F(PositionTest, OfAMatchIsStaleOnceTheKeyIsOverwritten) {
  const HashIndex::Position position = LocateKey(1);

  Put(index_, kHash, 1, 1);

  EXPECT_FALSE(IsCurrent(position));
}

TEST_F(PositionTest, OfAMatchIsStaleOnceTheKeyIsRemoved) {
  const HashIndex::Position position = LocateKey(1);

  Remove(index_, kHash, 1);

  EXPECT_FALSE(IsCurrent(position));
}

TEST_F(PositionTest, OfAMatchIsStaleOnceTheTableHasGrown) {
  const HashIndex::Position position = LocateKey(1);

  for (uint64_t key = 2; key < 20; ++key) Put(index_, kHash, key);

  EXPECT_FALSE(IsCurrent(position));
}

TEST_F(PositionTest, OfAMissIsStaleOnceAKeyIsAdded) {
  const HashIndex::Position position = LocateKey(2);

  Put(index_, kHash, 2);

  EXPECT_FALSE(IsCurrent(position));
}

TEST_F(PositionTest, OfAMissIsCurrentWhenOthersAreOverwritten) {
  const HashIndex::Position position = LocateKey(2);

  Put(index_, kHash, 1, 7);

  EXPECT_TRUE(IsCurrent(position));
}

TEST(HashIndexTest, ShowsABatchOnlyOnceItIsPublished) {
  HashIndex index;
  Put(index, Scatter(1), 1, 0);
  const uint64_t bits = BitOf(Scatter(1));
  const int shard = HashIndex::ShardOf(Scatter(1));
  const uint64_t version = index.BatchVersion(shard);
  std::thread reader;
  {
    const EpochGuard guard;
    const HashIndex::ManyShardsLock lock(index, bits);
    index.BeginPublish(bits);
    EXPECT_FALSE(index.BatchVersionIs(shard, version));
    reader = std::thread(
        [&] { EXPECT_EQ(VersionAt(Get(index, Scatter(1), 1)), 1); });
    ASSERT_TRUE(index.ReplaceIf(Scatter(1), RecordOf(1, 0), RecordOf(1, 1)));
    index.EndPublish(bits);
  }

  reader.join();

  EXPECT_EQ(index.BatchVersion(shard), version + 2);
}

// Random writes, compared with a map. The parameter is the number of hash
// bits that differ between keys: few of them force keys aside of the tables.
class HashIndexModelTest : public ::testing::TestWithParam<int> {
 protected:
  static constexpr uint64_t kKeyMax = PEAT_INDEX_TSAN ? 2'000 : 20'000;

  uint64_t HashOf(uint64_t key) const {
    const int bits = GetParam();
    return bits == 64 ? Scatter(key)
                      : Scatter(Scatter(key) & ((uint64_t{1} << bits) - 1));
  }

  void Change(std::mt19937_64& random) {
    const uint64_t key = 1 + random() % kKeyMax;
    if (random() % 3 == 0) {
      EXPECT_EQ(Remove(index_, HashOf(key), key), model_.erase(key) == 1);
    } else {
      const uint64_t version = random() % 1000;
      Put(index_, HashOf(key), key, version);
      model_[key] = version;
    }
  }

  void Compare() const {
    for (uint64_t key = 1; key <= kKeyMax; ++key) {
      const Location found = Get(index_, HashOf(key), key);
      const auto expected = model_.find(key);
      ASSERT_EQ(found.is_none(), expected == model_.end()) << key;
      if (found.is_none()) continue;
      ASSERT_EQ(VersionAt(found), expected->second);
    }
  }

  HashIndex index_;
  std::unordered_map<uint64_t, uint64_t> model_;
};

TEST_P(HashIndexModelTest, HoldsWhatTheModelHolds) {
  std::mt19937_64 random(42);

  for (int round = 0; round < 4; ++round) {
    for (uint64_t i = 0; i < kKeyMax; ++i) Change(random);
    ASSERT_NO_FATAL_FAILURE(Compare());
  }

  EXPECT_EQ(index_.size(), model_.size());
}

TEST_P(HashIndexModelTest, HoldsWhatTheModelHoldsOnceKeysHaveLeft) {
  std::mt19937_64 random(44);
  for (int round = 0; round < 4; ++round) {
    for (uint64_t i = 0; i < 2 * kKeyMax; ++i) Change(random);

    // All but some, which shrinking must keep; new ones find room again.
    for (uint64_t key = 1; key <= kKeyMax; ++key) {
      if (key % 37 == 0) continue;
      EXPECT_EQ(Remove(index_, HashOf(key), key), model_.erase(key) == 1);
    }
    index_.Shrink();

    EXPECT_FALSE(index_.WantsShrink());
    ASSERT_NO_FATAL_FAILURE(Compare());
    EXPECT_EQ(KeysOf(index_).size(), model_.size());
  }
}

TEST_P(HashIndexModelTest, YieldsEachKeyOnce) {
  std::mt19937_64 random(43);
  for (uint64_t i = 0; i < 2 * kKeyMax; ++i) Change(random);

  const std::vector<uint64_t> keys = KeysOf(index_);

  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
  EXPECT_EQ(keys.size(), model_.size());
  for (const uint64_t key : keys) EXPECT_TRUE(model_.contains(key));
}

INSTANTIATE_TEST_SUITE_P(HashBits, HashIndexModelTest,
                         ::testing::Values(64, 14, 8, 3));

TEST(HashIndexTest, HoldsThousandsOfKeysOfOneHash) {
  HashIndex index;
  constexpr uint64_t kHash = 0x0123456789ABCDEF;

  for (uint64_t key = 1; key <= 3000; ++key) Put(index, kHash, key);

  for (uint64_t key = 1; key <= 3000; ++key) {
    EXPECT_EQ(Get(index, kHash, key), RecordOf(key));
  }
  EXPECT_TRUE(Get(index, kHash, 3001).is_none());
  EXPECT_EQ(KeysOf(index).size(), 3000);
  EXPECT_LE(index.memory_bytes(), 256 << 10);
}

}  // namespace
}  // namespace peat::index
