// restore: a store of a checkpoint, with the masks of a newer store.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "tools/commands.h"
#include "tools/escape.h"
#include "tools/json_bytes.h"
#include "tools/offline/restore.h"
#include "tools/offline_command.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/progress.h"

namespace peat::tools {
namespace {

struct RestoreArguments {
  std::string from;
  std::string to;
  std::string masks_from;  // empty: no masks
  bool json = false;
};

std::string RestoreText(const RestoreArguments& arguments,
                        const RestoreResult& result) {
  std::string text = absl::StrFormat(
      "restored %s as of lsn %d: %s bytes linked, %s copied\n",
      Printable(arguments.to), result.lsn, WithCommas(result.linked_bytes),
      WithCommas(result.copied_bytes));
  if (arguments.masks_from.empty()) return text;
  return text + absl::StrFormat(
                    "masks taken along: %d forgets, %d disables, %d enables; "
                    "%d change nothing\n",
                    result.forget_count, result.disable_count,
                    result.enable_count, result.idle_count);
}

// The counts of masks only where masks were asked for, as the text.
std::string RestoreJson(const RestoreArguments& arguments,
                        const RestoreResult& result) {
  OrderedJson object;
  object["lsn"] = result.lsn;
  object["linked_bytes"] = result.linked_bytes;
  object["copied_bytes"] = result.copied_bytes;
  if (!arguments.masks_from.empty()) {
    OrderedJson masks;
    masks["forgets"] = result.forget_count;
    masks["disables"] = result.disable_count;
    masks["enables"] = result.enable_count;
    masks["idle"] = result.idle_count;
    object["masks"] = std::move(masks);
  }
  return object.dump() + "\n";
}

ExitCode Run(const RestoreArguments& arguments) {
  AllowManyFiles();
  RestorePaths paths{.from = arguments.from, .to = arguments.to};
  if (!arguments.masks_from.empty()) paths.masks_from = arguments.masks_from;
  const absl::StatusOr<RestoreResult> result =
      RestoreStore(engine::PosixFileSystem(), paths);
  if (absl::IsInvalidArgument(result.status())) return Fail(result.status());
  if (!result.ok()) return FailToRead(result.status());
  (void)WriteOutput(arguments.json ? RestoreJson(arguments, *result)
                                   : RestoreText(arguments, *result));
  const absl::Status flushed = FlushOutput();
  return flushed.ok() ? ExitCode::kOk : FailToRead(flushed);
}

}  // namespace

void AddRestore(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<RestoreArguments>();
  CLI::App* command = app.add_subcommand(
      "restore", "Make a store of a checkpoint, with the masks of a newer one");
  command->add_option("CHECKPOINT", arguments->from, "The checkpoint")
      ->required();
  AddNewStore(*command, arguments->to);
  command
      ->add_option("--masks-from", arguments->masks_from,
                   "Set what was forgotten, disabled and enabled in this store "
                   "since the checkpoint")
      ->option_text("STORE");
  command->add_flag("--json", arguments->json, "Print one JSON object");
  command->footer(
      "The checkpoint stays as it is; NEW shares its files where it can. A "
      "checkpoint knows\nnothing of what was forgotten later: without "
      "--masks-from it comes back. With it the\nmasks of STORE that the "
      "checkpoint does not have are set in NEW, with their reasons\nand "
      "times, in a new place of the log; a forgotten key then preserves the "
      "value that the\ncheckpoint has of it. STORE may be in use, must be "
      "sound (see peat repair), and of the\nsame origin. NEW appears when all "
      "of that is done.\n\nExamples:\n"
      "  peat restore backup/monday --to state\n"
      "  peat restore backup/monday --to state.new --masks-from state");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
