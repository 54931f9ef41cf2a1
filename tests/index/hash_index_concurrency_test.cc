// Tests of the index by several threads; meant for ThreadSanitizer too.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "index/hash_index.h"
#include "tests/index/key_model.h"

namespace peat::index {
namespace {

constexpr uint64_t kKeyCount = PEAT_INDEX_TSAN ? 30'000 : 200'000;

// Scatters well, or over two shards alone, so that their tables split early
// and often.
uint64_t CrowdedHash(uint64_t key) { return Scatter(key) >> 11 << 5 >> 5; }

class GrowthTest : public ::testing::TestWithParam<uint64_t (*)(uint64_t)> {
 protected:
  uint64_t HashOf(uint64_t key) const { return GetParam()(key); }
  HashIndex index_;
};

TEST_P(GrowthTest, HidesNoKeyFromReaders) {
  std::atomic<uint64_t> added = 0;  // keys 1 to this are in the index
  std::vector<std::thread> readers;
  for (uint64_t i = 0; i < 2; ++i) {
    readers.emplace_back([&, i] {
      std::mt19937_64 random(i);
      while (added.load(std::memory_order_acquire) < kKeyCount) {
        const uint64_t limit = added.load(std::memory_order_acquire);
        if (limit == 0) continue;
        const uint64_t key = 1 + random() % limit;
        ASSERT_EQ(Get(index_, HashOf(key), key), RecordOf(key));
      }
    });
  }

  for (uint64_t key = 1; key <= kKeyCount; ++key) {
    Put(index_, HashOf(key), key);
    added.store(key, std::memory_order_release);
  }

  for (std::thread& reader : readers) reader.join();
}

TEST_P(GrowthTest, KeepsTheKeysOfAllWriters) {
  std::vector<std::thread> writers;
  for (uint64_t i = 0; i < 3; ++i) {
    writers.emplace_back([&, i] {
      for (uint64_t key = 1 + i; key <= kKeyCount; key += 3) {
        Put(index_, HashOf(key), key);
      }
    });
  }
  writers.emplace_back([&] {
    while (index_.size() < kKeyCount) {
      if (index_.WantsProvision()) index_.Provision();
      if (index_.WantsCollapse()) index_.Collapse();
      std::this_thread::yield();
    }
  });
  for (std::thread& writer : writers) writer.join();

  for (uint64_t key = 1; key <= kKeyCount; ++key) {
    ASSERT_EQ(Get(index_, HashOf(key), key), RecordOf(key));
  }
}

// Keys up to `kept` stay while all others come and go, and tables are joined
// and split.
TEST_P(GrowthTest, HidesNoKeyWhileTablesShrink) {
  constexpr uint64_t kept = kKeyCount / 50;
  for (uint64_t key = 1; key <= kept; ++key) Put(index_, HashOf(key), key);
  std::atomic<bool> is_done = false;
  std::vector<std::thread> others;
  for (uint64_t i = 0; i < 2; ++i) {
    others.emplace_back([&, i] {
      std::mt19937_64 random(i);
      while (!is_done) {
        const uint64_t key = 1 + random() % kept;
        ASSERT_EQ(KeyAt(Get(index_, HashOf(key), key)), key);
        // A key's version says how often it was written by its only writer.
        if (key % 2 == i) Put(index_, HashOf(key), key, 1);
      }
    });
  }
  others.emplace_back([&] {
    while (!is_done) {
      if (index_.WantsShrink()) index_.Shrink();
      std::this_thread::yield();
    }
  });

  for (int round = 0; round < 3; ++round) {
    for (uint64_t key = kept + 1; key <= kKeyCount; ++key) {
      Put(index_, HashOf(key), key);
    }
    for (uint64_t key = kept + 1; key <= kKeyCount; ++key) {
      ASSERT_TRUE(Remove(index_, HashOf(key), key));
    }
  }
  is_done = true;

  for (std::thread& other : others) other.join();
  index_.Shrink();
  EXPECT_EQ(index_.size(), kept);
  EXPECT_LE(index_.memory_bytes(), kept * 16 + (uint64_t{6} << 20));
}

INSTANTIATE_TEST_SUITE_P(Hashes, GrowthTest,
                         ::testing::Values(&Scatter, &CrowdedHash));

// Writers overwrite, remove and add the same few keys; versions only rise, so
// a reader must never see one go back.
TEST(HashIndexConcurrencyTest, NeverShowsAnOlderVersionAgain) {
  constexpr uint64_t kKeys = 8;
  constexpr uint64_t kVersions = PEAT_INDEX_TSAN ? 3'000 : 30'000;
  HashIndex index;
  std::atomic<int> writer_count = 2;
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      for (uint64_t version = 1; version <= kVersions; ++version) {
        for (uint64_t key = 1 + i; key <= kKeys; key += 2) {
          Put(index, Scatter(key), key, version);
          if (version % 64 != 0) continue;
          EXPECT_TRUE(Remove(index, Scatter(key), key));
        }
      }
      --writer_count;
    });
  }
  threads.emplace_back([&] {
    std::vector<uint64_t> last(kKeys + 1);
    for (uint64_t key = 1; writer_count != 0; key = key % kKeys + 1) {
      const Location found = Get(index, Scatter(key), key);
      if (found.is_none()) continue;
      ASSERT_GE(VersionAt(found), last[key]);
      last[key] = VersionAt(found);
    }
  });

  for (std::thread& thread : threads) thread.join();
}

// A batch sets two keys to one version. A reader who sees the batch in one of
// them sees it in the other, asked later; and MultiGet's way sees equal ones.
TEST(HashIndexConcurrencyTest, ShowsBatchesWhole) {
  constexpr uint64_t kBatches = PEAT_INDEX_TSAN ? 3'000 : 50'000;
  const std::array<uint64_t, 2> keys = {1, 2};
  const std::array<uint64_t, 2> hashes = {Scatter(1), Scatter(2)};
  const std::array<int, 2> shards = {HashIndex::ShardOf(hashes[0]),
                                     HashIndex::ShardOf(hashes[1])};
  HashIndex index;
  for (const uint64_t key : keys) Put(index, Scatter(key), key);
  std::atomic<bool> is_done = false;

  std::thread writer([&] {
    const uint64_t bits = uint64_t{1} << shards[0] | uint64_t{1} << shards[1];
    for (uint64_t version = 1; version <= kBatches; ++version) {
      const EpochGuard guard;
      const HashIndex::ManyShardsLock lock(index, bits);
      index.BeginPublish(bits);
      for (size_t i = 0; i < 2; ++i) {
        index.ReplaceIf(hashes[i], RecordOf(keys[i], version - 1),
                        RecordOf(keys[i], version));
      }
      index.EndPublish(bits);
    }
    is_done = true;
  });
  while (!is_done) {
    const uint64_t first = VersionAt(Get(index, hashes[0], keys[0]));
    const uint64_t second = VersionAt(Get(index, hashes[1], keys[1]));
    ASSERT_LE(first, second);

    const EpochGuard guard;
    std::array<uint64_t, 2> versions;
    std::array<uint64_t, 2> found;
    for (size_t i = 0; i < 2; ++i) versions[i] = index.BatchVersion(shards[i]);
    for (size_t i = 0; i < 2; ++i) found[i] = VersionAt(index.Peek(hashes[i]));
    if (index.BatchVersionIs(shards[0], versions[0]) &&
        index.BatchVersionIs(shards[1], versions[1])) {
      ASSERT_EQ(found[0], found[1]);
    }
  }

  writer.join();
}

}  // namespace
}  // namespace peat::index
