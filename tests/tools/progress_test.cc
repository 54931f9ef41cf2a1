// Tests of the progress line.

#include "tools/progress.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace peat::tools {
namespace {

TEST(ProgressTest, GroupsDigitsByThree) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(1'000), "1,000");
  EXPECT_EQ(WithCommas(1'234'567), "1,234,567");
}

TEST(ProgressTest, DrawsTheShareOfBytesThatIsRead) {
  EXPECT_EQ(
      RenderProgress(
          {.bytes = 50, .bytes_total = 100, .events = 12'345, .seconds = 5},
          79),
      "[===============>              ]  50%  12,345 events  2,469/s");
}

TEST(ProgressTest, FillsTheBarAtTheEndAndNoFurther) {
  // A file may grow while it is read.
  EXPECT_EQ(RenderProgress({.bytes = 200, .bytes_total = 100, .events = 1}, 79),
            "[==============================] 100%  1 events");
}

TEST(ProgressTest, DrawsNoBarForAStreamOfUnknownSize) {
  EXPECT_EQ(RenderProgress({.bytes = 5, .events = 7, .seconds = 1}, 79),
            "7 events  7/s");
}

TEST(ProgressTest, LeavesOutWhatDoesNotFitTheColumns) {
  const ProgressState state{
      .bytes = 5, .bytes_total = 10, .events = 412'345, .seconds = 5};

  EXPECT_EQ(RenderProgress(state, 37), " 50%  412,345 events  82,469/s");
  EXPECT_EQ(RenderProgress(state, 47),
            "[=======>      ]  50%  412,345 events  82,469/s");
  EXPECT_EQ(RenderProgress(state, 19), " 50%  412,345");
  EXPECT_EQ(RenderProgress(state, 10), " 50%");
  EXPECT_EQ(RenderProgress(state, 3), "");
  for (size_t columns = 0; columns < 100; ++columns) {
    EXPECT_LE(RenderProgress(state, columns).size(), columns);
  }
}

TEST(ProgressTest, WritesNothingWhereThereIsNoTerminal) {
  std::FILE* file = std::tmpfile();
  {
    Progress progress(file, Progress::Mode::kOnTerminal, 100);
    progress.Update(50, 1);
  }

  EXPECT_EQ(std::ftell(file), 0);
  (void)std::fclose(file);
}

}  // namespace
}  // namespace peat::tools
