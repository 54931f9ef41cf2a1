// dump: the records of a store or of one segment.

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "tools/commands.h"
#include "tools/escape.h"
#include "tools/offline/dump.h"
#include "tools/offline_command.h"
#include "tools/options.h"
#include "tools/output.h"

namespace peat::tools {
namespace {

constexpr size_t kColumnsMin = 72;
constexpr size_t kColumnsWithoutTerminal = 120;

struct DumpArguments {
  std::string path;
  std::vector<std::string> kinds;
  std::string lsns;
  std::string key;
  std::string prefix;
  bool has_key = false;
  bool has_prefix = false;
  bool escaped = false;
  DumpOptions options;
  Progress::Mode progress = Progress::Mode::kOnTerminal;
};

size_t TerminalColumns() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return std::max<size_t>(size.ws_col, kColumnsMin);
  }
  // Read before any thread is started.
  const char* const columns = std::getenv("COLUMNS");  // NOLINT(concurrency-*)
  const int wanted = columns == nullptr ? 0 : std::atoi(columns);
  if (wanted <= 0) return kColumnsWithoutTerminal;
  return std::max(static_cast<size_t>(wanted), kColumnsMin);
}

bool ParseLsn(std::string_view text, format::Lsn* lsn) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *lsn);
  return error == std::errc() && end == text.data() + text.size();
}

// "A..B", "A..", "..B" or "A".
absl::Status ParseLsns(const std::string& text, DumpOptions* options) {
  if (text.empty()) return absl::OkStatus();
  const size_t dots = text.find("..");
  const std::string first = text.substr(0, dots);
  const std::string last = dots == text.npos ? first : text.substr(dots + 2);
  const bool is_sound =
      (first.empty() || ParseLsn(first, &options->first_lsn)) &&
      (last.empty() || ParseLsn(last, &options->last_lsn)) &&
      options->first_lsn <= options->last_lsn;
  if (is_sound) return absl::OkStatus();
  return absl::InvalidArgumentError("--lsn wants A..B, A.., ..B or A");
}

absl::Status Prepare(DumpArguments& arguments) {
  DumpOptions& options = arguments.options;
  for (const std::string& name : arguments.kinds) {
    options.kinds.insert(*KindNamed(name));
  }
  if (arguments.has_key) options.key = arguments.key;
  if (arguments.has_prefix) options.prefix = arguments.prefix;
  if (arguments.escaped && options.key.has_value()) {
    PEAT_RETURN_IF_ERROR(Unescape(arguments.key, &*options.key));
  }
  if (arguments.escaped && options.prefix.has_value()) {
    PEAT_RETURN_IF_ERROR(Unescape(arguments.prefix, &*options.prefix));
  }
  options.columns = TerminalColumns();
  options.thread_count = ThreadCount();
  return ParseLsns(arguments.lsns, &options);
}

absl::StatusOr<DumpCounts> DumpDirectory(const DumpArguments& arguments) {
  AllowManyFiles();
  PEAT_ASSIGN_OR_RETURN(
      const StoreFiles files,
      ReadStoreFiles(engine::PosixFileSystem(), arguments.path));
  if (!files.is_store()) return absl::NotFoundError("there is no store");
  if (!files.manifest_status.ok()) {
    Complain(absl::StrFormat("without a manifest: %s",
                             std::string(files.manifest_status.message())));
  }
  OfflineProgress progress(arguments.progress);
  absl::StatusOr<DumpCounts> counts =
      DumpStore(files, arguments.options, progress.callback(), WriteOutput);
  if (counts.ok() && !files.manifest_status.ok()) ++counts->gaps;
  return counts;
}

absl::StatusOr<DumpCounts> DumpFile(const DumpArguments& arguments) {
  std::error_code error;
  const std::filesystem::path path =
      std::filesystem::canonical(arguments.path, error);
  if (error) return absl::ErrnoToStatus(error.value(), arguments.path);
  PEAT_ASSIGN_OR_RETURN(
      const std::unique_ptr<engine::Directory> directory,
      engine::PosixFileSystem().OpenDirectory(path.parent_path()));
  PEAT_ASSIGN_OR_RETURN(const SourceSegment segment,
                        ReadLoneSegment(*directory, path.filename()));
  OfflineProgress progress(arguments.progress);
  return DumpSegment(segment, path.filename(), arguments.options,
                     progress.callback(), WriteOutput);
}

ExitCode Run(DumpArguments arguments) {
  const absl::Status prepared = Prepare(arguments);
  if (!prepared.ok()) return Fail(prepared);
  std::error_code ignored;
  const bool is_directory =
      std::filesystem::is_directory(arguments.path, ignored);
  if (!is_directory && arguments.options.live_only) {
    return Fail(absl::InvalidArgumentError(
        "--live is of a store: what is current in a file alone is not known"));
  }
  const absl::StatusOr<DumpCounts> counts =
      is_directory ? DumpDirectory(arguments) : DumpFile(arguments);
  if (OutputIsClosed()) return ExitCode::kOk;
  const absl::Status flushed = FlushOutput();
  if (!counts.ok()) return FailToRead(counts.status());
  if (!flushed.ok()) return FailToRead(flushed);
  if (counts->gaps == 0 && counts->values == 0) return ExitCode::kOk;
  Complain(absl::StrFormat("skipped %d damaged ranges and %d large values",
                           counts->gaps, counts->values));
  return ExitCode::kNotFound;
}

constexpr const char* kDumpFooter =
    "A line is a record: * is one that is current, f a member of a batch, v "
    "one whose\nvalue lies in a file. Records of a store come in the order of "
    "their lsns, those\nof a file in its order. What is damaged is skipped and "
    "said so, and the exit code\nis then 1. Beside a process that writes it "
    "shows what there was at one moment.\n\nNot shown without --reveal: values "
    "that a store would not give, all values of a\nfile alone, and the reasons "
    "of masks. JSON has every byte of what is shown: key64\nand value64 are "
    "base64, of bytes that are not UTF-8.\n\nExamples:\n"
    "  peat dump state | less\n"
    "  peat dump state --kind forget --kind disable --lsn 1000..2000\n"
    "  peat dump state --live --json | peat load copy --dump\n"
    "  peat dump state/000042.seg --raw --key order-17";

}  // namespace

void AddDump(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<DumpArguments>();
  CLI::App* command = app.add_subcommand(
      "dump", "Print the records of a store or of one segment");
  command
      ->add_option("PATH", arguments->path,
                   "A store's directory, or a segment's file")
      ->required();
  DumpOptions& options = arguments->options;
  CLI::Option* json = command->add_flag_callback(
      "--json", [&options] { options.form = DumpForm::kJson; },
      "Print a JSON object on each line");
  command
      ->add_flag_callback(
          "--raw", [&options] { options.form = DumpForm::kRaw; },
          "Print bytes in hexadecimal, with the fields marked")
      ->excludes(json);
  command->add_flag("--keys", options.keys_only, "Print no values");
  command->add_flag("--live", options.live_only,
                    "Only what the store's index would point to");
  command->add_flag("--reveal", options.reveal,
                    "Print also what a store would not show");
  command->add_option("--kind", arguments->kinds, "Only this kind; repeatable")
      ->option_text("put|tombstone|disable|enable|forget|stub|mark|link|frame")
      ->check(CLI::IsMember({"put", "tombstone", "disable", "enable", "forget",
                             "stub", "mark", "link", "frame"}));
  command->add_option("--key", arguments->key, "Only records of this key")
      ->option_text("KEY")
      ->each([arguments](const std::string&) { arguments->has_key = true; });
  command
      ->add_option("--prefix", arguments->prefix,
                   "Only records of keys that begin with this")
      ->option_text("KEY")
      ->each([arguments](const std::string&) { arguments->has_prefix = true; });
  command->add_flag("--escaped", arguments->escaped,
                    "Keys on the command line are escaped as in tsv");
  command->add_option("--lsn", arguments->lsns, "Only these lsns")
      ->option_text("A..B");
  AddProgress(*command, arguments->progress);
  command->footer(kDumpFooter);
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
