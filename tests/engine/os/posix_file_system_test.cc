// What only the machine's file system can show: modes, symbolic links, forks,
// limits, a full disk.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/os/file_system.h"
#include "engine/os/fork.h"
#include "tests/support/scoped_mount.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace peat::engine {
namespace {

using absl::StatusCode;
using format::AsBytes;
using peat::testing::IsOk;
using peat::testing::StatusIs;
using peat::testing::TempDir;

class PosixFileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = temp_.path() / "store";
    ASSERT_OK(system_.CreateDirectory(path_));
    ASSERT_OK_AND_ASSIGN(directory_, system_.OpenDirectory(path_));
  }

  mode_t ModeOf(const std::filesystem::path& path) {
    struct stat status = {};
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return status.st_mode & 07777;
  }

  // Runs `body` in a forked child; its result, or -1 if it did not return.
  int RunInChild(const std::function<int()>& body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // Takes the lock as a process does that has never heard of us.
  bool IsLockedForOthers() {
    const std::string command =
        "flock --nonblock " + (path_ / "LOCK").string() + " true";
    return std::system(command.c_str()) != 0;  // NOLINT(concurrency-mt-unsafe)
  }

  FileSystem& system_ = PosixFileSystem();
  TempDir temp_;
  std::filesystem::path path_;
  std::unique_ptr<Directory> directory_;
};

TEST_F(PosixFileSystemTest, LinksNothingToAnotherFileSystem) {
  const testing::ScopedMount mount(testing::MountKind::kTmpfs, 1);
  if (!mount.is_mounted()) GTEST_SKIP() << "needs root";
  ASSERT_OK_AND_ASSIGN(auto other, system_.OpenDirectory(mount.path()));
  ASSERT_OK(directory_->Create("a"));

  EXPECT_THAT(directory_->Link("a", *other),
              StatusIs(StatusCode::kUnimplemented, "link a: "));
  EXPECT_THAT(*other->List(), ::testing::IsEmpty());
}

TEST_F(PosixFileSystemTest, SetsModesWhateverTheUmask) {
  const mode_t umask_before = umask(0777);
  EXPECT_OK(system_.CreateDirectory(temp_.path() / "other"));
  EXPECT_OK(directory_->Create("file"));
  EXPECT_OK(directory_->Lock("LOCK"));
  umask(umask_before);

  EXPECT_EQ(ModeOf(temp_.path() / "other"), 0700);
  EXPECT_EQ(ModeOf(path_ / "file"), 0600);
  EXPECT_EQ(ModeOf(path_ / "LOCK"), 0600);
}

TEST_F(PosixFileSystemTest, FollowsNoSymbolicLink) {
  ASSERT_OK(directory_->Create("file"));
  std::filesystem::create_symlink("file", path_ / "link");

  const auto refused = StatusIs(StatusCode::kFailedPrecondition, "link");
  EXPECT_THAT(directory_->Open("link", OpenMode::kRead), refused);
  EXPECT_THAT(directory_->Open("link", OpenMode::kReadWrite), refused);
  EXPECT_THAT(directory_->Lock("link"), refused);
  EXPECT_THAT(directory_->Create("link"), StatusIs(StatusCode::kAlreadyExists));
}

TEST_F(PosixFileSystemTest, OpensNoFifoAndDoesNotWaitForIt) {
  ASSERT_EQ(mkfifo((path_ / "fifo").c_str(), 0600), 0);

  const auto refused =
      StatusIs(StatusCode::kFailedPrecondition, "fifo: not a regular file");
  EXPECT_THAT(directory_->Open("fifo", OpenMode::kRead), refused);
  EXPECT_THAT(directory_->Open("fifo", OpenMode::kReadWrite), refused);
  EXPECT_THAT(directory_->Lock("fifo"), refused);
}

TEST_F(PosixFileSystemTest, ClosesEveryDescriptorOnExec) {
  ASSERT_OK_AND_ASSIGN(const auto file, directory_->Create("file"));
  ASSERT_OK_AND_ASSIGN(const auto lock, directory_->Lock("LOCK"));

  int ours = 0;
  for (int fd = 3; fd < 256; ++fd) {
    std::error_code missing;
    const auto target = std::filesystem::read_symlink(
        "/proc/self/fd/" + std::to_string(fd), missing);
    if (missing || target.string().find(path_.string()) != 0) continue;
    ++ours;
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC) << target;
  }
  EXPECT_EQ(ours, 3);
}

TEST_F(PosixFileSystemTest, CountsForks) {
  const uint64_t here = ForkGeneration();

  const int grandchild = RunInChild([&] {
    if (ForkGeneration() != here + 1) return 1;
    return RunInChild([&] { return ForkGeneration() == here + 2 ? 0 : 2; });
  });

  EXPECT_EQ(grandchild, 0);
  EXPECT_EQ(ForkGeneration(), here);
}

TEST_F(PosixFileSystemTest, KeepsTheParentsLockWhenAChildDies) {
  ASSERT_OK_AND_ASSIGN(auto lock, directory_->Lock("LOCK"));

  EXPECT_EQ(RunInChild([] { return 0; }), 0);
  EXPECT_TRUE(IsLockedForOthers());
  EXPECT_EQ(RunInChild([&] {
              lock = nullptr;
              return 0;
            }),
            0);
  EXPECT_TRUE(IsLockedForOthers());
  EXPECT_THAT(directory_->Lock("LOCK"), StatusIs(StatusCode::kUnavailable));
  lock = nullptr;
  EXPECT_FALSE(IsLockedForOthers());
}

TEST_F(PosixFileSystemTest, DoesNotLockInAChildWhatItsParentHas) {
  ASSERT_OK_AND_ASSIGN(auto lock, directory_->Lock("LOCK"));

  const int in_child = RunInChild([&] {
    const absl::Status status = directory_->Lock("LOCK").status();
    return status.code() == StatusCode::kUnavailable ? 0 : 1;
  });

  EXPECT_EQ(in_child, 0);
}

TEST_F(PosixFileSystemTest, FreesTheLockOfADeadParentWhoseChildLives) {
  int ready[2];
  int end[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(end), 0);
  // The child of this child outlives it, and waits for `end` to be closed.
  const int parent = RunInChild([&] {
    const auto lock = directory_->Lock("LOCK");
    if (!lock.ok()) return 1;
    if (fork() == 0) {
      close(end[1]);
      char byte = 'r';
      if (write(ready[1], &byte, 1) != 1) _exit(1);
      _exit(read(end[0], &byte, 1) == 0 ? 0 : 1);
    }
    return 0;
  });
  char byte = 0;
  ASSERT_EQ(parent, 0);
  ASSERT_EQ(read(ready[0], &byte, 1), 1);

  EXPECT_OK(directory_->Lock("LOCK"));

  for (const int fd : {ready[0], ready[1], end[0], end[1]}) close(fd);
}

TEST_F(PosixFileSystemTest, GivesNoMappingToAChild) {
  ASSERT_OK_AND_ASSIGN(const auto file, directory_->Create("file"));
  ASSERT_OK(file->Allocate(4096));
  ASSERT_OK_AND_ASSIGN(auto mapping, file->Map(4096, MapMode::kReadWrite));

  const int in_child = RunInChild([&] {
    const auto* const address = mapping->data();
    unsigned char resident = 0;
    const int mapped =
        mincore(const_cast<std::byte*>(address), 4096, &resident);
    const bool is_gone = mapped != 0 && errno == ENOMEM;
    // Not an error, although there is nothing to unmap.
    mapping = nullptr;
    return is_gone ? 0 : 1;
  });

  EXPECT_EQ(in_child, 0);
  mapping->Store(0, AsBytes("still here"));
}

// In a child, because a limit is the process's.
TEST_F(PosixFileSystemTest, ReportsTheFileSizeLimitAndSurvivesItsSignal) {
  const int in_child = RunInChild([&] {
    const rlimit limit = {.rlim_cur = 8192, .rlim_max = 8192};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    const auto file = directory_->Create("file");
    if (!file.ok()) return 2;
    const auto is_refused = [](const absl::Status& status) {
      return status.code() == StatusCode::kResourceExhausted;
    };
    if (!is_refused((*file)->Allocate(8193))) return 3;
    if (!is_refused((*file)->Truncate(8193))) return 4;
    if (!is_refused((*file)->WriteAt(8192, AsBytes("x")))) return 5;
    if (!(*file)->Allocate(8192).ok()) return 6;
    sigset_t pending;
    sigemptyset(&pending);
    sigset_t blocked;
    if (sigpending(&pending) != 0 || sigismember(&pending, SIGXFSZ)) return 7;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    return sigismember(&blocked, SIGXFSZ) ? 8 : 0;
  });

  EXPECT_EQ(in_child, 0);
}

TEST_F(PosixFileSystemTest, ReportsTheOpenFileLimit) {
  const int in_child = RunInChild([&] {
    const rlimit limit = {.rlim_cur = 32, .rlim_max = 32};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
    std::vector<std::unique_ptr<File>> files;
    for (int i = 0; i < 40; ++i) {
      auto file = directory_->Create(std::to_string(i));
      if (file.ok()) {
        files.push_back(*std::move(file));
        continue;
      }
      if (file.status().code() != StatusCode::kResourceExhausted) return 2;
      if (directory_->List().status().code() !=
          StatusCode::kResourceExhausted) {
        return 3;
      }
      files.pop_back();
      return directory_->List().ok() ? 0 : 4;
    }
    return 5;
  });

  EXPECT_EQ(in_child, 0);
}

class FullDiskTest : public PosixFileSystemTest {
 protected:
  void SetUp() override {
    where_ = temp_.path() / "small";
    std::filesystem::create_directory(where_);
    if (mount("none", where_.c_str(), "tmpfs", 0, "size=64k") != 0) {
      GTEST_SKIP() << "cannot mount a small tmpfs (not root?)";
    }
    is_mounted_ = true;
    ASSERT_OK_AND_ASSIGN(directory_, system_.OpenDirectory(where_));
  }
  void TearDown() override {
    directory_ = nullptr;
    if (!is_mounted_) return;
    EXPECT_EQ(umount2(where_.c_str(), MNT_DETACH), 0);
  }

  std::filesystem::path where_;
  bool is_mounted_ = false;
};

TEST_F(FullDiskTest, RefusesToAllocateWhatThereIsNot) {
  ASSERT_OK_AND_ASSIGN(const auto file, directory_->Create("file"));

  EXPECT_THAT(file->Allocate(1 << 20),
              StatusIs(StatusCode::kResourceExhausted,
                       "fallocate file: No space left on device"));
  EXPECT_LE(*file->Size(), 1 << 20);
  EXPECT_OK(file->Allocate(32 << 10));
}

TEST_F(FullDiskTest, StoresIntoAllocatedSpaceOfAFullDisk) {
  ASSERT_OK_AND_ASSIGN(const auto file, directory_->Create("file"));
  ASSERT_OK(file->Allocate(32 << 10));
  ASSERT_OK_AND_ASSIGN(const auto other, directory_->Create("other"));
  const std::string large(128 << 10, 'x');
  EXPECT_THAT(other->WriteAt(0, AsBytes(large)),
              StatusIs(StatusCode::kResourceExhausted, "pwrite other"));

  ASSERT_OK_AND_ASSIGN(const auto mapping,
                       file->Map(32 << 10, MapMode::kReadWrite));
  mapping->Touch(0, mapping->size());
  mapping->Store(0, AsBytes(std::string_view(large).substr(0, 32 << 10)));
  EXPECT_OK(file->Sync());
}

TEST_F(FullDiskTest, RefusesToLockOnAReadOnlyDisk) {
  ASSERT_EQ(mount("none", where_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, ""),
            0);

  const absl::Status status = directory_->Lock("LOCK").status();
  EXPECT_EQ(status.code(), absl::ErrnoToStatusCode(EROFS)) << status;
}

}  // namespace
}  // namespace peat::engine
