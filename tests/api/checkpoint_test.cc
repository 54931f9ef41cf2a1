// Store::Checkpoint on real files: beside writers, across file systems, and as
// an increment.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "peat/store.h"
#include "tests/support/scoped_mount.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::FileImages;
using ::peat::testing::MountKind;
using ::peat::testing::ReadFiles;
using ::peat::testing::ScopedMount;
using ::peat::testing::StatusIs;
using ::peat::testing::StoreFixture;

using Pairs = std::map<std::string, std::string>;

class StoreCheckpointTest : public StoreFixture {
 protected:
  std::filesystem::path copy() const { return dir_.path() / "copy"; }

  static Pairs PairsOf(const Store& store) {
    Pairs pairs;
    Cursor cursor = store.Scan({});
    for (const auto [key, value] : cursor) {
      pairs.emplace(std::string(key), std::string(value));
    }
    EXPECT_OK(cursor.status());
    return pairs;
  }

  static Pairs PairsOf(const std::filesystem::path& path) {
    const auto store = Store::Open(path, {.mode = OpenMode::kReadOnly});
    EXPECT_OK(store);
    return store.ok() ? PairsOf(**store) : Pairs{};
  }

  static void Fill(Store& store, int begin, int end) {
    for (int i = begin; i < end; ++i) {
      ASSERT_OK(store.Put("key" + std::to_string(i), std::string(1000, 'v')));
    }
  }

  // The sizes of all files, by inode.
  static std::map<ino_t, uint64_t> InodesOf(const std::filesystem::path& path) {
    std::map<ino_t, uint64_t> inodes;
    for (const auto& found : std::filesystem::directory_iterator(path)) {
      struct stat status = {};
      EXPECT_EQ(stat(found.path().c_str(), &status), 0);
      inodes[status.st_ino] = static_cast<uint64_t>(status.st_size);
    }
    return inodes;
  }
};

TEST_F(StoreCheckpointTest, EqualsTheStoreAndLivesBesideIt) {
  const std::unique_ptr<Store> store = Open();
  Fill(*store, 0, 5'000);
  ASSERT_OK(store->Put("large", std::string(2'000'000, 'l')));
  const Pairs pairs = PairsOf(*store);
  ASSERT_OK_AND_ASSIGN(const CheckpointResult result,
                       store->Checkpoint(copy()));

  EXPECT_EQ(result.lsn, 5'001U);
  EXPECT_GT(result.linked_bytes, 7'000'000U);
  EXPECT_EQ(result.copied_bytes, 0U);
  ASSERT_OK_AND_ASSIGN(const auto other, Store::Open(copy()));
  EXPECT_EQ(PairsOf(*other), pairs);
  EXPECT_EQ(PairsOf(*store), pairs);
  EXPECT_EQ(other->GetStats().last_lsn, result.lsn);
  ASSERT_OK(other->Put("key1", "there"));
  EXPECT_EQ(PairsOf(*store), pairs);
}

// The nth write of all is n, to one key after the other.
TEST_F(StoreCheckpointTest, IsOfOneMomentWhileAWriterGoesOn) {
  constexpr uint64_t kKeyCount = 1'000;
  const std::unique_ptr<Store> store = Open();
  std::atomic<uint64_t> acknowledged = 0;
  std::atomic<bool> is_over = false;
  std::thread writer([&] {
    for (uint64_t i = 1; !is_over; ++i) {
      ASSERT_OK(store->Put(std::to_string(i % kKeyCount), std::to_string(i)));
      acknowledged = i;
    }
  });
  for (int i = 0; i < 10; ++i) {
    const std::filesystem::path path = dir_.path() / std::to_string(i);
    const uint64_t before = acknowledged;
    const absl::StatusOr<CheckpointResult> result = store->Checkpoint(path);
    EXPECT_OK(result);
    if (!result.ok()) break;
    EXPECT_GE(result->lsn, before);
    const Pairs pairs = PairsOf(path);
    EXPECT_EQ(pairs.size(), std::min(result->lsn, kKeyCount));
    for (const auto& [key, value] : pairs) {
      const uint64_t written = std::stoull(value);
      EXPECT_EQ(std::to_string(written % kKeyCount), key);
      EXPECT_LE(written, result->lsn);
      EXPECT_GT(written + kKeyCount, result->lsn);
    }
  }
  is_over = true;
  writer.join();
  EXPECT_EQ(store->GetStats().last_lsn, acknowledged);
}

TEST_F(StoreCheckpointTest, StaysAsItIsWhateverTheStoreDoes) {
  std::unique_ptr<Store> store = Open();
  Fill(*store, 0, 5'000);
  ASSERT_OK(store->Put("large", std::string(2'000'000, 'l')));
  ASSERT_OK(store->Checkpoint(copy()));
  const FileImages before = ReadFiles(copy());
  Fill(*store, 0, 5'000);
  ASSERT_OK(store->DeletePrefix("key1"));
  ASSERT_OK(store->Delete("large"));
  ASSERT_OK(store->Compact());
  ASSERT_OK(store->Close());
  store = Open();
  ASSERT_OK(store->Compact());
  ASSERT_OK(store->Close());

  EXPECT_EQ(ReadFiles(copy()), before);
  EXPECT_EQ(PairsOf(copy()).size(), 5'001U);
}

TEST_F(StoreCheckpointTest, TakesSpaceForWhatHasChangedOnly) {
  const std::unique_ptr<Store> store = Open({.background_compaction = false});
  Fill(*store, 0, 20'000);
  ASSERT_OK(store->Checkpoint(copy()));
  Fill(*store, 20'000, 20'100);
  ASSERT_OK(store->Checkpoint(dir_.path() / "next"));

  const auto old_inodes = InodesOf(copy());
  uint64_t added = 0;
  for (const auto& [inode, size] : InodesOf(dir_.path() / "next")) {
    if (!old_inodes.contains(inode)) added += size;
  }
  EXPECT_LT(added, 300'000U);
  EXPECT_EQ(PairsOf(dir_.path() / "next").size(), 20'100U);
}

TEST_F(StoreCheckpointTest, CopiesToAnotherFileSystem) {
  const ScopedMount mount(MountKind::kTmpfs, 32);
  if (!mount.is_mounted()) GTEST_SKIP() << "mounting is not permitted";
  const std::unique_ptr<Store> store = Open();
  Fill(*store, 0, 5'000);
  ASSERT_OK(store->Put("large", std::string(2'000'000, 'l')));
  ASSERT_OK_AND_ASSIGN(const CheckpointResult result,
                       store->Checkpoint(mount.path() / "copy"));

  EXPECT_EQ(result.linked_bytes, 0U);
  EXPECT_GT(result.copied_bytes, 7'000'000U);
  EXPECT_EQ(PairsOf(mount.path() / "copy"), PairsOf(*store));
}

TEST_F(StoreCheckpointTest, LeavesNothingOnAFileSystemThatIsTooSmall) {
  const ScopedMount mount(MountKind::kTmpfs, 4);
  if (!mount.is_mounted()) GTEST_SKIP() << "mounting is not permitted";
  const std::unique_ptr<Store> store = Open();
  Fill(*store, 0, 5'000);

  EXPECT_THAT(store->Checkpoint(mount.path() / "copy"),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_TRUE(std::filesystem::is_empty(mount.path()));
  EXPECT_OK(store->Put("more", "value"));
  EXPECT_OK(store->Checkpoint(copy()));
}

TEST_F(StoreCheckpointTest, NeedsAPlaceOfItsOwn) {
  const std::unique_ptr<Store> store = Open();
  Fill(*store, 0, 10);
  std::filesystem::create_directory(copy());
  std::filesystem::create_directory_symlink("store", dir_.path() / "link");

  EXPECT_THAT(store->Checkpoint(copy()), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(store->Checkpoint(path()), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(store->Checkpoint(path() / "copy"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(store->Checkpoint(dir_.path() / "link" / "copy"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(store->Checkpoint(dir_.path() / "none" / "copy"),
              StatusIs(StatusCode::kNotFound));
}

TEST_F(StoreCheckpointTest, NeedsAStoreThatIsOpenToWrite) {
  std::unique_ptr<Store> store = Open();
  ASSERT_OK(store->Close());
  const auto refused = StatusIs(StatusCode::kFailedPrecondition);

  EXPECT_THAT(store->Checkpoint(copy()), refused);
  store = Open({.mode = OpenMode::kReadOnly});
  EXPECT_THAT(store->Checkpoint(copy()), refused);
  EXPECT_FALSE(std::filesystem::exists(copy()));
}

TEST_F(StoreCheckpointTest, HoldsAllMasksSoFar) {
  const std::unique_ptr<Store> store = Open();
  Fill(*store, 0, 3);
  ASSERT_OK(store->Forget("key0", {.reason = "request 17"}));
  ASSERT_OK(store->Disable("key1"));
  ASSERT_OK(store->Checkpoint(copy()));
  ASSERT_OK(store->Forget("key2"));

  ASSERT_OK_AND_ASSIGN(const auto other, Store::Open(copy()));
  EXPECT_EQ(*other->State("key0"), KeyState::kForgotten);
  EXPECT_EQ(*other->State("key1"), KeyState::kDisabled);
  EXPECT_EQ(*other->State("key2"), KeyState::kLive);
}

}  // namespace
}  // namespace peat
