// The faults that the simulated file system can be ordered to show: failed
// calls and syncs, a full disk, limits, damage.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::testing {
namespace {

using absl::StatusCode;
using engine::Directory;
using engine::File;
using engine::MapMode;
using engine::Mapping;
using engine::OpenMode;
using format::AsBytes;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SimFaultsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(disk_.CreateDirectory("d"));
    ASSERT_OK_AND_ASSIGN(directory_, disk_.OpenDirectory("d"));
  }

  // A durable file of zeros.
  std::unique_ptr<File> CreateDurable(const std::string& name, uint64_t size) {
    absl::StatusOr<std::unique_ptr<File>> file = directory_->Create(name);
    EXPECT_OK(file);
    EXPECT_OK((*file)->Allocate(size));
    EXPECT_OK((*file)->Sync());
    EXPECT_OK(directory_->Sync());
    return *std::move(file);
  }

  std::unique_ptr<Mapping> Map(File& file) {
    auto mapping = file.Map(*file.Size(), MapMode::kReadWrite);
    EXPECT_OK(mapping);
    return *std::move(mapping);
  }

  std::string After(CrashKind kind, const std::string& file) const {
    return disk_.CrashImage(kind, 1)->ReadFile("d/" + file).value_or("gone");
  }

  SimFileSystem disk_{7};
  std::unique_ptr<Directory> directory_;
};

TEST_F(SimFaultsTest, MakesNothingDurableAfterAFailedSync) {
  const auto file = CreateDurable("a", 8192);
  const auto mapping = Map(*file);
  mapping->Store(0, AsBytes("one"));
  mapping->Store(4096, AsBytes("two"));
  disk_.FailNth({.op = SimOp::kSync, .status = absl::DataLossError("EIO")});

  EXPECT_THAT(file->Sync(), StatusIs(StatusCode::kDataLoss));
  EXPECT_OK(file->Sync());
  EXPECT_EQ(disk_.ReadFile("d/a")->substr(0, 3), "one");
  EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a"), std::string(8192, '\0'));
  // Once stored to again, by the same bytes even, its page is durable.
  mapping->Store(4000, AsBytes(std::string_view("\0", 1)));
  ASSERT_OK(file->Sync());
  EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a").substr(0, 3), "one");
  EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a").substr(4096, 1),
            std::string(1, '\0'));
}

TEST_F(SimFaultsTest, KeepsPagesOfAFailedSyncCleanWhenTheProcessDies) {
  const auto file = CreateDurable("a", 3);
  Map(*file)->Store(0, AsBytes("one"));
  disk_.FailNth({.op = SimOp::kSync, .status = absl::DataLossError("EIO")});
  ASSERT_FALSE(file->Sync().ok());
  const auto next = disk_.CrashImage(CrashKind::kKill, 1);
  ASSERT_OK_AND_ASSIGN(const auto directory, next->OpenDirectory("d"));
  ASSERT_OK_AND_ASSIGN(const auto again,
                       directory->Open("a", OpenMode::kReadWrite));

  const auto bytes_after = [&] {
    return *next->CrashImage(CrashKind::kPowerLossNothing, 1)->ReadFile("d/a");
  };
  ASSERT_OK(again->Sync());
  EXPECT_EQ(bytes_after(), std::string(3, '\0'));
  ASSERT_OK(again->WriteAt(0, AsBytes("o")));
  ASSERT_OK(again->Sync());
  EXPECT_EQ(bytes_after(), "one");
}

TEST_F(SimFaultsTest, ReportsAFailedWritebackOnce) {
  const auto file = CreateDurable("a", 3);
  Map(*file)->Store(0, AsBytes("one"));
  disk_.FailWriteback("d/a");

  EXPECT_THAT(file->Sync(), StatusIs(StatusCode::kDataLoss, "fdatasync a"));
  EXPECT_OK(file->Sync());
  EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a"), std::string(3, '\0'));
}

TEST_F(SimFaultsTest, FailsTheNthCall) {
  const auto file = CreateDurable("a", 0);
  disk_.FailNth({.op = SimOp::kWrite,
                 .nth = 2,
                 .status = absl::ResourceExhaustedError("ENOSPC"),
                 .partly = true});

  EXPECT_OK(file->WriteAt(0, AsBytes("11")));
  EXPECT_OK(file->Sync());
  EXPECT_THAT(file->WriteAt(0, AsBytes("2222")),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_EQ(disk_.ReadFile("d/a"), "22");
  EXPECT_OK(file->WriteAt(0, AsBytes("3333")));
  EXPECT_EQ(disk_.call_count(SimOp::kWrite), 3);
}

TEST_F(SimFaultsTest, FailsForEverAndByName) {
  const auto a = CreateDurable("a.seg", 0);
  const auto b = CreateDurable("b.hint", 0);
  disk_.FailNth({.status = absl::DataLossError("EIO"),
                 .forever = true,
                 .name_part = ".seg"});

  EXPECT_OK(b->Sync());
  EXPECT_FALSE(a->Sync().ok());
  EXPECT_FALSE(a->Size().ok());
  EXPECT_OK(b->Size());
  disk_.ClearFaults();
  EXPECT_OK(a->Size());
}

TEST_F(SimFaultsTest, FillsUp) {
  const auto file = CreateDurable("a", 4096);
  disk_.SetCapacity(3 * 4096);
  EXPECT_EQ(disk_.used_bytes(), 4096);
  auto other = CreateDurable("b", 4096);

  EXPECT_THAT(file->Allocate(4 * 4096),
              StatusIs(StatusCode::kResourceExhausted, "fallocate a"));
  EXPECT_EQ(*file->Size(), 2 * 4096);
  EXPECT_THAT(other->WriteAt(4096, AsBytes("x")),
              StatusIs(StatusCode::kResourceExhausted, "pwrite b"));
  Map(*file)->Store(8000, AsBytes("in allocated space"));
  ASSERT_OK(directory_->Unlink("b"));
  EXPECT_FALSE(file->Allocate(3 * 4096).ok());
  other = nullptr;
  EXPECT_OK(file->Allocate(3 * 4096));
  ASSERT_OK(file->Truncate(0));
  EXPECT_EQ(disk_.used_bytes(), 0);
}

TEST_F(SimFaultsTest, KeepsItsCapacityInImages) {
  disk_.SetCapacity(4096);
  CreateDurable("a", 4096);
  const auto image = disk_.CrashImage(CrashKind::kPowerLossNothing, 1);
  ASSERT_OK_AND_ASSIGN(const auto directory, image->OpenDirectory("d"));
  ASSERT_OK_AND_ASSIGN(const auto file, directory->Create("b"));

  EXPECT_FALSE(file->Allocate(4096).ok());
}

TEST_F(SimFaultsTest, AbortsWhereTheMachineWouldSendSigbus) {
  const auto file = CreateDurable("a", 0);
  ASSERT_OK(file->Truncate(8192));
  const auto mapping = Map(*file);
  disk_.SetCapacity(4096);
  mapping->Store(0, AsBytes("takes the page"));

  EXPECT_DEATH(mapping->Store(4096, AsBytes("x")), "check failed");
  ASSERT_OK(file->Truncate(10));
  EXPECT_DEATH(mapping->Store(10, AsBytes("x")), "check failed");
}

TEST_F(SimFaultsTest, LimitsOpenFiles) {
  disk_.SetOpenFileLimit(2);
  auto file = directory_->Create("a");
  ASSERT_OK(file);

  EXPECT_THAT(directory_->Open("a", OpenMode::kRead),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(directory_->Lock("LOCK"),
              StatusIs(StatusCode::kResourceExhausted));
  file->reset();
  EXPECT_OK(directory_->Open("a", OpenMode::kRead));
}

TEST_F(SimFaultsTest, DamagesOnOrder) {
  disk_.WriteFile("d/a", "abc");
  disk_.FlipBit("d/a", 8);
  disk_.CorruptByte("d/a", 2, std::byte{'x'});
  EXPECT_EQ(disk_.ReadFile("d/a"), "acx");
  EXPECT_EQ(After(CrashKind::kPowerLossNothing, "a"), "acx");

  disk_.FailReads("d/a", 1, 1);
  ASSERT_OK_AND_ASSIGN(const auto file, directory_->Open("a", OpenMode::kRead));
  std::byte bytes[2];
  EXPECT_THAT(file->ReadAt(0, bytes), StatusIs(StatusCode::kDataLoss));
  EXPECT_OK(file->ReadAt(2, bytes));
  disk_.RemoveFile("d/a");
  EXPECT_THAT(
      disk_.CrashImage(CrashKind::kPowerLossEverything, 1)->ListFiles("d"),
      IsEmpty());
}

TEST_F(SimFaultsTest, FreesTheLockInImages) {
  ASSERT_OK_AND_ASSIGN(const auto lock, directory_->Lock("LOCK"));
  const auto image = disk_.CrashImage(CrashKind::kKill, 1);
  ASSERT_OK_AND_ASSIGN(const auto directory, image->OpenDirectory("d"));

  EXPECT_OK(directory->Lock("LOCK"));
}

TEST_F(SimFaultsTest, LogsCallsStoresAndTheCrash) {
  const auto file = CreateDurable("a", 3);
  Map(*file)->Store(0, AsBytes("one"));
  disk_.CrashAfter(disk_.event_count());
  ASSERT_FALSE(file->Sync().ok());

  EXPECT_THAT(disk_.OperationLog(), HasSubstr("allocate a offset 0 size 3\n"));
  EXPECT_THAT(disk_.OperationLog(), HasSubstr("store a offset 0 size 3\n"));
  EXPECT_THAT(disk_.OperationLog(), HasSubstr("dead after event "));
}

}  // namespace
}  // namespace peat::testing
