// A full disk, on small file systems of their own: a clear status, nothing
// lost, deletes go on until the reserve is spent, and writes resume by
// themselves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "tests/support/child_process.h"
#include "tests/support/scoped_mount.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::IsOk;
using ::peat::testing::MountKind;
using ::peat::testing::Read;
using ::peat::testing::RunInChild;
using ::peat::testing::ScopedMount;
using ::peat::testing::StatusIs;

constexpr uint64_t kMiB = uint64_t{1} << 20;

class TroubleFullDiskTest : public ::testing::TestWithParam<MountKind> {
 protected:
  TroubleFullDiskTest() : mount_(GetParam(), 16) {}

  void SetUp() override {
    if (!mount_.is_mounted()) GTEST_SKIP() << "mounting is not permitted";
  }

  std::unique_ptr<Store> Open(const Options& options = {}) {
    auto store = Store::Open(mount_.path() / "store", options);
    EXPECT_OK(store);
    return store.ok() ? *std::move(store) : nullptr;
  }

  // Nothing becomes free behind a test's back.
  std::unique_ptr<Store> OpenWithoutCompaction() {
    return Open({.background_compaction = false});
  }

  static std::string KeyOf(int i) { return "key" + std::to_string(i); }

  // Puts until the disk is full; returns how many were acknowledged.
  static int Fill(Store& store) {
    const std::string value(10'000, 'v');
    for (int i = 0;; ++i) {
      const absl::Status put = store.Put(KeyOf(i), value);
      if (put.ok()) continue;
      EXPECT_THAT(put, StatusIs(StatusCode::kResourceExhausted));
      return i;
    }
  }

  static void ExpectAll(const Store& store, int first, int end) {
    for (int i = first; i < end; ++i) {
      ASSERT_TRUE(Read(store, KeyOf(i)).has_value()) << i;
    }
    EXPECT_EQ(store.GetStats().key_count, static_cast<uint64_t>(end - first));
  }

  ScopedMount mount_;
};

INSTANTIATE_TEST_SUITE_P(Mounts, TroubleFullDiskTest,
                         ::testing::Values(MountKind::kTmpfs, MountKind::kExt4),
                         [](const auto& kind) {
                           return kind.param == MountKind::kTmpfs ? "tmpfs"
                                                                  : "ext4";
                         });

TEST_P(TroubleFullDiskTest, AFullDiskLosesNothing) {
  int count = 0;
  {
    const std::unique_ptr<Store> store = Open();
    count = Fill(*store);
    EXPECT_GT(count, 500);
    EXPECT_THAT(store->Put("other", std::string(10'000, 'v')),
                StatusIs(StatusCode::kResourceExhausted));
    EXPECT_THAT(store->Put("large", std::string(2 * kMiB, 'L')),
                StatusIs(StatusCode::kResourceExhausted));
    EXPECT_EQ(Read(*store, "other"), std::nullopt);
    EXPECT_EQ(store->GetStats().value_file_count, 0);
    ExpectAll(*store, 0, count);
    EXPECT_OK(store->Flush());
    EXPECT_OK(store->Close());
  }
  ExpectAll(*Open(), 0, count);
}

TEST_P(TroubleFullDiskTest, WritesResumeWhenSpaceIsBack) {
  const std::unique_ptr<Store> store = Open();
  mount_.AddBallast(5 * kMiB);
  const int count = Fill(*store);

  mount_.RemoveBallast();
  const int more = Fill(*store);

  EXPECT_GT(more, count);
  ExpectAll(*store, 0, more);
}

TEST_P(TroubleFullDiskTest, DeletesGoOnUntilTheReserveIsSpent) {
  int count = 0;
  int deleted = 0;
  {
    const std::unique_ptr<Store> store = OpenWithoutCompaction();
    count = Fill(*store);
    mount_.AddBallast(0);
    ASSERT_GT(count, 100);
    for (; deleted < count - 10; ++deleted) {
      const auto done = store->Delete(KeyOf(deleted));
      ASSERT_OK(done);
      ASSERT_TRUE(*done);
    }
    EXPECT_THAT(store->Put("other", std::string(300'000, 'v')),
                StatusIs(StatusCode::kResourceExhausted));
    ExpectAll(*store, deleted, count);
  }
  const std::unique_ptr<Store> store = Open();
  ExpectAll(*store, deleted, count);
}

TEST_P(TroubleFullDiskTest, ForgetsGoOnUntilTheReserveIsSpent) {
  const std::string large(900'000, 'L');  // in a file of its own
  int count = 0;
  int forgotten = 0;
  {
    const std::unique_ptr<Store> store = OpenWithoutCompaction();
    ASSERT_OK(store->Put("large", large));
    mount_.AddBallast(4 * kMiB);
    count = Fill(*store);
    mount_.AddBallast(0);
    ASSERT_OK(store->Forget("large"));
    // Adds data, so it has to wait, unless the file system finds blocks.
    const absl::Status disabled = store->Disable(KeyOf(0));
    EXPECT_TRUE(disabled.ok() || absl::IsResourceExhausted(disabled))
        << disabled;
    while (forgotten < count && store->Forget(KeyOf(forgotten)).ok()) {
      ++forgotten;
    }
    EXPECT_GE(forgotten, 50);
    EXPECT_THAT(store->Put("other", std::string(300'000, 'v')),
                StatusIs(StatusCode::kResourceExhausted));
    ExpectAll(*store, forgotten, count);
    EXPECT_OK(store->Flush());
  }
  const std::unique_ptr<Store> store = Open();
  ExpectAll(*store, forgotten, count);
  EXPECT_EQ(store->State("large").value(), KeyState::kForgotten);
  mount_.RemoveBallast();
  EXPECT_OK(store->Put("other", "v"));
  EXPECT_OK(store->Disable("other"));
}

TEST_P(TroubleFullDiskTest, TheReserveIsWorthManyDeletesAndComesBack) {
  const std::unique_ptr<Store> store = OpenWithoutCompaction();
  // Keys of 64 KB: some 16 tombstones fill a segment.
  const auto long_key = [](int i) {
    return std::string(65'000, 'k') + std::to_string(i);
  };
  mount_.AddBallast(8 * kMiB);
  int count = 0;
  while (store->Put(long_key(count), "v").ok()) ++count;
  mount_.AddBallast(0);

  int deleted = 0;
  absl::Status status;
  while (deleted < count && status.ok()) {
    status = store->Delete(long_key(deleted)).status();
    if (status.ok()) ++deleted;
  }

  EXPECT_THAT(status, StatusIs(StatusCode::kResourceExhausted));
  EXPECT_GE(deleted, 15);
  EXPECT_FALSE(store->GetStats().reserve_complete);
  EXPECT_EQ(store->GetStats().key_count,
            static_cast<uint64_t>(count - deleted));
  EXPECT_THAT(store->Put("k", "v"), StatusIs(StatusCode::kResourceExhausted));

  mount_.RemoveBallast();
  EXPECT_OK(store->Put("k", "v"));
  EXPECT_TRUE(store->Delete(long_key(deleted)).value());
}

TEST_P(TroubleFullDiskTest, AStoreOpensOnAFullDiskAndDeletes) {
  int count = 0;
  {
    const std::unique_ptr<Store> store = Open();
    mount_.AddBallast(4 * kMiB);
    count = Fill(*store);
  }
  mount_.AddBallast(0);
  EXPECT_LT(mount_.free_bytes(), 4096);
  {
    const std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    ExpectAll(*store, 0, count);
    for (int i = 0; i < 50; ++i) {
      const auto done = store->Delete(KeyOf(i));
      ASSERT_OK(done) << i;
      EXPECT_TRUE(*done);
    }
  }
  ExpectAll(*Open(), 50, count);
  mount_.RemoveBallast();
  const std::unique_ptr<Store> store = Open();
  EXPECT_OK(store->Put(KeyOf(count), "v"));
  ExpectAll(*store, 50, count + 1);
}

TEST_P(TroubleFullDiskTest, CrashLoopsOnAFullDiskCostNoSpace) {
  PEAT_SKIP_UNDER_TSAN();
  int count = 0;
  {
    const std::unique_ptr<Store> store = Open();
    mount_.AddBallast(4 * kMiB);
    count = Fill(*store);
  }
  mount_.AddBallast(0);
  uint64_t free_before = 0;
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(RunInChild([&] {
                const auto store = Store::Open(mount_.path() / "store");
                if (!store.ok()) return 1;
                const absl::Status put =
                    (*store)->Put("k", std::string(99, 'v'));
                if (!put.ok() && !absl::IsResourceExhausted(put)) return 2;
                if (!(*store)->Delete("absent").ok()) return 3;
                kill(getpid(), SIGKILL);
                return 4;
              }),
              -SIGKILL);
    const uint64_t free = mount_.free_bytes();
    if (round > 2) {
      EXPECT_GE(free, free_before) << round;
    }
    free_before = free;
  }
  const std::unique_ptr<Store> store = Open();
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(Read(*store, KeyOf(i)).has_value()) << i;
  }
}

TEST_P(TroubleFullDiskTest, AStoreThatCouldNotBeMadeIsMadeLater) {
  for (const uint64_t left : {0, 4, 16, 64, 80, 200, 1100, 1200, 2200}) {
    SCOPED_TRACE(left);
    std::filesystem::remove_all(mount_.path() / "store");
    mount_.AddBallast(left << 10);
    {
      const auto store = Store::Open(mount_.path() / "store");
      if (store.ok()) {
        EXPECT_THAT((*store)->Put("k", "v"),
                    StatusIs(StatusCode::kResourceExhausted));
        EXPECT_EQ(Read(**store, "k"), std::nullopt);
      } else {
        EXPECT_THAT(store, StatusIs(StatusCode::kResourceExhausted));
      }
    }
    mount_.RemoveBallast();
    const std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    EXPECT_OK(store->Put("k", "v"));
  }
}

}  // namespace
}  // namespace peat
