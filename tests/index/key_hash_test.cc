// Tests of the keyed hash.

#include "index/key_hash.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace peat::index {
namespace {

TEST(KeyHasherTest, DependsOnTheKeyAndTheSeed) {
  KeyHasher::Seed seed = {};
  const KeyHasher hasher(seed);
  const KeyHasher same(seed);
  seed[15] = std::byte{1};
  const KeyHasher other(seed);

  // The hash of XXH3 takes other paths at 3, 8, 16, 128 and 240 bytes.
  for (const size_t size :
       {0, 1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 999}) {
    SCOPED_TRACE(size);
    const std::string key(size, 'k');
    EXPECT_EQ(hasher(key), same(key));
    EXPECT_NE(hasher(key), other(key));
    EXPECT_NE(hasher(key), hasher(key + "k"));
  }
}

TEST(KeyHasherTest, CollidesWhenItIsWeak) {
  const KeyHasher hasher = KeyHasher::WeakForTest(3);

  std::set<uint64_t> hashes;
  for (int i = 0; i < 1000; ++i) hashes.insert(hasher(std::to_string(i)));

  EXPECT_EQ(hashes.size(), 8);
}

}  // namespace
}  // namespace peat::index
