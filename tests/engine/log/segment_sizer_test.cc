// How large the next segment is: by live bytes, and by the rate of rolling.

#include "engine/log/segment_sizer.h"

#include <gtest/gtest.h>

#include <bit>
#include <chrono>

namespace peat::engine {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t kMiB = uint64_t{1} << 20;

class SegmentSizerTest : public ::testing::Test {
 protected:
  // Fills `count` segments, each in `life`, in a store of `live_bytes`.
  void Fill(int count, milliseconds life, uint64_t live_bytes) {
    for (int i = 0; i < count; ++i) {
      now_ += life;
      sizer_.NoteSegment(now_, live_bytes);
    }
  }

  const Config config_{};
  SegmentSizer sizer_{config_};
  SegmentSizer::TimePoint now_;
};

TEST_F(SegmentSizerTest, FollowsTheLiveBytesWithinItsBounds) {
  EXPECT_EQ(sizer_.Size(0), config_.segment_size_min);
  EXPECT_EQ(sizer_.Size(128 * kMiB), 2 * kMiB);
  EXPECT_EQ(sizer_.Size(128 * kMiB - 1), kMiB);
  EXPECT_EQ(sizer_.Size(uint64_t{1} << 50), config_.segment_size_max);
}

TEST_F(SegmentSizerTest, DoublesWhatIsFilledTooFast) {
  const uint64_t live = 1024 * kMiB;
  ASSERT_EQ(sizer_.Size(live), 16 * kMiB);

  Fill(2, milliseconds(10), live);

  EXPECT_EQ(sizer_.Size(live), 32 * kMiB);
}

TEST_F(SegmentSizerTest, StaysAtAnEighthOfTheLiveBytes) {
  Fill(20, milliseconds(1), 128 * kMiB);

  EXPECT_EQ(sizer_.Size(128 * kMiB), 16 * kMiB);
  // A store that has shrunk since has no use for it.
  EXPECT_EQ(sizer_.Size(64 * kMiB), 8 * kMiB);
}

TEST_F(SegmentSizerTest, LetsASmallStoreUseHalfOfWhatItMayUseBeyondItsBound) {
  Fill(20, milliseconds(1), 0);

  EXPECT_EQ(sizer_.Size(0), config_.space_extra_min / 2);
}

TEST_F(SegmentSizerTest, GoesBackOnceSegmentsLast) {
  Fill(20, milliseconds(1), 128 * kMiB);
  Fill(5, milliseconds(3000), 128 * kMiB);

  EXPECT_EQ(sizer_.Size(128 * kMiB), 2 * kMiB);
}

TEST_F(SegmentSizerTest, KeepsASizeThatLastsLongEnough) {
  Fill(3, milliseconds(1), 128 * kMiB);
  const uint64_t size = sizer_.Size(128 * kMiB);

  Fill(20, milliseconds(1000), 128 * kMiB);

  EXPECT_EQ(sizer_.Size(128 * kMiB), size);
}

TEST_F(SegmentSizerTest, AnswersPowersOfTwoAtAndAroundEachStep) {
  for (uint64_t live = kMiB; live < (uint64_t{1} << 36); live *= 2) {
    for (const uint64_t bytes : {live - 1, live, live + 1}) {
      Fill(3, milliseconds(1), bytes);
      EXPECT_TRUE(std::has_single_bit(sizer_.Size(bytes))) << bytes;
      EXPECT_LE(sizer_.Size(bytes), config_.segment_size_max);
    }
  }
}

}  // namespace
}  // namespace peat::engine
