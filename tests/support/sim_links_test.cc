// What a power loss does to links and to renames of directories, in the
// simulated file system.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::testing {
namespace {

using engine::Directory;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SimLinksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* path : {"top", "top/a", "top/b"}) {
      ASSERT_OK(disk_.CreateDirectory(path));
    }
    ASSERT_OK_AND_ASSIGN(top_, disk_.OpenDirectory("top"));
    ASSERT_OK_AND_ASSIGN(from_, disk_.OpenDirectory("top/a"));
    ASSERT_OK_AND_ASSIGN(to_, disk_.OpenDirectory("top/b"));
    disk_.WriteFile("top/a/file", "bytes");
  }

  std::unique_ptr<SimFileSystem> LosePower(CrashKind kind) const {
    return disk_.CrashImage(kind, 1);
  }

  SimFileSystem disk_{1};
  std::unique_ptr<Directory> top_;
  std::unique_ptr<Directory> from_;
  std::unique_ptr<Directory> to_;
};

TEST_F(SimLinksTest, LosesALinkThatIsNotSynced) {
  ASSERT_OK(from_->Link("file", *to_));

  const auto disk = LosePower(CrashKind::kPowerLossNothing);

  EXPECT_THAT(disk->ListFiles("top/b"), IsEmpty());
  EXPECT_THAT(disk->ListFiles("top/a"), ElementsAre("file"));
}

TEST_F(SimLinksTest, KeepsASyncedLinkAndTheFileUnderBothNames) {
  ASSERT_OK(from_->Link("file", *to_));
  ASSERT_OK(to_->Sync());

  const auto disk = LosePower(CrashKind::kPowerLossNothing);

  EXPECT_EQ(disk->ReadFile("top/a/file"), "bytes");
  EXPECT_EQ(disk->ReadFile("top/b/file"), "bytes");
}

TEST_F(SimLinksTest, CountsTheSpaceOfALinkedFileOnce) {
  ASSERT_OK_AND_ASSIGN(auto file, from_->Create("large"));
  ASSERT_OK(file->Allocate(100'000));
  const uint64_t used = disk_.used_bytes();

  ASSERT_OK(from_->Link("large", *to_));

  EXPECT_EQ(disk_.used_bytes(), used);
  ASSERT_OK(from_->Unlink("large"));
  EXPECT_EQ(disk_.used_bytes(), used);
}

TEST_F(SimLinksTest, KeepsOrLosesARenameOfADirectoryUntilItIsSynced) {
  ASSERT_OK(top_->Rename("a", "c"));

  const auto lost = LosePower(CrashKind::kPowerLossNothing);
  const auto kept = LosePower(CrashKind::kPowerLossEverything);
  ASSERT_OK(top_->Sync());
  const auto synced = LosePower(CrashKind::kPowerLossNothing);

  EXPECT_EQ(lost->ReadFile("top/a/file"), "bytes");
  EXPECT_EQ(lost->ReadFile("top/c/file"), std::nullopt);
  EXPECT_EQ(kept->ReadFile("top/c/file"), "bytes");
  EXPECT_EQ(kept->ReadFile("top/a/file"), std::nullopt);
  EXPECT_EQ(synced->ReadFile("top/c/file"), "bytes");
}

TEST_F(SimLinksTest, CanKeepARenameWithoutWhatIsInside) {
  ASSERT_OK(from_->Link("file", *to_));
  ASSERT_OK(top_->Rename("b", "c"));
  ASSERT_OK(top_->Sync());

  const auto disk = LosePower(CrashKind::kPowerLossNothing);

  EXPECT_THAT(disk->ListFiles("top/c"), IsEmpty());
}

TEST_F(SimLinksTest, UndoesSeveralRenamesFromTheLast) {
  ASSERT_OK(top_->Rename("a", "c"));
  ASSERT_OK(top_->Rename("c", "d"));

  const auto disk = LosePower(CrashKind::kPowerLossNothing);

  EXPECT_EQ(disk->ReadFile("top/a/file"), "bytes");
  EXPECT_EQ(disk->ReadFile("top/d/file"), std::nullopt);
}

}  // namespace
}  // namespace peat::testing
