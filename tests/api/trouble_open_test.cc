// Opening what is not an orderly store of ours: each a clear status, and
// nothing that belongs to somebody else is touched.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "format/checksum.h"
#include "format/file_name.h"
#include "format/manifest.h"
#include "tests/support/child_process.h"
#include "tests/support/scoped_mount.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::FileImages;
using ::peat::testing::Gate;
using ::peat::testing::IsOk;
using ::peat::testing::MountKind;
using ::peat::testing::Read;
using ::peat::testing::ReadFiles;
using ::peat::testing::ReadWholeFile;
using ::peat::testing::RunInChild;
using ::peat::testing::ScopedMount;
using ::peat::testing::StatusIs;
using ::peat::testing::WriteWholeFile;
using ::testing::AnyOf;
using ::testing::Optional;

constexpr uid_t kNobody = 65534;
const Options kReadOnly{.mode = OpenMode::kReadOnly};

class TroubleOpenTest : public ::peat::testing::StoreFixture {
 protected:
  void MakeStore() {
    const std::unique_ptr<Store> store = Open();
    ASSERT_OK(store->Put("k", "v"));
    ASSERT_OK(store->Close());
  }

  mode_t ModeOf(const std::filesystem::path& file) {
    struct stat status = {};
    EXPECT_EQ(stat(file.c_str(), &status), 0) << file;
    return status.st_mode & 07777;
  }

  // What Open() says to somebody who is not root.
  StatusCode OpenAsNobody(const Options& options = {}) {
    EXPECT_EQ(chmod(dir_.path().c_str(), 0755), 0);
    return static_cast<StatusCode>(RunInChild([&] {
      if (setresuid(kNobody, kNobody, kNobody) != 0) return 99;
      return static_cast<int>(TryOpen(options).status().code());
    }));
  }
};

TEST_F(TroubleOpenTest, AMissingDirectoryIsMadeOnlyWhereThatIsAllowed) {
  EXPECT_THAT(TryOpen({.create_if_missing = false}),
              StatusIs(StatusCode::kNotFound, path().string()));
  EXPECT_THAT(TryOpen(kReadOnly),
              StatusIs(StatusCode::kNotFound, path().string()));
  EXPECT_FALSE(std::filesystem::exists(path()));

  EXPECT_OK(TryOpen());
}

TEST_F(TroubleOpenTest, AnEmptyDirectoryIsMadeAStoreOnlyWhereThatIsAllowed) {
  std::filesystem::create_directory(path());
  EXPECT_THAT(TryOpen({.create_if_missing = false}),
              StatusIs(StatusCode::kNotFound, path().string()));
  EXPECT_THAT(TryOpen(kReadOnly), StatusIs(StatusCode::kNotFound));
  EXPECT_TRUE(std::filesystem::is_empty(path()));

  EXPECT_OK(TryOpen());
}

TEST_F(TroubleOpenTest, AMissingParentIsNotFound) {
  const std::filesystem::path deep = path() / "missing" / "store";
  EXPECT_THAT(Store::Open(deep),
              StatusIs(StatusCode::kNotFound, deep.string()));
  EXPECT_THAT(Store::Open(""), StatusIs(StatusCode::kNotFound));
}

TEST_F(TroubleOpenTest, AFileIsInvalid) {
  WriteWholeFile(path(), "a file");
  for (const Options& options : {Options{}, kReadOnly}) {
    EXPECT_THAT(TryOpen(options),
                StatusIs(StatusCode::kInvalidArgument, "not a directory"));
  }
  EXPECT_EQ(ReadWholeFile(path()), "a file");
}

TEST_F(TroubleOpenTest, AStoreMayBeReachedThroughASymbolicLink) {
  MakeStore();
  const std::filesystem::path link = dir_.path() / "link";
  std::filesystem::create_directory_symlink(path(), link);

  const auto store = Store::Open(link);
  ASSERT_OK(store);
  EXPECT_THAT(Read(**store, "k"), Optional(std::string("v")));
  EXPECT_THAT(TryOpen(), StatusIs(StatusCode::kUnavailable));
}

TEST_F(TroubleOpenTest, ADirectoryWithoutRightsIsPermissionDenied) {
  PEAT_SKIP_UNDER_TSAN();
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  EXPECT_EQ(OpenAsNobody(), StatusCode::kPermissionDenied);
  EXPECT_FALSE(std::filesystem::exists(path()));

  MakeStore();
  EXPECT_EQ(OpenAsNobody(), StatusCode::kPermissionDenied);
  EXPECT_EQ(OpenAsNobody(kReadOnly), StatusCode::kPermissionDenied);
  ASSERT_EQ(chmod(path().c_str(), 0755), 0);
  EXPECT_EQ(OpenAsNobody(), StatusCode::kPermissionDenied);
  EXPECT_EQ(OpenAsNobody(kReadOnly), StatusCode::kPermissionDenied);
  EXPECT_OK(TryOpen());
}

TEST_F(TroubleOpenTest, AReadOnlyMountIsReadable) {
  ScopedMount mount(MountKind::kTmpfs, 8);
  if (!mount.is_mounted()) GTEST_SKIP() << "mounting is not permitted";
  const std::filesystem::path inside = mount.path() / "store";
  {
    const auto store = Store::Open(inside);
    ASSERT_OK(store);
    ASSERT_OK((*store)->Put("k", "v"));
  }
  ASSERT_TRUE(mount.MakeReadOnly());

  EXPECT_THAT(Store::Open(inside),
              StatusIs(StatusCode::kPermissionDenied, "LOCK"));
  EXPECT_THAT(Store::Open(mount.path() / "new"),
              StatusIs(StatusCode::kPermissionDenied, "mkdir"));
  const auto store = Store::Open(inside, kReadOnly);
  ASSERT_OK(store);
  EXPECT_THAT(Read(**store, "k"), Optional(std::string("v")));
}

TEST_F(TroubleOpenTest, ASecondOpenIsUnavailable) {
  MakeStore();
  const std::unique_ptr<Store> store = Open();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(TryOpen(), StatusIs(StatusCode::kUnavailable, "this process"));
  }
  EXPECT_OK(store->Put("k", "w"));
  EXPECT_OK(TryOpen(kReadOnly));
}

TEST_F(TroubleOpenTest, AnotherProcessKeepsTheStoreUntilItEnds) {
  PEAT_SKIP_UNDER_TSAN();
  Gate opened;
  const pid_t child = ::peat::testing::StartChild([&] {
    const auto store = TryOpen();
    if (!store.ok() || !(*store)->Put("k", "v").ok()) return 1;
    opened.Open();
    pause();
    return 0;
  });
  ASSERT_TRUE(opened.Wait());

  EXPECT_THAT(TryOpen(),
              StatusIs(StatusCode::kUnavailable, "is locked by process"));
  const auto beside = TryOpen(kReadOnly);
  ASSERT_OK(beside);
  EXPECT_THAT(Read(**beside, "k"), Optional(std::string("v")));
  kill(child, SIGKILL);
  EXPECT_EQ(::peat::testing::WaitFor(child), -SIGKILL);

  EXPECT_THAT(Read(*Open(), "k"), Optional(std::string("v")));
}

TEST_F(TroubleOpenTest, ADirectoryOfAnotherProgramIsLeftAlone) {
  std::filesystem::create_directory(path());
  WriteWholeFile(path() / "CURRENT", "MANIFEST-000004\n");
  const FileImages before = ReadFiles(path());

  EXPECT_THAT(TryOpen(), StatusIs(StatusCode::kFailedPrecondition, "CURRENT"));
  EXPECT_THAT(TryOpen(kReadOnly),
              StatusIs(StatusCode::kFailedPrecondition, "CURRENT"));

  EXPECT_EQ(ReadFiles(path()), before);
}

TEST_F(TroubleOpenTest, TheRootOfAVolumeIsAnEmptyDirectory) {
  std::filesystem::create_directories(path() / "lost+found");
  MakeStore();
  EXPECT_OK(TryOpen());
}

TEST_F(TroubleOpenTest, AFileOfAnotherProgramBesideAStoreIsKept) {
  MakeStore();
  WriteWholeFile(path() / "notes.txt", "mine");
  EXPECT_THAT(Read(*Open(), "k"), Optional(std::string("v")));
  EXPECT_EQ(ReadWholeFile(path() / "notes.txt"), "mine");
}

TEST_F(TroubleOpenTest, AStoreOfANewerVersionIsUnimplemented) {
  MakeStore();
  for (const char* const name : format::kManifestFileNames) {
    std::string bytes = ReadWholeFile(path() / name);
    const auto view = format::AsBytes(bytes);
    const size_t checked =
        *format::ClaimedManifestSize(view) - sizeof(uint64_t);
    bytes[8] = static_cast<char>(format::kFormatVersion + 1);
    auto* const out = reinterpret_cast<std::byte*>(bytes.data());
    format::Store<uint64_t>(out + checked,
                            format::Checksum64(view.first(checked)));
    WriteWholeFile(path() / name, bytes);
  }
  const FileImages before = ReadFiles(path());

  EXPECT_THAT(TryOpen(), StatusIs(StatusCode::kUnimplemented, "MANIFEST"));
  EXPECT_THAT(TryOpen(kReadOnly), StatusIs(StatusCode::kUnimplemented));

  EXPECT_EQ(ReadFiles(path()), before);
}

TEST_F(TroubleOpenTest, ASegmentOfANewerVersionIsUnimplemented) {
  MakeStore();
  for (const auto& [name, image] : ReadFiles(path())) {
    if (!name.ends_with(".seg")) continue;
    std::string bytes = image;
    bytes[8] = static_cast<char>(format::kFormatVersion + 1);
    const auto view = format::AsBytes(bytes);
    auto* const out = reinterpret_cast<std::byte*>(bytes.data());
    format::Store<uint64_t>(out + 64, format::Checksum64(view.first(64)));
    WriteWholeFile(path() / name, bytes);
  }

  EXPECT_THAT(TryOpen(), StatusIs(StatusCode::kUnimplemented, ".seg"));
}

TEST_F(TroubleOpenTest, FilesArePrivateWhateverTheUmask) {
  for (const mode_t mask : {0, 0277, 0777}) {
    SCOPED_TRACE(mask);
    std::filesystem::remove_all(path());
    const mode_t before = umask(mask);
    {
      const std::unique_ptr<Store> store = Open();
      EXPECT_OK(store->Put("k", "v"));
      EXPECT_OK(store->Put("large", std::string(400'000, 'L')));
    }
    umask(before);

    EXPECT_EQ(ModeOf(path()), 0700);
    for (const auto& [name, image] : ReadFiles(path())) {
      EXPECT_EQ(ModeOf(path() / name), 0600) << name;
    }
  }
}

TEST_F(TroubleOpenTest, AFileThatIsNoFileIsAClearStatus) {
  MakeStore();
  for (const auto& [name, image] : ReadFiles(path())) {
    if (name.starts_with("RESERVE")) continue;
    SCOPED_TRACE(name);
    const std::filesystem::path file = path() / name;
    std::filesystem::rename(file, dir_.path() / "kept");

    ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
    EXPECT_THAT(TryOpen(), StatusIs(StatusCode::kFailedPrecondition, name));
    std::filesystem::remove(file);
    std::filesystem::create_symlink(dir_.path() / "kept", file);
    EXPECT_THAT(TryOpen(), StatusIs(StatusCode::kFailedPrecondition, name));
    std::filesystem::remove(file);

    std::filesystem::rename(dir_.path() / "kept", file);
  }
  EXPECT_THAT(Read(*Open(), "k"), Optional(std::string("v")));
}

}  // namespace
}  // namespace peat
