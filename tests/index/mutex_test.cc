// Tests of the annotated locks.

#include "index/mutex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace peat::index {
namespace {

TEST(MutexTest, LetsOneThreadInAtATime) {
  Mutex mutex;
  int count = 0;
  std::vector<std::thread> threads;

  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) {
        const MutexLock lock(&mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(count, 4000);
}

TEST(MutexTest, IsFreeAfterRelease) {
  Mutex mutex;
  MutexLock lock(&mutex);

  lock.Release();

  if (mutex.TryLock()) {
    mutex.Unlock();
  } else {
    ADD_FAILURE() << "still held";
  }
}

#ifndef NDEBUG

TEST(MutexDeathTest, IsTakenInTheOrderOfRanksAlone) {
  Mutex appender(LockRank::kAppender);
  Mutex segment_set(LockRank::kSegmentSet);
  {
    const MutexLock first(&appender);
    const MutexLock second(&segment_set);
  }
  const MutexLock first(&segment_set);
  EXPECT_DEATH(const MutexLock second(&appender), "");
  Mutex other(LockRank::kSegmentSet);
  EXPECT_DEATH(const MutexLock second(&other), "");
}

TEST(MutexTest, MayBeTriedInAnyOrder) {
  Mutex appender(LockRank::kAppender);
  Mutex leaf;
  const MutexLock first(&leaf);

  if (appender.TryLock()) {
    appender.Unlock();
  } else {
    ADD_FAILURE() << "it was free";
  }
}

#endif

TEST(CondVarTest, WakesTheWaiter) {
  Mutex mutex;
  CondVar changed;
  bool is_set = false;

  std::thread setter([&] {
    const MutexLock lock(&mutex);
    is_set = true;
    changed.SignalAll();
  });
  {
    const MutexLock lock(&mutex);
    while (!is_set) changed.Wait(&mutex);
  }
  setter.join();

  EXPECT_TRUE(is_set);
}

TEST(CondVarTest, ReportsThatTimeIsUp) {
  Mutex mutex;
  CondVar never;

  const MutexLock lock(&mutex);
  bool is_up = false;
  while (!is_up) is_up = never.WaitFor(&mutex, std::chrono::milliseconds(1));

  EXPECT_TRUE(is_up);
}

}  // namespace
}  // namespace peat::index
