// The background's two functions, called by hand.

#include "engine/housekeeping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::SimOp;

constexpr uint64_t kSegmentSize = uint64_t{64} << 10;

class HousekeepingTest : public ::testing::Test {
 protected:
  HousekeepingTest() : disk_(1) {}

  void Open(SyncPolicy sync = SyncPolicy::kExplicit) {
    Config config;
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.background_threads = false;
    config.sync = sync;
    config.sync_interval = std::chrono::milliseconds(100);
    config.now = [this] { return now_; };
    auto store = Engine::Open(disk_, "store", config);
    ASSERT_OK(store);
    store_ = *std::move(store);
  }

  void Fill(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(store_->Put("key" + std::to_string(i), std::string(1000, 'v')));
    }
  }

  uint64_t CountOf(const std::string& suffix) const {
    uint64_t count = 0;
    for (const std::string& name : disk_.ListFiles("store")) {
      count += name.ends_with(suffix) ? 1 : 0;
    }
    return count;
  }

  SimFileSystem disk_;
  std::chrono::steady_clock::time_point now_;
  std::unique_ptr<Engine> store_;
};

TEST_F(HousekeepingTest, PreparesASegmentOnceTheActiveOneIsHalfFull) {
  Open();
  Fill(10);
  store_->RunSupply();
  EXPECT_EQ(CountOf(".seg"), 1U);

  Fill(25);
  store_->RunSupply();
  store_->RunSupply();

  EXPECT_EQ(CountOf(".seg"), 2U);
}

TEST_F(HousekeepingTest, SealsWhatIsRolledAndSyncedAndCutsItsSpareSpace) {
  Open();
  Fill(70);
  store_->RunSync();
  EXPECT_EQ(disk_.ReadFile("store/000001.seg")->size(), kSegmentSize);
  ASSERT_OK(store_->Flush());

  store_->RunSync();

  EXPECT_LT(disk_.ReadFile("store/000001.seg")->size(), kSegmentSize);
}

TEST_F(HousekeepingTest, FlushesAnIntervalAfterTheFirstWrite) {
  Open(SyncPolicy::kInterval);
  Fill(1);
  store_->RunSync();
  now_ += std::chrono::milliseconds(99);
  store_->RunSync();
  EXPECT_EQ(store_->GetStats().durable_lsn, 0U);

  now_ += std::chrono::milliseconds(1);
  store_->RunSync();

  EXPECT_EQ(store_->GetStats().durable_lsn, 1U);
}

TEST_F(HousekeepingTest, LeavesSyncsToTheCallerUnlessThereIsMuch) {
  Open();
  Fill(20);
  const uint64_t before = disk_.call_count(SimOp::kSync);

  store_->RunSync();

  EXPECT_EQ(disk_.call_count(SimOp::kSync), before);
  EXPECT_EQ(store_->GetStats().durable_lsn, 0U);
}

TEST_F(HousekeepingTest, DoesNothingInAPoisonedStore) {
  Open();
  Fill(70);
  disk_.FailNth({.op = SimOp::kSync, .status = absl::DataLossError("EIO")});
  EXPECT_FALSE(store_->Flush().ok());
  const uint64_t before = disk_.event_count();

  store_->RunSupply();
  store_->RunSync();

  EXPECT_EQ(disk_.event_count(), before);
}

}  // namespace
}  // namespace peat::engine
