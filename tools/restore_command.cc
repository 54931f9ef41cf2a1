// restore: a store of a checkpoint, with the masks of a newer store.

#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "tools/commands.h"
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
};

void PrintResult(const RestoreArguments& arguments,
                 const RestoreResult& result) {
  std::string text =
      absl::StrFormat("restored %s as of lsn %d: %s bytes linked, %s copied\n",
                      arguments.to, result.lsn, WithCommas(result.linked_bytes),
                      WithCommas(result.copied_bytes));
  if (!arguments.masks_from.empty()) {
    text += absl::StrFormat(
        "masks taken along: %d forgets, %d disables, %d enables; %d change "
        "nothing\n",
        result.forget_count, result.disable_count, result.enable_count,
        result.idle_count);
  }
  (void)WriteOutput(text);
}

ExitCode Run(const RestoreArguments& arguments) {
  AllowManyFiles();
  RestorePaths paths{.from = arguments.from, .to = arguments.to};
  if (!arguments.masks_from.empty()) paths.masks_from = arguments.masks_from;
  const absl::StatusOr<RestoreResult> result =
      RestoreStore(engine::PosixFileSystem(), paths);
  if (absl::IsInvalidArgument(result.status())) return Fail(result.status());
  if (!result.ok()) return FailToRead(result.status());
  PrintResult(arguments, *result);
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
