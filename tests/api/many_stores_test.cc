// Very many small stores in one process: what they take of its disk, threads
// and file handles.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/support/scoped_limit.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::Read;
using ::peat::testing::ScopedLimit;
using ::testing::Optional;

class ManyStoresTest : public ::peat::testing::StoreFixture {};

uint64_t ThreadCount() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word != "Threads:") continue;
    uint64_t count = 0;
    status >> count;
    return count;
  }
  return 0;
}

uint64_t DiskBytes(const std::filesystem::path& directory) {
  uint64_t bytes = 0;
  for (const auto& found : std::filesystem::directory_iterator(directory)) {
    struct stat status = {};
    EXPECT_EQ(stat(found.path().c_str(), &status), 0);
    bytes += static_cast<uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

TEST_F(ManyStoresTest, AThousandSmallStoresAreNormal) {
  constexpr size_t kCount = 1000;
  const ScopedLimit files(RLIMIT_NOFILE, 16 * kCount);
  std::filesystem::create_directory(path());
  const uint64_t threads_before = ThreadCount();
  std::vector<std::unique_ptr<Store>> stores;
  for (size_t i = 0; i < kCount; ++i) {
    auto store = Store::Open(path() / std::to_string(i));
    ASSERT_OK(store) << i;
    stores.push_back(*std::move(store));
  }
  EXPECT_LE(DiskBytes(path() / "0"), uint64_t{5} << 20);

  for (size_t i = 0; i < kCount; ++i) {
    ASSERT_OK(stores[i]->Put("k", std::to_string(i))) << i;
  }
  EXPECT_LE(ThreadCount(), threads_before + 8);
  for (size_t i = 0; i < kCount; i += 50) {
    ASSERT_OK(stores[i]->Flush());
    EXPECT_THAT(Read(*stores[i], "k"), Optional(std::to_string(i)));
  }
  stores.clear();

  for (size_t i = 0; i < kCount; i += 100) {
    const auto store = Store::Open(path() / std::to_string(i));
    ASSERT_OK(store);
    EXPECT_THAT(Read(**store, "k"), Optional(std::to_string(i)));
  }
}

}  // namespace
}  // namespace peat
