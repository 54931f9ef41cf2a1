// Engine::Open() while somebody else has the directory's lock.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "engine/engine.h"
#include "tests/support/child_process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace peat::engine {
namespace {

using absl::StatusCode;
using peat::testing::IsOk;
using peat::testing::StatusIs;
using std::chrono::milliseconds;

class LockWaitTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Engine>> Open(milliseconds lock_wait = {}) {
    Config config{.lock_wait = lock_wait, .background_threads = false};
    config.now = [this] { return now_; };
    config.sleep = [this](milliseconds time) {
      EXPECT_GT(time, milliseconds(0));
      EXPECT_LE(time, milliseconds(100));
      now_ += time;
      ++pause_count_;
      if (at_pause_) at_pause_();
    };
    return Engine::Open(PosixFileSystem(), path_, config);
  }

  testing::TempDir dir_;
  const std::filesystem::path path_ = dir_.path() / "store";
  std::chrono::steady_clock::time_point now_;
  int pause_count_ = 0;
  std::function<void()> at_pause_;
};

TEST_F(LockWaitTest, IsNotWaitedForByDefault) {
  ASSERT_OK_AND_ASSIGN(const auto first, Open());

  EXPECT_THAT(Open(), StatusIs(StatusCode::kUnavailable,
                               "LOCK is locked by this process"));
  EXPECT_EQ(pause_count_, 0);
}

TEST_F(LockWaitTest, EndsAsSoonAsTheLockIsFree) {
  ASSERT_OK_AND_ASSIGN(auto first, Open());
  at_pause_ = [&] {
    if (pause_count_ == 12) first.reset();
  };

  EXPECT_OK(Open(milliseconds(60'000)));
  EXPECT_EQ(pause_count_, 12);
}

TEST_F(LockWaitTest, LastsNoLongerThanItMay) {
  ASSERT_OK_AND_ASSIGN(const auto first, Open());
  const auto begin = now_;

  EXPECT_THAT(Open(milliseconds(2345)),
              StatusIs(StatusCode::kUnavailable,
                       "LOCK is locked by this process, after 2345 ms"));
  EXPECT_EQ(now_ - begin, milliseconds(2345));
}

TEST_F(LockWaitTest, FindsTheDirectoryThatTookThePlaceOfTheLockedOne) {
  ASSERT_OK_AND_ASSIGN(auto first, Open());
  ASSERT_OK(first->Put("key", "old"));
  at_pause_ = [&] { std::filesystem::rename(path_, dir_.path() / "moved"); };

  ASSERT_OK_AND_ASSIGN(const auto second, Open(milliseconds(1000)));

  std::string value;
  EXPECT_THAT(second->Get("key", &value), StatusIs(StatusCode::kNotFound));
  EXPECT_EQ(pause_count_, 1);
}

TEST_F(LockWaitTest, AnotherProcessThatHasTheLockIsNamed) {
  peat::testing::Gate locked;
  const pid_t holder = peat::testing::StartChild([&] {
    prctl(PR_SET_NAME, "old\nwriter");
    const auto engine = Open();
    locked.Open();
    pause();
    return 0;
  });
  ASSERT_TRUE(locked.Wait());

  EXPECT_THAT(Open(), StatusIs(StatusCode::kUnavailable,
                               absl::StrFormat("LOCK is locked by process %d "
                                               "(old\\nwriter)",
                                               holder)));

  kill(holder, SIGKILL);
  EXPECT_EQ(peat::testing::WaitFor(holder), -SIGKILL);
  EXPECT_OK(Open());
}

}  // namespace
}  // namespace peat::engine
