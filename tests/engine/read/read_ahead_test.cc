// Reads of groups of records when the store is not in memory: what is measured,
// and that the disk then reads the pages of a group side by side.

#include "engine/read/read_ahead.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/page_out.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using engine::GroupWatch;
using engine::ReadAhead;
using ::peat::testing::IsOk;
using ::peat::testing::StoreFixture;
using std::chrono::microseconds;

TEST(ReadAheadTest, AsksAfterASlowGroupOnly) {
  ReadAhead read_ahead;
  EXPECT_EQ(read_ahead.record_size(), 0u);

  read_ahead.Note(microseconds(20), 64, 64 * 116);
  EXPECT_EQ(read_ahead.record_size(), 0u);
  read_ahead.Note(microseconds(2000), 64, 64 * 116);
  EXPECT_EQ(read_ahead.record_size(), 256u);
  read_ahead.Note(microseconds(20), 64, 64 * 116);
  EXPECT_EQ(read_ahead.record_size(), 0u);
}

// Where the disk is so quick that a group of which it was told is quick, too.
TEST(ReadAheadTest, KeepsAskingAsLongAsGroupsWithoutAreSlow) {
  ReadAhead read_ahead;
  int without = 0;
  for (int i = 0; i < 1000; ++i) {
    const bool asked = read_ahead.record_size() > 0;
    without += asked ? 0 : 1;
    read_ahead.Note(microseconds(asked ? 20 : 2000), 64, 64 * 116);
  }
  EXPECT_LE(without, 25);

  // Once all is in memory, no longer than 64 groups; and one that was
  // interrupted costs one group then.
  for (int i = 0; i < 70; ++i) {
    read_ahead.Note(microseconds(20), 64, 64 * 116);
  }
  EXPECT_EQ(read_ahead.record_size(), 0u);
  read_ahead.Note(microseconds(2000), 64, 64 * 116);
  EXPECT_EQ(read_ahead.record_size(), 256u);
  read_ahead.Note(microseconds(20), 64, 64 * 116);
  EXPECT_EQ(read_ahead.record_size(), 0u);
}

TEST(ReadAheadTest, GivesLargeRecordsMoreTime) {
  ReadAhead read_ahead;

  read_ahead.Note(microseconds(200), 16, 16 * 16'384);
  EXPECT_EQ(read_ahead.record_size(), 0u);
}

TEST(ReadAheadTest, AsksForAllOfARecordWithinReason) {
  ReadAhead read_ahead;

  read_ahead.Note(microseconds(9000), 64, uint64_t{64} * 1000);
  EXPECT_EQ(read_ahead.record_size(), 2048u);
  read_ahead.Note(microseconds(900'000), 64, uint64_t{64} * 1'000'000);
  EXPECT_EQ(read_ahead.record_size(), 65'536u);
  read_ahead.Note(microseconds(9000), 64, 0);
  EXPECT_EQ(read_ahead.record_size(), 256u);
  read_ahead.Note(microseconds(9000), 0, 0);
  EXPECT_EQ(read_ahead.record_size(), 0u);
}

TEST(ReadAheadTest, DoesNotTimeAFewRecords) {
  ReadAhead read_ahead;
  read_ahead.Note(microseconds(2000), 64, 64 * 116);

  GroupWatch few(&read_ahead, 7);
  EXPECT_EQ(few.record_size(), 0u);
  few.End(7, 700);
  EXPECT_EQ(read_ahead.record_size(), 256u);
  GroupWatch many(&read_ahead, 8);
  EXPECT_EQ(many.record_size(), 256u);
}

class ColdStoreTest : public StoreFixture {
 protected:
  static constexpr int kKeyCount = 2048;

  // In no order, so that the next page is not the next record's.
  static std::string KeyOf(int number) {
    return "k" + std::to_string(number * 1'000'003 % kKeyCount + 10'000);
  }
  static std::string ValueOf(int number) {
    return std::string(3000, static_cast<char>('a' + number % 26));
  }

  // A store whose segments are sealed and clean.
  void SetUp() override {
    StoreFixture::SetUp();
    {
      const auto store = Open();
      for (int i = 0; i < kKeyCount; ++i) {
        ASSERT_THAT(store->Put(KeyOf(i), ValueOf(i)), IsOk());
      }
      ASSERT_THAT(store->Close(), IsOk());
    }
    store_ = Open({.ordered = true});
    // Waits for the ordered index.
    EXPECT_TRUE(store_->Scan({.limit = 1}).Valid());
  }

  // How often `read` waits for the disk, nothing of the store being in memory.
  int64_t FaultsOf(const std::function<void()>& read) {
    (void)bench::PageOut(path().string());
    rusage before = {};
    rusage after = {};
    getrusage(RUSAGE_THREAD, &before);
    read();
    getrusage(RUSAGE_THREAD, &after);
    return after.ru_majflt - before.ru_majflt;
  }

  void ReadOneByOne() {
    std::string value;
    for (int i = 0; i < kKeyCount; ++i) {
      const int number = i * 5 % kKeyCount;
      EXPECT_THAT(store_->Get(KeyOf(number), &value), IsOk());
      EXPECT_EQ(value, ValueOf(number));
    }
  }

  std::unique_ptr<Store> store_;
};

TEST_F(ColdStoreTest, AsksForAGroupAtOnce) {
  const int64_t one_by_one = FaultsOf([&] { ReadOneByOne(); });
  if (one_by_one < kKeyCount / 2) {
    GTEST_SKIP() << "here pages stay in memory, or are read along: "
                 << one_by_one << " faults";
  }

  const int64_t by_multi_get = FaultsOf([&] {
    for (int first = 0; first < kKeyCount; first += 64) {
      std::vector<std::string> keys;
      for (int i = 0; i < 64; ++i) keys.push_back(KeyOf(first + i));
      const std::vector<std::string_view> views(keys.begin(), keys.end());
      std::vector<Lookup> found(64);
      EXPECT_THAT(store_->MultiGet(views, found), IsOk());
      for (int i = 0; i < 64; ++i) {
        EXPECT_EQ(std::string_view(found[static_cast<size_t>(i)].value),
                  ValueOf(first + i));
      }
    }
  });
  const int64_t by_range = FaultsOf([&] {
    int count = 0;
    for (const auto [key, value] : store_->Scan({})) {
      EXPECT_EQ(value.size(), 3000u);
      ++count;
    }
    EXPECT_EQ(count, kKeyCount);
  });

  // All but those of the first group, which shows that it is slow.
  EXPECT_LT(by_multi_get, one_by_one / 4);
  EXPECT_LT(by_range, one_by_one / 4);
}

}  // namespace
}  // namespace peat
