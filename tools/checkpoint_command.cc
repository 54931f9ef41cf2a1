// checkpoint: a copy of a store that no process has open.

#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "tools/commands.h"
#include "tools/json_bytes.h"
#include "tools/open_store.h"
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

ExitCode Run(const CheckpointArguments& arguments) {
  const std::unique_ptr<Store> store =
      OpenStore(arguments.directory, Access::kChange);
  if (store == nullptr) return ExitCode::kFailed;
  const absl::StatusOr<CheckpointResult> result =
      store->Checkpoint(arguments.target);
  if (absl::IsInvalidArgument(result.status())) return Fail(result.status());
  absl::Status status = result.status();
  if (result.ok()) {
    (void)WriteOutput(arguments.json ? CheckpointJson(*result)
                                     : CheckpointText(*result));
  }
  status.Update(store->Close());
  status.Update(FlushOutput());
  if (status.ok()) return ExitCode::kOk;
  Complain(absl::StrFormat("%s (%s)", std::string(status.message()),
                           absl::StatusCodeToString(status.code())));
  return ExitCode::kFailed;
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
      "disk: bring checkpoints there with rsync, tar or the like. A store that "
      "is\nopen cannot be copied so: the process that has it open calls "
      "Store::Checkpoint().\n\nExamples:\n"
      "  peat checkpoint state backup/monday\n"
      "  peat restore backup/monday --to state --masks-from state.broken");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
