// A store beside what else a process does: forks, and limits.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/scoped_limit.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::IsOk;
using ::peat::testing::Read;
using ::peat::testing::RunInChild;
using ::peat::testing::ScopedLimit;
using ::peat::testing::StatusIs;
using ::testing::Optional;

class TroubleProcessTest : public ::peat::testing::StoreFixture {};

// Counts the calls of a forked child that are not refused.
int CallsThatAreNotRefused(Store& store) {
  int wrong = 0;
  const auto expect_refusal = [&](const absl::Status& status) {
    wrong += status.code() == StatusCode::kFailedPrecondition ? 0 : 1;
  };
  std::string value;
  WriteBatch batch;
  batch.Put("k", "v");
  const std::vector<std::string_view> keys = {"k"};
  std::vector<Lookup> results(1);
  expect_refusal(store.Get("k", &value));
  expect_refusal(store.GetPinned("k").status());
  expect_refusal(store.MultiGet(keys, results));
  expect_refusal(store.State("k").status());
  expect_refusal(store.Put("k", "child"));
  expect_refusal(store.PutIfAbsent("new", "child").status());
  expect_refusal(store.Update("k", "child").status());
  expect_refusal(store.CompareAndSet("k", "v", "child").status());
  expect_refusal(store.Delete("k").status());
  expect_refusal(store.Write(batch));
  expect_refusal(store.Flush().status());
  expect_refusal(store.Close());
  (void)store.GetStats();
  return wrong;
}

TEST_F(TroubleProcessTest, EveryCallInAForkedChildIsRefused) {
  std::unique_ptr<Store> store = Open();
  ASSERT_OK(store->Put("k", "v"));

  EXPECT_EQ(RunInChild([&] {
              const int wrong = CallsThatAreNotRefused(*store);
              store.reset();
              return wrong;
            }),
            0);

  // The child is gone, and took nothing along.
  EXPECT_THAT(Read(*store, "k"), Optional(std::string("v")));
  ASSERT_OK(store->Put("k", "w"));
  ASSERT_OK(store->Flush());
  EXPECT_THAT(TryOpen(), StatusIs(StatusCode::kUnavailable));
  ASSERT_OK(store->Close());
  EXPECT_THAT(Read(*Open(), "k"), Optional(std::string("w")));
}

TEST_F(TroubleProcessTest, AForkedChildMayOpenAnotherStore) {
  PEAT_SKIP_UNDER_TSAN();
  std::unique_ptr<Store> store = Open();
  ASSERT_OK(store->Put("k", "v"));
  PinnedValue pinned = store->GetPinned("k").value();

  EXPECT_EQ(RunInChild([&] {
              const auto other = Store::Open(dir_.path() / "other");
              if (!other.ok()) return 1;
              // Ends in the child as everywhere, and hurts nobody's memory.
              pinned = PinnedValue();
              for (int i = 0; i < 2000; ++i) {
                const std::string key = std::to_string(i);
                if (!(*other)->Put(key, std::string(1000, 'c')).ok()) return 2;
              }
              std::string value;
              if (!(*other)->Get("1999", &value).ok()) return 3;
              if (!(*other)->Flush().ok()) return 4;
              return (*other)->Close().ok() ? 0 : 5;
            }),
            0);

  EXPECT_EQ(std::string_view(pinned), "v");
  EXPECT_OK(store->Put("k", "w"));
}

TEST_F(TroubleProcessTest, AChildOutlivingItsParentHoldsNoLock) {
  PEAT_SKIP_UNDER_TSAN();
  ::peat::testing::Gate opened;
  ::peat::testing::Gate end;
  const pid_t parent = ::peat::testing::StartChild([&] {
    const auto store = TryOpen();
    if (!store.ok() || !(*store)->Put("k", "v").ok()) return 1;
    // It says itself that it has begun: by then it holds no lock.
    (void)::peat::testing::StartChild([&] {
      opened.Open();
      return end.Wait() ? 0 : 1;
    });
    pause();
    return 0;
  });
  ASSERT_TRUE(opened.Wait());

  kill(parent, SIGKILL);
  EXPECT_EQ(::peat::testing::WaitFor(parent), -SIGKILL);

  EXPECT_THAT(Read(*Open(), "k"), Optional(std::string("v")));
  end.Open();
}

TEST_F(TroubleProcessTest, TheLimitOnOpenFilesIsAClearStatus) {
  PEAT_SKIP_UNDER_TSAN();
  const std::string large(300'000, 'L');
  {
    const std::unique_ptr<Store> store = Open();
    ASSERT_OK(store->Put("k", "v"));
    ASSERT_OK(store->Put("large", large));
  }
  for (rlim_t limit = 3; limit < 30; ++limit) {
    SCOPED_TRACE(limit);
    EXPECT_EQ(RunInChild([&] {
                const ScopedLimit files(RLIMIT_NOFILE, limit);
                const auto store = TryOpen();
                if (!store.ok()) {
                  return absl::IsResourceExhausted(store.status()) ? 0 : 1;
                }
                for (int i = 0; i < 12; ++i) {
                  const absl::Status put = (*store)->Put("k", large);
                  if (put.ok()) continue;
                  if (!absl::IsResourceExhausted(put)) return 2;
                }
                std::string value;
                const absl::Status get = (*store)->Get("large", &value);
                if (!get.ok() && !absl::IsResourceExhausted(get)) return 3;
                const absl::Status put = (*store)->Put("k", "v");
                return put.ok() || absl::IsResourceExhausted(put) ? 0 : 4;
              }),
              0);
    const std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    EXPECT_TRUE(Read(*store, "large") == large);
    EXPECT_TRUE(Read(*store, "k").has_value());
  }
}

// Not enough file handles is no reason to believe that a value is lost.
TEST_F(TroubleProcessTest, RecoveryWithoutFileHandlesCutsNothing) {
  PEAT_SKIP_UNDER_TSAN();
  const std::string large(300'000, 'L');
  ASSERT_EQ(RunInChild([&] {
              const auto store = TryOpen();
              if (!store.ok() || !(*store)->Put("first", "v").ok()) return 1;
              if (!(*store)->Put("large", large).ok()) return 2;
              if (!(*store)->Put("k", "v").ok()) return 2;
              kill(getpid(), SIGKILL);
              return 3;
            }),
            -SIGKILL);

  for (rlim_t limit = 3; limit < 30; ++limit) {
    (void)RunInChild([&] {
      const ScopedLimit files(RLIMIT_NOFILE, limit);
      (void)TryOpen().status();
      kill(getpid(), SIGKILL);
      return 0;
    });
  }

  const std::unique_ptr<Store> store = Open();
  EXPECT_TRUE(Read(*store, "large") == large);
  EXPECT_THAT(Read(*store, "k"), Optional(std::string("v")));
}

TEST_F(TroubleProcessTest, TheLimitOnFileSizesIsAClearStatus) {
  PEAT_SKIP_UNDER_TSAN();
  const std::string value(1000, 'v');
  for (const rlim_t limit : {rlim_t{0}, rlim_t{4096}, rlim_t{1} << 20}) {
    SCOPED_TRACE(limit);
    EXPECT_EQ(RunInChild([&] {
                const auto store = TryOpen();
                if (!store.ok() || !(*store)->Put("k", "v").ok()) return 1;
                const ScopedLimit size(RLIMIT_FSIZE, limit);
                absl::Status status;
                for (int i = 0; i < 3000 && status.ok(); ++i) {
                  status = (*store)->Put(std::to_string(i), value);
                }
                if (limit < 4097 && !absl::IsResourceExhausted(status)) {
                  return 2;
                }
                status = (*store)->Put("l", std::string(2 << 20, 'L'));
                if (!absl::IsResourceExhausted(status)) return 3;
                std::string read;
                return (*store)->Get("k", &read).ok() ? 0 : 4;
              }),
              0);
    const std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    EXPECT_THAT(Read(*store, "k"), Optional(std::string("v")));
    EXPECT_EQ(Read(*store, "0"), value);
  }
}

// The numbers 0 to 2 that `set` has a bit for.
std::vector<int> StandardDescriptors(int set) {
  std::vector<int> descriptors;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if ((set & (1 << fd)) != 0) descriptors.push_back(fd);
  }
  return descriptors;
}

// Uses a store whose process had `closed` closed; 0, or what went wrong.
int UseStoreWithout(const std::vector<int>& closed,
                    const std::filesystem::path& path) {
  for (const int fd : closed) close(fd);
  const auto store = Store::Open(path);
  if (!store.ok()) return 1;
  for (int i = 0; i < 40; ++i) {
    if (!(*store)->Put(std::to_string(i), std::string(100'000, 'v')).ok()) {
      return 2;
    }
    for (const int fd : closed) {
      if (write(fd, "printed", 7) != -1 || errno != EBADF) return 3;
    }
  }
  if (!(*store)->Put("large", std::string(3 << 20, 'v')).ok()) return 4;
  if (!(*store)->Checkpoint(path.string() + "_copy").ok()) return 5;
  return (*store)->Close().ok() ? 0 : 6;
}

TEST_F(TroubleProcessTest, NoFileOfAStoreHasAStandardDescriptor) {
  PEAT_SKIP_UNDER_TSAN();
  for (int set = 1; set < 8; ++set) {
    SCOPED_TRACE(set);
    const std::filesystem::path path = dir_.path() / std::to_string(set);

    EXPECT_EQ(RunInChild([&] {
                return UseStoreWithout(StandardDescriptors(set), path);
              }),
              0);

    const auto store = Store::Open(path);
    ASSERT_OK(store);
    EXPECT_EQ((*store)->GetStats().key_count, 41u);
  }
}

TEST_F(TroubleProcessTest, TheThreadsOfAStoreTakeNoSignalOfTheApplication) {
  PEAT_SKIP_UNDER_TSAN();
  EXPECT_EQ(RunInChild([&] {
              // Its threads begin while the application blocks no signal.
              const auto store = TryOpen({.ordered = true});
              if (!store.ok()) return 1;
              sigset_t all;
              sigfillset(&all);
              if (pthread_sigmask(SIG_BLOCK, &all, nullptr) != 0) return 2;
              for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1,
                                       SIGALRM, SIGCHLD, SIGRTMIN}) {
                if (kill(getpid(), signal) != 0) return 3;
                sigset_t pending;
                sigpending(&pending);
                if (sigismember(&pending, signal) != 1) return 4;
              }
              return (*store)->Put("k", "v").ok() ? 0 : 5;
            }),
            0);
}

TEST_F(TroubleProcessTest, AStrayStoreOfTheProgramDoesNotReachWhatIsSealed) {
  const std::unique_ptr<Store> store = Open();
  ASSERT_OK(store->Put("k", "value"));
  ASSERT_OK(store->Checkpoint(dir_.path() / "copy"));  // seals
  const PinnedValue pinned = store->GetPinned("k").value();
  const std::string_view value(pinned);
  int ends[2] = {-1, -1};
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  ASSERT_EQ(write(ends[1], "x", 1), 1);

  // The kernel stores as the program would, and says that it faults.
  EXPECT_EQ(read(ends[0], const_cast<char*>(value.data()), 1), -1);
  EXPECT_EQ(errno, EFAULT);

  EXPECT_EQ(value, "value");
  ASSERT_OK(store->Put("other", "value"));
  EXPECT_THAT(Read(*store, "k"), Optional(std::string("value")));
  for (const int end : ends) close(end);
}

}  // namespace
}  // namespace peat
