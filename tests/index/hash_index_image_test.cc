// Images of shards: what is saved is found after it is loaded.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "format/bytes.h"
#include "tests/index/key_model.h"

namespace peat::index {
namespace {

constexpr auto kKeepAll = [](Location) { return true; };

std::vector<std::string> Save(HashIndex& index) {
  std::vector<std::string> images(HashIndex::kShardCount);
  index.BeginSave();
  for (int i = 0; i < HashIndex::kShardCount; ++i) {
    EXPECT_TRUE(
        index.SaveShard(i, &images[static_cast<size_t>(i)]).has_value());
  }
  return images;
}

void Load(HashIndex& index, const std::vector<std::string>& images) {
  for (int i = 0; i < HashIndex::kShardCount; ++i) {
    EXPECT_TRUE(index.LoadShard(
        i, format::AsBytes(images[static_cast<size_t>(i)]), kKeepAll));
  }
}

TEST(HashIndexImageTest, WhatWasSavedIsThere) {
  for (const uint64_t count : {0, 1, 1000, 300'000}) {
    SCOPED_TRACE(count);
    HashIndex index;
    for (uint64_t key = 1; key <= count; ++key) Put(index, Scatter(key), key);
    for (uint64_t key = 1; key <= count; key += 3) {
      Remove(index, Scatter(key), key);
    }
    HashIndex loaded;
    Load(loaded, Save(index));

    EXPECT_EQ(loaded.size(), index.size());
    EXPECT_LE(loaded.memory_bytes(), index.memory_bytes() * 11 / 10 + 65'536);
    for (uint64_t key = 1; key <= count; ++key) {
      ASSERT_EQ(Get(loaded, Scatter(key), key), Get(index, Scatter(key), key));
    }
    // It grows, shrinks and is saved as any other.
    for (uint64_t key = 1; key <= 2 * count; ++key) {
      Put(loaded, Scatter(key), key, 1);
    }
    HashIndex again;
    Load(again, Save(loaded));
    for (uint64_t key = 1; key <= 2 * count; ++key) {
      ASSERT_EQ(Get(again, Scatter(key), key), RecordOf(key, 1));
      ASSERT_TRUE(Remove(again, Scatter(key), key));
    }
    again.Shrink();
    EXPECT_EQ(again.size(), 0U);
  }
}

TEST(HashIndexImageTest, WhatIsRefusedIsNotThere) {
  HashIndex index;
  for (uint64_t key = 1; key <= 20'000; ++key) Put(index, Scatter(key), key);
  const std::vector<std::string> images = Save(index);
  HashIndex loaded;
  for (int i = 0; i < HashIndex::kShardCount; ++i) {
    ASSERT_TRUE(loaded.LoadShard(
        i, format::AsBytes(images[static_cast<size_t>(i)]),
        [](Location location) { return KeyAt(location) % 2 == 0; }));
  }
  EXPECT_EQ(loaded.size(), 10'000U);
  for (uint64_t key = 1; key <= 20'000; ++key) {
    ASSERT_EQ(Get(loaded, Scatter(key), key).is_none(), key % 2 != 0);
  }
}

// Each shard is loaded once, by who asks first, and none that nobody asks for.
TEST(HashIndexImageTest, WhatIsLoadedLaterIsThereWhenItIsLookedFor) {
  constexpr uint64_t kCount = 50'000;
  HashIndex index;
  for (uint64_t key = 1; key <= kCount; ++key) Put(index, Scatter(key), key);
  const std::vector<std::string> images = Save(index);
  std::array<uint64_t, HashIndex::kShardCount> key_counts = {};
  for (int i = 0; i < HashIndex::kShardCount; ++i) {
    std::string image;
    key_counts[static_cast<size_t>(i)] = *index.SaveShard(i, &image);
  }
  HashIndex loaded;
  std::array<std::atomic<int>, HashIndex::kShardCount> loads = {};
  loaded.LoadLater(
      [&](int shard) {
        const auto at = static_cast<size_t>(shard);
        ++loads[at];
        ASSERT_TRUE(
            loaded.LoadShard(shard, format::AsBytes(images[at]), kKeepAll));
      },
      key_counts);
  EXPECT_EQ(loaded.size(), kCount);
  EXPECT_EQ(Get(loaded, Scatter(7), 7), RecordOf(7));
  EXPECT_EQ(std::accumulate(loads.begin(), loads.end(), 0), 1);
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&loaded, thread] {
      for (uint64_t key = 1; key <= kCount; ++key) {
        if (key % 4 == thread) {
          Put(loaded, Scatter(key), key, 1);
        } else {
          EXPECT_FALSE(Get(loaded, Scatter(key), key).is_none());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(loaded.size(), kCount);
  for (uint64_t key = 1; key <= kCount; ++key) {
    ASSERT_EQ(Get(loaded, Scatter(key), key), RecordOf(key, 1));
  }
  for (const std::atomic<int>& count : loads) EXPECT_EQ(count, 1);
}

// Every shortened image, and every changed byte of its head, is refused or
// makes an index that can be used.
TEST(HashIndexImageTest, AMalformedImageIsRefused) {
  HashIndex index;
  for (uint64_t key = 1; key <= 3000; ++key) Put(index, Scatter(key), key);
  std::string image;
  ASSERT_TRUE(index.SaveShard(63, &image).has_value());
  for (size_t size = 0; size < image.size(); size += size < 256 ? 1 : 101) {
    HashIndex loaded;
    EXPECT_FALSE(
        loaded.LoadShard(63, format::AsBytes(image).first(size), kKeepAll));
    EXPECT_EQ(loaded.size(), 0U);
  }
  for (size_t at = 0; at < 64; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = image;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      HashIndex loaded;
      (void)loaded.LoadShard(63, format::AsBytes(changed), kKeepAll);
      for (uint64_t key = 1; key <= 3000; ++key) {
        (void)Get(loaded, Scatter(key), key);
      }
    }
  }
}

TEST(HashIndexImageTest, KeysThatShareAHashAreNotSaved) {
  HashIndex index;
  for (uint64_t key = 1; key <= 200; ++key) Put(index, 5, key);
  std::string image;
  EXPECT_FALSE(index.SaveShard(HashIndex::ShardOf(5), &image).has_value());
}

// Beside writers, an image has each key that was there all the time, and of a
// change it says what IsSaved() said.
TEST(HashIndexImageTest, ChangesBesideASaveAreInItOrNot) {
  constexpr uint64_t kCount = 100'000;
  HashIndex index;
  for (uint64_t key = 1; key <= kCount; ++key) Put(index, Scatter(key), key);
  index.BeginSave();
  std::vector<char> was_saved(2 * kCount + 1);
  std::thread writer([&] {
    for (uint64_t key = 1; key <= 2 * kCount; ++key) {
      const uint64_t hash = Scatter(key);
      const EpochGuard guard;
      const HashIndex::ShardLock lock(index, HashIndex::ShardOf(hash));
      const HashIndex::Position position =
          index.Locate(hash, [key](Location location) {
            return KeyAt(location) == key ? Verdict::kMatch : Verdict::kOther;
          });
      index.Set(hash, position, RecordOf(key, 1));
      was_saved[key] = index.IsSaved(hash) ? 1 : 0;
    }
  });
  std::vector<std::string> images(HashIndex::kShardCount);
  for (int i = 0; i < HashIndex::kShardCount; ++i) {
    ASSERT_TRUE(
        index.SaveShard(i, &images[static_cast<size_t>(i)]).has_value());
  }
  writer.join();
  HashIndex loaded;
  Load(loaded, images);
  for (uint64_t key = 1; key <= 2 * kCount; ++key) {
    const Location before = key <= kCount ? RecordOf(key) : Location();
    ASSERT_EQ(Get(loaded, Scatter(key), key),
              was_saved[key] != 0 ? before : RecordOf(key, 1))
        << key;
  }
}

}  // namespace
}  // namespace peat::index
