// Tests of what the index costs: bytes per key at every size, and the time of
// one step of growth.

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <iostream>
#include <vector>

#include "index/hash_index.h"
#include "tests/index/key_model.h"

namespace peat::index {
namespace {

constexpr uint64_t kKeyCount = PEAT_INDEX_TSAN ? 300'000 : 5'000'000;

uint64_t CpuNanoseconds() {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<uint64_t>(time.tv_nsec);
}

TEST(HashIndexMemoryTest, TakesFewBytesPerKeyAtEverySize) {
  HashIndex index;
  uint64_t size = 100'000;
  double worst = 0;

  for (uint64_t key = 1; key <= kKeyCount; ++key) {
    Put(index, Scatter(key), key);
    if (key != size) continue;
    const double bytes =
        static_cast<double>(index.memory_bytes()) / static_cast<double>(size);
    EXPECT_LE(bytes, 11.5) << size;
    worst = std::max(worst, bytes);
    size += size / 20;
  }

  std::cout << "worst: " << worst << " bytes a key\n";
}

// Keys come and go at a constant number, as in a window of deduplication.
TEST(HashIndexMemoryTest, StaysSmallWhenKeysComeAndGo) {
  if (PEAT_INDEX_TSAN) GTEST_SKIP() << "takes too many keys";
  constexpr uint64_t kLive = kKeyCount / 10;
  HashIndex index;
  for (uint64_t key = 1; key <= kLive; ++key) Put(index, Scatter(key), key);

  for (uint64_t key = kLive + 1; key <= kKeyCount; ++key) {
    Put(index, Scatter(key), key);
    EXPECT_TRUE(Remove(index, Scatter(key - kLive), key - kLive));
  }

  EXPECT_EQ(index.size(), kLive);
  const uint64_t bytes = index.memory_bytes();
  std::cout << static_cast<double>(bytes) / kLive << " bytes a key\n";
  EXPECT_LE(bytes, kLive * 25 / 2);
}

// The bar is what an index has that never had more keys, and the few free
// chunks that it keeps.
TEST(HashIndexMemoryTest, GivesMemoryBackWhenKeysLeave) {
  HashIndex index;
  const auto fill = [&index](uint64_t end) {
    for (uint64_t key = 1; key <= end; ++key) {
      if (Get(index, Scatter(key), key).is_none()) {
        Put(index, Scatter(key), key);
      }
      if (index.WantsProvision()) index.Provision();
    }
  };
  for (const uint64_t share : {2, 10, 50, 100'000}) {
    fill(kKeyCount);
    const uint64_t left = kKeyCount / share;
    for (uint64_t key = left + 1; key <= kKeyCount; ++key) {
      EXPECT_TRUE(Remove(index, Scatter(key), key));
      if (key % 10'000 == 0 && index.WantsShrink()) index.Shrink();
    }
    if (index.WantsShrink()) index.Shrink();

    EXPECT_LE(index.memory_bytes(), left * 15 + (uint64_t{6} << 20));
    std::cout << left << " keys left: " << index.memory_bytes() << " bytes\n";
    for (uint64_t key = 1; key <= left; ++key) {
      ASSERT_EQ(Get(index, Scatter(key), key), RecordOf(key));
    }
  }
}

// A slow machine may be interrupted in the middle of a step, so the bound is
// on the 99.99th percentile of all puts: 2 % of them are steps.
TEST(HashIndexMemoryTest, GrowsInShortSteps) {
  HashIndex index;
  std::vector<uint64_t> times;

  for (uint64_t key = 1; key <= kKeyCount / 5; ++key) {
    const uint64_t start = CpuNanoseconds();
    Put(index, Scatter(key), key);
    times.push_back(CpuNanoseconds() - start);
    if (index.WantsProvision()) index.Provision();
  }

  std::sort(times.begin(), times.end());
  const uint64_t high = times[times.size() - times.size() / 10'000 - 1];
  std::cout << "p99.99: " << high << " ns, max: " << times.back() << " ns\n";
  EXPECT_LT(high, 300'000);
}

}  // namespace
}  // namespace peat::index
