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
  TempDir() {
    std::string name =
        (std::filesystem::temp_directory_path() / "peat_test_XXXXXX").string();
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
