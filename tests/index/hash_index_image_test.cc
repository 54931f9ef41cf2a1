// Images of shards: what is saved is found after it is loaded.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "format/bytes.h"
#include "tests/index/key_model.h"
#include "tests/support/image_bytes.h"

namespace peat::index {
namespace {

constexpr auto kKeepAll = [](Location) { return true; };

// What goes to the file of an index image.
class SavedIndex final : public SlotWriter {
 public:
  // From here on it holds the index as it is now.
  void Begin(HashIndex& index) {
    const HashIndex::ManyShardsLock lock(index, ~uint64_t{0});
    ASSERT_TRUE(index.BeginSave(this));
  }
  uint64_t Append(format::ByteView slots) override {
    const std::lock_guard<std::mutex> file_lock(mutex_);
    const uint64_t offset = file_.size();
    file_.append(format::AsString(slots));
    return offset;
  }
  void WriteOut() override {}
  bool IsBehind() const override { return is_behind; }
  void WriteSome() override { is_behind = false; }
  void End(HashIndex& index) {
    for (int i = 0; i < HashIndex::kShardCount; ++i) {
      HashIndex::SavedShard saved = index.SaveShard(i);
      images[static_cast<size_t>(i)] = std::move(saved.image);
      shards_[static_cast<size_t>(i)].key_count = saved.key_count;
    }
    index.EndSave();
  }

  void Load(HashIndex& index) const {
    for (int i = 0; i < HashIndex::kShardCount; ++i) LoadShard(index, i);
  }
  void LoadShard(HashIndex& index, int shard,
                 absl::FunctionRef<bool(Location)> keep = kKeepAll) const {
    const auto tables = Parse(shard);
    ASSERT_TRUE(tables.has_value());
    ASSERT_TRUE(IsWhole(*tables, testing::ReadsFrom(format::AsBytes(file_))));
    index.LoadShard(shard, *tables, testing::ReadsFrom(format::AsBytes(file_)),
                    keep);
  }
  std::array<HashIndex::PendingShard, HashIndex::kShardCount> Pending() const {
    auto shards = shards_;
    for (int i = 0; i < HashIndex::kShardCount; ++i) {
      shards[static_cast<size_t>(i)].bytes = SlotBytes(*Parse(i));
    }
    return shards;
  }
  std::optional<std::vector<ImageTable>> Parse(int shard) const {
    return ParseImage(format::AsBytes(images[static_cast<size_t>(shard)]),
                      file_.size());
  }
  const std::string& file() const { return file_; }

  std::array<std::string, HashIndex::kShardCount> images;
  std::atomic<bool> is_behind = false;

 private:
  std::mutex mutex_;
  std::string file_;
  std::array<HashIndex::PendingShard, HashIndex::kShardCount> shards_ = {};
};

std::unique_ptr<SavedIndex> Save(HashIndex& index) {
  auto saved = std::make_unique<SavedIndex>();
  saved->Begin(index);
  saved->End(index);
  return saved;
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
    Save(index)->Load(loaded);

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
    Save(loaded)->Load(again);
    for (uint64_t key = 1; key <= 2 * count; ++key) {
      ASSERT_EQ(Get(again, Scatter(key), key), RecordOf(key, 1));
      ASSERT_TRUE(Remove(again, Scatter(key), key));
    }
    again.Shrink();
    EXPECT_EQ(again.size(), 0U);
  }
}

// No piece is written with a shard's lock, but by whoever has left it.
TEST(HashIndexImageTest, ThoseWhoChangeItHelpASaverThatIsBehind) {
  HashIndex index;
  for (uint64_t key = 1; key <= 1000; ++key) Put(index, Scatter(key), key);
  SavedIndex saved;
  saved.Begin(index);
  EXPECT_FALSE(index.IsSaveBehind());
  saved.is_behind = true;

  Put(index, Scatter(1), 1, 1);
  EXPECT_TRUE(saved.is_behind);
  EXPECT_TRUE(index.IsSaveBehind());
  index.HelpSave();

  EXPECT_FALSE(saved.is_behind);
  EXPECT_FALSE(index.IsSaveBehind());
  saved.End(index);
  index.HelpSave();  // there is nothing to help any more
}

TEST(HashIndexImageTest, WhatIsRefusedIsNotThere) {
  HashIndex index;
  for (uint64_t key = 1; key <= 20'000; ++key) Put(index, Scatter(key), key);
  const std::unique_ptr<SavedIndex> saved = Save(index);
  HashIndex loaded;
  for (int i = 0; i < HashIndex::kShardCount; ++i) {
    saved->LoadShard(
        loaded, i, [](Location location) { return KeyAt(location) % 2 == 0; });
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
  const std::unique_ptr<SavedIndex> saved = Save(index);
  HashIndex loaded;
  std::array<std::atomic<int>, HashIndex::kShardCount> loads = {};
  loaded.LoadLater(
      [&](int shard) {
        ++loads[static_cast<size_t>(shard)];
        saved->LoadShard(loaded, shard);
      },
      saved->Pending());
  // What is still to be loaded counts.
  EXPECT_GE(loaded.memory_bytes(), index.memory_bytes() * 8 / 10);
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

// Every shortened image is refused, and every changed one is refused or read
// with no field left out, and makes an index that can be used. (It has a
// checksum in the snapshot's head.)
TEST(HashIndexImageTest, AMalformedImageIsRefused) {
  HashIndex index;
  for (uint64_t key = 1; key <= 3000; ++key) Put(index, Scatter(key), key);
  const std::unique_ptr<SavedIndex> saved = Save(index);
  const std::string image = saved->images[63];
  const format::ByteView file = format::AsBytes(saved->file());
  for (size_t size = 0; size < image.size(); ++size) {
    EXPECT_FALSE(
        ParseImage(format::AsBytes(image).first(size), file.size()).has_value())
        << size;
  }
  for (size_t at = 0; at < image.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = image;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      const auto tables = ParseImage(format::AsBytes(changed), file.size());
      if (!tables.has_value()) continue;
      EXPECT_EQ(EncodeImage(*tables), changed) << at;
      HashIndex loaded;
      loaded.LoadShard(63, *tables, testing::ReadsFrom(file), kKeepAll);
      for (uint64_t key = 1; key <= 3000; ++key) {
        (void)Get(loaded, Scatter(key), key);
      }
    }
  }
}

TEST(HashIndexImageTest, ATableThatIsDamagedIsNoticed) {
  HashIndex index;
  for (uint64_t key = 1; key <= 3000; ++key) Put(index, Scatter(key), key);
  const std::unique_ptr<SavedIndex> saved = Save(index);
  std::string damaged = saved->file();
  damaged[damaged.size() / 2] ^= 1;
  int whole = 0;
  for (int i = 0; i < HashIndex::kShardCount; ++i) {
    whole +=
        IsWhole(*saved->Parse(i), testing::ReadsFrom(format::AsBytes(damaged)))
            ? 1
            : 0;
  }
  EXPECT_EQ(whole, HashIndex::kShardCount - 1);
}

TEST(HashIndexImageTest, AShardThatIsDamagedWhenItIsLoadedLeadsNowhere) {
  HashIndex index;
  for (uint64_t key = 1; key <= 3000; ++key) Put(index, Scatter(key), key);
  const std::unique_ptr<SavedIndex> saved = Save(index);
  std::string damaged = saved->file();
  for (char& byte : damaged) byte ^= 1;
  HashIndex loaded;
  const uint64_t memory_before = loaded.memory_bytes();

  loaded.LoadShard(63, *saved->Parse(63),
                   testing::ReadsFrom(format::AsBytes(damaged)), kKeepAll);

  EXPECT_TRUE(loaded.HasLost());
  EXPECT_EQ(loaded.size(), 0U);
  EXPECT_LE(loaded.memory_bytes(), memory_before + (1 << 16));
  uint64_t hash = ~uint64_t{0};
  ASSERT_EQ(HashIndex::ShardOf(hash), 63);
  Location found;
  const EpochGuard guard;
  EXPECT_EQ(loaded.Find(hash,
                        [&found](Location location) {
                          found = location;
                          return Verdict::kStop;
                        }),
            Verdict::kStop);
  EXPECT_EQ(found, kNowhere);
}

TEST(HashIndexImageTest, KeysThatShareAHashAreNotSaved) {
  HashIndex index;
  for (uint64_t key = 1; key <= 200; ++key) Put(index, 5, key);
  const HashIndex::ManyShardsLock lock(index, ~uint64_t{0});
  SavedIndex saved;
  EXPECT_FALSE(index.BeginSave(&saved));
}

// Whatever is done to the index between, what is loaded is what was there at
// the beginning: overwritten, removed, moved, grown and shrunk.
TEST(HashIndexImageTest, ASaveShowsTheMomentOfItsBeginning) {
  constexpr uint64_t kCount = 100'000;
  HashIndex index;
  for (uint64_t key = 1; key <= kCount; ++key) Put(index, Scatter(key), key);
  SavedIndex saved;
  saved.Begin(index);
  for (uint64_t key = 1; key <= kCount; ++key) {
    if (key % 5 == 0) {
      Put(index, Scatter(key), key, 1);
    } else if (key % 5 == 1) {
      const EpochGuard guard;
      const uint64_t hash = Scatter(key);
      const HashIndex::ShardLock lock(index, HashIndex::ShardOf(hash));
      ASSERT_TRUE(index.ReplaceIf(hash, RecordOf(key), RecordOf(key, 2)));
    } else {
      ASSERT_TRUE(Remove(index, Scatter(key), key));
    }
  }
  ASSERT_TRUE(index.WantsShrink());
  index.Shrink();
  for (uint64_t key = 2 * kCount; key <= 5 * kCount; ++key) {
    Put(index, Scatter(key), key);
  }
  saved.End(index);
  HashIndex loaded;
  saved.Load(loaded);
  EXPECT_EQ(loaded.size(), kCount);
  for (uint64_t key = 1; key <= kCount; ++key) {
    ASSERT_EQ(Get(loaded, Scatter(key), key), RecordOf(key)) << key;
  }
  // And the next save shows what has become of it.
  HashIndex again;
  Save(index)->Load(again);
  EXPECT_EQ(again.size(), index.size());
}

// The same beside threads.
TEST(HashIndexImageTest, WritersDoNotShowInASaveThatHasBegun) {
  constexpr uint64_t kCount = 60'000;
  HashIndex index;
  for (uint64_t key = 1; key <= kCount; ++key) Put(index, Scatter(key), key);
  for (uint64_t round = 1; round <= 3; ++round) {
    SCOPED_TRACE(round);
    std::vector<std::thread> writers;
    std::atomic<bool> has_ended = false;
    std::atomic<uint64_t> writes = 0;
    SavedIndex saved;
    saved.Begin(index);
    for (uint64_t thread = 0; thread < 2; ++thread) {
      writers.emplace_back([&, thread] {
        for (uint64_t key = 1 + thread; key <= kCount || !has_ended; key += 2) {
          const uint64_t at = (key - 1) % (2 * kCount) + 1;
          Put(index, Scatter(at), at, round);
          ++writes;
        }
      });
    }
    while (writes < 100) std::this_thread::yield();
    saved.End(index);
    has_ended = true;
    for (std::thread& writer : writers) writer.join();
    HashIndex loaded;
    saved.Load(loaded);
    for (uint64_t key = 1; key <= kCount; ++key) {
      ASSERT_EQ(Get(loaded, Scatter(key), key), RecordOf(key, round - 1))
          << key;
    }
  }
}

}  // namespace
}  // namespace peat::index
