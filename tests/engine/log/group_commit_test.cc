// Group commit alone: how many syncs there are, and what a failed one leaves.

#include "engine/log/group_commit.h"

#include <ctime>
#include <thread>

#include "absl/synchronization/notification.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "tests/engine/log/log_fixture.h"
#include "tests/support/threads.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::RunThreads;
using ::peat::testing::SimOp;
using ::peat::testing::StatusIs;

constexpr std::chrono::milliseconds kSyncTime{200};

class GroupCommitTest : public LogFixture {
 protected:
  GroupCommitTest()
      : syncer_(directory_.get(), &appender_, &manifest_, &poison_, 0) {
    Prepare(1);
  }

  GroupCommit syncer_;
};

TEST_F(GroupCommitTest, SyncsNothingTwice) {
  ASSERT_TRUE(AppendPut("a", 10));
  ASSERT_TRUE(AppendPut("b", 10));

  ASSERT_OK(syncer_.SyncUpTo(1));
  ASSERT_OK(syncer_.SyncUpTo(2));
  ASSERT_OK(syncer_.SyncUpTo(0));

  EXPECT_EQ(syncer_.durable_lsn(), 2U);
  EXPECT_EQ(syncer_.sync_count(), 1U);
}

// Whoever comes while a sync is under way is covered by the next, all of them.
TEST_F(GroupCommitTest, SyncsOnceForAllWhoWait) {
  ASSERT_TRUE(AppendPut("a", 10));
  absl::Notification is_syncing;
  absl::Notification go_on;
  at_call_ = [&, is_first = true](SimOp op) mutable {
    if (op != SimOp::kSync || !std::exchange(is_first, false)) return;
    is_syncing.Notify();
    go_on.WaitForNotification();
  };
  std::thread leader([this] { EXPECT_OK(syncer_.SyncUpTo(1)); });
  is_syncing.WaitForNotification();
  ASSERT_TRUE(AppendPut("b", 10));
  std::thread last([&go_on] { go_on.Notify(); });

  RunThreads(4, [this](int) { EXPECT_OK(syncer_.SyncUpTo(2)); });

  leader.join();
  last.join();
  EXPECT_EQ(syncer_.durable_lsn(), 2U);
  EXPECT_EQ(syncer_.sync_count(), 2U);
}

TEST_F(GroupCommitTest, IsPoisonedByAFailedSyncAndNeverTriesAgain) {
  ASSERT_TRUE(AppendPut("a", 10));
  disk_.FailNth({.op = SimOp::kSync, .status = absl::DataLossError("EIO")});

  EXPECT_THAT(syncer_.SyncUpTo(1),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(syncer_.SyncUpTo(1),
              StatusIs(absl::StatusCode::kFailedPrecondition));

  EXPECT_TRUE(poison_.is_set());
  EXPECT_EQ(syncer_.durable_lsn(), 0U);
  EXPECT_EQ(disk_.call_count(SimOp::kSync), 1U);
}

TEST_F(GroupCommitTest, SyncsValueFilesAndTheirNamesFirst) {
  auto file = directory_->Create("000009.val");
  ASSERT_OK(file);
  appender_.AddValueFile(*std::move(file), 100);
  ASSERT_TRUE(AppendPut("a", 10));
  std::vector<SimOp> calls;
  at_call_ = [&calls](SimOp op) { calls.push_back(op); };

  ASSERT_OK(syncer_.SyncUpTo(1));

  EXPECT_THAT(calls, ::testing::ElementsAre(SimOp::kSync, SimOp::kSyncDirectory,
                                            SimOp::kSync));
}

// The second leader waits for as many as the first sync had, as long as that
// took; the processor is left to others meanwhile.
TEST_F(GroupCommitTest, SleepsWhileItWaitsForOthersToCome) {
  at_call_ = [](SimOp op) {
    if (op == SimOp::kSync) std::this_thread::sleep_for(kSyncTime);
  };
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(AppendPut("a", 10));

  const std::clock_t before = std::clock();
  RunThreads(2, [this](int i) {
    EXPECT_OK(syncer_.SyncUpTo(static_cast<format::Lsn>(i + 1)));
  });
  const std::clock_t spent = std::clock() - before;

  EXPECT_LT(spent, CLOCKS_PER_SEC / 20);
}

}  // namespace
}  // namespace peat::engine
