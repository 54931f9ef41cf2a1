// A store that is opened for a write or two at a time, as a command does: it
// must not become one segment for each of its lives.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "format/file_name.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;

class ShortLivesTest : public ::testing::Test {
 protected:
  ShortLivesTest() : disk_(1) {}

  std::unique_ptr<Engine> Open() {
    Config config;
    config.background_threads = false;
    config.background_compaction = joins_at_close_;
    config.recovery_threads = 1;
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(disk_, "store", config);
    EXPECT_OK(engine);
    return engine.ok() ? *std::move(engine) : nullptr;
  }

  void Live(int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const std::unique_ptr<Engine> engine = Open();
      ASSERT_NE(engine, nullptr);
      ASSERT_OK(engine->Put("key" + std::to_string(i), std::to_string(i)));
      ASSERT_OK(engine->Close());
    }
  }

  void ExpectAll(int count) {
    const std::unique_ptr<Engine> engine = Open();
    std::string value;
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(engine->Get("key" + std::to_string(i), &value)) << i;
      ASSERT_EQ(value, std::to_string(i));
    }
  }

  size_t SegmentFileCount() const {
    size_t count = 0;
    for (const std::string& name : disk_.ListFiles("store")) {
      count += name.ends_with(".seg") ? 1 : 0;
    }
    return count;
  }
  format::SegmentId HighestId() const {
    format::SegmentId highest = 0;
    for (const std::string& name : disk_.ListFiles("store")) {
      const auto parsed = format::ParseFileName(name);
      if (parsed.has_value()) highest = std::max(highest, parsed->id);
    }
    return highest;
  }

  bool joins_at_close_ = true;
  SimFileSystem disk_;
};

TEST_F(ShortLivesTest, JoinWhatTheyLeaveAtClose) {
  ASSERT_NO_FATAL_FAILURE(Live(0, 400));

  EXPECT_LT(SegmentFileCount(), 64u);
  ExpectAll(400);
}

TEST_F(ShortLivesTest, OverwritingOneKeyLeaveFewSegments) {
  for (int i = 0; i < 200; ++i) ASSERT_NO_FATAL_FAILURE(Live(0, 1));

  EXPECT_LT(SegmentFileCount(), 64u);
  ExpectAll(1);
}

TEST_F(ShortLivesTest, AreOneSegmentAfterACompactionOfAll) {
  joins_at_close_ = false;
  ASSERT_NO_FATAL_FAILURE(Live(0, 600));
  EXPECT_GT(SegmentFileCount(), 500u);

  ASSERT_OK(Open()->Compact());

  EXPECT_LE(SegmentFileCount(), 3u);  // one cannot be an input
  ExpectAll(600);
}

TEST_F(ShortLivesTest, ACompactionOfAllThatHasNothingToDoWritesNothing) {
  ASSERT_NO_FATAL_FAILURE(Live(0, 20));
  ASSERT_OK(Open()->Compact());
  const std::unique_ptr<Engine> engine = Open();

  ASSERT_OK(engine->Compact());

  EXPECT_EQ(engine->GetStats().compaction_written_bytes, 0u);
}

TEST_F(ShortLivesTest, TakeFewIds) {
  ASSERT_NO_FATAL_FAILURE(Live(0, 100));

  EXPECT_LT(HighestId(), 300u);
}

}  // namespace
}  // namespace peat::engine
