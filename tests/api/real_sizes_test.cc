// Stores of as many keys as people have: filled, emptied in part, compacted,
// opened again and compacted again, at sizes that were chosen because
// something once failed there, and at random ones.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "peat/store.h"
#include "tests/support/store_fixture.h"

namespace peat::testing {
namespace {

class RealSizesTest : public StoreFixture {
 protected:
  // A key with no pattern that another store's key would share.
  std::string Key(uint64_t i) const {
    return std::to_string(seed_ * 1'000'000'007 + i * i);
  }
  bool IsDeleted(uint64_t i) const { return i % 7 == seed_ % 7; }

  void Check(const Store& store, uint64_t count) const {
    for (uint64_t i = 0; i < count; ++i) {
      ASSERT_EQ(Read(store, Key(i)).has_value(), !IsDeleted(i)) << i;
    }
  }

  void FillDeleteCompactReopen(uint64_t count) {
    std::unique_ptr<Store> store = Open();
    for (uint64_t i = 0; i < count; ++i) ASSERT_OK(store->Put(Key(i), "v"));
    ASSERT_OK(store->Flush());
    for (uint64_t i = 0; i < count; ++i) {
      if (!IsDeleted(i)) continue;
      ASSERT_OK(store->Delete(Key(i)));
    }
    ASSERT_OK(store->Compact());
    ASSERT_OK(store->Close());
    store = Open();
    ASSERT_NE(store, nullptr);
    ASSERT_OK(store->Compact());
    ASSERT_NO_FATAL_FAILURE(Check(*store, count));
    ASSERT_OK(store->Close());
    std::filesystem::remove_all(path());
  }

  uint64_t seed_ = 0;
};

// Building the key filter of a segment failed for most seeds, and ended the
// process.
TEST_F(RealSizesTest, KeyFiltersOfAllTheirNumbersOfKeysAreMade) {
  for (const uint64_t count : {3540u, 11'478u, 11'519u, 11'519u, 12'300u}) {
    ++seed_;
    SCOPED_TRACE(count);
    ASSERT_NO_FATAL_FAILURE(FillDeleteCompactReopen(count));
  }
}

TEST_F(RealSizesTest, StoresOfRandomSizesAreCompacted) {
  std::mt19937_64 random(1);
  for (seed_ = 1; seed_ <= 12; ++seed_) {
    const uint64_t count = 1 + random() % (uint64_t{1} << (6 + seed_));
    SCOPED_TRACE(count);
    ASSERT_NO_FATAL_FAILURE(FillDeleteCompactReopen(count));
  }
}

}  // namespace
}  // namespace peat::testing
