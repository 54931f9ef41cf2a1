#include "tools/options.h"

#include <map>
#include <string>

namespace peat::tools {
namespace {

const std::map<std::string, PairFormat>& Formats() {
  static const std::map<std::string, PairFormat> kFormats = {
      {"tsv", PairFormat::kTsv},
      {"jsonl", PairFormat::kJsonLines},
      {"nul", PairFormat::kNul}};
  return kFormats;
}

}  // namespace

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
