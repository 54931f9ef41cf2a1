// A small file system of its own for one test. Needs the right to mount; a test
// that does not get it skips.

#ifndef PEAT_TESTS_SUPPORT_SCOPED_MOUNT_H_
#define PEAT_TESTS_SUPPORT_SCOPED_MOUNT_H_

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace peat::testing {

enum class MountKind { kTmpfs, kExt4 };

class ScopedMount final {
 public:
  ScopedMount(MountKind kind, int megabytes) : path_(dir_.path() / "mount") {
    std::filesystem::create_directory(path_);
    const std::string size = std::to_string(megabytes) + "m";
    if (kind == MountKind::kTmpfs) {
      is_mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0,
                          ("size=" + size).c_str()) == 0;
      return;
    }
    std::ofstream(image()).close();
    std::filesystem::resize_file(image(), static_cast<uintmax_t>(megabytes)
                                              << 20);
    is_mounted_ = RunCommand({"mkfs.ext4", "-q", "-m", "0", image()}) == 0 &&
                  MountImage();
  }
  ScopedMount(const ScopedMount&) = delete;
  ScopedMount& operator=(const ScopedMount&) = delete;
  ~ScopedMount() {
    if (is_mounted_) umount2(path_.c_str(), MNT_DETACH);
  }

  bool is_mounted() const { return is_mounted_; }
  const std::filesystem::path& path() const { return path_; }

  bool MakeReadOnly() {
    return mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY,
                 nullptr) == 0;
  }

  uint64_t free_bytes() const {
    struct statvfs status = {};
    EXPECT_EQ(statvfs(path_.c_str(), &status), 0);
    return status.f_bavail * status.f_frsize;
  }

  // Of an ext4: what has not been synced is gone, the journal's newest part
  // included, and every call from here on fails, as when the kernel has
  // stopped. False where the kernel has no such call.
  bool LosePower() {
    constexpr uint32_t kWithoutLog = 2;
    const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    uint32_t how = kWithoutLog;
    const bool is_lost = ioctl(fd, _IOR('X', 125, uint32_t), &how) == 0;
    close(fd);
    return is_lost;
  }

  // What there is after that. Nobody may use the mount any more.
  bool MountAgain() {
    is_mounted_ = umount(path_.c_str()) == 0 && MountImage();
    return is_mounted_;
  }

  // Takes what is free but for `left` bytes, until RemoveBallast().
  void AddBallast(uint64_t left) {
    std::ofstream out(ballast(), std::ios::binary | std::ios::app);
    const std::string page(4096, 'b');
    while (free_bytes() >= left + page.size()) {
      if (!out.write(page.data(), static_cast<std::streamsize>(page.size()))
               .flush()) {
        return;
      }
    }
  }
  void RemoveBallast() { std::filesystem::remove(ballast()); }

 private:
  std::string image() const { return (dir_.path() / "image").string(); }
  bool MountImage() const {
    return RunCommand({"mount", "-o", "loop", image(), path_.string()}) == 0;
  }
  std::filesystem::path ballast() const { return path_ / "ballast"; }

  TempDir dir_;
  std::filesystem::path path_;
  bool is_mounted_ = false;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SCOPED_MOUNT_H_
