// An engine on segments so small that every record moves all the time, and
// threads beside a compaction that never rests.

#ifndef PEAT_TESTS_CONCURRENCY_COMPACTION_RACE_FIXTURE_H_
#define PEAT_TESTS_CONCURRENCY_COMPACTION_RACE_FIXTURE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "engine/engine.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/threads.h"

namespace peat::testing {

class CompactionRaceFixture
    : public ::testing::TestWithParam<engine::ReadMethod> {
 protected:
  explicit CompactionRaceFixture(TempDir::Place place = TempDir::Place::kDisk)
      : dir_(place) {
    config_.read_method = GetParam();
    config_.segment_size_min = uint64_t{16} << 10;
    config_.segment_size_max = uint64_t{16} << 10;
    config_.space_extra_min = 0;
    config_.max_space_amplification = 1.2;
  }

  void SetUp() override { Open(); }

  void Open() {
    engine_.reset();
    absl::StatusOr<std::unique_ptr<engine::Engine>> engine =
        engine::Engine::Open(engine::PosixFileSystem(), dir_.path() / "store",
                             config_);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  // Runs `body` on `count` threads, and full passes until all have returned.
  void RunBesideCompaction(int count, const std::function<void(int)>& body) {
    std::atomic<int> running = count;
    std::thread compactor([&] {
      while (running > 0) EXPECT_OK(engine_->Compact());
    });
    RunThreads(count, [&](int thread) {
      body(thread);
      --running;
    });
    compactor.join();
  }

  TempDir dir_;
  engine::Config config_;
  std::unique_ptr<engine::Engine> engine_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_CONCURRENCY_COMPACTION_RACE_FIXTURE_H_
