// The set of open segments alone: numbers, and who counts when.

#include "engine/segment/segment_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsNull;

// Of no file: nothing is read from it.
std::shared_ptr<Segment> MakeSegment(format::SegmentId id) {
  auto segment = std::make_shared<Segment>(
      SegmentIdentity{.id = id, .salt = 1, .capacity = 8192}, nullptr, nullptr,
      8192);
  segment->set_end(8192);
  return segment;
}

class SegmentSetTest : public ::testing::Test {
 protected:
  std::shared_ptr<Segment> Add(format::SegmentId id) {
    std::shared_ptr<Segment> segment = MakeSegment(id);
    EXPECT_OK(set_.Add(segment));
    return segment;
  }

  SegmentSet set_;
};

TEST_F(SegmentSetTest, FindsEachSegmentByItsNumber) {
  const auto one = Add(7);
  const auto other = Add(8);

  EXPECT_EQ(one->number(), 1U);
  EXPECT_EQ(&set_.At(one->number()), one.get());
  EXPECT_EQ(&set_.At(other->number()), other.get());
  EXPECT_TRUE(set_.Has(*one));
  EXPECT_FALSE(one->has_used_number());
}

TEST_F(SegmentSetTest, GivesANumberAgainOnceItIsReleased) {
  const auto one = Add(7);
  const auto other = Add(8);
  set_.Exchange({&one, 1}, {});
  EXPECT_EQ(&set_.At(one->number()), one.get());
  set_.Release(*one);

  const auto next = Add(9);

  EXPECT_EQ(next->number(), one->number());
  EXPECT_TRUE(next->has_used_number());
  EXPECT_FALSE(set_.Has(*one));
  EXPECT_TRUE(set_.Has(*other));
}

TEST_F(SegmentSetTest, CountsWhatIsRetiredNoLonger) {
  const auto one = Add(7);
  const auto other = Add(8);

  set_.Exchange({&one, 1}, {});

  EXPECT_EQ(set_.Sum().used_bytes, 8192U);
  EXPECT_THAT(set_.All(), ElementsAre(other));
  EXPECT_THAT(*set_.TakeList(), ElementsAre(IsNull(), IsNull(), other));
}

// Both would have each record that is on its way.
TEST_F(SegmentSetTest, ListsCopiesFromTheMomentTheyStandForTheOriginals) {
  const auto original = Add(7);
  const auto copy = MakeSegment(8);
  EXPECT_OK(set_.AddCopies(copy));
  EXPECT_THAT(*set_.TakeList(), ElementsAre(IsNull(), original, IsNull()));
  EXPECT_EQ(&set_.At(copy->number()), copy.get());

  set_.Exchange({&original, 1}, {&copy, 1});

  EXPECT_THAT(*set_.TakeList(), ElementsAre(IsNull(), IsNull(), copy));
}

TEST_F(SegmentSetTest, KeepsTheNumbersOfAnImageAndFillsItsGaps) {
  const auto numbered = MakeSegment(7);
  set_.AddNumbered(numbered, 3);

  const auto one = Add(8);
  const auto other = Add(9);
  const auto last = Add(10);

  EXPECT_EQ(numbered->number(), 3U);
  EXPECT_EQ(one->number() + other->number(), 1U + 2U);
  EXPECT_EQ(last->number(), 4U);
}

TEST_F(SegmentSetTest, GivesTheSameListUntilItChanges) {
  Add(7);
  const auto list = set_.TakeList();
  EXPECT_EQ(set_.TakeList(), list);

  Add(8);

  EXPECT_NE(set_.TakeList(), list);
  EXPECT_EQ(list->size(), 2U);
}

using SegmentSetDeathTest = SegmentSetTest;

TEST_F(SegmentSetDeathTest, ReleasesNothingThatIsInUse) {
  const auto one = Add(7);
  EXPECT_DEATH(set_.Release(*one), "");
}

}  // namespace
}  // namespace peat::engine
