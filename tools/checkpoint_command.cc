// checkpoint: a copy of a store, also beside a process that writes to it.

#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "peat/store.h"
#include "tools/commands.h"
#include "tools/json_bytes.h"
#include "tools/offline/side_checkpoint.h"
#include "tools/offline_command.h"
#include "tools/output.h"
#include "tools/progress.h"

namespace peat::tools {
namespace {

struct CheckpointArguments {
  std::string directory;
  std::string target;
  bool json = false;
};

std::string CheckpointText(const CheckpointResult& result) {
  return absl::StrFormat("checkpoint of lsn %d: %s bytes linked, %s copied\n",
                         result.lsn, WithCommas(result.linked_bytes),
                         WithCommas(result.copied_bytes));
}

std::string CheckpointJson(const CheckpointResult& result) {
  OrderedJson object;
  object["lsn"] = result.lsn;
  object["linked_bytes"] = result.linked_bytes;
  object["copied_bytes"] = result.copied_bytes;
  return object.dump() + "\n";
}

// Of a store that no process has open: it is opened, which recovers what a
// crash left.
absl::StatusOr<CheckpointResult> CheckpointAlone(
    Store& store, const CheckpointArguments& arguments) {
  absl::StatusOr<CheckpointResult> result = store.Checkpoint(arguments.target);
  const absl::Status closed = store.Close();
  if (result.ok() && !closed.ok()) return closed;
  return result;
}

absl::StatusOr<CheckpointResult> Make(const CheckpointArguments& arguments) {
  absl::StatusOr<std::unique_ptr<Store>> store =
      Store::Open(arguments.directory, {.create_if_missing = false,
                                        .background_compaction = false,
                                        .background_snapshots = false});
  if (store.ok()) return CheckpointAlone(**store, arguments);
  // A bad name of the store is no bad command line.
  if (absl::IsInvalidArgument(store.status())) {
    return absl::FailedPreconditionError(store.status().message());
  }
  if (!absl::IsUnavailable(store.status())) return store.status();
  PEAT_ASSIGN_OR_RETURN(
      const SideCheckpoint made,
      CheckpointBeside(engine::PosixFileSystem(), arguments.directory,
                       arguments.target));
  return CheckpointResult{.lsn = made.lsn,
                          .linked_bytes = made.linked_bytes,
                          .copied_bytes = made.copied_bytes};
}

ExitCode Run(const CheckpointArguments& arguments) {
  AllowManyFiles();
  const absl::StatusOr<CheckpointResult> result = Make(arguments);
  if (absl::IsInvalidArgument(result.status())) return Fail(result.status());
  if (!result.ok()) return FailToRead(result.status());
  (void)WriteOutput(arguments.json ? CheckpointJson(*result)
                                   : CheckpointText(*result));
  const absl::Status flushed = FlushOutput();
  return flushed.ok() ? ExitCode::kOk : FailToRead(flushed);
}

}  // namespace

void AddCheckpoint(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<CheckpointArguments>();
  CLI::App* command =
      app.add_subcommand("checkpoint", "Make a copy of a store by hard links");
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  command
      ->add_option("NEW", arguments->target,
                   "The copy's directory, which must not be there")
      ->required();
  command->add_flag("--json", arguments->json, "Print one JSON object");
  command->footer(
      "NEW is a store of its own. On the file system of DIR it shares files "
      "with it, takes\nno time, and no space but for what either of the two "
      "changes later: take one an hour,\nand delete old ones with rm -r. "
      "Elsewhere the files are copied. A hard link is no copy\non another "
      "disk: bring checkpoints there with rsync, tar or the like. Beside a "
      "process\nthat writes, what is not sealed yet is copied, and the copy is "
      "verified: that takes\nthe time of reading it.\n\nExamples:\n"
      "  peat checkpoint state backup/monday\n"
      "  peat restore backup/monday --to state --masks-from state.broken");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
