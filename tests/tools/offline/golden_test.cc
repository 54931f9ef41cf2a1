// What the offline commands print of the store in tests/compat/v1, which an
// older Peat has written, byte for byte.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/support/store_fixture.h"
#include "tests/tools/command_fixture.h"

namespace peat::tools {
namespace {

struct Golden {
  std::string file;
  std::string command;
};

class GoldenTest : public CommandFixture,
                   public ::testing::WithParamInterface<Golden> {
 protected:
  void SetUp() override {
    std::filesystem::copy(PEAT_COMPAT_DIR "/store", path("store"));
  }
};

TEST_P(GoldenTest, PrintsWhatItPrintedThen) {
  const Outcome outcome = Run("unset COLUMNS; peat " + GetParam().command);

  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.complaints, "");
  EXPECT_EQ(outcome.output,
            testing::ReadWholeFile(std::string(PEAT_COMPAT_DIR "/") +
                                   GetParam().file));
  // And has changed nothing.
  EXPECT_EQ(testing::ReadFiles(path("store")),
            testing::ReadFiles(PEAT_COMPAT_DIR "/store"));
}

INSTANTIATE_TEST_SUITE_P(
    Commands, GoldenTest,
    ::testing::Values(
        Golden{"dump.txt", "dump store"},
        Golden{"dump_live.json", "dump store --live --json --lsn 1..12"},
        Golden{"dump_keys.json", "dump store --keys --json"},
        Golden{"dump_reveal.json",
               "dump store --json --reveal --kind disable --kind enable "
               "--kind forget"},
        Golden{"dump_raw.txt", "dump store/000257.seg --raw --reveal"},
        Golden{"verify.txt", "verify store"},
        Golden{"inspect.txt", "inspect store"}));

TEST(CompatTest, AStoreOfTheFirstFormatOpens) {
  const testing::TempDir dir;
  std::filesystem::copy(PEAT_COMPAT_DIR "/store", dir.path() / "store");

  const auto store = Store::Open(dir.path() / "store");

  ASSERT_OK(store);
  EXPECT_EQ(testing::Read(**store, "order-17"), "paid");
  EXPECT_EQ(testing::Read(**store, "order-19"), std::nullopt);
  EXPECT_EQ(testing::Read(**store, "film"), std::string(262'200, 'v'));
  EXPECT_EQ(*(*store)->State("customer-4"), KeyState::kForgotten);
}

}  // namespace
}  // namespace peat::tools
