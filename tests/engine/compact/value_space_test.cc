// Value files that nobody needs are given back, and count as what they are.

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

constexpr uint64_t kSegmentSize = uint64_t{64} << 10;
constexpr uint64_t kValueSize = uint64_t{48} << 10;  // in a file of its own

class ValueSpaceTest : public ::testing::Test {
 protected:
  ValueSpaceTest() : disk_(1) { Open(); }

  void Open() {
    engine_.reset();
    Config config;
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.space_extra_min = 0;
    config.background_threads = false;
    config.recovery_threads = 1;
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(disk_, "store", config);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  void Overwrite(int times) {
    for (int i = 0; i < times; ++i) {
      ASSERT_OK(engine_->Put(
          "film", std::string(kValueSize, static_cast<char>('a' + i % 26))));
      engine_->RunSupply();
    }
  }

  // Of the last sealed segment of the log nothing can be given back, since it
  // proves the log behind it: so many values it may refer to.
  static constexpr uint64_t kLeftMax = 4 * kSegmentSize / kValueSize + 1;

  uint64_t ValueFileCount() const {
    return engine_->GetStats().value_file_count;
  }

  SimFileSystem disk_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(ValueSpaceTest, OneLargeValueIsNoWaste) {
  Overwrite(1);

  EXPECT_LT(engine_->GetStats().space_amplification, 1.2);
  Open();
  EXPECT_LT(engine_->GetStats().space_amplification, 1.2);
}

TEST_F(ValueSpaceTest, SupersededLargeValuesAreWaste) {
  Overwrite(3);

  EXPECT_GT(engine_->GetStats().space_amplification, 2.5);
}

TEST_F(ValueSpaceTest, SupersededValuesAreGivenBackByACompactionOfAll) {
  ASSERT_NO_FATAL_FAILURE(Overwrite(40));

  ASSERT_OK(engine_->Compact());

  EXPECT_LE(ValueFileCount(), kLeftMax);
  std::string value;
  ASSERT_OK(engine_->Get("film", &value));
  EXPECT_EQ(value, std::string(kValueSize, 'a' + 39 % 26));
}

TEST_F(ValueSpaceTest, TheyStayGivenBack) {
  ASSERT_NO_FATAL_FAILURE(Overwrite(40));
  ASSERT_OK(engine_->Compact());
  Open();
  EXPECT_LE(ValueFileCount(), kLeftMax);
  ASSERT_NO_FATAL_FAILURE(Overwrite(40));
  ASSERT_OK(engine_->Compact());

  EXPECT_LE(ValueFileCount(), kLeftMax);
  Open();
  std::string value;
  ASSERT_OK(engine_->Get("film", &value));
}

TEST_F(ValueSpaceTest, DeletedValuesAreGivenBack) {
  ASSERT_NO_FATAL_FAILURE(Overwrite(10));
  ASSERT_OK(engine_->Delete("film"));

  ASSERT_OK(engine_->Compact());

  EXPECT_LE(ValueFileCount(), kLeftMax);
}

}  // namespace
}  // namespace peat::engine
