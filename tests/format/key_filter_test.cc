// Key filters: no key is missed, few others are found.

#include "format/key_filter.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace peat::format {
namespace {

using ::peat::testing::StatusIs;

std::vector<uint64_t> Hashes(int begin, int end) {
  std::vector<uint64_t> hashes;
  for (int i = begin; i < end; ++i) {
    hashes.push_back(FilterHash("key" + std::to_string(i)));
  }
  return hashes;
}

KeyFilter FilterOf(const std::vector<uint64_t>& hashes) {
  const std::optional<KeyFilter> filter = KeyFilter::Build(hashes);
  EXPECT_TRUE(filter.has_value());
  return filter.value_or(KeyFilter());
}

TEST(KeyFilterTest, ContainsEveryKeyItWasMadeOf) {
  for (const int count : {1, 2, 3, 4, 5, 10, 100, 1000, 50'000, 400'000}) {
    SCOPED_TRACE(count);
    const std::vector<uint64_t> hashes = Hashes(0, count);
    const KeyFilter filter = FilterOf(hashes);
    for (const uint64_t hash : hashes) ASSERT_TRUE(filter.MayContain(hash));
  }
}

TEST(KeyFilterTest, ExcludesAlmostAllOtherKeys) {
  const KeyFilter filter = FilterOf(Hashes(0, 50'000));
  int found = 0;
  for (const uint64_t hash : Hashes(100'000, 200'000)) {
    found += filter.MayContain(hash) ? 1 : 0;
  }
  EXPECT_LE(found, 10);  // 1.5 are expected
}

TEST(KeyFilterTest, OfNoKeyContainsNone) {
  const KeyFilter filter;
  for (const uint64_t hash : Hashes(0, 1000)) {
    ASSERT_FALSE(filter.MayContain(hash));
  }
}

TEST(KeyFilterTest, IsTheSameDecoded) {
  const std::vector<uint64_t> hashes = Hashes(0, 1000);
  const std::string encoded = FilterOf(hashes).Encode();

  ASSERT_OK_AND_ASSIGN(const KeyFilter decoded,
                       KeyFilter::Decode(AsBytes(encoded)));

  EXPECT_EQ(decoded.Encode(), encoded);
  for (const uint64_t hash : hashes) ASSERT_TRUE(decoded.MayContain(hash));
}

TEST(KeyFilterTest, TakesTheSameKeyTwice) {
  std::vector<uint64_t> hashes = Hashes(0, 100);
  const std::string encoded = FilterOf(hashes).Encode();

  for (int i = 0; i < 100; ++i) hashes.push_back(hashes[0]);

  EXPECT_EQ(FilterOf(hashes).Encode(), encoded);
}

TEST(KeyFilterTest, TakesAtMost21BitsAKey) {
  for (const int count : {10'000, 100'000, 400'000}) {
    EXPECT_LE(FilterOf(Hashes(0, count)).Encode().size() * 8,
              static_cast<size_t>(count) * 21);
  }
}

// Numbers in a row are as good as hashes: the filter mixes them.
TEST(KeyFilterTest, IsMadeOfAnyHashes) {
  for (uint64_t step : {uint64_t{1}, uint64_t{1} << 32, uint64_t{1} << 50}) {
    std::vector<uint64_t> hashes;
    for (uint64_t i = 0; i < 5000; ++i) hashes.push_back(i * step);
    const KeyFilter filter = FilterOf(hashes);
    for (const uint64_t hash : hashes) ASSERT_TRUE(filter.MayContain(hash));
  }
}

// Undoes what the filter does to a hash before it looks at it.
uint64_t Unmix(uint64_t mixed, uint64_t seed) {
  mixed ^= mixed >> 33;
  mixed *= 0x9CB4B2F8129337DB;  // the inverse of 0xC4CEB9FE1A85EC53
  mixed ^= mixed >> 33;
  mixed *= 0x4F74430C22A54005;  // the inverse of 0xFF51AFD7ED558CCD
  mixed ^= mixed >> 33;
  return mixed - seed;
}

// All of which have the same three places in a filter of the first seed,
// whatever its size: the bits that say them are the same.
std::vector<uint64_t> HashesThatCollide(uint64_t count) {
  std::vector<uint64_t> hashes;
  for (uint64_t i = 0; i < count; ++i) hashes.push_back(Unmix(i << 40, 1));
  return hashes;
}

TEST(KeyFilterTest, GrowsWhenAnAttemptFails) {
  const std::vector<uint64_t> hashes = HashesThatCollide(1000);

  const KeyFilter filter = FilterOf(hashes);

  for (const uint64_t hash : hashes) ASSERT_TRUE(filter.MayContain(hash));
  const std::string encoded = filter.Encode();
  EXPECT_GT(encoded.size(), FilterOf(Hashes(0, 1000)).Encode().size());
  EXPECT_EQ(Load<uint64_t>(AsBytes(encoded), 0), 2u);  // the seed
  ASSERT_OK_AND_ASSIGN(const KeyFilter decoded,
                       KeyFilter::Decode(AsBytes(encoded)));
  for (const uint64_t hash : hashes) ASSERT_TRUE(decoded.MayContain(hash));
}

TEST(KeyFilterTest, IsNoneWhenEveryAttemptFails) {
  EXPECT_FALSE(KeyFilter::Build(HashesThatCollide(1000), 1).has_value());
}

TEST(KeyFilterTest, TakesNoOtherSizeThanItsHeadSays) {
  const std::string encoded = FilterOf(Hashes(0, 40)).Encode();
  for (size_t size = 0; size < encoded.size(); ++size) {
    SCOPED_TRACE(size);
    EXPECT_THAT(KeyFilter::Decode(AsBytes(encoded).first(size)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(KeyFilterTest, TakesNoHeadThatCannotBe) {
  std::string encoded = FilterOf(Hashes(0, 40)).Encode();
  encoded[8] = 60;  // slice_bits
  EXPECT_THAT(KeyFilter::Decode(AsBytes(encoded)),
              StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace peat::format
