// What tests of the peat command share: running it as a shell does, in a
// directory of the test's own.

#ifndef PEAT_TESTS_TOOLS_COMMAND_FIXTURE_H_
#define PEAT_TESTS_TOOLS_COMMAND_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_format.h"
#include "tests/support/temp_dir.h"

namespace peat::tools {

struct Outcome {
  int exit_code = -1;
  std::string output;
  std::string complaints;
};

class CommandFixture : public ::testing::Test {
 protected:
  std::filesystem::path path(const std::string& name) const {
    return directory_.path() / name;
  }

  // What a shell is given to run `script`.
  std::string ShellLine(const std::string& script) const {
    return absl::StrFormat("cd '%s' && peat() { '%s' \"$@\"; }; %s",
                           directory_.path().string(), PEAT_COMMAND, script);
  }

  // Runs `script` in a shell in which `peat` is the command under test; tests
  // call their store `s`.
  Outcome Run(const std::string& script) const {
    std::FILE* pipe =
        popen(ShellLine("{ " + script + "\n} 2>err").c_str(), "re");
    if (pipe == nullptr) return {};
    Outcome outcome;
    std::array<char, 4096> part{};
    while (const size_t size = std::fread(part.data(), 1, part.size(), pipe)) {
      outcome.output.append(part.data(), size);
    }
    const int status = pclose(pipe);
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    outcome.complaints = Read("err");
    return outcome;
  }

  // Runs what must succeed, and returns what it prints.
  std::string MustRun(const std::string& script) const {
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 0) << script << '\n' << outcome.complaints;
    return outcome.output;
  }

  std::string Read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
  }

 private:
  testing::TempDir directory_;
};

}  // namespace peat::tools

#endif  // PEAT_TESTS_TOOLS_COMMAND_FIXTURE_H_
