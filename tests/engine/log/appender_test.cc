// The appender alone: what it writes where, and what it counts when.

#include "engine/log/appender.h"

#include "tests/engine/log/log_fixture.h"

namespace peat::engine {
namespace {

using ::peat::testing::SimOp;
using ::testing::Each;
using ::testing::ElementsAre;
using enum format::RecordKind;

class AppenderTest : public LogFixture {};

TEST_F(AppenderTest, NeedsAPreparedSegmentThatIsLargeEnough) {
  EXPECT_FALSE(AppendPut("key", 10));
  Prepare(1);
  EXPECT_FALSE(AppendPut("key", kCapacity));
  EXPECT_EQ(appender_.last_lsn(), 0U);

  EXPECT_TRUE(AppendPut("key", 10));

  EXPECT_EQ(appender_.last_lsn(), 1U);
  EXPECT_TRUE(appender_.TakeProgress().starved);
}

TEST_F(AppenderTest, BeginsASegmentWithALinkAndRollsWhenItIsFull) {
  const auto first = Prepare(1);
  const auto second = Prepare(2);
  for (int i = 0; i < 13; ++i) ASSERT_TRUE(AppendPut("key", 1000));

  EXPECT_THAT(KindsIn(*first).front(), kLink);
  EXPECT_THAT(KindsIn(*second), ElementsAre(kLink, kPut, kPut));
  EXPECT_EQ(first->segment->end(), first->end);
  EXPECT_EQ(first->first_lsn, 1U);
  EXPECT_EQ(first->last_lsn, 11U);
  EXPECT_EQ(second->first_lsn, 12U);
  EXPECT_EQ(appender_.rolled_count(), 1U);
}

TEST_F(AppenderTest, MarksOnceWhatIsDurable) {
  const auto log = Prepare(1);
  ASSERT_TRUE(AppendPut("a", 1));
  appender_.SetDurable(appender_.TakeSample().end);

  ASSERT_TRUE(AppendPut("b", 1));
  ASSERT_TRUE(AppendPut("c", 1));

  EXPECT_THAT(KindsIn(*log), ElementsAre(kLink, kPut, kMark, kPut, kPut));
}

TEST_F(AppenderTest, FramesABatchWithLsnsOfItsOwn) {
  const auto log = Prepare(1);
  const std::vector<AppendRecord> records = {Put("a", "1"), Put("b", "2")};
  std::vector<Appended> appended(records.size());
  bool wake = false;

  ASSERT_TRUE(appender_.AppendBatch(records, appended, &wake));

  EXPECT_THAT(KindsIn(*log), ElementsAre(kLink, kFrame, kPut, kPut));
  EXPECT_EQ(appended[0].lsn, 1U);
  EXPECT_EQ(appended[1].lsn, 2U);
  EXPECT_EQ(appender_.AwaitUnit(), 2U);
}

// A compaction drops what does not count as live any more.
TEST_F(AppenderTest, CountsNothingOfABatchBeforeItIsWholeInTheLog) {
  const auto log = Prepare(1);
  ASSERT_TRUE(AppendPut("a", 100));
  const uint64_t before = log->segment->usage().live_bytes;
  std::vector<AppendRecord> records = {Put("a", "1"), Put("b", "2")};
  records[0].superseded = log->segment.get();
  records[0].superseded_size = before;
  std::vector<Appended> appended(records.size());
  bool wake = false;
  std::vector<uint64_t> seen;
  at_call_ = [&](SimOp) { seen.push_back(log->segment->usage().live_bytes); };

  ASSERT_TRUE(appender_.AppendBatch(records, appended, &wake));

  EXPECT_GE(seen.size(), 6U);
  EXPECT_THAT(seen, Each(before));
  EXPECT_EQ(log->segment->usage().live_bytes,
            records[0].size() + records[1].size());
}

TEST_F(AppenderTest, SaysWhatASyncMustCoverOldestFirst) {
  const auto first = Prepare(1);
  const auto second = Prepare(2);
  for (int i = 0; i < 13; ++i) ASSERT_TRUE(AppendPut("key", 1000));

  const Appender::Sample sample = appender_.TakeSample();
  EXPECT_THAT(sample.rolled, ElementsAre(first));
  EXPECT_EQ(sample.active, second);
  EXPECT_THAT(appender_.SyncedRolled(), ElementsAre());
  appender_.SetDurable(sample.end);

  EXPECT_THAT(appender_.SyncedRolled(), ElementsAre(first));
  EXPECT_THAT(appender_.TakeSample().rolled, ElementsAre());
  EXPECT_EQ(appender_.TakeProgress().unsynced_bytes, 0U);
}

TEST_F(AppenderTest, EndsTheActiveSegmentOnce) {
  const auto log = Prepare(1);
  ASSERT_TRUE(AppendPut("key", 10));

  EXPECT_EQ(appender_.EndActive(), 1U);
  EXPECT_EQ(appender_.EndActive(), 1U);

  EXPECT_EQ(appender_.rolled_count(), 1U);
  EXPECT_FALSE(AppendPut("key", 10));
}

TEST_F(AppenderTest, TellsWritersOfTheNewestView) {
  Prepare(1);
  ASSERT_TRUE(AppendPut("a", 1));
  EXPECT_EQ(appender_.BeginView().lsn, 1U);
  Appended appended;
  bool wake = false;

  ASSERT_TRUE(appender_.Append(Put("a", "2"), &appended, &wake));
  EXPECT_EQ(appended.newest_view, 1U);
  appender_.SetNewestView(0);
  ASSERT_TRUE(appender_.Append(Put("a", "3"), &appended, &wake));

  EXPECT_EQ(appended.newest_view, 0U);
}

TEST_F(AppenderTest, AsksForTheBackgroundOnceAfterSoManyBytes) {
  Prepare(1);
  appender_.WakeAfter(100);
  std::vector<bool> woken;
  for (int i = 0; i < 4; ++i) {
    Appended appended;
    bool wake = false;
    ASSERT_TRUE(appender_.Append(Put("key", "value"), &appended, &wake));
    woken.push_back(wake);
  }

  EXPECT_THAT(woken, ElementsAre(true, false, false, false));
}

using AppenderDeathTest = AppenderTest;

// A key of so many bytes would pass for one of three.
TEST_F(AppenderDeathTest, CutsNoSizeShort) {
  Prepare(1, uint64_t{128} << 10);
  const std::string key(65'536 + 3, 'k');

  EXPECT_DEATH((void)AppendPut(key, 0), "");
}

}  // namespace
}  // namespace peat::engine
