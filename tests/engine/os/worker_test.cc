// The pool of the background's workers, when some of their runs do not end.

#include "engine/os/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using peat::testing::IsOk;
using std::chrono::milliseconds;

// Runs that end when they are told to.
class HeldRuns final {
 public:
  ~HeldRuns() { End(); }
  std::function<void()> run() {
    return [this] {
      std::unique_lock<std::mutex> lock(mutex_);
      ++begun_count_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return has_ended_; });
    };
  }
  void AwaitBegun(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return begun_count_ >= count; });
  }
  int begun_count() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return begun_count_;
  }
  void End() {
    const std::lock_guard<std::mutex> lock(mutex_);
    has_ended_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int begun_count_ = 0;
  bool has_ended_ = false;
};

// Runs that end at once, counted.
class CountedRuns final {
 public:
  std::function<void()> run() {
    return [this] {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++count_;
      changed_.notify_all();
    };
  }
  bool Await(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

using Tasks = std::vector<std::unique_ptr<BackgroundTask>>;

class WorkerTest : public ::testing::TestWithParam<Lane> {
 protected:
  void SetUp() override { ASSERT_OK(BackgroundTask::StartWorkers(GetParam())); }

  // More tasks than a lane has places, all of one volume, and awake.
  Tasks Hang(HeldRuns& runs, uint64_t volume) const {
    Tasks tasks;
    for (int i = 0; i < 40; ++i) {
      tasks.push_back(
          std::make_unique<BackgroundTask>(runs.run(), GetParam(), volume));
      tasks.back()->Wake();
    }
    runs.AwaitBegun(place_count());
    return tasks;
  }
  static int place_count() { return GetParam() == Lane::kShort ? 2 : 1; }
};

INSTANTIATE_TEST_SUITE_P(Lanes, WorkerTest,
                         ::testing::Values(Lane::kShort, Lane::kLong,
                                           Lane::kBuild));

TEST_P(WorkerTest, AVolumeThatHangsHoldsUpNoOther) {
  HeldRuns held;
  CountedRuns counted;
  BackgroundTask other(counted.run(), GetParam(), 2);
  {
    const Tasks stuck = Hang(held, 1);

    other.Wake();
    EXPECT_TRUE(counted.Await(1));
    other.WakeAfter(milliseconds(1));
    EXPECT_TRUE(counted.Await(2));

    held.End();
  }
}

TEST_P(WorkerTest, AVolumeThatHangsTakesNoMoreThreadsThanALaneHasPlaces) {
  HeldRuns held;
  CountedRuns counted;
  const Tasks stuck = Hang(held, 1);
  BackgroundTask other(counted.run(), GetParam(), 2);
  for (int i = 0; i < 10; ++i) {
    other.Wake();
    EXPECT_TRUE(counted.Await(i + 1));
  }

  EXPECT_EQ(held.begun_count(), place_count());
  held.End();
}

TEST_P(WorkerTest, EachOfSeveralVolumesMayHang) {
  HeldRuns held;
  CountedRuns counted;
  std::vector<Tasks> stuck;
  for (uint64_t volume = 1; volume <= 4; ++volume) {
    HeldRuns* const runs = &held;
    stuck.emplace_back();
    stuck.back().push_back(
        std::make_unique<BackgroundTask>(runs->run(), GetParam(), volume));
    stuck.back().back()->Wake();
  }
  BackgroundTask other(counted.run(), GetParam(), 5);

  other.Wake();

  EXPECT_TRUE(counted.Await(1));
  held.End();
}

TEST_P(WorkerTest, WhatWaitedForAVolumeRunsWhenItAnswersAgain) {
  HeldRuns held;
  const Tasks stuck = Hang(held, 1);

  held.End();

  held.AwaitBegun(static_cast<int>(stuck.size()));
}

}  // namespace
}  // namespace peat::engine
