// Key filters of every number of keys, around every step of their size: each
// can be made, misses no key, finds few others, and is not larger than it is
// said to be.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "format/bytes.h"
#include "format/key_filter.h"

namespace peat::format {
namespace {

// What was found out about filters of many sizes.
struct Tally {
  int filters = 0;
  int attempts = 0;
  int attempts_max = 0;  // of one filter
};

std::vector<uint64_t> RandomHashes(size_t count, std::mt19937_64* random) {
  std::vector<uint64_t> hashes(count);
  for (uint64_t& hash : hashes) hash = (*random)();
  return hashes;
}

size_t PlaceCount(const std::string& encoded) {
  return (encoded.size() - 16) / sizeof(uint16_t);
}

void Check(size_t count, std::mt19937_64* random, Tally* tally) {
  const std::vector<uint64_t> hashes = RandomHashes(count, random);
  const std::optional<KeyFilter> filter = KeyFilter::Build(hashes);
  ASSERT_TRUE(filter.has_value());
  for (const uint64_t hash : hashes) ASSERT_TRUE(filter->MayContain(hash));
  const int attempts =
      static_cast<int>(Load<uint64_t>(AsBytes(filter->Encode()), 0));
  ++tally->filters;
  tally->attempts += attempts;
  tally->attempts_max = std::max(tally->attempts_max, attempts);
}

// The least numbers of keys from which on slices are twice as large, and the
// numbers beside them.
std::vector<size_t> DoublingsUpTo(size_t count_max) {
  std::vector<size_t> counts;
  for (int bits = 3;; ++bits) {
    const auto count =
        static_cast<size_t>(std::ceil(std::pow(3.33, bits - 2.25)));
    if (count > count_max) return counts;
    for (const size_t at : {count - 1, count, count + 1}) counts.push_back(at);
  }
}

// One attempt in 20 fails at most, so that few filters take more than one.
void ExpectFewAttempts(const Tally& tally) {
  EXPECT_LT(tally.attempts, tally.filters + tally.filters / 20 + 3);
  EXPECT_LE(tally.attempts_max, 6);
}

TEST(KeyFilterSizesTest, EverySmallNumberOfKeysHasAFilter) {
  std::mt19937_64 random(1);
  Tally tally;
  for (size_t count = 1; count <= 3000; ++count) {
    SCOPED_TRACE(count);
    Check(count, &random, &tally);
  }
  ExpectFewAttempts(tally);
}

TEST(KeyFilterSizesTest, FewKeysHaveAFilterFromAnySeed) {
  std::mt19937_64 random(2);
  Tally tally;
  for (size_t count = 1; count <= 100; ++count) {
    SCOPED_TRACE(count);
    for (int i = 0; i < 200; ++i) Check(count, &random, &tally);
  }
  ExpectFewAttempts(tally);
}

// In steps of a fraction of a slice: each number of slices comes up near its
// least and near its most keys.
TEST(KeyFilterSizesTest, EveryStepOfSlicesHasAFilter) {
  std::mt19937_64 random(3);
  Tally tally;
  for (size_t count = 3000; count <= 40'000; count += 1 + count / 140) {
    SCOPED_TRACE(count);
    for (int i = 0; i < 2; ++i) Check(count, &random, &tally);
  }
  ExpectFewAttempts(tally);
}

TEST(KeyFilterSizesTest, EveryDoublingOfSlicesHasAFilter) {
  std::mt19937_64 random(4);
  Tally tally;
  for (const size_t count : DoublingsUpTo(50'000)) {
    SCOPED_TRACE(count);
    for (int i = 0; i < 20; ++i) Check(count, &random, &tally);
  }
  for (const size_t count : DoublingsUpTo(1'000'000)) {
    SCOPED_TRACE(count);
    Check(count, &random, &tally);
  }
  ExpectFewAttempts(tally);
}

// Where building failed for most seeds, and then for good.
TEST(KeyFilterSizesTest, TheSizesThatCouldNotBeBuiltCanBe) {
  std::mt19937_64 random(5);
  Tally tally;
  for (const size_t count : {3540u, 11'478u, 11'519u, 12'300u, 39'000u}) {
    SCOPED_TRACE(count);
    for (int i = 0; i < 20; ++i) Check(count, &random, &tally);
  }
  ExpectFewAttempts(tally);
}

TEST(KeyFilterSizesTest, AbsentKeysAreFoundOnceIn65536) {
  std::mt19937_64 random(6);
  constexpr int kAsked = 4'000'000;
  int found = 0;
  for (const size_t count : {10u, 300u, 3540u, 11'478u}) {
    const std::optional<KeyFilter> filter =
        KeyFilter::Build(RandomHashes(count, &random));
    ASSERT_TRUE(filter.has_value());
    for (int i = 0; i < kAsked / 4; ++i) {
      found += filter->MayContain(random()) ? 1 : 0;
    }
  }
  EXPECT_GT(found, kAsked / 65'536 / 2);
  EXPECT_LT(found, kAsked / 65'536 * 2);
}

TEST(KeyFilterSizesTest, TakeAsFewBitsAKeyAsTheyAreSaidTo) {
  std::mt19937_64 random(7);
  const auto bits = [&random](size_t count) {
    const std::optional<KeyFilter> filter =
        KeyFilter::Build(RandomHashes(count, &random));
    return 16.0 * static_cast<double>(PlaceCount(filter->Encode())) /
           static_cast<double>(count);
  };
  for (size_t count = 400; count < 400'000; count += count / 7) {
    SCOPED_TRACE(count);
    EXPECT_LT(bits(count), count < 1'000    ? 38
                           : count < 3'400  ? 31
                           : count < 11'300 ? 26
                           : count < 37'500 ? 23.5
                                            : 21.5);
  }
}

}  // namespace
}  // namespace peat::format
