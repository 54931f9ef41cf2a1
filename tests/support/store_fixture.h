// What tests of the public store share: a directory, opening, and reading back.

#ifndef PEAT_TESTS_SUPPORT_STORE_FIXTURE_H_
#define PEAT_TESTS_SUPPORT_STORE_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "peat/store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace peat::testing {

// The files of a directory, by name.
using FileImages = std::map<std::string, std::string>;

inline std::string ReadWholeFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

inline void WriteWholeFile(const std::filesystem::path& path,
                           std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(out.good()) << path;
}

inline FileImages ReadFiles(const std::filesystem::path& directory) {
  FileImages images;
  for (const auto& found : std::filesystem::directory_iterator(directory)) {
    images[found.path().filename()] = ReadWholeFile(found.path());
  }
  return images;
}

// Makes `directory` hold exactly `images`.
inline void WriteFiles(const std::filesystem::path& directory,
                       const FileImages& images) {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directory(directory);
  for (const auto& [name, bytes] : images) {
    WriteWholeFile(directory / name, bytes);
  }
}

// The value of `key`; nullopt if there is none. Any other failure fails the
// test.
inline std::optional<std::string> Read(const Store& store,
                                       std::string_view key) {
  std::string value;
  const absl::Status status = store.Get(key, &value);
  if (status.ok()) return value;
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
  return std::nullopt;
}

class StoreFixture : public ::testing::Test {
 protected:
  std::filesystem::path path() const { return dir_.path() / "store"; }

  absl::StatusOr<std::unique_ptr<Store>> TryOpen(const Options& options = {}) {
    return Store::Open(path(), options);
  }

  // Fails the test and returns null when the store does not open.
  std::unique_ptr<Store> Open(const Options& options = {}) {
    absl::StatusOr<std::unique_ptr<Store>> store = TryOpen(options);
    EXPECT_OK(store);
    return store.ok() ? *std::move(store) : nullptr;
  }

  TempDir dir_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_STORE_FIXTURE_H_
