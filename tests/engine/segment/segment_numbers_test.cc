// A store that runs out of segment numbers: what adds data is refused first,
// then deletes; compaction always goes on and gives them back.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/engine.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::StatusIs;

class SegmentNumbersTest : public ::testing::Test {
 protected:
  SegmentNumbersTest() : disk_(1) { Open(); }

  void Open() {
    engine_.reset();
    Config config;
    config.segment_size_min = uint64_t{8} << 10;
    config.segment_size_max = uint64_t{8} << 10;
    config.segment_count_max = 600;
    config.background_threads = false;
    config.background_compaction = false;
    config.recovery_threads = 1;
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(disk_, "store", config);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  static std::string Key(int i) { return "key" + std::to_string(i); }

  // Puts until that is refused; two records to a segment.
  void Fill() {
    absl::Status status;
    while (status.ok()) {
      status = engine_->Put(Key(count_), std::string(1500, 'v'));
      if (status.ok()) ++count_;
    }
    ASSERT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
    ASSERT_GT(count_, 100);
  }

  // Deletes all keys but one in four.
  void EraseMost() {
    for (int i = 0; i < count_; ++i) {
      if (i % 4 == 0) continue;
      ASSERT_OK(engine_->Delete(Key(i)));
    }
  }

  void ExpectWhatIsLeft() const {
    std::string value;
    for (int i = 0; i < count_; ++i) {
      ASSERT_EQ(engine_->Get(Key(i), &value).ok(), i % 4 == 0) << i;
    }
  }

  SimFileSystem disk_;
  std::unique_ptr<Engine> engine_;
  int count_ = 0;
};

TEST_F(SegmentNumbersTest, DeletesAndCompactionGoOnAndPutsComeBack) {
  Fill();
  EraseMost();

  ASSERT_OK(engine_->Compact());

  ExpectWhatIsLeft();
  EXPECT_OK(engine_->Put("more", std::string(1500, 'v')));
}

TEST_F(SegmentNumbersTest, ReopeningChangesNothingOfIt) {
  Fill();
  Open();
  EXPECT_THAT(engine_->Put("more", std::string(6000, 'v')),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EraseMost();
  Open();

  ASSERT_OK(engine_->Compact());

  ExpectWhatIsLeft();
  EXPECT_OK(engine_->Put("more", std::string(1500, 'v')));
}

TEST_F(SegmentNumbersTest, ARefusedPutLeavesNoSegmentBehind) {
  Fill();
  const uint64_t segment_count = engine_->GetStats().segment_count;

  for (int i = 0; i < 1000; ++i) {
    ASSERT_FALSE(engine_->Put("more", std::string(1500, 'v')).ok());
  }

  EXPECT_EQ(engine_->GetStats().segment_count, segment_count);
  Open();
  EXPECT_LE(engine_->GetStats().segment_count, segment_count);
}

}  // namespace
}  // namespace peat::engine
