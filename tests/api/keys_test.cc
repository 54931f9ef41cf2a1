// Keys that sort: see peat/keys.h.

#include "peat/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace peat {
namespace {

using ::testing::Eq;
using ::testing::Optional;

// All texts of up to three bytes of those that matter.
std::vector<std::string> SomeTexts() {
  std::vector<std::string> texts = {""};
  for (size_t i = 0; i < texts.size() && texts[i].size() < 3; ++i) {
    for (const char byte : {'\0', '\x01', 'a', '\xfe', '\xff'}) {
      texts.push_back(texts[i] + byte);
    }
  }
  return texts;
}

TEST(KeysTest, SortAsTheirNumbersDo) {
  const std::vector<uint64_t> numbers = {
      0, 1, 255, 256, 65535, 1ULL << 40, std::numeric_limits<uint64_t>::max()};
  for (size_t i = 1; i < numbers.size(); ++i) {
    EXPECT_LT(KeyBuilder().Number(numbers[i - 1]).Take(),
              KeyBuilder().Number(numbers[i]).Take());
  }
}

TEST(KeysTest, SortNegativeNumbersFirst) {
  const std::vector<int64_t> numbers = {
      std::numeric_limits<int64_t>::min(), -256, -1, 0, 1,
      std::numeric_limits<int64_t>::max()};
  for (size_t i = 1; i < numbers.size(); ++i) {
    EXPECT_LT(KeyBuilder().SignedNumber(numbers[i - 1]).Take(),
              KeyBuilder().SignedNumber(numbers[i]).Take());
  }
}

TEST(KeysTest, SortAsTheirTextsDoWhateverFollows) {
  const std::vector<std::string> texts = SomeTexts();
  for (const std::string& a : texts) {
    for (const std::string& b : texts) {
      const std::string first = KeyBuilder().Text(a).Number(UINT64_MAX).Take();
      const std::string second = KeyBuilder().Text(b).Number(0).Take();
      EXPECT_EQ(first < second, a < b);
    }
  }
}

TEST(KeysTest, AreNoPrefixOfAnotherText) {
  const std::vector<std::string> texts = SomeTexts();
  for (const std::string& a : texts) {
    for (const std::string& b : texts) {
      const std::string longer = KeyBuilder().Text(b).Rest("tail").Take();
      EXPECT_EQ(longer.starts_with(KeyBuilder().Text(a).Take()), a == b);
    }
  }
}

TEST(KeysTest, AreReadAsTheyWereWritten) {
  for (const std::string& text : SomeTexts()) {
    const std::string key =
        KeyBuilder().Text(text).Number(17).SignedNumber(-5).Rest("x").Take();
    KeyParser parser(key);

    EXPECT_THAT(parser.Text(), Optional(Eq(text)));
    EXPECT_THAT(parser.Number(), Optional(17U));
    EXPECT_THAT(parser.SignedNumber(), Optional(-5));
    EXPECT_EQ(parser.Rest(), "x");
    EXPECT_EQ(parser.Rest(), "");
  }
}

TEST(KeysTest, AreNotReadFromOtherBytes) {
  const std::vector<std::string> cases = {"", "seven b", std::string("a\0", 2),
                                          std::string("a\0\2", 3)};
  for (const std::string& bytes : cases) {
    KeyParser parser(bytes);

    EXPECT_EQ(parser.Number(), std::nullopt);
    EXPECT_EQ(parser.Text(), std::nullopt);
    EXPECT_EQ(parser.Rest(), bytes);  // it stays where it is
  }
}

}  // namespace
}  // namespace peat
