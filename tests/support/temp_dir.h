// A directory for one test, gone with everything in it when the test ends.

#ifndef PEAT_TESTS_SUPPORT_TEMP_DIR_H_
#define PEAT_TESTS_SUPPORT_TEMP_DIR_H_

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "format/check.h"

namespace peat::testing {

class TempDir final {
 public:
  // Where a machine has a file system in memory, a test of many small syncs can
  // do without the disk.
  enum class Place { kDisk, kMemory };

  explicit TempDir(Place place = Place::kDisk) {
    const std::filesystem::path memory("/dev/shm");
    std::error_code missing;
    const bool in_memory = place == Place::kMemory &&
                           std::filesystem::is_directory(memory, missing);
    std::string name =
        ((in_memory ? memory : std::filesystem::temp_directory_path()) /
         "peat_test_XXXXXX")
            .string();
    PEAT_CHECK(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_TEMP_DIR_H_
