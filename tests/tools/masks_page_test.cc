// Runs the commands that docs/masks.md shows, and compares what they print.

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "tests/tools/command_fixture.h"

namespace peat::tools {
namespace {

// What differs from run to run, replaced by names.
std::string Normalize(std::string text) {
  const std::vector<std::pair<const char*, const char*>> replacements = {
      {"[0-9-]{10}T[0-9:]{8}\\.[0-9]{6}Z", "TIME"},
      {"store_id      [0-9a-f]{32}", "store_id ID"},
      {"[0-9.]+ s, [0-9]+ events/s", "RATE"}};
  for (const auto& [pattern, name] : replacements) {
    text = std::regex_replace(text, std::regex(pattern), name);
  }
  return text;
}

struct Example {
  std::string command;
  std::string output;
};

// The commands in the console blocks of a page, in order.
std::vector<Example> ExamplesOf(const std::string& path) {
  std::vector<Example> examples;
  std::ifstream page(path);
  bool is_console = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      is_console = line == "```console";
    } else if (is_console && line.starts_with("$ ")) {
      examples.push_back({.command = line.substr(2), .output = ""});
    } else if (is_console && !examples.empty()) {
      examples.back().output += line + "\n";
    }
  }
  return examples;
}

class MasksPageTest : public CommandFixture {};

TEST_F(MasksPageTest, ShowsWhatTheCommandsPrint) {
  const std::vector<Example> examples = ExamplesOf(PEAT_MASKS_PAGE);

  ASSERT_GT(examples.size(), 10U);
  for (const Example& example : examples) {
    const Outcome outcome = Run(example.command);
    EXPECT_EQ(Normalize(outcome.output + outcome.complaints),
              Normalize(example.output))
        << example.command;
  }
}

}  // namespace
}  // namespace peat::tools
