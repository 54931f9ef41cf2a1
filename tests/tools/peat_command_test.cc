// Tests of the peat command as a shell sees it: output, exit codes, and input
// that is not what it should be.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "tests/tools/command_fixture.h"
#include "tools/escape.h"

namespace peat::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class PeatCommandTest : public CommandFixture {};

TEST_F(PeatCommandTest, GetsWhatWasPut) {
  EXPECT_EQ(Run("peat put s key value").exit_code, 0);

  const Outcome get = Run("peat get s key");

  EXPECT_EQ(get.exit_code, 0);
  EXPECT_EQ(get.output, "value");
  EXPECT_THAT(get.complaints, IsEmpty());
}

TEST_F(PeatCommandTest, AllowsTheEmptyKeyAndTheEmptyValue) {
  EXPECT_EQ(Run("peat put s '' ''").exit_code, 0);

  EXPECT_EQ(Run("peat get --hex s ''").output, "\n");
}

TEST_F(PeatCommandTest, AllowsKeysThatLookLikeCommandsAndOptions) {
  EXPECT_EQ(Run("peat put s get 1 && peat put s -- --help 2").exit_code, 0);

  EXPECT_EQ(Run("peat get s get && peat get s -- --help").output, "12");
}

TEST_F(PeatCommandTest, PrintsBinaryValuesRawEscapedAndInHexadecimal) {
  EXPECT_EQ(Run("peat put s -e 'k\\x00' 'a\\0\\xff\\n'").exit_code, 0);

  EXPECT_EQ(Run("peat get s -e 'k\\0'").output, std::string("a\0\xFF\n", 4));
  EXPECT_EQ(Run("peat get s -e 'k\\0' --escaped").output, "a\\0\\xff\\n\n");
  EXPECT_EQ(Run("peat get s -e 'k\\0' --hex").output, "6100ff0a\n");
}

TEST_F(PeatCommandTest, LetsKeysEnd) {
  MustRun("peat put s gone v --expires-at 2001-01-01T00:00:00Z");
  MustRun("peat put s hour v --expires-after 1h");
  MustRun("peat put s far v --expires-at 9999-12-31");
  MustRun("peat put s stays v");
  EXPECT_EQ(Run("peat get s gone").exit_code, 1);
  EXPECT_EQ(MustRun("peat export s --count"), "3\n");
  MustRun("peat export s --format jsonl > all");
  EXPECT_THAT(MustRun("grep far all"),
              HasSubstr("\"value\":\"v\",\"expires_at\":253402214400000}"));
  EXPECT_THAT(MustRun("grep hour all"), HasSubstr("\"expires_at\":"));
  EXPECT_THAT(MustRun("grep stays all"), Not(HasSubstr("expires_at")));

  MustRun("peat load copy all --format jsonl");
  MustRun("peat export copy --format jsonl > again && cmp all again");
  MustRun("peat load copy all --check --format jsonl");

  for (const char* const bad :
       {"--expires-after 0s", "--expires-after -1h", "--expires-after 1",
        "--expires-after 1us", "--expires-at 1969-01-01",
        "--expires-at yesterday", "--expires-after 1h --expires-at 2030-01-01",
        "--expires-after 9000000000h"}) {
    EXPECT_EQ(Run(std::string("peat put s k v ") + bad).exit_code, 2) << bad;
  }
  for (const char* const bad :
       {"0", "-1", "9007199254740993", "1.5", "true", "\"soon\"", "[1]"}) {
    Write("bad",
          absl::StrFormat(R"({"key":"k","value":"v","expires_at":%s})", bad));
    EXPECT_EQ(Run("peat load s bad --format jsonl").exit_code, 2) << bad;
  }
  EXPECT_EQ(Run("peat get s k").exit_code, 1);
}

TEST_F(PeatCommandTest, ReadsAValueFromAFileOrStandardInput) {
  const std::string bytes("\0\n\xFF", 3);
  Write("value", bytes);

  EXPECT_EQ(Run("peat put s a --value-file value").exit_code, 0);
  EXPECT_EQ(Run("peat put s b --value-file - < value").exit_code, 0);

  EXPECT_EQ(Run("peat get s a").output, bytes);
  EXPECT_EQ(Run("peat get s b").output, bytes);
}

TEST_F(PeatCommandTest, ExitsWithOneWhereThereIsNoSuchKey) {
  EXPECT_EQ(Run("peat put s key value").exit_code, 0);

  EXPECT_EQ(Run("peat get s other").exit_code, 1);
  EXPECT_EQ(Run("peat delete s other").exit_code, 1);
  EXPECT_EQ(Run("peat put s key other --if-absent").exit_code, 1);
  EXPECT_EQ(Run("peat delete s key && peat get s key").exit_code, 1);
}

TEST_F(PeatCommandTest, ExitsWithTwoOnABadCommandLine) {
  for (const char* script :
       {"peat", "peat bogus", "peat get s", "peat put s k", "peat put s k v w",
        "peat get s k --hex --escaped", "peat put s -e '\\q' v",
        "peat load s --format xml", "peat load s --check --flush",
        "peat load s --acknowledge 0"}) {
    SCOPED_TRACE(script);
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.complaints, Not(IsEmpty()));
  }
}

TEST_F(PeatCommandTest, ExitsWithTwoOnAKeyThatIsTooLong) {
  EXPECT_EQ(Run("peat put s \"$(printf '%065536d' 0)\" v").exit_code, 2);
}

TEST_F(PeatCommandTest, ExitsWithThreeWhereThereIsNoStoreOrInput) {
  Write("file", "x");
  for (const char* script :
       {"peat get missing k", "peat delete missing k", "peat stats missing",
        "peat stats --recover missing", "peat get file k", "peat put file k v",
        "peat put missing/deeper k v", "peat load s missing", "peat load s .",
        "peat put s k --value-file missing"}) {
    SCOPED_TRACE(script);
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_THAT(outcome.complaints, StartsWith("peat: "));
  }
}

TEST_F(PeatCommandTest, LoadsTheSameBytesInEveryFormat) {
  std::string bytes;
  for (int byte = 1; byte < 256; ++byte) bytes += static_cast<char>(byte);
  Write("pairs.tsv", "k\t" + Escape(bytes) + "\n");
  Write("pairs.nul", std::string("k\0", 2) + bytes + '\0');
  ASSERT_EQ(Run("printf '{\"key\":\"k\",\"value64\":\"%s\"}\n' \"$(head -c -1 "
                "pairs.nul | tail -c +3 | base64 -w 0)\" > pairs.jsonl")
                .exit_code,
            0);

  for (const std::string format : {"tsv", "jsonl", "nul"}) {
    SCOPED_TRACE(format);
    EXPECT_EQ(
        Run("peat load " + format + " pairs." + format + " --format " + format)
            .exit_code,
        0);
    EXPECT_EQ(Run("peat get " + format + " k").output, bytes);
  }
}

TEST_F(PeatCommandTest, LoadsTheLastOfSeveralValues) {
  EXPECT_EQ(Run("printf 'a\\t1\\nb\\t2\\na\\t3\\n' | peat load s").exit_code,
            0);

  EXPECT_EQ(Run("peat get s a && peat get s b").output, "32");
}

TEST_F(PeatCommandTest, LoadsTheFirstOfSeveralValuesWhenAskedTo) {
  const Outcome load =
      Run("printf 'a\\t1\\nb\\t2\\na\\t3\\n' | peat load s --if-absent");

  EXPECT_THAT(load.output,
              StartsWith("loaded 3 events, 2 inserted, 1 known, "));
  EXPECT_EQ(Run("peat get s a && peat get s b").output, "12");
}

TEST_F(PeatCommandTest, AnnouncesWhatIsAcknowledged) {
  for (const char* option : {"", " --if-absent", " --flush"}) {
    SCOPED_TRACE(option);
    EXPECT_THAT(Run("seq 5 | sed 's/$/\\tv/' | peat load s --acknowledge 2" +
                    std::string(option))
                    .output,
                StartsWith("acknowledged 2\nacknowledged 4\nloaded 5 events"));
  }
}

TEST_F(PeatCommandTest, KeepsWhatItAnnouncedWhenItIsKilled) {
  // The input stays open, so the loader waits for more when it is killed.
  const Outcome outcome =
      Run("mkfifo in out; "
          "'" PEAT_COMMAND
          "' load s in --acknowledge 500 > out & pid=$!; "
          "{ seq 1000 | sed 's/$/\\tv/'; exec sleep 60; } > in & writer=$!; "
          "exec 3< out; read -r first <&3; read -r second <&3; "
          "kill -KILL $pid; wait $pid; kill $writer; "
          "echo \"$second\"; seq 1000 | sed 's/$/\\tv/' | peat load s --check");

  EXPECT_THAT(outcome.output,
              StartsWith("acknowledged 1000\nchecked 1000 events, 0 missing"));
  EXPECT_EQ(outcome.exit_code, 0);
}

TEST_F(PeatCommandTest, StoresWhatCameBeforeAMalformedLine) {
  const Outcome load =
      Run("printf 'a\\t1\\nb\\t2\\nsecret\\nc\\t3\\n' | peat load s");

  EXPECT_EQ(load.exit_code, 2);
  EXPECT_THAT(load.complaints, StartsWith("peat: line 3: "));
  EXPECT_THAT(load.complaints, Not(HasSubstr("secret")));
  EXPECT_EQ(Run("peat get s b").output, "2");
  EXPECT_EQ(Run("peat get s c").exit_code, 1);
}

TEST_F(PeatCommandTest, ChecksAnInputAgainstTheStore) {
  EXPECT_EQ(Run("printf 'a\\t1\\nb\\t2\\n' | peat load s").exit_code, 0);

  const Outcome same = Run("printf 'b\\t2\\n' | peat load s --check");
  const Outcome other =
      Run("printf 'a\\tsecret\\nc\\t3\\n' | peat load s --check");

  EXPECT_EQ(same.exit_code, 0);
  EXPECT_EQ(same.output, "checked 1 events, 0 missing, 0 different\n");
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_EQ(other.output, "checked 2 events, 1 missing, 1 different\n");
  EXPECT_THAT(other.complaints, Not(HasSubstr("secret")));
}

TEST_F(PeatCommandTest, CountsKeysInATableAndInJson) {
  EXPECT_EQ(Run("printf 'a\\t1\\nb\\t2\\n' | peat load s").exit_code, 0);

  EXPECT_THAT(Run("peat stats s").output, MatchesRegex("keys +2  (.*\n)*"));
  EXPECT_THAT(Run("peat stats s --json").output,
              HasSubstr("\"key_count\": 2,"));
  EXPECT_THAT(Run("peat stats s --recover --json").output,
              HasSubstr("\"clean\": true"));
}

TEST_F(PeatCommandTest, PrintsStatsForPeopleAndForPrometheus) {
  EXPECT_EQ(Run("printf 'a\\t1\\nb\\t2\\nc\\t3\\n' | peat load s").exit_code,
            0);

  const std::string people = Run("peat stats s").output;
  const std::string metrics = Run("peat stats s --prometheus").output;

  const std::vector<std::string> lines = absl::StrSplit(people, '\n');
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80U) << line;
  // Three keys have no amplification that means anything.
  EXPECT_THAT(people, Not(HasSubstr("times")));
  EXPECT_THAT(metrics, HasSubstr("# TYPE peat_key_count gauge\n"
                                 "peat_key_count 3\n"));
  EXPECT_THAT(metrics, HasSubstr("\npeat_open_clean 1\n"));
  EXPECT_EQ(Run("peat stats s --json --prometheus").exit_code, 2);
}

TEST_F(PeatCommandTest, TopLooksAgainAndTellsTheDifference) {
  EXPECT_EQ(Run("peat put s a 1").exit_code, 0);

  const Outcome top = Run("peat top s --count 2 --interval 1");

  EXPECT_EQ(top.exit_code, 0);
  EXPECT_THAT(top.output,
              MatchesRegex("keys +1\n(.*\n)*keys +1  .0/s\n(.*\n)*"));
  EXPECT_EQ(Run("peat top s --interval 0").exit_code, 2);
  EXPECT_EQ(Run("peat top missing").exit_code, 3);
}

TEST_F(PeatCommandTest, GetsAndDeletesSeveralKeys) {
  EXPECT_EQ(Run("printf 'a\\t1\\nb\\t2\\nc\\t3\\n' | peat load s").exit_code,
            0);

  EXPECT_EQ(Run("peat get s a b").output, "a\t1\nb\t2\n");
  EXPECT_EQ(Run("peat get s --hex a b").output, "61\t31\n62\t32\n");
  const Outcome some = Run("peat get s a x c");
  EXPECT_EQ(some.exit_code, 1);
  EXPECT_EQ(some.output, "a\t1\nc\t3\n");
  EXPECT_THAT(some.complaints, HasSubstr("of key x"));
  EXPECT_EQ(Run("peat delete s a c").exit_code, 0);
  EXPECT_EQ(Run("peat delete s a b").exit_code, 1);
  EXPECT_EQ(Run("peat export s").output, "");
}

TEST_F(PeatCommandTest, DeletesByPrefix) {
  EXPECT_EQ(Run("printf 'a1\\t1\\na2\\t2\\nb\\t3\\n' | peat load s").exit_code,
            0);

  EXPECT_EQ(Run("peat delete s --prefix a --dry-run").output,
            "would delete 2 keys\n");
  EXPECT_EQ(Run("peat delete s --prefix a").output, "deleted 2 keys\n");
  EXPECT_EQ(Run("peat export s").output, "b\t3\n");
  EXPECT_EQ(Run("peat delete s --prefix ''").exit_code, 2);
  EXPECT_EQ(Run("peat delete s").exit_code, 2);
}

TEST_F(PeatCommandTest, CompactsAndShowsSegments) {
  // 60,000 events of 20 keys: more than two segments of 1 MiB.
  EXPECT_EQ(Run("for i in 1 2 3; do seq 20000 | awk '{print $1 % 20 "
                "\"\\tsome value of a bit of length\"}'; done | "
                "peat load s")
                .exit_code,
            0);

  const Outcome compacted = Run("peat compact s --progress");

  EXPECT_EQ(compacted.exit_code, 0);
  EXPECT_THAT(compacted.output,
              MatchesRegex("compacted [0-9,]+ bytes of segments to [0-9,]+\n"));
  EXPECT_THAT(Run("peat stats s").output,
              MatchesRegex("(.*\n)*segment +kind +used +live .*\n"
                           "[0-9]+ +(log|compacted) (.*\n)*"));
  EXPECT_THAT(Run("peat stats s --json").output,
              HasSubstr("\"key_count\": 20,"));
  EXPECT_EQ(Run("peat compact missing").exit_code, 3);
}

TEST_F(PeatCommandTest, TakesAClosedPipeForEnoughAndAFullDiskForAFailure) {
  EXPECT_EQ(
      Run("head -c 1000000 /dev/zero | peat put s k --value-file -").exit_code,
      0);

  const Outcome closed =
      Run("{ peat get s k; echo $? > code; } | head -c 1 | wc -c; cat code");
  const Outcome full = Run("peat get s k > /dev/full");

  EXPECT_THAT(closed.output, MatchesRegex(" *1\n0\n"));
  EXPECT_THAT(closed.complaints, IsEmpty());
  EXPECT_EQ(full.exit_code, 3);
}

TEST_F(PeatCommandTest, ScansInTheOrderOfKeys) {
  EXPECT_EQ(
      Run("printf 'b\\t2\\na\\t1\\nc\\t3\\nba\\t4\\n' | peat load s").exit_code,
      0);

  EXPECT_EQ(Run("peat scan s").output, "a\t1\nb\t2\nba\t4\nc\t3\n");
  EXPECT_EQ(Run("peat scan s --prefix b --keys-only").output, "b\nba\n");
  EXPECT_EQ(Run("peat scan s --from b --to c --reverse").output,
            "ba\t4\nb\t2\n");
  EXPECT_EQ(Run("peat scan s --after a --limit 1").output, "b\t2\n");
  EXPECT_EQ(Run("peat scan s --prefix c --format jsonl").output,
            "{\"key\":\"c\",\"value\":\"3\"}\n");
  EXPECT_EQ(Run("peat scan s --escaped --prefix 'b\\x61'").output, "ba\t4\n");
  EXPECT_EQ(Run("peat scan s --from z --to a").output, "");
  EXPECT_EQ(Run("peat scan nothing").exit_code, 3);
  EXPECT_EQ(Run("peat scan s --escaped --prefix 'b\\q'").exit_code, 2);
}

TEST_F(PeatCommandTest, LoadsWhatItExports) {
  Write("all", R"(\0\xff\t	\xfe\n\\
text	\xc3\x28
	the empty key
\x01control	ü
)");
  EXPECT_EQ(Run("peat load s all").exit_code, 0);
  const std::string pairs = Run("peat scan s").output;

  for (const std::string format : {"tsv", "jsonl"}) {
    SCOPED_TRACE(format);
    EXPECT_EQ(Run("peat export s --format " + format + " | peat load copy_" +
                  format + " --format " + format)
                  .exit_code,
              0);
    EXPECT_EQ(Run("peat scan copy_" + format).output, pairs);
  }
  EXPECT_EQ(Run("peat export s --format nul").exit_code, 2);
  EXPECT_EQ(Run("peat put t a b && peat export t --format nul | "
                "peat load u --format nul > /dev/null && peat get u a")
                .output,
            "b");
}

TEST_F(PeatCommandTest, HasHelpWithExamplesForEachCommand) {
  for (const std::string command :
       {"put", "get", "delete", "disable", "enable", "forget", "load", "scan",
        "export", "stats", "audit", "compact"}) {
    SCOPED_TRACE(command);
    const Outcome help = Run("peat " + command + " --help");
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.output, HasSubstr("Examples:\n  peat " + command));
  }
}

}  // namespace
}  // namespace peat::tools
