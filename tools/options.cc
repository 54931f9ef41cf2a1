#include "tools/options.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace peat::tools {
namespace {

const std::map<std::string, PairFormat>& Formats() {
  static const std::map<std::string, PairFormat> kFormats = {
      {"tsv", PairFormat::kTsv},
      {"jsonl", PairFormat::kJsonLines},
      {"nul", PairFormat::kNul}};
  return kFormats;
}

// What is wrong with a number; empty: nothing.
std::string CheckCount(const std::string& text) {
  const bool is_digits =
      !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  uint64_t count = 0;
  if (is_digits && absl::SimpleAtoi(text, &count)) return {};
  return absl::StrFormat("not a number from 0 to %d: '%s'", UINT64_MAX, text);
}

// More than the system lets a command line have.
constexpr int kNeverEnoughKeys = 1 << 24;

}  // namespace

// CLI11's own lists take a word like [a,b] apart, even where a key is meant. An
// option that still misses words takes one after the other as it is.
CLI::Option* AddKeys(CLI::App& command, std::vector<std::string>& keys) {
  return command
      .add_option("KEY", CLI::callback_t([&keys](const CLI::results_t& words) {
                    keys = words;
                    return true;
                  }),
                  "The keys")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(kNeverEnoughKeys, CLI::detail::expected_max_vector_size)
      ->option_text("...");
}

CLI::Option* AddCount(CLI::App& command, const char* name, uint64_t& count,
                      const char* what) {
  return command
      .add_option_function<std::string>(
          name,
          [&count](const std::string& text) {
            if (!absl::SimpleAtoi(text, &count)) {
              throw CLI::ValidationError("not a number");
            }
          },
          what)
      ->option_text("N")
      ->check(CLI::Validator(CheckCount, "", "count"));
}

CLI::Option* AddLimit(CLI::App& command, uint64_t& limit) {
  return AddCount(command, "--limit", limit, "At most so many (default: all)");
}

void AddDespiteDamage(CLI::App& command, bool& despite_damage) {
  command.add_flag("--despite-damage", despite_damage,
                   "Of a damaged store, what is sound and surely current; "
                   "complains of what is not, exit code 3");
}

void AddEscaped(CLI::App& command, bool& escaped) {
  command.add_flag("-e,--escaped-key", escaped,
                   "Keys on the command line are escaped: \\t \\n \\r \\\\ \\0 "
                   "\\xHH");
}

void AddFormat(CLI::App& command, PairFormat& format) {
  command
      .add_option_function<std::string>(
          "--format",
          [&format](const std::string& name) { format = Formats().at(name); },
          "Default: tsv")
      ->option_text("tsv|jsonl|nul")
      ->check(CLI::IsMember({"tsv", "jsonl", "nul"}));
}

void AddNewStore(CLI::App& command, std::string& path) {
  command
      .add_option("--to", path,
                  "The new store's directory, which must not be there")
      ->option_text("NEW")
      ->required();
}

void AddProgress(CLI::App& command, Progress::Mode& mode) {
  CLI::Option* always = command.add_flag_callback(
      "--progress", [&mode] { mode = Progress::Mode::kAlways; },
      "Show a progress bar (default: on a terminal)");
  command
      .add_flag_callback(
          "--no-progress", [&mode] { mode = Progress::Mode::kNever; },
          "Show none")
      ->excludes(always);
}

}  // namespace peat::tools
