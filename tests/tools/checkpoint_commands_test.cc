// Tests of peat checkpoint and restore as a shell sees them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/tools/command_fixture.h"

namespace peat::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class CheckpointCommandsTest : public CommandFixture {
 protected:
  void MakeStore() const {
    MustRun("peat put s secret value && peat put s open value");
  }
};

TEST_F(CheckpointCommandsTest, CopyAndRestoreAStore) {
  MakeStore();

  EXPECT_THAT(MustRun("peat checkpoint s monday"),
              StartsWith("checkpoint of lsn 2: "));
  MustRun("peat put s later value");
  EXPECT_THAT(MustRun("peat restore monday --to new"),
              StartsWith("restored new as of lsn 2: "));
  EXPECT_EQ(MustRun("peat export new | sort"), "open\tvalue\nsecret\tvalue\n");
  EXPECT_EQ(MustRun("peat get monday open"), "value");
  MustRun("peat verify monday && peat verify new && peat verify s");
}

// The writer is closed only once the copies are made; values of 300,000 bytes
// lie in files of their own.
TEST_F(CheckpointCommandsTest, CopyAStoreBesideAProcessThatWrites) {
  MakeStore();
  const std::string large = "head -c 300000 /dev/zero | tr '\\0' v";

  MustRun(
      "mkfifo events; peat load s events & exec 3>events; "
      "printf 'a\\t1\\nlarge\\t' >&3; " +
      large +
      " >&3; "
      "printf '\\n' >&3; "
      "until peat get s large > seen 2>/dev/null; do :; done; "
      "peat checkpoint s first; printf 'b\\t2\\n' >&3; "
      "until peat get s b >&2; do :; done; "
      "peat checkpoint s second; exec 3>&-; wait");

  EXPECT_EQ(MustRun("peat export first --keys-only | sort"),
            "a\nlarge\nopen\nsecret\n");
  EXPECT_EQ(MustRun("peat get first large | wc -c"), "300000\n");
  EXPECT_EQ(MustRun("peat get second b"), "2");
  MustRun("peat verify first && peat verify second && peat verify s");
  MustRun("peat put first more value && peat verify first");
}

TEST_F(CheckpointCommandsTest, RestoreKeepsForgottenWhatWasForgotten) {
  MakeStore();
  MustRun("peat checkpoint s monday");
  MustRun("peat forget s secret --reason 'request 17'; peat disable s open");

  EXPECT_THAT(MustRun("peat restore monday --to new --masks-from s"),
              HasSubstr("masks taken along: 1 forgets, 1 disables, 0 enables; "
                        "0 change nothing\n"));
  EXPECT_EQ(Run("peat get new secret").exit_code, 1);
  EXPECT_EQ(Run("peat put new secret again").exit_code, 4);
  EXPECT_EQ(Run("peat put new open again").exit_code, 4);
  EXPECT_THAT(MustRun("peat audit new --key secret --reveal"),
              HasSubstr("request 17"));
  EXPECT_EQ(MustRun("peat get monday secret"), "value");
}

TEST_F(CheckpointCommandsTest, PrintOneJsonObjectWhenAskedTo) {
  MakeStore();

  const auto checkpoint =
      nlohmann::json::parse(MustRun("peat checkpoint s monday --json"));
  MustRun("peat forget s secret; peat disable s open");
  const auto plain =
      nlohmann::json::parse(MustRun("peat restore monday --to a --json"));
  const auto masked = nlohmann::json::parse(
      MustRun("peat restore monday --to b --masks-from s --json"));

  EXPECT_EQ(checkpoint.at("lsn"), 2);
  EXPECT_GT(checkpoint.at("linked_bytes"), 0);
  EXPECT_GE(checkpoint.at("copied_bytes"), 0);
  EXPECT_EQ(plain.at("lsn"), 2);
  EXPECT_FALSE(plain.contains("masks"));
  EXPECT_EQ(masked.at("masks"), nlohmann::json::parse(
                                    R"({"forgets": 1, "disables": 1,
                                        "enables": 0, "idle": 0})"));
}

TEST_F(CheckpointCommandsTest, ExitWithTwoOnABadCommandLine) {
  MakeStore();
  MustRun("peat checkpoint s monday; peat put other key value");
  for (const char* script :
       {"peat checkpoint", "peat checkpoint s", "peat checkpoint s s/copy",
        "peat restore", "peat restore monday",
        "peat restore monday --to monday/new",
        "peat restore monday --to new --masks-from other"}) {
    SCOPED_TRACE(script);
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.complaints, Not(IsEmpty()));
  }
}

TEST_F(CheckpointCommandsTest, ExitWithThreeWhereNothingCanBeCopied) {
  MakeStore();
  MustRun("peat checkpoint s monday; mkdir empty; echo text > file");
  for (const char* script :
       {"peat checkpoint none copy", "peat checkpoint empty copy",
        "peat checkpoint s monday", "peat checkpoint s none/copy",
        "peat checkpoint s file", "peat restore none --to new",
        "peat restore empty --to new", "peat restore monday --to s",
        "peat restore monday --to none/new",
        "peat restore monday --to new --masks-from none"}) {
    SCOPED_TRACE(script);
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_THAT(outcome.complaints, StartsWith("peat: "));
  }
  EXPECT_EQ(MustRun("ls"), "empty\nerr\nfile\nmonday\ns\n");
}

TEST_F(CheckpointCommandsTest, ExplainThemselves) {
  EXPECT_THAT(MustRun("peat checkpoint --help"), HasSubstr("Examples:"));
  EXPECT_THAT(MustRun("peat restore --help"), HasSubstr("Examples:"));
  EXPECT_THAT(MustRun("mkdir m && peat manual m && cat m/peat-restore.1"),
              HasSubstr("masks"));
  for (const char* command : {"checkpoint", "restore"}) {
    SCOPED_TRACE(command);
    const std::string name = command;
    EXPECT_THAT(MustRun("cat m/peat-" + name + ".1"), HasSubstr("\\-\\-json"));
    EXPECT_EQ(MustRun("bash -c '. m/peat.bash; COMP_WORDS=(peat " + name +
                      " --j); COMP_CWORD=2; _peat; echo $COMPREPLY'"),
              "--json\n");
  }
}

}  // namespace
}  // namespace peat::tools
