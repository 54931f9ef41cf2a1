// Tests of peat disable, enable and forget, and of what the other commands say
// to keys that these have changed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/tools/command_fixture.h"

namespace peat::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

// BLAKE2b-256 of "key" and "value", by `b2sum -l 256`.
constexpr const char* kDigestOfKey =
    "447f0b47ade868b5ba625ee132e0b70814231c780f362e883bb3fda138e1476f";
constexpr const char* kDigestOfValue =
    "d6307990a4bb5da3bfe0f273a54577dc871b7a6a34bfc9f080a5a83d320840c4";

class MaskCommandsTest : public CommandFixture {};

TEST_F(MaskCommandsTest, ADisabledKeyIsReadButNotWrittenUntilItIsEnabled) {
  MustRun("peat put s key old && peat disable s key --reason audit");

  const Outcome put = Run("peat put s key new");
  const Outcome erased = Run("peat delete s key");

  EXPECT_EQ(put.exit_code, 4);
  EXPECT_EQ(put.complaints, "peat: the key is disabled\n");
  EXPECT_EQ(erased.exit_code, 4);
  EXPECT_EQ(MustRun("peat get s key"), "old");
  MustRun("peat enable s key && peat put s key new");
  EXPECT_EQ(MustRun("peat get s key"), "new");
}

TEST_F(MaskCommandsTest, AForgottenKeyIsGoneAndNothingBringsItBack) {
  MustRun("peat put s key secret && peat forget s key");

  const Outcome get = Run("peat get s key");
  EXPECT_EQ(get.exit_code, 1);
  EXPECT_EQ(get.complaints, "peat: no such key\n");
  for (const char* script :
       {"peat put s key new", "peat put s key new --if-absent",
        "peat delete s key", "peat disable s key", "peat enable s key"}) {
    SCOPED_TRACE(script);
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 4);
    EXPECT_EQ(outcome.complaints, "peat: the key is forgotten\n");
  }
}

TEST_F(MaskCommandsTest, ForgetPrintsReceiptsThatOtherProgramsCanMake) {
  MustRun("peat put s key value");

  const std::string line = MustRun("peat forget s key --json");

  const auto receipt = nlohmann::json::parse(line);
  EXPECT_EQ(receipt["lsn"], 2);
  EXPECT_THAT(receipt["store_id"].get<std::string>(),
              MatchesRegex("[0-9a-f]{32}"));
  EXPECT_EQ(receipt["key_digest"], kDigestOfKey);
  EXPECT_EQ(receipt["value_digest"], kDigestOfValue);
}

TEST_F(MaskCommandsTest, ForgetsAbsentKeysAndRepeatsOldReceiptsWithoutDigests) {
  MustRun("peat put s other 1");

  const auto first = nlohmann::json::parse(MustRun("peat forget s key --json"));
  const auto second =
      nlohmann::json::parse(MustRun("peat forget s key --json"));

  EXPECT_EQ(first["key_digest"], kDigestOfKey);
  EXPECT_TRUE(first["value_digest"].is_null());
  EXPECT_EQ(second["lsn"], first["lsn"]);
  EXPECT_TRUE(second["key_digest"].is_null());
  EXPECT_THAT(
      MustRun("peat forget s key"),
      MatchesRegex("forgotten, lsn 2, key key\n  store_id      [0-9a-f]{32}\n  "
                   "key_digest    -\n  value_digest  -\n"));
}

TEST_F(MaskCommandsTest, TakesAnyBytesAsKeys) {
  MustRun("peat put s -e 'k\\0\\xff' v && peat put s '{}' v");
  MustRun("peat put s '[a,b]' v && peat put s a v && peat put s -- -x v");

  MustRun("peat forget s -e 'k\\0\\xff' --reason '\\xff'");
  MustRun("peat forget s '{}' '[a,b]' '' -- -x");

  EXPECT_EQ(MustRun("peat get s a"), "v");
  EXPECT_THAT(
      MustRun("peat stats s"),
      ::testing::StartsWith("keys          1  (0 disabled, 5 forgotten)\n"));
}

TEST_F(MaskCommandsTest, DisablesAllOfSeveralKeysOrNone) {
  MustRun("peat put s a 1 && peat put s b 2");

  const Outcome absent = Run("peat disable s a c b");
  MustRun("peat forget s c");
  const Outcome forgotten = Run("peat disable s a b c");

  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_EQ(absent.complaints,
            "peat: no such key\npeat: that is key 2 of 3; none was changed\n");
  EXPECT_EQ(forgotten.exit_code, 4);
  EXPECT_THAT(forgotten.complaints, HasSubstr("key 3 of 3"));
  MustRun("peat put s a 3 && peat disable s a b");
  EXPECT_EQ(Run("peat put s a 4").exit_code, 4);
  EXPECT_EQ(Run("peat put s b 4").exit_code, 4);
}

TEST_F(MaskCommandsTest, ForgetsAPrefixAfterADryRunThatOnlyCounts) {
  MustRun("printf 'p/a\\t11\\np/b\\t2\\nq\\t3\\n' | peat load s");

  EXPECT_EQ(MustRun("peat forget s --prefix p/ --dry-run"),
            "would forget 2 keys, 9 bytes\n");
  EXPECT_EQ(MustRun("peat get s p/a"), "11");
  EXPECT_EQ(MustRun("peat forget s --prefix p/ --json"),
            "{\"dry_run\":false,\"key_count\":2,\"byte_count\":9}\n");

  EXPECT_EQ(Run("peat get s p/a").exit_code, 1);
  EXPECT_EQ(MustRun("peat get s q"), "3");
  EXPECT_EQ(MustRun("peat forget s --prefix p/"), "forgot 0 keys, 0 bytes\n");
}

TEST_F(MaskCommandsTest, LoadGoesOnPastWhatIsRefused) {
  MustRun("printf 'a\\t1\\nb\\t2\\n' | peat load s");
  MustRun("peat disable s a && peat forget s b");

  const Outcome load =
      Run("printf 'c\\t3\\na\\t9\\nb\\t9\\nd\\t4\\n' | peat load s");
  const Outcome again = Run(
      "printf 'c\\t3\\na\\t9\\nb\\t9\\ne\\t5\\n' | peat load s --if-absent");

  EXPECT_EQ(load.exit_code, 4);
  EXPECT_THAT(load.output, StartsWith("loaded 4 events, 2 refused, "));
  EXPECT_THAT(again.output,
              StartsWith("loaded 4 events, 1 inserted, 2 known, 1 refused, "));
  EXPECT_EQ(again.exit_code, 4);
  EXPECT_EQ(MustRun("peat get s a && peat get s c && peat get s d"), "134");
}

TEST_F(MaskCommandsTest, ExitsWithTwoOnABadCommandLine) {
  MustRun("peat put s key value");
  for (const char* script :
       {"peat disable s", "peat enable s", "peat forget s",
        "peat forget s --prefix ''", "peat forget s --prefix k key",
        "peat forget s key --dry-run", "peat forget s --bogus key",
        "peat disable s -e '\\q'", "peat disable s key --json",
        "peat disable s key --reason \"$(printf '%065537d' 0)\""}) {
    SCOPED_TRACE(script);
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.complaints, Not(IsEmpty()));
  }
  EXPECT_EQ(MustRun("peat get s key"), "value");
}

TEST_F(MaskCommandsTest, MakesNoStoreAndWaitsForNone) {
  for (const char* script : {"peat disable missing k", "peat enable missing k",
                             "peat forget missing k"}) {
    SCOPED_TRACE(script);
    EXPECT_EQ(Run(script).exit_code, 3);
  }
  EXPECT_FALSE(std::filesystem::exists(path("missing")));
}

TEST_F(MaskCommandsTest, TellsThatAReceiptCouldNotBePrinted) {
  MustRun("peat put s key value");

  EXPECT_EQ(Run("peat forget s key > /dev/full").exit_code, 3);

  EXPECT_EQ(Run("peat get s key").exit_code, 1);
}

TEST_F(MaskCommandsTest, SyncsBeforeItPrintsAReceipt) {
  if (Run("strace -o trace true").exit_code != 0) {
    GTEST_SKIP() << "strace is not there, or may not trace";
  }
  MustRun("peat put s key value && peat put s k2 value");
  const auto syncs_before_output = [this](const std::string& arguments) {
    // A leak check would need ptrace for itself.
    MustRun(
        "ASAN_OPTIONS=detect_leaks=0 strace -o trace -e "
        "trace=fdatasync,write '" PEAT_COMMAND "' " +
        arguments);
    const std::string trace = Read("trace");
    size_t count = 0;
    for (size_t at = trace.find("fdatasync("); at < trace.find("write(1,");
         at = trace.find("fdatasync(", at + 1)) {
      ++count;
    }
    return count;
  };
  Write("pair", "other\tvalue\n");

  // Opens, writes, and prints without a sync of what it wrote.
  const size_t without_flush =
      syncs_before_output("load s pair --acknowledge 1");

  EXPECT_GT(syncs_before_output("forget s key"), without_flush);
  EXPECT_GT(syncs_before_output("forget s --prefix k"), without_flush);
}

}  // namespace
}  // namespace peat::tools
