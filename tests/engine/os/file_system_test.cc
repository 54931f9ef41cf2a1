// The contract of file_system.h, kept by the machine's file system and by the
// simulated one.

#include "engine/os/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace peat::engine {
namespace {

using absl::StatusCode;
using format::AsBytes;
using peat::testing::IsOk;
using peat::testing::SimFileSystem;
using peat::testing::StatusIs;
using peat::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

enum class Kind { kPosix, kSimulated };

class FileSystemTest : public ::testing::TestWithParam<Kind> {
 protected:
  FileSystemTest() {
    if (GetParam() == Kind::kPosix) {
      path_ = temp_.path() / "store";
      system_ = &PosixFileSystem();
    } else {
      path_ = "store";
      simulated_ = std::make_unique<SimFileSystem>(1);
      system_ = simulated_.get();
    }
  }

  void SetUp() override {
    ASSERT_OK(system_->CreateDirectory(path_));
    ASSERT_OK_AND_ASSIGN(directory_, system_->OpenDirectory(path_));
  }

  std::unique_ptr<File> Create(const std::string& name,
                               std::string_view bytes = "") {
    absl::StatusOr<std::unique_ptr<File>> file = directory_->Create(name);
    EXPECT_OK(file);
    EXPECT_OK((*file)->WriteAt(0, AsBytes(bytes)));
    return *std::move(file);
  }

  std::string Read(const File& file, uint64_t offset = 0, size_t size = 100) {
    std::string bytes(size, '?');
    const absl::StatusOr<size_t> count =
        file.ReadAt(offset, std::as_writable_bytes(std::span(bytes)));
    EXPECT_OK(count);
    bytes.resize(*count);
    return bytes;
  }

  TempDir temp_;
  std::filesystem::path path_;
  std::unique_ptr<SimFileSystem> simulated_;
  FileSystem* system_ = nullptr;
  std::unique_ptr<Directory> directory_;
};

INSTANTIATE_TEST_SUITE_P(Both, FileSystemTest,
                         ::testing::Values(Kind::kPosix, Kind::kSimulated),
                         [](const auto& kind) {
                           return kind.param == Kind::kPosix ? "Posix"
                                                             : "Simulated";
                         });

TEST_P(FileSystemTest, CreatesADirectoryOnce) {
  EXPECT_THAT(system_->CreateDirectory(path_),
              StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(system_->CreateDirectory(path_ / ""),
              StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(system_->CreateDirectory(path_ / "a" / "b"),
              StatusIs(StatusCode::kNotFound));
  EXPECT_OK(system_->CreateDirectory(path_ / "a" / ""));
  EXPECT_THAT(directory_->List(), IsOk());
}

TEST_P(FileSystemTest, OpensOnlyWhatIsADirectory) {
  Create("file");

  EXPECT_THAT(system_->OpenDirectory(path_ / "none"),
              StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(system_->OpenDirectory(path_ / "file"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_OK(system_->OpenDirectory(path_ / ""));
}

TEST_P(FileSystemTest, CreatesANewFileOnly) {
  Create("a", "first");

  EXPECT_THAT(directory_->Create("a"), StatusIs(StatusCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(auto file, directory_->Open("a", OpenMode::kRead));
  EXPECT_EQ(Read(*file), "first");
}

TEST_P(FileSystemTest, NamesTheFileAndTheCallThatFailed) {
  EXPECT_THAT(directory_->Open("000042.seg", OpenMode::kRead),
              StatusIs(StatusCode::kNotFound, "open 000042.seg: "));
  EXPECT_THAT(directory_->Unlink("000042.seg"),
              StatusIs(StatusCode::kNotFound, "unlink 000042.seg: "));
  EXPECT_THAT(directory_->Rename("000042.seg", "b"),
              StatusIs(StatusCode::kNotFound, "rename 000042.seg: "));
}

TEST_P(FileSystemTest, RefusesNamesThatArePaths) {
  const std::string with_zero("a\0b", 3);
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"),
        std::string("/a"), with_zero}) {
    SCOPED_TRACE(name);
    const auto refused = StatusIs(StatusCode::kInvalidArgument);
    EXPECT_THAT(directory_->Create(name), refused);
    EXPECT_THAT(directory_->Open(name, OpenMode::kRead), refused);
    EXPECT_THAT(directory_->Unlink(name), refused);
    EXPECT_THAT(directory_->Rename(name, "b"), refused);
    EXPECT_THAT(directory_->Rename("b", name), refused);
    EXPECT_THAT(directory_->Link(name, *directory_), refused);
    EXPECT_THAT(directory_->RemoveDirectory(name), refused);
    EXPECT_THAT(directory_->Lock(name), refused);
  }
}

TEST_P(FileSystemTest, ListsAllNamesInOrder) {
  EXPECT_THAT(*directory_->List(), IsEmpty());
  Create("b");
  Create("a");
  ASSERT_OK(system_->CreateDirectory(path_ / "aa"));

  EXPECT_THAT(*directory_->List(), ElementsAre("a", "aa", "b"));
  EXPECT_THAT(*directory_->List(), ElementsAre("a", "aa", "b"));
}

TEST_P(FileSystemTest, OpensNoDirectoryAsAFile) {
  ASSERT_OK(system_->CreateDirectory(path_ / "aa"));

  EXPECT_THAT(directory_->Open("aa", OpenMode::kRead),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(directory_->Create("aa"), StatusIs(StatusCode::kAlreadyExists));
}

TEST_P(FileSystemTest, KeepsAnUnlinkedFileForThoseWhoHaveIt) {
  const auto file = Create("a", "bytes");
  ASSERT_OK_AND_ASSIGN(const auto mapping, file->Map(5, MapMode::kReadWrite));
  ASSERT_OK(directory_->Unlink("a"));

  EXPECT_THAT(*directory_->List(), IsEmpty());
  EXPECT_EQ(Read(*file), "bytes");
  mapping->Store(0, AsBytes("B"));
  EXPECT_EQ(Read(*file), "Bytes");
}

TEST_P(FileSystemTest, RenamesOverAnotherFile) {
  Create("a", "new");
  Create("b", "old");
  ASSERT_OK(directory_->Rename("a", "b"));
  ASSERT_OK(directory_->Rename("b", "b"));

  EXPECT_THAT(*directory_->List(), ElementsAre("b"));
  ASSERT_OK_AND_ASSIGN(auto file, directory_->Open("b", OpenMode::kRead));
  EXPECT_EQ(Read(*file), "new");
}

TEST_P(FileSystemTest, LinksAFileIntoAnotherDirectory) {
  const auto file = Create("a", "bytes");
  ASSERT_OK(system_->CreateDirectory(path_ / "d"));
  ASSERT_OK_AND_ASSIGN(auto other, system_->OpenDirectory(path_ / "d"));
  ASSERT_OK(directory_->Link("a", *other));
  ASSERT_OK(file->WriteAt(0, AsBytes("B")));

  ASSERT_OK_AND_ASSIGN(auto linked, other->Open("a", OpenMode::kRead));
  EXPECT_EQ(Read(*linked), "Bytes");
  EXPECT_THAT(*directory_->List(), ElementsAre("a", "d"));
  EXPECT_THAT(directory_->Link("a", *other),
              StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(directory_->Link("none", *other),
              StatusIs(StatusCode::kNotFound, "link none: "));
}

TEST_P(FileSystemTest, KeepsALinkedFileUntilItHasNoName) {
  Create("a", "bytes");
  ASSERT_OK(system_->CreateDirectory(path_ / "d"));
  ASSERT_OK_AND_ASSIGN(auto other, system_->OpenDirectory(path_ / "d"));
  ASSERT_OK(directory_->Link("a", *other));
  ASSERT_OK(directory_->Unlink("a"));

  ASSERT_OK_AND_ASSIGN(auto linked, other->Open("a", OpenMode::kRead));
  EXPECT_EQ(Read(*linked), "bytes");
}

TEST_P(FileSystemTest, RenamesADirectoryOverNothingOrAnEmptyOne) {
  for (const char* name : {"a", "empty", "full"}) {
    ASSERT_OK(system_->CreateDirectory(path_ / name));
  }
  ASSERT_OK_AND_ASSIGN(auto moved, system_->OpenDirectory(path_ / "a"));
  ASSERT_OK(moved->Create("file"));
  ASSERT_OK_AND_ASSIGN(auto full, system_->OpenDirectory(path_ / "full"));
  ASSERT_OK(full->Create("file"));

  EXPECT_FALSE(directory_->Rename("a", "full").ok());
  EXPECT_OK(directory_->Rename("a", "b"));
  EXPECT_OK(directory_->Rename("b", "empty"));
  EXPECT_THAT(*directory_->List(), ElementsAre("empty", "full"));
  ASSERT_OK_AND_ASSIGN(moved, system_->OpenDirectory(path_ / "empty"));
  EXPECT_THAT(*moved->List(), ElementsAre("file"));
}

TEST_P(FileSystemTest, RemovesAnEmptyDirectoryOnly) {
  ASSERT_OK(system_->CreateDirectory(path_ / "d"));
  ASSERT_OK_AND_ASSIGN(auto other, system_->OpenDirectory(path_ / "d"));
  ASSERT_OK(other->Create("file"));
  EXPECT_FALSE(directory_->RemoveDirectory("d").ok());
  EXPECT_FALSE(other->RemoveDirectory("file").ok());
  ASSERT_OK(other->Unlink("file"));

  EXPECT_OK(directory_->RemoveDirectory("d"));
  EXPECT_THAT(directory_->RemoveDirectory("d"),
              StatusIs(StatusCode::kNotFound, "rmdir d: "));
  EXPECT_THAT(*directory_->List(), IsEmpty());
}

TEST_P(FileSystemTest, KnowsADirectoryByAnyName) {
  ASSERT_OK(system_->CreateDirectory(path_ / "d"));
  ASSERT_OK_AND_ASSIGN(auto same, system_->OpenDirectory(path_ / "d" / ".."));
  ASSERT_OK_AND_ASSIGN(auto other, system_->OpenDirectory(path_ / "d"));

  EXPECT_TRUE(*directory_->IsSame(*same));
  EXPECT_FALSE(*directory_->IsSame(*other));
}

TEST_P(FileSystemTest, AllocatesZerosAndKeepsWhatIsThere) {
  const auto file = Create("a", "abc");
  ASSERT_OK(file->Allocate(10000));

  EXPECT_EQ(*file->Size(), 10000);
  EXPECT_EQ(Read(*file, 0, 5), std::string("abc\0\0", 5));
  EXPECT_EQ(Read(*file, 9998, 5), std::string(2, '\0'));
  ASSERT_OK(file->Allocate(0));
  ASSERT_OK(file->Allocate(100));
  EXPECT_EQ(*file->Size(), 10000);
}

TEST_P(FileSystemTest, RefusesImpossibleSizes) {
  const auto file = Create("a");

  EXPECT_THAT(file->Allocate(UINT64_MAX),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(file->Truncate(UINT64_MAX),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(file->WriteAt(UINT64_MAX, AsBytes("a")),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_EQ(*file->Size(), 0);
}

TEST_P(FileSystemTest, TruncatesToZerosWhenItGrowsAgain) {
  const auto file = Create("a", "abcdef");
  ASSERT_OK(file->Truncate(2));
  EXPECT_EQ(Read(*file), "ab");

  ASSERT_OK(file->Truncate(4));
  EXPECT_EQ(Read(*file), std::string("ab\0\0", 4));
}

TEST_P(FileSystemTest, ReadsFewerBytesOnlyAtTheEnd) {
  const auto file = Create("a", "abcdef");

  EXPECT_EQ(Read(*file, 0, 3), "abc");
  EXPECT_EQ(Read(*file, 4, 3), "ef");
  EXPECT_EQ(Read(*file, 6, 3), "");
  EXPECT_EQ(Read(*file, 100, 3), "");
  EXPECT_EQ(Read(*file, 0, 0), "");
}

TEST_P(FileSystemTest, WritesFarBehindTheEnd) {
  const auto file = Create("a", "a");
  const std::string large(100000, 'x');
  ASSERT_OK(file->WriteAt(5001, AsBytes(large)));

  EXPECT_EQ(*file->Size(), 105001);
  EXPECT_EQ(Read(*file, 5000, 2), std::string("\0x", 2));
  EXPECT_EQ(Read(*file, 5001, 100000), large);
}

TEST_P(FileSystemTest, DoesNotWriteToAFileOpenForReading) {
  Create("a", "abc");
  ASSERT_OK_AND_ASSIGN(auto file, directory_->Open("a", OpenMode::kRead));

  EXPECT_FALSE(file->WriteAt(0, AsBytes("x")).ok());
  EXPECT_FALSE(file->Allocate(100).ok());
  EXPECT_FALSE(file->Truncate(1).ok());
  EXPECT_THAT(file->Map(3, MapMode::kReadWrite),
              StatusIs(StatusCode::kPermissionDenied));
  EXPECT_OK(file->Map(3, MapMode::kRead));
  EXPECT_OK(file->Sync());
  EXPECT_EQ(Read(*file), "abc");
}

TEST_P(FileSystemTest, ShowsStoresToReadersAndWritesToMappings) {
  const auto file = Create("a");
  ASSERT_OK(file->Allocate(8192));
  ASSERT_OK_AND_ASSIGN(const auto mapping,
                       file->Map(8192, MapMode::kReadWrite));
  mapping->Store(4090, AsBytes("across pages"));
  ASSERT_OK(file->WriteAt(0, AsBytes("written")));

  EXPECT_EQ(Read(*file, 4090, 12), "across pages");
  EXPECT_EQ(std::memcmp(mapping->data(), "written", 7), 0);
  EXPECT_OK(file->Sync());
}

TEST_P(FileSystemTest, KeepsMappingsAndFileOneWhenTheFileGrows) {
  const auto file = Create("a", "abc");
  ASSERT_OK_AND_ASSIGN(const auto mapping, file->Map(3, MapMode::kReadWrite));
  ASSERT_OK(file->Allocate(100000));
  mapping->Store(0, AsBytes("A"));
  ASSERT_OK(file->WriteAt(1, AsBytes("B")));

  EXPECT_EQ(Read(*file, 0, 3), "ABc");
  EXPECT_EQ(std::memcmp(mapping->data(), "ABc", 3), 0);
}

TEST_P(FileSystemTest, MapsNothingBehindTheEnd) {
  const auto file = Create("a", "abc");

  EXPECT_THAT(file->Map(4, MapMode::kRead),
              StatusIs(StatusCode::kDataLoss, "4 bytes, 3 are present"));
  ASSERT_OK_AND_ASSIGN(const auto empty, file->Map(0, MapMode::kRead));
  EXPECT_EQ(empty->size(), 0);
}

TEST_P(FileSystemTest, KeepsAMappingLongerThanItsFile) {
  auto file = Create("a", "abc");
  ASSERT_OK_AND_ASSIGN(const auto mapping, file->Map(3, MapMode::kReadWrite));
  file = nullptr;
  mapping->Store(1, AsBytes("B"));

  EXPECT_EQ(std::memcmp(mapping->data(), "aBc", 3), 0);
}

TEST_P(FileSystemTest, TakesHintsOfAnyRange) {
  const auto file = Create("a", "abc");
  ASSERT_OK_AND_ASSIGN(const auto mapping, file->Map(3, MapMode::kReadWrite));
  ASSERT_OK_AND_ASSIGN(const auto readable, file->Map(3, MapMode::kRead));

  for (const uint64_t offset : {uint64_t{0}, uint64_t{2}, UINT64_MAX}) {
    for (const uint64_t size : {uint64_t{0}, uint64_t{1}, UINT64_MAX}) {
      mapping->Touch(offset, size);
      mapping->Unload(offset, size);
      mapping->WillNeed(offset, size);
      readable->Touch(offset, size);
      readable->WillNeed(offset, size);
      file->StartWriteback(offset, size);
    }
  }
  EXPECT_EQ(Read(*file), "abc");
}

TEST_P(FileSystemTest, LocksOnce) {
  ASSERT_OK_AND_ASSIGN(auto lock, directory_->Lock("LOCK"));
  ASSERT_OK_AND_ASSIGN(auto same, system_->OpenDirectory(path_));

  EXPECT_THAT(directory_->Lock("LOCK"), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(same->Lock("LOCK"), StatusIs(StatusCode::kUnavailable));
  EXPECT_OK(directory_->Lock("OTHER"));
  lock = nullptr;
  EXPECT_OK(same->Lock("LOCK"));
  EXPECT_THAT(*directory_->List(), ElementsAre("LOCK", "OTHER"));
}

TEST_P(FileSystemTest, FillsWithDifferentBytesEachTime) {
  std::string first(64, '\0');
  std::string second(64, '\0');
  system_->Randomize(std::as_writable_bytes(std::span(first)));
  system_->Randomize(std::as_writable_bytes(std::span(second)));

  EXPECT_NE(first, second);
  EXPECT_NE(first, std::string(64, '\0'));
}

}  // namespace
}  // namespace peat::engine
