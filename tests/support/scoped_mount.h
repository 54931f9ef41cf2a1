// A small file system of its own for one test. Needs the right to mount; a test
// that does not get it skips.

#ifndef PEAT_TESTS_SUPPORT_SCOPED_MOUNT_H_
#define PEAT_TESTS_SUPPORT_SCOPED_MOUNT_H_

#include <sys/mount.h>
#include <sys/statvfs.h>

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
    const std::string image = (dir_.path() / "image").string();
    std::ofstream(image).close();
    std::filesystem::resize_file(image, static_cast<uintmax_t>(megabytes)
                                            << 20);
    is_mounted_ =
        RunCommand({"mkfs.ext4", "-q", "-m", "0", image}) == 0 &&
        RunCommand({"mount", "-o", "loop", image, path_.string()}) == 0;
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
  std::filesystem::path ballast() const { return path_ / "ballast"; }

  TempDir dir_;
  std::filesystem::path path_;
  bool is_mounted_ = false;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SCOPED_MOUNT_H_
