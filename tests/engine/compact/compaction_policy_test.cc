// The compaction policy: which segments, and when.

#include "engine/compact/compaction_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace peat::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kSize = 1'000'000;
constexpr CompactionGoal kGoal = {.max_space_amplification = 1.5,
                                  .segment_size = kSize,
                                  .output_size = kSize,
                                  .last_lsn = 1000};

SegmentFacts Segment(format::SegmentId id, uint64_t live) {
  SegmentFacts facts{{.used_bytes = kSize, .live_bytes = live}};
  facts.id = id;
  facts.first_lsn = id;
  facts.last_lsn = id;
  facts.may_be_input = true;
  return facts;
}

std::vector<SegmentFacts> Segments(const std::vector<uint64_t>& live) {
  std::vector<SegmentFacts> facts;
  for (const uint64_t bytes : live) {
    facts.push_back(Segment(facts.size() + 1, bytes));
  }
  return facts;
}

TEST(CompactionPolicyTest, LeavesAStoreWithinItsAllowanceAlone) {
  EXPECT_THAT(PickInputs(Segments({800'000, 800'000, 900'000, 750'000}), kGoal),
              IsEmpty());
}

// The header of a segment is no gain: what is written has one, too.
TEST(CompactionPolicyTest, LeavesAFewRecordsAlone) {
  std::vector<SegmentFacts> facts = Segments({112, 56, 300});
  for (SegmentFacts& fact : facts) {
    fact.used_bytes = fact.live_bytes + format::kSegmentHeaderSize;
  }
  EXPECT_THAT(PickInputs(facts, kGoal), IsEmpty());
}

TEST(CompactionPolicyTest, TakesWhatHoldsNothingAtOnce) {
  EXPECT_THAT(PickInputs(Segments({900'000, 0, 900'000, 0}), kGoal),
              ElementsAre(2, 4));
}

TEST(CompactionPolicyTest, TakesTheEmptiestOnceTheBoundAsksForIt) {
  EXPECT_THAT(PickInputs(Segments({300'000, 200'000, 900'000, 100'000, 400'000,
                                   100'000, 100'000}),
                         kGoal),
              ElementsAre(4, 6, 7, 2, 1));
}

TEST(CompactionPolicyTest, TakesNoMoreThanFitsIntoOneSegment) {
  EXPECT_THAT(
      PickInputs(Segments({600'000, 500'000, 600'000, 500'000, 600'000}),
                 kGoal),
      ElementsAre(2));
  EXPECT_THAT(PickInputs(Segments({400'000, 390'000, 400'000, 395'000, 400'000,
                                   400'000, 400'000, 400'000}),
                         kGoal),
              ElementsAre(2, 4));
}

TEST(CompactionPolicyTest, PrefersTheOlderOfTwoThatAreEquallyEmpty) {
  std::vector<SegmentFacts> facts =
      Segments({600'000, 600'000, 600'000, 600'000, 600'000, 600'000});
  for (SegmentFacts& fact : facts) fact.live_bytes = 450'000;
  facts[3].last_lsn = 0;
  ASSERT_FALSE(PickInputs(facts, kGoal).empty());
  EXPECT_EQ(PickInputs(facts, kGoal).front(), 4U);
}

TEST(CompactionPolicyTest, NeverTakesWhatMayNotBeAnInput) {
  std::vector<SegmentFacts> facts = Segments({0, 0, 0, 0, 0, 0});
  facts[0].may_be_input = false;
  facts[5].may_be_input = false;
  EXPECT_THAT(PickInputs(facts, kGoal), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(PickForFullPass(facts, kGoal, 4), ElementsAre(2, 3, 4));
}

TEST(CompactionPolicyTest, TombstonesThatMustStayAreNoGain) {
  std::vector<SegmentFacts> facts = Segments({0, 0, 0, 0, 0, 0, 0, 0});
  for (SegmentFacts& fact : facts) fact.tombstone_bytes = 990'000;
  EXPECT_THAT(PickInputs(facts, kGoal), IsEmpty());
}

TEST(CompactionPolicyTest, SweepsTombstonesThatMayGo) {
  std::vector<SegmentFacts> facts = Segments({800'000, 750'000, 850'000});
  for (SegmentFacts& fact : facts) fact.tombstone_bytes = 100'000;
  EXPECT_THAT(PickInputs(facts, kGoal), IsEmpty());
  facts[1].idle_bytes = 90'000;
  EXPECT_THAT(PickInputs(facts, kGoal), ElementsAre(2));
}

TEST(CompactionPolicyTest, TakesWhatIsNearlyEmptyWhenTombstonesAbound) {
  std::vector<SegmentFacts> facts =
      Segments({930'000, 930'000, 50'000, 930'000, 930'000});
  facts.insert(facts.end(), 3, Segment(6, 930'000));
  EXPECT_THAT(PickInputs(facts, kGoal), IsEmpty());
  for (SegmentFacts& fact : facts) fact.tombstone_bytes = 50'000;
  EXPECT_THAT(PickInputs(facts, kGoal), ElementsAre(3));
}

TEST(CompactionPolicyTest, JoinsSmallSegmentsOfAKind) {
  std::vector<SegmentFacts> facts =
      Segments({90'000, 90'000, 90'000, 90'000, 90'000, 90'000, 90'000});
  for (SegmentFacts& fact : facts) {
    fact.used_bytes = 100'000;
    fact.kind = format::SegmentKind::kCompacted;
  }
  EXPECT_THAT(PickInputs(facts, kGoal), IsEmpty());
  facts.push_back(facts.back());
  facts.back().id = 8;
  EXPECT_THAT(PickInputs(facts, kGoal), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
}

// As a store grows, so do its segments.
TEST(CompactionPolicyTest, JoinsWhatAGrowingStoreLeavesBehindWhenThereIsMuch) {
  constexpr uint64_t kLarge = uint64_t{256} << 20;
  CompactionGoal goal = kGoal;
  goal.segment_size = kLarge;
  goal.output_size = kLarge;
  std::vector<SegmentFacts> facts;
  const auto add = [&facts](uint64_t size) {
    for (int i = 0; i < 64; ++i) {
      facts.push_back(Segment(facts.size() + 1, size));
      facts.back().used_bytes = size;
    }
  };
  for (uint64_t size = kLarge / 128; size <= kLarge; size *= 2) add(size);
  ASSERT_EQ(facts.size(), 512);
  EXPECT_THAT(PickInputs(facts, goal), IsEmpty());
  add(kLarge);
  // The first, which are the smallest.
  const std::vector<format::SegmentId> inputs = PickInputs(facts, goal);
  ASSERT_THAT(inputs, SizeIs(64 + 31));  // of 2 MiB and of 4
  EXPECT_EQ(inputs.back(), 95);
}

// A store that is opened for a few writes at a time.
TEST(CompactionPolicyTest, JoinsTinySegmentsOfTheLogWhenThereAreSome) {
  std::vector<SegmentFacts> facts = Segments(std::vector<uint64_t>(31, 5000));
  for (SegmentFacts& fact : facts) fact.used_bytes = 9000;
  EXPECT_THAT(PickToJoin(facts, kGoal), IsEmpty());

  facts.push_back(facts.back());
  facts.back().id = 32;

  EXPECT_THAT(PickToJoin(facts, kGoal), SizeIs(32));
  EXPECT_THAT(PickInputs(facts, kGoal), SizeIs(32));
}

TEST(CompactionPolicyTest, JoinsAsManyAtATimeAsOneOutputHolds) {
  std::vector<SegmentFacts> facts = Segments(std::vector<uint64_t>(2000, 5000));
  for (SegmentFacts& fact : facts) fact.used_bytes = 9000;

  const std::vector<format::SegmentId> inputs =
      PickForFullPass(facts, kGoal, 2000);

  EXPECT_THAT(inputs, SizeIs(kSize / 9000));
}

TEST(CompactionPolicyTest, AFullPassLeavesTheOnlySmallSegmentAlone) {
  std::vector<SegmentFacts> facts = Segments({900'000, 5000, 5000});
  facts[0].used_bytes = 905'000;
  facts[1].used_bytes = 9000;
  facts[2].used_bytes = 9000;
  EXPECT_THAT(PickForFullPass(facts, kGoal, 2), IsEmpty());

  EXPECT_THAT(PickForFullPass(facts, kGoal, 3), ElementsAre(2, 3));

  facts[2].kind = format::SegmentKind::kAudit;
  EXPECT_THAT(PickForFullPass(facts, kGoal, 3), IsEmpty());
}

TEST(CompactionPolicyTest, AFullPassGoesFromOldToNew) {
  std::vector<SegmentFacts> facts = Segments({900'000, 100'000, 100'000});
  facts[1].first_lsn = 50;
  facts[2].first_lsn = 40;
  EXPECT_THAT(PickForFullPass(facts, kGoal, 3), ElementsAre(1));
  EXPECT_THAT(PickForFullPass({facts.begin() + 1, facts.end()}, kGoal, 3),
              ElementsAre(3, 2));
}

TEST(CompactionPolicyTest, DangerComesBeforeTheLimit) {
  const SpaceLimits limits = LimitsFor(kGoal, 10 * kSize);
  EXPECT_EQ(limits.allowance, 51 * kSize / 4);
  EXPECT_EQ(limits.danger, 15 * kSize);
  EXPECT_EQ(limits.limit, 17 * kSize);
  // Half of what lies beyond what must stay.
  EXPECT_EQ(LimitsFor(kGoal, kSize).allowance, 5 * kSize / 4);
  EXPECT_EQ(LimitsFor(kGoal, 20 * kSize).allowance, 111 * kSize / 4);
  // A small store's writers have half of the limit for themselves.
  EXPECT_EQ(LimitsFor(kGoal, 0).danger, kSize);
}

}  // namespace
}  // namespace peat::engine
