// verify: whether a store is as its format demands.

#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "tools/commands.h"
#include "tools/offline/verify.h"
#include "tools/offline_command.h"
#include "tools/options.h"
#include "tools/output.h"

namespace peat::tools {
namespace {

struct VerifyArguments {
  std::string directory;
  bool json = false;
  Progress::Mode progress = Progress::Mode::kOnTerminal;
};

std::string SummaryText(const VerifyReport& report) {
  return absl::StrFormat(
      "checked %d segments, %s records, %s bytes, %d value files, %d masks: "
      "%d damage, %d flaws, %d notes\n",
      report.segment_count, WithCommas(report.record_count),
      WithCommas(report.bytes), report.value_file_count, report.mask_count,
      CountOf(report.findings, Severity::kDamage),
      CountOf(report.findings, Severity::kFlaw),
      CountOf(report.findings, Severity::kNote));
}

std::string SummaryJson(const VerifyReport& report) {
  OrderedJson summary;
  summary["segments"] = report.segment_count;
  summary["records"] = report.record_count;
  summary["bytes"] = report.bytes;
  summary["value_files"] = report.value_file_count;
  summary["masks"] = report.mask_count;
  summary["damage"] = CountOf(report.findings, Severity::kDamage);
  summary["flaws"] = CountOf(report.findings, Severity::kFlaw);
  summary["notes"] = CountOf(report.findings, Severity::kNote);
  OrderedJson object;
  object["summary"] = std::move(summary);
  return object.dump() + "\n";
}

ExitCode Run(const VerifyArguments& arguments) {
  AllowManyFiles();
  absl::StatusOr<VerifyReport> report;
  {
    OfflineProgress progress(arguments.progress);
    report = VerifyStore(engine::PosixFileSystem(), arguments.directory,
                         ThreadCount(), progress.callback());
  }
  if (!report.ok()) return FailToRead(report.status());
  for (const Finding& finding : report->findings) {
    (void)WriteOutput(arguments.json ? FindingJson(finding).dump() + "\n"
                                     : FindingText(finding));
  }
  (void)WriteOutput(arguments.json ? SummaryJson(*report)
                                   : SummaryText(*report));
  const absl::Status flushed = FlushOutput();
  if (!flushed.ok()) return FailToRead(flushed);
  if (report->is_unreadable) return ExitCode::kFailed;
  return HasTrouble(report->findings) ? ExitCode::kNotFound : ExitCode::kOk;
}

}  // namespace

void AddVerify(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* command =
      app.add_subcommand("verify", "Check a store's files against the format");
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  command->add_flag("--json", arguments->json,
                    "Print a JSON object for each finding, then a summary");
  AddProgress(*command, arguments->progress);
  command->footer(
      "Reads everything and writes nothing, also beside a process that "
      "writes. Checked are\nboth copies of the manifest, every record and "
      "what may stand where, that no two\nrecords have the same lsn and "
      "different content, where the log ends, large values,\nmasks, hint "
      "files, index images, and the names of files.\n\nA finding is "
      "*damage* (something is lost, or may be, or the "
      "store does not open),\na *flaw* (a copy or a cache is wrong, and "
      "nothing "
      "is lost by it) or a *note* (as\na crash or a running process leaves "
      "things). Exit code 1 if there is damage or a\nflaw, 3 if a file cannot "
      "be read.\n\nExamples:\n"
      "  peat verify state\n"
      "  peat verify state --json | jq 'select(.severity == \"damage\")'");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
