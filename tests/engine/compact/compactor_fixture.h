// A store on the simulated file system whose compaction is stepped by hand.
#ifndef PEAT_TESTS_ENGINE_COMPACT_COMPACTOR_FIXTURE_H_
#define PEAT_TESTS_ENGINE_COMPACT_COMPACTOR_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::StatusIs;

constexpr uint64_t kSegmentSize = uint64_t{64} << 10;

class CompactorTest : public ::testing::TestWithParam<ReadMethod> {
 protected:
  CompactorTest() : disk_(1) { Open(); }

  void Open() {
    engine_.reset();
    Config config;
    config.read_method = GetParam();
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.space_extra_min = 0;
    config.background_threads = false;
    config.recovery_threads = 1;
    config.at_compaction_point = [this](CompactionPoint point) {
      if (at_point_ == nullptr || point != at_) return;
      std::exchange(at_point_, nullptr)();
    };
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(disk_, "store", config);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  // Does `what` once, at `point` of the next compaction.
  void At(CompactionPoint point, std::function<void()> what) {
    at_ = point;
    at_point_ = std::move(what);
  }

  static std::string Key(int i) { return "key" + std::to_string(i); }

  // Puts keys [begin, end) with values of 1,000 bytes: 63 to a segment.
  void Fill(int begin, int end, char value = 'v') {
    for (int i = begin; i < end; ++i) {
      ASSERT_OK(engine_->Put(Key(i), std::string(1000, value)));
    }
  }
  void Erase(int begin, int end) {
    for (int i = begin; i < end; ++i) ASSERT_OK(engine_->Delete(Key(i)));
  }
  // Everything so far lies in sealed segments but the last few records.
  void Seal() {
    ASSERT_OK(engine_->Flush());
    engine_->RunSync();
  }

  std::optional<char> Get(int i) const {
    std::string value;
    const absl::Status status = engine_->Get(Key(i), &value);
    if (absl::IsNotFound(status)) return std::nullopt;
    EXPECT_OK(status);
    return value.empty() ? '-' : value[0];
  }

  void CompactUntilDone() {
    for (int i = 0; i < 1000; ++i) {
      const absl::StatusOr<Compactor::Step> step = engine_->RunCompaction();
      ASSERT_OK(step);
      if (*step != Compactor::Step::kDone) return;
    }
    FAIL() << "compaction finds no end";
  }

  Stats TheStats() const { return engine_->GetStats(); }
  size_t FileCount(const std::string& suffix) const {
    size_t count = 0;
    for (const std::string& name : disk_.ListFiles("store")) {
      count += name.ends_with(suffix) ? 1 : 0;
    }
    return count;
  }

  SimFileSystem disk_;
  CompactionPoint at_ = CompactionPoint::kScanned;
  std::function<void()> at_point_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace peat::engine

#endif  // PEAT_TESTS_ENGINE_COMPACT_COMPACTOR_FIXTURE_H_
