// repair: a new store of what is sound of another one.

#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "tools/commands.h"
#include "tools/escape.h"
#include "tools/offline/dump.h"
#include "tools/offline/repair.h"
#include "tools/offline_command.h"
#include "tools/options.h"
#include "tools/output.h"

namespace peat::tools {
namespace {

struct RepairArguments {
  std::string from;
  std::string to;
  bool json = false;
  RepairOptions options;
  Progress::Mode progress = Progress::Mode::kOnTerminal;
};

std::string LossText(const Loss& loss) {
  return absl::StrFormat("lost    %s offset %d\n  %-12s %s of lsn %d, key %s\n",
                         Escape(loss.file), loss.offset, NameOf(loss.kind),
                         NameOf(loss.header.kind), loss.header.lsn,
                         Escape(loss.key));
}

std::string LossJson(const Loss& loss) {
  OrderedJson object;
  object["lost"] = NameOf(loss.kind);
  object["file"] = loss.file;
  object["offset"] = loss.offset;
  object["lsn"] = loss.header.lsn;
  object["kind"] = NameOf(loss.header.kind);
  AddBytes(object, "key", loss.key);
  return object.dump() + "\n";
}

void PrintFindings(const Findings& findings, bool json) {
  for (const Finding& finding : findings) {
    (void)WriteOutput(json ? FindingJson(finding).dump() + "\n"
                           : FindingText(finding));
  }
}

void PrintSummary(const RepairArguments& arguments,
                  const RepairResult& result) {
  if (arguments.json) {
    OrderedJson summary;
    summary["written"] = result.is_written;
    summary["kept"] = result.kept_count;
    summary["lost"] = result.loss_count;
    summary["hidden"] = result.hidden_count;
    summary["hidden_is_exact"] = result.is_exact;
    summary["hidden_up_to"] = result.hidden_up_to;
    OrderedJson object;
    object["summary"] = std::move(summary);
    (void)WriteOutput(object.dump() + "\n");
    return;
  }
  if (!result.is_written) {
    (void)WriteOutput(
        "there is damage below the last mark: nothing is written; --salvage "
        "keeps what is sound\n");
    return;
  }
  std::string line = absl::StrFormat("wrote %s: kept %d records, lost %d",
                                     Printable(arguments.to), result.kept_count,
                                     result.loss_count);
  if (result.hidden_count > 0) {
    line += absl::StrFormat(", %s%d of them in what cannot be read",
                            result.is_exact ? "" : "at least ",
                            result.hidden_count);
  }
  if (result.hidden_up_to == UINT64_MAX) {
    line += ", what is newest is not known";
  } else if (result.hidden_up_to > 0) {
    line +=
        absl::StrFormat(", lsns up to %d may be hidden", result.hidden_up_to);
  }
  (void)WriteOutput(line + "\n");
}

ExitCode Run(const RepairArguments& arguments) {
  AllowManyFiles();
  absl::StatusOr<RepairResult> result;
  {
    const Interruption interruption;
    OfflineProgress progress(arguments.progress, &interruption);
    result = RepairStore(
        engine::PosixFileSystem(), {.from = arguments.from, .to = arguments.to},
        arguments.options, progress.callback(), [&](const Loss& loss) {
          (void)WriteOutput(arguments.json ? LossJson(loss) : LossText(loss));
        });
  }
  if (absl::IsInvalidArgument(result.status())) return Fail(result.status());
  if (!result.ok()) return FailToRead(result.status());
  PrintFindings(result->findings, arguments.json);
  PrintSummary(arguments, *result);
  const absl::Status flushed = FlushOutput();
  if (!flushed.ok()) return FailToRead(flushed);
  const bool is_whole = result->is_written && result->loss_count == 0 &&
                        CountOf(result->findings, Severity::kDamage) == 0;
  return is_whole ? ExitCode::kOk : ExitCode::kNotFound;
}

}  // namespace

void AddRepair(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<RepairArguments>();
  CLI::App* command = app.add_subcommand(
      "repair", "Make a new store of what is sound of another one");
  command->add_option("DIR", arguments->from, "The store's directory")
      ->required();
  AddNewStore(*command, arguments->to);
  CLI::Option* salvage = command->add_flag(
      "--salvage", arguments->options.salvage,
      "Despite damage below the last mark: keep what validates");
  command
      ->add_flag("--accept-unproven", arguments->options.accept_unproven,
                 "Keep also keys of which something newer may be lost: deleted "
                 "ones may come back, forgotten ones never")
      ->needs(salvage);
  command->add_flag("--json", arguments->json,
                    "Print a JSON object for each finding and loss");
  AddProgress(*command, arguments->progress);
  command->footer(
      "Reads DIR, which no other process may be writing to, and never changes "
      "it. Without\n--salvage it cuts a torn tail, as the next open would; if "
      "there is damage it lists\nit and writes nothing. With --salvage it "
      "keeps what is proved to be current, by the\nlsns, an index image or "
      "hint files; a key is withheld if a tombstone or a mask of\nit could "
      "lie in what cannot be read. Every loss is listed; \"lost\" counts "
      "also the\nrecords that cannot be read, as their lsns tell. The new "
      "store has the old one's\nid, so receipts stay valid, and verifies "
      "clean. Exit code 1 if there is damage or\nanything was lost.\n\n"
      "Examples:\n"
      "  peat repair state --to mended\n"
      "  peat repair state --to mended --salvage > losses");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
