// The command among others in a pipe: readers that have had enough, pipes that
// do not wait, producers that pause, input that is not what it should be.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <optional>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/tools/command_fixture.h"

namespace peat::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kEscape = '\x1b';

class StreamsTest : public CommandFixture {
 protected:
  // Many pairs, and behind them one whose value is damaged: who reads on to the
  // end complains.
  void MakeStoreThatEndsBadly() const {
    std::string pairs;
    for (int i = 0; i < 10'000; ++i) {
      pairs += "key-" + std::to_string(i) + "\t" + std::string(100, 'v') + "\n";
    }
    Write("pairs", pairs + "last\t" + std::string(300'000, 'v') + "\n");
    MustRun("peat load s pairs");
    MustRun(
        "for f in s/*.val; do printf x | "
        "dd of=$f bs=1 seek=9000 conv=notrunc 2>/dev/null; done");
  }

  struct Child {
    pid_t process = -1;
    int input = -1;   // to be written to
    int output = -1;  // to be read from
  };
  // Starts the command with pipes, whose ends it has do not block.
  Child Start(const std::vector<std::string>& words, int flags) const {
    std::array<int, 2> in = {};
    std::array<int, 2> out = {};
    EXPECT_EQ(pipe(in.data()), 0);
    EXPECT_EQ(pipe(out.data()), 0);
    EXPECT_EQ(fcntl(in[0], F_SETFL, flags), 0);
    EXPECT_EQ(fcntl(out[1], F_SETFL, flags), 0);
    std::vector<std::string> all = {PEAT_COMMAND};
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> arguments;
    for (std::string& word : all) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string directory = path("").string();
    const pid_t process = fork();
    if (process == 0) {
      (void)dup2(in[0], STDIN_FILENO);
      (void)dup2(out[1], STDOUT_FILENO);
      for (const int fd : {in[0], in[1], out[0], out[1]}) (void)close(fd);
      if (chdir(directory.c_str()) != 0) _exit(127);
      execv(arguments[0], arguments.data());
      _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    return {.process = process, .input = in[1], .output = out[0]};
  }

  static void Send(const Child& child, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = write(child.input, bytes.data(), bytes.size());
      ASSERT_GT(size, 0);
      bytes.remove_prefix(static_cast<size_t>(size));
    }
  }
  static std::string Receive(const Child& child) {
    std::string all;
    std::array<char, 4096> part = {};
    for (;;) {
      const ssize_t size = read(child.output, part.data(), part.size());
      if (size <= 0) return all;
      all.append(part.data(), static_cast<size_t>(size));
    }
  }

  // Whether the key can be read within ten seconds.
  bool BecomesReadable(const std::string& key) const {
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < end) {
      if (Run("peat get s " + key).exit_code == 0) return true;
    }
    return false;
  }
};

TEST_F(StreamsTest, StopsWhenNobodyReadsAnyMore) {
  MakeStoreThatEndsBadly();
  for (const std::string command :
       {"export s", "export s --format jsonl", "scan s", "scan s --hex",
        "dump s --json --reveal"}) {
    SCOPED_TRACE(command);
    const Outcome outcome =
        Run("(peat " + command + "; echo $? > code) | head -n 1");

    EXPECT_THAT(outcome.output, Not(IsEmpty()));
    EXPECT_THAT(outcome.complaints, IsEmpty());
    EXPECT_EQ(Read("code"), "0\n");
  }
  EXPECT_EQ(Run("peat export s > all").exit_code, 3);
}

TEST_F(StreamsTest, LooksForNoMorePairsThanAreWanted) {
  MakeStoreThatEndsBadly();

  EXPECT_THAT(MustRun("peat export s --limit 1"), HasSubstr("key-0\t"));
  EXPECT_EQ(MustRun("peat export s --count --limit 9999"), "9999\n");
  EXPECT_EQ(MustRun("peat scan s --keys-only --limit 2"), "key-0\nkey-1\n");
  EXPECT_EQ(MustRun("peat scan s --limit 0"), "");
  EXPECT_EQ(MustRun("peat scan s --count --prefix key-99"), "111\n");
}

TEST_F(StreamsTest, WaitsForPipesThatDoNotBlock) {
  const Child load = Start({"load", "s"}, O_NONBLOCK);
  std::string pairs;
  for (int i = 0; i < 3'000; ++i) {
    pairs += std::to_string(100'000 + i) + "\t" + std::string(100, 'v') + "\n";
  }
  Send(load, pairs);
  (void)close(load.input);
  EXPECT_EQ(testing::WaitFor(load.process), 0);

  const Child scan = Start({"scan", "s"}, O_NONBLOCK);
  // More than a pipe holds, so it has to wait for us.
  EXPECT_EQ(Receive(scan), pairs);
  EXPECT_EQ(testing::WaitFor(scan.process), 0);

  const Child put = Start({"put", "s", "k", "--value-file", "-"}, O_NONBLOCK);
  Send(put, "value");
  (void)close(put.input);
  EXPECT_EQ(testing::WaitFor(put.process), 0);
  EXPECT_EQ(MustRun("peat get s k"), "value");
}

TEST_F(StreamsTest, StoresWhatHasComeWhenTheProducerPauses) {
  const Child load = Start({"load", "s", "--flush"}, 0);
  Send(load, "first\t1\nsecond\t2\nhalf");

  EXPECT_TRUE(BecomesReadable("second"));
  EXPECT_EQ(Run("peat get s half").exit_code, 1);
  Send(load, " a key\t3\n");
  (void)close(load.input);
  EXPECT_EQ(testing::WaitFor(load.process), 0);
  EXPECT_EQ(MustRun("peat get s 'half a key'"), "3");
}

TEST_F(StreamsTest, StoresWhatHasComeBeforeAnInterruptEndsIt) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const Child load = Start({"load", "s"}, 0);
    // A key of this process: one of the other would say nothing about it.
    const std::string ready = "ready-" + std::to_string(signal);
    Send(load, ready + "\t1\n");
    ASSERT_TRUE(BecomesReadable(ready));
    const std::string key = "key-" + std::to_string(signal);
    Send(load, key + "\t1\n");

    (void)kill(load.process, signal);

    EXPECT_EQ(testing::WaitFor(load.process), -signal);
    (void)close(load.input);
    EXPECT_EQ(MustRun("peat get s " + key), "1");
    EXPECT_THAT(MustRun("peat stats s --json"), HasSubstr("\"clean\": true"));
  }
}

TEST_F(StreamsTest, RefusesInputAtTheFirstByteThatCannotBeRight) {
  // Streams without end: who reads on never comes back.
  for (const auto& [bytes, format] :
       std::vector<std::pair<std::string, std::string>>{{"x", "tsv"},
                                                        {"x", "jsonl"},
                                                        {"[", "jsonl"},
                                                        {"{", "jsonl"},
                                                        {"x", "nul"}}) {
    SCOPED_TRACE(bytes + format);
    const Outcome outcome =
        Run("tr '\\0' '" + bytes + "' < /dev/zero | peat load s --format " +
            format);

    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.complaints, HasSubstr(" 1: "));
  }
  EXPECT_EQ(Run("(printf '{\"key\":\"a\",\"value\":'; tr '\\0' '[' < "
                "/dev/zero) | peat load s --format jsonl")
                .exit_code,
            2);
  EXPECT_EQ(Run("(printf '{\"lsn\":'; tr '\\0' '[' < /dev/zero) | peat load s "
                "--dump")
                .exit_code,
            2);
}

TEST_F(StreamsTest, RefusesJsonMembersThatAreThereTwice) {
  Write("twice",
        "{\"key\":\"a\",\"value\":\"1\"}\n"
        "{\"key\":\"a\",\"key\":\"b\",\"value\":\"2\"}\n");

  const Outcome outcome = Run("peat load s twice --format jsonl");

  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.complaints, HasSubstr("line 2: a member is there twice"));
  EXPECT_EQ(MustRun("peat get s a"), "1");
}

TEST_F(StreamsTest, TakesTheKeyOfAnEventFromAField) {
  Write("events",
        "{\"id\": \"a\", \"cart\": [{\"n\": 1}]}\n"
        "{\"x\":null,\"id\":17}\n{\"id\":\"b\",\"id\":\"c\"}\n");

  const Outcome outcome = Run("peat load s events --key-field id");

  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.complaints, HasSubstr("line 3: a member is there twice"));
  EXPECT_EQ(MustRun("peat get s a"), "{\"id\": \"a\", \"cart\": [{\"n\": 1}]}");
  EXPECT_EQ(MustRun("peat get s 17"), "{\"x\":null,\"id\":17}");
  EXPECT_EQ(Run("echo '{\"id\":true}' | peat load s --key-field id").exit_code,
            2);
  EXPECT_EQ(Run("echo '{}' | peat load s --key-field id").exit_code, 2);
}

TEST_F(StreamsTest, RefusesNumbersThatAreNone) {
  MustRun("peat put s k v");
  for (const std::string command :
       {"scan s --limit", "export s --limit", "audit s --limit",
        "load s /dev/null --acknowledge"}) {
    for (const std::string number :
         {"-1", "''", "99999999999999999999", "1x", "+1", "0x10", "' 1'"}) {
      SCOPED_TRACE(command + number);
      EXPECT_EQ(Run("peat " + command + " " + number).exit_code, 2);
      EXPECT_EQ(Run("peat " + command + "=" + number).exit_code, 2);
    }
  }
}

TEST_F(StreamsTest, PrintsNothingThatATerminalObeys) {
  const std::string name = std::string("a") + kEscape + "[31mb";
  MustRun("peat put s k v");
  Write("s/" + name, "");
  const std::string all =
      Run("peat verify s; peat verify s --json; peat inspect s; "
          "peat get '" +
          name + "' k; peat verify '" + name +
          "'; "
          "peat load s '" +
          name + "'; peat '" + name +
          "'; "
          "peat repair '" +
          name + "' --to x; peat dump '" + name +
          "'; "
          "peat checkpoint '" +
          name + "' x; peat scan s --'" + name +
          "' 2>&1; "
          "peat audit s --receipts '" +
          name + "'; peat stats '" + name + "'")
          .output;

  EXPECT_EQ(all.find(kEscape), all.npos);
  EXPECT_THAT(all, HasSubstr("a\\x1b[31mb"));
  EXPECT_EQ(Read("err").find(kEscape), std::string::npos);
}

}  // namespace
}  // namespace peat::tools
