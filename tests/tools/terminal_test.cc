// What the commands do on a terminal: progress is drawn there and wiped, and
// nowhere else; lines are cut to its width.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <string>

#include "absl/strings/str_format.h"
#include "tests/support/child_process.h"
#include "tests/tools/command_fixture.h"
#include "tools/offline_command.h"

namespace peat::tools {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr unsigned short kColumns = 80;

class TerminalTest : public CommandFixture {
 protected:
  // What a terminal shows of `body`, which runs in a process of its own whose
  // three streams are that terminal, and must return 0.
  static std::string Show(const std::function<int()>& body) {
    const winsize size = {
        .ws_row = 25, .ws_col = kColumns, .ws_xpixel = 0, .ws_ypixel = 0};
    int terminal = -1;
    const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
    if (child == 0) _exit(body());
    EXPECT_GT(child, 0);
    std::string shown;
    char part[4096];
    // Fails with EIO once the child has gone.
    for (;;) {
      const ssize_t got = read(terminal, part, sizeof(part));
      if (got <= 0) break;
      shown.append(part, static_cast<size_t>(got));
    }
    (void)close(terminal);
    EXPECT_EQ(testing::WaitFor(child), 0) << shown;
    return shown;
  }

  // The same of a shell's script.
  std::string ShowScript(const std::string& script) const {
    const std::string line = ShellLine(script);
    return Show([&line] {
      return execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    });
  }

  // Goes on for longer than a command does that draws nothing.
  static int ReadSlowly(Progress::Mode mode) {
    OfflineProgress progress(mode);
    const OnProgress on_progress = progress.callback();
    if (!on_progress(0, 2000)) return 1;
    (void)usleep(1'100'000);
    return on_progress(1000, 2000) ? 0 : 1;
  }
};

TEST_F(TerminalTest, OfflineProgressIsDrawnAndWiped) {
  const std::string shown =
      Show([] { return ReadSlowly(Progress::Mode::kOnTerminal); });

  EXPECT_THAT(shown, HasSubstr("\r[===============>              ]  50%  1,000 "
                               "bytes"));
  const size_t wiped = shown.find("\r ");
  ASSERT_NE(wiped, shown.npos);
  EXPECT_EQ(shown.find_first_not_of(' ', wiped + 1), shown.size() - 1);
  EXPECT_THAT(shown, EndsWith("\r"));
}

TEST_F(TerminalTest, OfflineProgressIsNotDrawnWhenItIsNotWanted) {
  EXPECT_THAT(Show([] { return ReadSlowly(Progress::Mode::kNever); }),
              IsEmpty());
}

// What counts is where it would be drawn.
TEST_F(TerminalTest, OfflineProgressIsNotDrawnWhereErrorsGoElsewhere) {
  EXPECT_THAT(Show([] {
                const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
                if (dup2(null, STDERR_FILENO) < 0) return 1;
                return ReadSlowly(Progress::Mode::kOnTerminal);
              }),
              IsEmpty());
}

constexpr char kSlowLoad[] =
    "{ printf 'a\\t1\\n'; sleep 1.2; printf 'b\\t2\\n'; } | peat load s";

TEST_F(TerminalTest, ALoadShowsHowFarItIs) {
  EXPECT_THAT(ShowScript(kSlowLoad),
              AllOf(HasSubstr("\r"), HasSubstr(" events")));
  EXPECT_EQ(MustRun("peat get s b"), "2");
}

TEST_F(TerminalTest, ALoadShowsNothingWhereErrorsGoElsewhere) {
  EXPECT_THAT(ShowScript(absl::StrFormat("{ %s; } 2>err >out", kSlowLoad)),
              IsEmpty());
  EXPECT_THAT(Read("err"), Not(HasSubstr("\r")));
  EXPECT_EQ(MustRun("peat get s b"), "2");
}

TEST_F(TerminalTest, ProgressAndTopFitANarrowTerminal) {
  for (const std::string columns : {"40", "20"}) {
    SCOPED_TRACE(columns);
    std::string shown = ShowScript("stty cols " + columns + "; " + kSlowLoad +
                                   "; peat top s --count 1");

    std::replace(shown.begin(), shown.end(), '\n', '\r');
    std::istringstream lines(shown);
    size_t longest = 0;
    for (std::string line; std::getline(lines, line, '\r');) {
      // The report of a load is no line that is drawn over.
      if (line.starts_with("loaded")) continue;
      longest = std::max(longest, line.substr(0, line.find('\x1b')).size());
    }
    EXPECT_LT(longest, std::stoul(columns));
    EXPECT_GT(longest, 10U);
  }
}

TEST_F(TerminalTest, ALoadSaysThatItReadsTheTerminal) {
  EXPECT_THAT(
      ShowScript("peat load s <&1 & sleep 0.5; kill -TERM $!; wait; true"),
      HasSubstr("reading pairs from the terminal"));
}

TEST_F(TerminalTest, AValueEndsItsLineOnATerminalAlone) {
  EXPECT_THAT(ShowScript("peat put s k v; peat get s k"), EndsWith("v\r\n"));
  EXPECT_EQ(MustRun("peat get s k"), "v");
}

TEST_F(TerminalTest, ADumpFitsTheTerminal) {
  MustRun(
      "seq 200 | tr '\\n' k > key && "
      "for i in 1 2 3; do printf '%s%d\\tv\\n' \"$(cat key)\" $i; done | "
      "peat load s");

  std::istringstream lines(ShowScript("peat dump s --keys"));
  size_t longest = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    longest = std::max(longest, line.size());
  }

  EXPECT_EQ(longest, kColumns);
}

}  // namespace
}  // namespace peat::tools
