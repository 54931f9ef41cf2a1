// inspect and map: what is in a store, in numbers and as a page.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "tools/commands.h"
#include "tools/offline/inspection.h"
#include "tools/offline/map_page.h"
#include "tools/offline_command.h"
#include "tools/options.h"
#include "tools/output.h"

namespace peat::tools {
namespace {

struct InspectArguments {
  std::string directory;
  std::string output;  // of map
  bool json = false;   // of inspect
  Progress::Mode progress = Progress::Mode::kOnTerminal;
};

absl::StatusOr<Inspection> Inspect(const InspectArguments& arguments,
                                   const Interruption* interruption) {
  AllowManyFiles();
  PEAT_ASSIGN_OR_RETURN(
      const StoreFiles files,
      ReadStoreFiles(engine::PosixFileSystem(), arguments.directory));
  if (!files.is_store()) return absl::NotFoundError("there is no store");
  OfflineProgress progress(arguments.progress, interruption);
  return InspectStore(files, progress.callback());
}

ExitCode RunInspect(const InspectArguments& arguments) {
  const absl::StatusOr<Inspection> inspection = Inspect(arguments, nullptr);
  if (!inspection.ok()) return FailToRead(inspection.status());
  (void)WriteOutput(arguments.json ? InspectionJson(*inspection).dump() + "\n"
                                   : InspectionText(*inspection));
  const absl::Status flushed = FlushOutput();
  if (!flushed.ok()) return FailToRead(flushed);
  return inspection->gap_count == 0 ? ExitCode::kOk : ExitCode::kNotFound;
}

// There is the whole file, or what was there before.
absl::Status ReplaceFile(const std::string& path, const std::string& bytes) {
  const std::string unfinished =
      absl::StrFormat("%s.%d.unfinished", path, getpid());
  std::error_code error;
  errno = 0;
  bool is_written = false;
  {
    std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    is_written = file.good();
  }
  const int failure = errno;
  if (is_written) {
    std::filesystem::rename(unfinished, path, error);
    if (!error) return absl::OkStatus();
  }
  std::error_code ignored;
  std::filesystem::remove(unfinished, ignored);
  return absl::ErrnoToStatus(error ? error.value() : failure, "write " + path);
}

ExitCode RunMap(const InspectArguments& arguments) {
  const Interruption interruption;
  const absl::StatusOr<Inspection> inspection =
      Inspect(arguments, &interruption);
  if (!inspection.ok()) return FailToRead(inspection.status());
  const std::string page = MapPage(*inspection, arguments.directory);
  absl::Status written;
  if (arguments.output == "-") {
    written = WriteOutput(page);
    if (written.ok()) written = FlushOutput();
  } else if (!interruption.is_noted()) {
    written = ReplaceFile(arguments.output, page);
  }
  if (!written.ok()) return FailToRead(written);
  return inspection->gap_count == 0 ? ExitCode::kOk : ExitCode::kNotFound;
}

}  // namespace

void AddInspect(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App* command = app.add_subcommand(
      "inspect", "Print statistics of a store and of each segment");
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  command->add_flag("--json", arguments->json, "Print one JSON object");
  AddProgress(*command, arguments->progress);
  command->footer(
      "Reads the files, not the store: also of a damaged one, and beside a "
      "process that\nwrites. Bytes of a segment are live (current puts), masks "
      "(current ones, forgets\nand audit stubs), tombstones, dead, structure "
      "or "
      "free. Exit code 1 if ranges are\ndamaged; `peat verify` says which.\n\n"
      "Examples:\n"
      "  peat inspect state\n"
      "  peat inspect state --json | jq .amplification");
  command->callback(
      [arguments, &exit_code] { exit_code = RunInspect(*arguments); });
}

void AddMap(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App* command =
      app.add_subcommand("map", "Write a page that shows a store");
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  command
      ->add_option("-o,--output", arguments->output,
                   "The page's file; - is standard output")
      ->option_text("FILE")
      ->required();
  AddProgress(*command, arguments->progress);
  command->footer(
      "One file of HTML, for any browser, without network: segments by the use "
      "of their\nbytes, a heat map of when live data was written, sizes, and "
      "masks over time. It\nholds sizes, lsns and times, but no key and no "
      "value.\n\nExamples:\n"
      "  peat map state -o state.html\n"
      "  peat map state -o - | gzip > state.html.gz");
  command->callback(
      [arguments, &exit_code] { exit_code = RunMap(*arguments); });
}

}  // namespace peat::tools
