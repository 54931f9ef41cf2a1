// Tests of reading pairs from streams: what is allowed, where what is not is
// reported, and that neither long nor cut input does harm.

#include "tools/pair_reader.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/support/status_matchers.h"

namespace peat::tools {
namespace {

using ::peat::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct FileCloser {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

File FileOf(std::string_view bytes) {
  File file(std::tmpfile());
  EXPECT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file.get()),
            bytes.size());
  std::rewind(file.get());
  return file;
}

// All pairs of `bytes`, and in `*pairs` those before a failure.
absl::Status ReadAll(std::string_view bytes, PairFormat format, Pairs* pairs,
                     const PairLimits& limits = {}) {
  const File file = FileOf(bytes);
  PairReader reader(fileno(file.get()), format, limits);
  while (true) {
    tools::Pair pair;
    const absl::StatusOr<bool> found = reader.Next(&pair);
    if (!found.ok()) return found.status();
    if (!*found) return absl::OkStatus();
    pairs->emplace_back(pair.key, pair.value);
  }
}

TEST(PairReaderTest, FindsNothingInAnEmptyStream) {
  for (const PairFormat format :
       {PairFormat::kTsv, PairFormat::kJsonLines, PairFormat::kNul}) {
    Pairs pairs;
    EXPECT_OK(ReadAll("", format, &pairs));
    EXPECT_THAT(pairs, IsEmpty());
  }
}

TEST(PairReaderTest, ReadsTsvWithEscapesAndWithoutALastNewline) {
  Pairs pairs;

  EXPECT_OK(ReadAll("a\tb\n\t\nk\\x00\\t\tv\\n\\\\", PairFormat::kTsv, &pairs));

  EXPECT_THAT(pairs, ElementsAre(Pair("a", "b"), Pair("", ""),
                                 Pair(std::string("k\0\t", 3), "v\n\\")));
}

TEST(PairReaderTest, ReadsJsonLinesWithTextAndBase64) {
  Pairs pairs;

  EXPECT_OK(
      ReadAll("{\"key\": \"a\\n\", \"value\": \"\xC3\xBC\"}\n"
              "{\"value64\":\"/wA=\",\"key64\":\"gA==\"}\n"
              "{\"key\":\"\",\"value64\":\"\"}",
              PairFormat::kJsonLines, &pairs));

  EXPECT_THAT(
      pairs, ElementsAre(Pair("a\n", "\xC3\xBC"),
                         Pair("\x80", std::string("\xFF\0", 2)), Pair("", "")));
}

TEST(PairReaderTest, ReadsPairsEndedByZeroBytes) {
  Pairs pairs;

  EXPECT_OK(ReadAll(std::string_view("a\0b\n\0\0\0\xFF\0\t\0", 11),
                    PairFormat::kNul, &pairs));

  EXPECT_THAT(pairs,
              ElementsAre(Pair("a", "b\n"), Pair("", ""), Pair("\xFF", "\t")));
}

struct BadInput {
  PairFormat format;
  std::string_view bytes;
  std::string_view message;
};

TEST(PairReaderTest, NamesTheLineOfWhatIsMalformed) {
  const std::vector<BadInput> inputs = {
      {PairFormat::kTsv, "a\tb\nsecret\n", "line 2: "},
      {PairFormat::kTsv, "a\tb\n\n", "line 2: "},
      {PairFormat::kTsv, "a\tb\tsecret\n", "line 1: "},
      {PairFormat::kTsv, "a\tsecret\\q\n", "line 1: value: "},
      {PairFormat::kTsv, "secret\\\tb\n", "line 1: key: "},
      {PairFormat::kJsonLines, "secret", "line 1: "},
      {PairFormat::kJsonLines, "{\"key\":\"a\",\"value\":\"secret\"", "line 1"},
      {PairFormat::kJsonLines, "[\"key\",\"secret\"]", "line 1: "},
      {PairFormat::kJsonLines, "{\"key\":\"secret\"}", "line 1: "},
      {PairFormat::kJsonLines, "{\"key\":1,\"value\":\"secret\"}", "line 1: "},
      {PairFormat::kJsonLines, "{\"key\":\"secret\xFF\",\"value\":\"\"}",
       "line 1: "},
      {PairFormat::kJsonLines, "{\"key\":\"a\",\"value64\":\"*secret\"}",
       "line 1: "},
      {PairFormat::kJsonLines, "{\"key\":\"a\",\"key64\":\"secr\"}", "line 1"},
      {PairFormat::kJsonLines,
       "{\"key\":\"\",\"value\":\"\"}\n\n{\"key\":\"\",\"value\":\"\"}",
       "line 2: "},
      {PairFormat::kNul, std::string_view("a\0b\0secret", 10), "pair 2: "},
      {PairFormat::kNul, std::string_view("a\0secret", 8), "pair 1: "},
  };
  for (const BadInput& input : inputs) {
    SCOPED_TRACE(input.bytes);
    Pairs pairs;
    const absl::Status status = ReadAll(input.bytes, input.format, &pairs);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                                 std::string(input.message)));
    EXPECT_THAT(std::string(status.message()),
                Not(::testing::HasSubstr("secret")));
  }
}

TEST(PairReaderTest, GivesWholePairsOnlyOfInputCutAnywhere) {
  const std::string bytes("k1\0v1\0k2\0v2\0", 12);
  for (size_t size = 0; size <= bytes.size(); ++size) {
    SCOPED_TRACE(size);
    Pairs pairs;

    const absl::Status status = ReadAll(std::string_view(bytes).substr(0, size),
                                        PairFormat::kNul, &pairs);

    EXPECT_EQ(status.ok(), size % 6 == 0);
    EXPECT_EQ(pairs.size(), size / 6);
  }
}

TEST(PairReaderTest, RefusesKeysAndValuesOverTheLimit) {
  const PairLimits limits = {.key_size = 3, .value_size = 4};
  for (const auto& [format, fits, key_too_long, value_too_long] : std::vector<
           std::tuple<PairFormat, std::string, std::string, std::string>>{
           {PairFormat::kTsv, "\\x01\\x02\\x03\t\\x01234\n", "abcd\t1\n",
            "a\t12345\n"},
           {PairFormat::kJsonLines,
            R"({"key":"\u0001\u0002\u0003","value":""})",
            R"({"key":"abcd","value":""})", R"({"key":"a","value":"12345"})"},
           {PairFormat::kNul, std::string("abc\0001234\0", 9),
            std::string("abcd\0001\0", 7), std::string("a\00012345\0", 8)}}) {
    SCOPED_TRACE(fits);
    Pairs pairs;
    EXPECT_OK(ReadAll(fits, format, &pairs, limits));
    EXPECT_THAT(ReadAll(key_too_long, format, &pairs, limits),
                StatusIs(absl::StatusCode::kInvalidArgument, "key"));
    EXPECT_THAT(ReadAll(value_too_long, format, &pairs, limits),
                StatusIs(absl::StatusCode::kInvalidArgument, "value"));
  }
}

TEST(PairReaderTest, DoesNotReadALongLineToItsEnd) {
  const File file = FileOf(std::string(8'000'000, 'x'));
  for (const PairFormat format :
       {PairFormat::kTsv, PairFormat::kJsonLines, PairFormat::kNul}) {
    std::rewind(file.get());
    PairReader reader(fileno(file.get()), format,
                      {.key_size = 100, .value_size = 100});
    tools::Pair pair;

    EXPECT_THAT(reader.Next(&pair),
                StatusIs(absl::StatusCode::kInvalidArgument, "1: "));
    EXPECT_LT(reader.bytes_read(), 1'000'000U);
  }
}

// With the limits of a store, of which a value may be 1 GiB.
TEST(PairReaderTest, RefusesWhatCanNoLongerBeRightBeforeTheLineEnds) {
  for (const auto& [begin, byte, format] :
       std::vector<std::tuple<std::string, char, PairFormat>>{
           {"", 'x', PairFormat::kTsv},
           {"key\tvalue\t", 'x', PairFormat::kTsv},
           {"key\tvalue\\q", 'x', PairFormat::kTsv},
           {"", '[', PairFormat::kJsonLines},
           {"{\"key\":\"a\",\"value\":", '[', PairFormat::kJsonLines},
           {"{\"key\":\"a\",\"key\":\"", 'x', PairFormat::kJsonLines},
           {"{\"other\":\"", 'x', PairFormat::kJsonLines},
           {"{\"key\":\"", 'x', PairFormat::kJsonLines},
           {"", 'x', PairFormat::kNul}}) {
    SCOPED_TRACE(begin);
    const File file = FileOf(begin + std::string(8'000'000, byte));
    PairReader reader(fileno(file.get()), format);
    tools::Pair pair;

    EXPECT_THAT(reader.Next(&pair),
                StatusIs(absl::StatusCode::kInvalidArgument, "1: "));
    EXPECT_LT(reader.bytes_read(), 1'000'000U);
  }
}

TEST(PairReaderTest, ReadsEscapesThatStraddleItsBuffer) {
  const size_t size = size_t{1} << 18U;
  for (size_t shift = 0; shift < 8; ++shift) {
    SCOPED_TRACE(shift);
    const std::string text(size - 10 + shift, 'v');
    Pairs pairs;

    EXPECT_OK(ReadAll("k\t" + text + "\\\\\\x41\\\\x\\n\n", PairFormat::kTsv,
                      &pairs));

    EXPECT_THAT(pairs, ElementsAre(Pair("k", text + "\\A\\x\n")));
  }
}

TEST(PairReaderTest, ReadsPairsThatStraddleItsBuffer) {
  std::string bytes;
  for (int i = 0; i < 20'000; ++i) {
    bytes += std::to_string(i) + '\t' + std::string(i % 97, 'v') + '\n';
  }
  Pairs pairs;

  EXPECT_OK(ReadAll(bytes, PairFormat::kTsv, &pairs));

  ASSERT_EQ(pairs.size(), 20'000U);
  for (int i = 0; i < 20'000; ++i) {
    EXPECT_THAT(pairs[i], Pair(std::to_string(i), std::string(i % 97, 'v')));
  }
}

TEST(PairReaderTest, ReportsAStreamThatCannotBeRead) {
  const File directory(std::fopen("/", "r"));
  PairReader reader(fileno(directory.get()), PairFormat::kTsv);
  tools::Pair pair;

  EXPECT_THAT(reader.Next(&pair).status(), Not(::peat::testing::IsOk()));
}

}  // namespace
}  // namespace peat::tools
