// load: pairs from a file or standard input into a store.

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "tools/commands.h"
#include "tools/dump_loader.h"
#include "tools/loader.h"
#include "tools/offline/interruption.h"
#include "tools/open_store.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/pair_reader.h"
#include "tools/progress.h"

namespace peat::tools {
namespace {

struct LoadArguments {
  std::string directory;
  std::string input = "-";
  PairFormat format = PairFormat::kTsv;
  std::optional<std::string> key_field;
  LoadOptions options;
  bool check = false;
  bool is_dump = false;
  Progress::Mode progress = Progress::Mode::kOnTerminal;
};

struct FileCloser {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

// The size of a regular file, or 0.
uint64_t SizeIfKnown(const std::string& path) {
  std::error_code error;
  if (path == "-" || !std::filesystem::is_regular_file(path, error)) return 0;
  const uintmax_t size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

void PrintLoaded(const LoadArguments& arguments, const LoadCounts& counts,
                 double seconds) {
  const double rate =
      seconds > 0 ? static_cast<double>(counts.acknowledged) / seconds : 0;
  std::string line = absl::StrFormat("loaded %d events", counts.acknowledged);
  if (arguments.options.if_absent) {
    line +=
        absl::StrFormat(", %d inserted, %d known", counts.inserted,
                        counts.acknowledged - counts.inserted - counts.refused);
  }
  if (counts.refused > 0) {
    line += absl::StrFormat(", %d refused", counts.refused);
  }
  line += absl::StrFormat(", %.3f s, %.0f events/s\n", seconds, rate);
  (void)WriteOutput(line);  // FlushOutput() at the end tells of a failure.
}

ExitCode RunLoad(LoadArguments arguments, PairReader& reader) {
  const std::unique_ptr<Store> store =
      OpenStore(arguments.directory, Access::kFill);
  if (store == nullptr) return ExitCode::kFailed;
  // Ends the process as it would have been ended, once the store is closed.
  const Interruption interruption;
  arguments.options.is_interrupted = [&interruption] {
    return interruption.is_noted();
  };
  LoadCounts counts;
  const auto start = std::chrono::steady_clock::now();
  absl::Status loaded;
  {
    Progress progress(stderr, arguments.progress, SizeIfKnown(arguments.input));
    loaded =
        arguments.is_dump
            ? LoadDump(*store, arguments.options, reader, progress, &counts)
            : Load(*store, arguments.options, reader, progress, &counts);
  }
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  PrintLoaded(arguments, counts, seconds.count());
  absl::Status closed = store->Close();
  if (closed.ok()) closed = FlushOutput();
  if (interruption.is_noted()) return ExitCode::kFailed;
  if (!loaded.ok()) return Fail(loaded);
  if (!closed.ok()) return Fail(closed);
  return counts.refused == 0 ? ExitCode::kOk : ExitCode::kRefused;
}

ExitCode RunCheck(const LoadArguments& arguments, PairReader& reader) {
  const std::unique_ptr<Store> store =
      OpenStore(arguments.directory, Access::kRead);
  if (store == nullptr) return ExitCode::kFailed;
  CheckCounts counts;
  absl::Status checked;
  {
    Progress progress(stderr, arguments.progress, SizeIfKnown(arguments.input));
    checked = CheckLoaded(*store, reader, progress, &counts);
  }
  if (!checked.ok()) return Fail(checked);
  (void)WriteOutput(
      absl::StrFormat("checked %d events, %d missing, %d different\n",
                      counts.events, counts.missing, counts.different));
  const absl::Status printed = FlushOutput();
  if (!printed.ok()) return Fail(printed);
  return counts.complaints() == 0 ? ExitCode::kOk : ExitCode::kNotFound;
}

// Who has typed no file may wait for something to happen.
void TellOfTerminal(const LoadArguments& arguments) {
  if (arguments.input != "-" || isatty(STDIN_FILENO) != 1) return;
  Complain(
      "reading pairs from the terminal, one a line; Ctrl-D ends them, and "
      "`peat load --help` tells their form");
}

ExitCode Run(const LoadArguments& arguments) {
  TellOfTerminal(arguments);
  File file;
  if (arguments.input != "-") {
    file.reset(std::fopen(arguments.input.c_str(), "rbe"));
    if (file == nullptr) {
      (void)Fail(absl::ErrnoToStatus(errno, "open " + arguments.input));
      return ExitCode::kFailed;
    }
  }
  PairReader reader(fileno(file == nullptr ? stdin : file.get()),
                    arguments.format);
  if (arguments.key_field.has_value()) {
    reader.SetKeyField(*arguments.key_field);
  }
  return arguments.check ? RunCheck(arguments, reader)
                         : RunLoad(arguments, reader);
}

constexpr const char* kLoadFooter =
    "Formats:\n"
    "  tsv    key, tab, value, one pair a line; escapes \\t \\n \\r \\\\ \\0 "
    "\\xHH\n"
    "  jsonl  {\"key\": ..., \"value\": ...} a line; key64 and value64 hold "
    "base64,\n"
    "         for bytes that are not UTF-8\n"
    "  nul    key, zero byte, value, zero byte\n"
    "\n"
    "Makes the store if there is none. Stops at the first malformed pair with "
    "its line\nnumber and exit code 2; what came before it is stored. Goes on "
    "past events whose\nkey is disabled or forgotten, counts them as refused, "
    "and "
    "ends with exit code 4.\n"
    "\nExamples:\n"
    "  peat load state events.tsv\n"
    "  producer | peat load state --format jsonl --if-absent "
    "--acknowledge 1000\n"
    "  producer | peat load state --key-field event_id --if-absent\n"
    "  peat load state events.tsv --check\n"
    "  peat dump state --live --json | peat load copy --dump";

}  // namespace

void AddLoad(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<LoadArguments>();
  CLI::App* command =
      app.add_subcommand("load", "Load pairs from a file or standard input");
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  command->add_option("FILE", arguments->input,
                      "The input; - is standard input (default: -)");
  AddFormat(*command, arguments->format);
  command
      ->add_option_function<std::string>(
          "--key-field",
          [arguments](const std::string& name) {
            arguments->key_field = name;
            arguments->format = PairFormat::kJsonLines;
          },
          "Lines are any JSON objects: the key is this member of each, the "
          "value the line")
      ->option_text("NAME")
      ->excludes("--format");
  CLI::Option* if_absent = command->add_flag(
      "--if-absent", arguments->options.if_absent,
      "Insert only keys that are not there: each event counts once");
  CLI::Option* flush =
      command->add_flag("--flush", arguments->options.flush,
                        "Survive power loss: sync before each acknowledgement "
                        "and at the end");
  CLI::Option* acknowledge = AddCount(
      *command, "--acknowledge", arguments->options.acknowledge,
      "Print \"acknowledged COUNT\" every N events, once they survive a kill");
  acknowledge->check(CLI::PositiveNumber);
  command
      ->add_flag("--check", arguments->check,
                 "Write nothing; exit code 1 unless every pair is stored")
      ->excludes(if_absent)
      ->excludes(flush)
      ->excludes(acknowledge);
  command
      ->add_flag("--dump", arguments->is_dump,
                 "The input is what `peat dump --json` has printed of a store")
      ->excludes(if_absent)
      ->excludes(acknowledge)
      ->excludes("--check")
      ->excludes("--key-field")
      ->excludes("--format");
  AddProgress(*command, arguments->progress);
  command->footer(kLoadFooter);
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
