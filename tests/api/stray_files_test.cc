// Files in a store's directory that have names of the store's files and are
// not its: they never refuse it, and never come to be part of it.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "peat/store.h"
#include "tests/support/store_fixture.h"

namespace peat::testing {
namespace {

class StrayFilesTest : public StoreFixture {
 protected:
  void SetUp() override { PutAndClose("key", "before"); }

  void PutAndClose(std::string_view key, std::string_view value) {
    std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    ASSERT_OK(store->Put(key, value));
    ASSERT_OK(store->Close());
  }

  void ExpectOpensAndGoesOn() {
    ASSERT_NO_FATAL_FAILURE(PutAndClose("later", "value"));
    std::unique_ptr<Store> store = Open();
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(Read(*store, "key"), "before");
    EXPECT_EQ(Read(*store, "later"), "value");
  }

  // Makes another store, until its newest segment has an id that this one has
  // not given out yet, and puts that segment here. Returns its name.
  std::string PutForeignSegment() {
    const std::filesystem::path other = dir_.path() / "other";
    std::string newest;
    for (int i = 0; i < 5; ++i) {
      const absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(other);
      EXPECT_OK(store);
      EXPECT_OK((*store)->Put("key", "of another store"));
      EXPECT_OK((*store)->Close());
    }
    for (const auto& found : std::filesystem::directory_iterator(other)) {
      if (found.path().extension() != ".seg") continue;
      newest = std::max(newest, found.path().filename().string());
    }
    std::filesystem::copy_file(other / newest, path() / newest);
    return newest;
  }
};

class StrayNamesTest : public StrayFilesTest,
                       public ::testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Kinds, StrayNamesTest,
                         ::testing::Values("hint", "snap", "val", "seg"));

TEST_P(StrayNamesTest, AnEmptyFileRefusesNothing) {
  for (const char* const id : {"000100", "000999", "1000000"}) {
    WriteWholeFile(path() / absl::StrFormat("%s.%s", id, GetParam()), "");
    ASSERT_NO_FATAL_FAILURE(ExpectOpensAndGoesOn());
  }
}

TEST_P(StrayNamesTest, AFileOfAnyBytesRefusesNothing) {
  for (const size_t size : {1u, 72u, 4096u, 100'000u}) {
    WriteWholeFile(path() / absl::StrFormat("000999.%s", GetParam()),
                   std::string(size, 'x'));
    ASSERT_NO_FATAL_FAILURE(ExpectOpensAndGoesOn());
  }
}

TEST_P(StrayNamesTest, ADirectoryRefusesNothing) {
  std::filesystem::create_directory(path() /
                                    absl::StrFormat("000999.%s", GetParam()));
  ExpectOpensAndGoesOn();
}

// It may be all that is left of somebody's data.
TEST_F(StrayFilesTest, ASegmentOfAnotherStoreIsLeftAloneAndPassedOver) {
  const std::string name = PutForeignSegment();
  const std::string bytes = ReadWholeFile(path() / name);

  for (int i = 0; i < 10; ++i) ASSERT_NO_FATAL_FAILURE(ExpectOpensAndGoesOn());

  EXPECT_EQ(ReadWholeFile(path() / name), bytes);
}

}  // namespace
}  // namespace peat::testing
