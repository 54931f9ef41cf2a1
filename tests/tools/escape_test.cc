// Tests of the escaping of bytes as a field of a line.

#include "tools/escape.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/support/status_matchers.h"

namespace peat::tools {
namespace {

using ::peat::testing::StatusIs;

std::string MustUnescape(std::string_view field) {
  std::string bytes;
  EXPECT_OK(Unescape(field, &bytes)) << field;
  return bytes;
}

TEST(EscapeTest, ReturnsEveryPairOfBytesUnharmed) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string bytes = {static_cast<char>(first),
                                 static_cast<char>(second)};
      const std::string field = Escape(bytes);

      ASSERT_EQ(MustUnescape(field), bytes) << first << ' ' << second;
      ASSERT_EQ(field.find_first_of(std::string_view("\t\n\r\0", 4)),
                field.npos);
    }
  }
}

TEST(EscapeTest, LeavesTextReadable) {
  EXPECT_EQ(Escape("plain text, \xC3\xBC and \xF0\x9F\x8C\xBE"),
            "plain text, \xC3\xBC and \xF0\x9F\x8C\xBE");
}

TEST(EscapeTest, NamesTheBytesThatHaveNames) {
  EXPECT_EQ(Escape(std::string_view("a\tb\nc\rd\\e\0f", 11)),
            "a\\tb\\nc\\rd\\\\e\\0f");
}

TEST(EscapeTest, WritesBytesThatAreNoTextInHexadecimal) {
  // A lone continuation, an overlong form, a surrogate, a cut sequence, DEL.
  EXPECT_EQ(Escape("\x80"), "\\x80");
  EXPECT_EQ(Escape("\xC0\xAF"), "\\xc0\\xaf");
  EXPECT_EQ(Escape("\xED\xA0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(Escape("\xE2\x82"), "\\xe2\\x82");
  EXPECT_EQ(Escape("\x7F"), "\\x7f");
}

TEST(EscapeTest, AppendsFieldsOfAnySize) {
  std::string field = "before ";
  std::string bytes;
  std::string expected = field;
  // Characters of three bytes, so that some lie across any boundary.
  for (int i = 0; i < 5000; ++i) {
    bytes += "\xE2\x82\xAC\xFF";
    expected += "\xE2\x82\xAC\\xff";
  }

  AppendEscaped(bytes, &field);

  EXPECT_EQ(field, expected);
}

TEST(EscapeTest, WritesControlCharactersBeyondAsciiInHexadecimal) {
  EXPECT_EQ(Escape("\xC2\x80\xC2\x9F\xC2\xA0"), "\\xc2\\x80\\xc2\\x9f\xC2\xA0");
}

TEST(EscapeTest, ReadsHexadecimalOfEitherCase) {
  EXPECT_EQ(MustUnescape("\\xaB\\xFf"), "\xAB\xFF");
}

TEST(EscapeTest, RefusesWhatIsNoEscape) {
  for (const std::string_view field :
       {"\\", "a\\", "\\q", "\\x", "\\x1", "\\x1g", "\\xg1", "\\X11"}) {
    SCOPED_TRACE(field);
    std::string bytes;
    EXPECT_THAT(Unescape(field, &bytes),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(EscapeTest, NamesTheOffsetOfABadEscape) {
  std::string bytes;
  EXPECT_THAT(Unescape("ab\\t\\q", &bytes),
              StatusIs(absl::StatusCode::kInvalidArgument, "byte 4"));
}

TEST(EscapeTest, WritesHexadecimal) {
  EXPECT_EQ(ToHex(std::string_view("\0\x7F\xFF", 3)), "007fff");
}

TEST(HexTest, ReadsWhatItWroteAndNothingElse) {
  const std::string bytes("\0\x9A\xFF", 3);

  EXPECT_EQ(ToHex(bytes), "009aff");
  EXPECT_EQ(FromHex("009AfF"), bytes);
  EXPECT_EQ(FromHex(""), "");
  EXPECT_EQ(FromHex("009"), std::nullopt);
  EXPECT_EQ(FromHex("0g"), std::nullopt);
}

TEST(Utf8Test, TakesTextAndNothingElse) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8(std::string_view("a\0\x7F\xC3\xBC\xF4\x8F\xBF\xBF", 9)));
  EXPECT_FALSE(IsUtf8("a\x80"));
  EXPECT_FALSE(IsUtf8("a\xC3"));
  EXPECT_FALSE(IsUtf8("\xED\xA0\x80"));
}

}  // namespace
}  // namespace peat::tools
