// Tests of dump, verify, repair, inspect, map and manual as a shell sees them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/support/child_process.h"
#include "tests/support/scoped_mount.h"
#include "tests/tools/command_fixture.h"

namespace peat::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class OfflineCommandsTest : public CommandFixture {
 protected:
  // A store with a deleted, a disabled and a forgotten key.
  void MakeStore() const {
    MustRun(
        "for i in 1 2 3 4 5 6 7 8 9; do printf 'key-%d\\tvalue-%d\\n' $i $i; "
        "done | peat load s && peat delete s key-2 && "
        "peat disable s key-3 --reason why && peat forget s key-4 --json");
  }

  // Flips bits of a record below the seal.
  void DamageStore() const {
    MustRun("printf '\\377' | dd of=s/000001.seg bs=1 seek=4250 conv=notrunc");
  }
};

TEST_F(OfflineCommandsTest, ExitWithTwoOnABadCommandLine) {
  MakeStore();
  for (const char* script :
       {"peat dump", "peat dump s --kind bogus", "peat dump s --lsn 5..2",
        "peat dump s --lsn x", "peat dump s --json --raw",
        "peat dump s/000001.seg --live", "peat dump s --escaped --key '\\q'",
        "peat verify", "peat repair s", "peat repair s --to s/new",
        "peat repair s --to n --accept-unproven", "peat map s"}) {
    SCOPED_TRACE(script);
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.complaints, Not(IsEmpty()));
  }
}

TEST_F(OfflineCommandsTest, ExitWithThreeWhereNothingCanBeRead) {
  MakeStore();
  MustRun("mkdir empty; echo hello > text; cp s/000001.seg lone");
  for (const char* script :
       {"peat dump missing", "peat dump empty", "peat dump text",
        "peat dump s/MANIFEST-0", "peat verify missing", "peat verify empty",
        "peat verify text", "peat repair missing --to n",
        "peat repair s --to empty", "peat inspect empty", "peat map empty -o m",
        "peat map s -o missing/m"}) {
    SCOPED_TRACE(script);
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_THAT(outcome.complaints, StartsWith("peat: "));
  }
}

TEST_F(OfflineCommandsTest, ExitWithOneWhereThereAreFindings) {
  MakeStore();
  DamageStore();
  for (const char* script :
       {"peat dump s", "peat dump s/000001.seg", "peat verify s",
        "peat repair s --to n", "peat repair s --to n --salvage",
        "peat inspect s", "peat map s -o m.html"}) {
    SCOPED_TRACE(script);
    EXPECT_EQ(Run(script).exit_code, 1);
  }
  EXPECT_EQ(Run("peat verify n").exit_code, 0);
}

TEST_F(OfflineCommandsTest, DumpPrintsSoundJsonOnEveryLine) {
  MakeStore();
  DamageStore();
  for (const char* script :
       {"peat dump s --json", "peat dump s --json --reveal",
        "peat dump s/000001.seg --json", "peat verify s --json",
        "peat repair s --to n --salvage --json", "peat inspect s --json"}) {
    SCOPED_TRACE(script);
    std::istringstream lines(Run(script).output);
    size_t count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    }
    EXPECT_GT(count, 0U);
  }
}

TEST_F(OfflineCommandsTest, DumpSelectsRecords) {
  MakeStore();

  EXPECT_THAT(MustRun("peat dump s --json --kind tombstone"),
              AllOf(HasSubstr("\"key\":\"key-2\""), Not(HasSubstr("put"))));
  EXPECT_THAT(MustRun("peat dump s --live --key key-1"),
              AllOf(HasSubstr("value-1"), Not(HasSubstr("key-5"))));
  EXPECT_THAT(
      MustRun("peat dump s --prefix key- --lsn 2..3 --kind put"),
      AllOf(HasSubstr("key-2"), HasSubstr("key-3"), Not(HasSubstr("key-5"))));
  EXPECT_THAT(MustRun("peat dump s --keys"), Not(HasSubstr("value")));
}

TEST_F(OfflineCommandsTest, DumpIsLoadedAgain) {
  MakeStore();
  const std::string states = MustRun(
      "peat dump s --live --json | peat load copy --dump >&2; "
      "peat export copy | sort; peat stats copy | head -n 1");

  EXPECT_EQ(states, MustRun("peat export s | sort; peat stats s | head -n 1"));
}

TEST_F(OfflineCommandsTest, GoOnBesideAProcessThatWrites) {
  MakeStore();

  EXPECT_EQ(MustRun("{ printf 'a\\t1\\n'; sleep 2; } | "
                    "peat load s --acknowledge 1 >&2 & sleep 1; "
                    "peat dump s --live --key a --json | wc -l; "
                    "peat verify s >&2; wait"),
            "1\n");
}

TEST_F(OfflineCommandsTest, AClosedPipeIsNoFailure) {
  MustRun("seq 200000 | sed 's/$/\\tvalue/' | peat load s");
  for (const char* script :
       {"peat dump s", "peat dump s --json", "peat dump s --raw",
        "peat inspect s", "peat map s -o -"}) {
    SCOPED_TRACE(script);
    const Outcome outcome =
        Run(std::string("{ ") + script + "; echo $? > code; } | head -n 1");
    EXPECT_EQ(Read("code"), "0\n");
    EXPECT_THAT(outcome.complaints, IsEmpty());
  }
}

TEST_F(OfflineCommandsTest, AnInterruptedRepairLeavesNothing) {
  MustRun("seq 400000 | sed 's/$/\\tvalue/' | peat load s");

  const Outcome outcome =
      Run("timeout -s INT 0.15 '" PEAT_COMMAND "' repair s --to n; ls");

  EXPECT_THAT(outcome.output, Not(HasSubstr("n.unfinished")));
  // It was stopped, or was through before.
  EXPECT_TRUE(outcome.output.find("\nn\n") == std::string::npos ||
              Run("peat verify n").exit_code == 0);
}

TEST_F(OfflineCommandsTest, AFullDiskLeavesNothing) {
  testing::ScopedMount disk(testing::MountKind::kTmpfs, 1);
  if (!disk.is_mounted()) GTEST_SKIP() << "no right to mount";
  MustRun("seq 100000 | sed 's/$/\\tvalue/' | peat load s");
  const std::string there = disk.path().string();

  EXPECT_EQ(Run("peat repair s --to " + there + "/n").exit_code, 3);
  EXPECT_TRUE(std::filesystem::is_empty(disk.path()));
  disk.AddBallast(0);
  EXPECT_EQ(Run("peat map s -o " + there + "/m.html").exit_code, 3);
  EXPECT_EQ(Run("peat dump s > " + there + "/d").exit_code, 3);
  disk.RemoveBallast();
  EXPECT_FALSE(std::filesystem::exists(disk.path() / "m.html"));
}

TEST_F(OfflineCommandsTest, MapDrawsInABrowser) {
  if (testing::RunCommand({"chromium", "--version"}) != 0) {
    GTEST_SKIP() << "chromium is not installed";
  }
  MakeStore();
  MustRun("peat map s -o map.html");

  const std::string page = MustRun(
      "chromium --headless --no-sandbox --disable-gpu --virtual-time-budget="
      "5000 --dump-dom \"file://$PWD/map.html\" 2>/dev/null");

  EXPECT_THAT(page, HasSubstr("data-drawn=\"yes\""));
  EXPECT_THAT(page, HasSubstr("000001.seg (log, sealed)"));
}

TEST_F(OfflineCommandsTest, MapNeedsNothingFromOutsideAndHoldsNoKey) {
  MakeStore();
  MustRun("peat map s -o map.html");

  const std::string page = Read("map.html");

  EXPECT_THAT(page, Not(HasSubstr("key-1")));
  EXPECT_THAT(page, Not(HasSubstr("src=")));
  EXPECT_THAT(page, Not(HasSubstr("href=")));
  EXPECT_THAT(page, Not(HasSubstr("url(")));
}

TEST_F(OfflineCommandsTest, ManualHasAPageForEachCommandThatHelpLists) {
  MustRun("mkdir m && peat manual m");

  const std::string help = MustRun("peat --help");
  EXPECT_THAT(help, Not(HasSubstr("manual")));
  EXPECT_THAT(Read("m/peat.1"), StartsWith(".TH PEAT 1"));
  for (const char* command : {"dump", "verify", "repair", "inspect", "map"}) {
    SCOPED_TRACE(command);
    EXPECT_THAT(help, HasSubstr(command));
    EXPECT_THAT(Read(std::string("m/peat-") + command + ".1"),
                AllOf(HasSubstr(".SH EXAMPLES"), HasSubstr(".SH OPTIONS")));
  }
  EXPECT_EQ(MustRun("bash -c '. m/peat.bash; COMP_WORDS=(peat dump s --kind "
                    "to); COMP_CWORD=4; _peat; echo $COMPREPLY; "
                    "COMP_WORDS=(peat ver); COMP_CWORD=1; _peat; "
                    "echo $COMPREPLY'"),
            "tombstone\nverify\n");
}

TEST_F(OfflineCommandsTest, ReadDespiteDamageWhatIsSound) {
  MustRun(
      "head -c 300000 /dev/zero | peat put s b --value-file - && "
      "peat put s a 1 && peat put s c 3");
  MustRun(
      "for f in s/*.val; do printf x | dd of=$f bs=1 seek=9000 "
      "conv=notrunc 2>/dev/null; done");

  const Outcome scan = Run("peat scan s --despite-damage");
  EXPECT_EQ(scan.exit_code, 3);
  EXPECT_EQ(scan.output, "a\t1\nc\t3\n");
  EXPECT_THAT(scan.complaints, HasSubstr("key b: "));
  EXPECT_EQ(Run("peat export s --despite-damage").output, "a\t1\nc\t3\n");
  EXPECT_EQ(Run("peat get s --despite-damage a").output, "1");

  MustRun("f=$(ls s/*.seg | tail -n 1); truncate -s -8 $f");
  EXPECT_EQ(Run("peat scan s").exit_code, 3);
  EXPECT_EQ(Run("peat scan s --despite-damage").exit_code, 3);
}

TEST_F(OfflineCommandsTest, CompletionForZshAndFishKnowsEveryCommand) {
  MustRun("mkdir m && peat manual m");
  const std::string zsh = Read("m/_peat");
  const std::string fish = Read("m/peat.fish");

  EXPECT_THAT(zsh, ::testing::StartsWith("#compdef peat\n"));
  for (const std::string command : {"put", "load", "dump", "verify", "map"}) {
    SCOPED_TRACE(command);
    EXPECT_THAT(zsh, HasSubstr("\n    '" + command + ":"));
    EXPECT_THAT(zsh, HasSubstr("\n    " + command + ") _arguments"));
    EXPECT_THAT(fish, HasSubstr("-a " + command + " -d '"));
  }
  EXPECT_THAT(zsh, HasSubstr("--format["));
  EXPECT_THAT(zsh, HasSubstr(":(tsv jsonl nul)'"));
  EXPECT_THAT(fish,
              HasSubstr("-l format -d 'Default: tsv' -x -a 'tsv jsonl nul'"));
}

}  // namespace
}  // namespace peat::tools
