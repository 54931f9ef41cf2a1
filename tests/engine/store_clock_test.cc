// The store's time: it never goes back, whatever the machine's clock does while
// the store is open, while it is closed, and after a loss of power.

#include "engine/log/store_clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::CrashKind;
using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::StatusIs;

constexpr Millis kBegin = 1'700'000'000'000;
constexpr Millis kSecond = 1'000;

class StoreClockTest : public ::testing::Test {
 protected:
  StoreClockTest() : disk_(1) {}

  Config MakeConfig() {
    Config config;
    config.segment_size_min = uint64_t{64} << 10;
    config.segment_size_max = uint64_t{64} << 10;
    config.background_threads = false;
    config.wall_clock = [this] { return now_ * 1'000; };
    config.has_coarse_clock = false;
    return config;
  }

  void Open() {
    store_.reset();
    auto store = Engine::Open(disk_, "store", MakeConfig());
    ASSERT_OK(store);
    store_ = *std::move(store);
  }

  bool IsThere(const std::string& key) {
    std::string value;
    const absl::Status status = store_->Get(key, &value);
    if (!status.ok()) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
    }
    return status.ok();
  }

  SimFileSystem disk_;
  Millis now_ = kBegin;
  std::unique_ptr<Engine> store_;
};

TEST_F(StoreClockTest, NeverGoesBackWhileItRuns) {
  StoreClock clock(0);
  int due_count = 0;
  clock.SetSource(MakeConfig(), [&due_count] { ++due_count; });
  EXPECT_EQ(clock.highest(), 0U);
  EXPECT_EQ(clock.TimeToSync(), 0U);
  EXPECT_EQ(clock.Peek(), kBegin);
  EXPECT_EQ(clock.highest(), 0U);

  EXPECT_EQ(clock.Now(), kBegin);
  EXPECT_EQ(due_count, 1);
  now_ = kBegin - 5 * kSecond;
  EXPECT_EQ(clock.Now(), kBegin);
  EXPECT_EQ(clock.Peek(), kBegin);
  EXPECT_TRUE(clock.HasCome(kBegin));
  EXPECT_FALSE(clock.HasCome(kBegin + 1));
  now_ = kBegin + 5;
  EXPECT_FALSE(clock.HasCome(kBegin + 6));
  EXPECT_TRUE(clock.HasCome(kBegin + 5));
  EXPECT_FALSE(clock.HasCome(format::kNever));
  EXPECT_EQ(due_count, 1);
  now_ = kBegin + kSecond;
  EXPECT_FALSE(clock.HasCome(format::kMillisMax));
  EXPECT_EQ(due_count, 2);

  EXPECT_EQ(clock.TimeToSync(), kBegin + kSecond);
  clock.SetDurable(kBegin + kSecond);
  EXPECT_EQ(clock.TimeToSync(), 0U);
  EXPECT_FALSE(clock.IsDue());
}

TEST_F(StoreClockTest, StopsAtTheLastTimeThatARecordMayHold) {
  StoreClock clock(0);
  clock.SetSource(MakeConfig(), [] {});
  now_ = uint64_t{1} << 54;
  EXPECT_EQ(clock.Now(), format::kMillisMax);
}

TEST_F(StoreClockTest, WhatHasExpiredStaysSoWithAClockThatWasSetBack) {
  Open();
  ASSERT_OK(store_->Put("k", "v", kBegin + 10));
  ASSERT_OK(store_->Put("later", "v", kBegin + 10 * kSecond));
  EXPECT_TRUE(IsThere("k"));
  now_ = kBegin + 10;
  ASSERT_OK(store_->Flush());  // nobody has looked at the key
  ASSERT_OK(store_->Close());
  now_ = kBegin - 1'000 * kSecond;
  Open();
  EXPECT_FALSE(IsThere("k"));
  EXPECT_TRUE(IsThere("later"));
  EXPECT_EQ(store_->Now(), kBegin + 10);
  now_ = kBegin + 10 * kSecond;
  EXPECT_FALSE(IsThere("later"));
}

// The image holds no more than what the flush has made durable; the clock is
// back by then.
TEST_F(StoreClockTest, WhatHadExpiredAtAFlushStaysSoAfterALossOfPower) {
  Open();
  ASSERT_OK(store_->Put("k", "v", kBegin + 10));
  ASSERT_OK(store_->Flush());
  now_ = kBegin + 10;
  ASSERT_OK(store_->Flush());
  ASSERT_OK(store_->Put("other", "v"));
  now_ = kBegin;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    const CrashKind kind = seed == 1   ? CrashKind::kPowerLossNothing
                           : seed == 2 ? CrashKind::kPowerLossEverything
                                       : CrashKind::kPowerLossRandomSubset;
    const std::unique_ptr<SimFileSystem> image = disk_.CrashImage(kind, seed);
    auto after = Engine::Open(*image, "store", MakeConfig());
    ASSERT_OK(after);
    std::string value;
    EXPECT_THAT((*after)->Get("k", &value),
                StatusIs(absl::StatusCode::kNotFound));
    EXPECT_GE((*after)->Now(), kBegin + 10);
  }
}

// Without a flush: what the process wrote is there, and so is its time, once
// the background has recorded it.
TEST_F(StoreClockTest, RecordsTheTimeOnceASecondWithoutAFlush) {
  Open();
  ASSERT_OK(store_->Put("k", "v", kBegin + kSecond));
  store_->RunSync();
  now_ = kBegin + kSecond;
  EXPECT_FALSE(IsThere("k"));
  store_->RunSync();
  now_ = kBegin - kSecond;
  const std::unique_ptr<SimFileSystem> image =
      disk_.CrashImage(CrashKind::kKill, 1);
  auto after = Engine::Open(*image, "store", MakeConfig());
  ASSERT_OK(after);
  EXPECT_EQ((*after)->Now(), kBegin + kSecond);
}

}  // namespace
}  // namespace peat::engine
