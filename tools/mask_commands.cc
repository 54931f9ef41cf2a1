// disable, enable and forget: the commands that change what may be done with
// keys.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "peat/masks.h"
#include "peat/store.h"
#include "peat/write_batch.h"
#include "tools/commands.h"
#include "tools/escape.h"
#include "tools/json_bytes.h"
#include "tools/open_store.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/receipt.h"

namespace peat::tools {
namespace {

struct MaskArguments {
  std::string directory;
  std::vector<std::string> keys;
  std::string reason;
  bool escaped = false;  // keys, prefix and reason
  // forget
  std::string prefix;
  bool dry_run = false;
  bool json = false;
};

absl::Status UnescapeArguments(MaskArguments& arguments) {
  if (!arguments.escaped) return absl::OkStatus();
  for (std::string& key : arguments.keys) {
    PEAT_RETURN_IF_ERROR(Unescape(std::string(key), &key));
  }
  PEAT_RETURN_IF_ERROR(
      Unescape(std::string(arguments.prefix), &arguments.prefix));
  return Unescape(std::string(arguments.reason), &arguments.reason);
}

// --- disable and enable: all keys or none, in a batch.

using AddToBatch = void (WriteBatch::*)(std::string_view, const MaskOptions&);

// Without the number of the operation in its batch, which says nothing to
// whoever named the keys.
absl::Status OfOneKey(const absl::Status& status) {
  const std::string message(status.message());
  const size_t colon = message.find(": ");
  if (!FailedOperation(status).has_value() || colon == message.npos) {
    return status;
  }
  absl::Status plain(status.code(), message.substr(colon + 2));
  status.ForEachPayload([&plain](auto url, const absl::Cord& payload) {
    plain.SetPayload(url, payload);
  });
  return plain;
}

// Says which of several keys a refused batch is refused for.
void ComplainOfKey(const Store& store, const std::vector<std::string>& keys,
                   KeyState obstacle) {
  for (size_t i = 0; keys.size() > 1 && i < keys.size(); ++i) {
    const absl::StatusOr<KeyState> state = store.State(keys[i]);
    if (!state.ok() || *state != obstacle) continue;
    Complain(absl::StrFormat("that is key %d of %d; none was changed", i + 1,
                             keys.size()));
    return;
  }
}

ExitCode RunBatch(MaskArguments arguments, AddToBatch add) {
  const absl::Status prepared = UnescapeArguments(arguments);
  if (!prepared.ok()) return Fail(prepared);
  WriteBatch batch;
  for (const std::string& key : arguments.keys) {
    (batch.*add)(key, {.reason = arguments.reason});
  }
  const std::unique_ptr<Store> store =
      OpenStore(arguments.directory, Access::kChange);
  if (store == nullptr) return ExitCode::kFailed;
  const absl::Status written = store->Write(batch);
  if (!written.ok()) {
    const ExitCode code = Fail(OfOneKey(written));
    ComplainOfKey(
        *store, arguments.keys,
        absl::IsNotFound(written) ? KeyState::kAbsent : KeyState::kForgotten);
    return code;
  }
  const absl::Status closed = store->Close();
  return closed.ok() ? ExitCode::kOk : Fail(closed);
}

// --- forget

std::string Render(const std::string& key, const ForgetReceipt& receipt,
                   bool json) {
  if (!json) {
    return absl::StrFormat("forgotten, lsn %d, key %s\n", receipt.lsn,
                           Escape(key)) +
           ReceiptText(receipt);
  }
  OrderedJson object;
  AddBytes(object, "key", key);
  AddReceipt(object, receipt);
  return object.dump() + "\n";
}

// Prints what was forgotten also if not all could be. A receipt counts once its
// lsn is durable, so none is printed before.
absl::Status ForgetKeys(Store& store, const MaskArguments& arguments) {
  std::vector<ForgetReceipt> receipts;
  absl::Status forgotten;
  for (const std::string& key : arguments.keys) {
    absl::StatusOr<ForgetReceipt> receipt =
        store.Forget(key, {.reason = arguments.reason});
    forgotten = receipt.status();
    if (!forgotten.ok()) break;
    receipts.push_back(*std::move(receipt));
  }
  PEAT_RETURN_IF_ERROR(store.Flush().status());
  for (size_t i = 0; i < receipts.size(); ++i) {
    const absl::Status written =
        WriteOutput(Render(arguments.keys[i], receipts[i], arguments.json));
    if (OutputIsClosed()) break;
    PEAT_RETURN_IF_ERROR(written);
  }
  return forgotten;
}

absl::Status ForgetPrefix(Store& store, const MaskArguments& arguments) {
  PEAT_ASSIGN_OR_RETURN(
      const ForgetAllResult result,
      store.ForgetAll(arguments.prefix, {.reason = arguments.reason,
                                         .dry_run = arguments.dry_run}));
  if (!arguments.dry_run) PEAT_RETURN_IF_ERROR(store.Flush().status());
  if (!arguments.json) {
    return WriteOutput(absl::StrFormat(
        "%s %d keys, %d bytes\n", arguments.dry_run ? "would forget" : "forgot",
        result.key_count, result.byte_count));
  }
  OrderedJson object;
  object["dry_run"] = arguments.dry_run;
  object["key_count"] = result.key_count;
  object["byte_count"] = result.byte_count;
  return WriteOutput(object.dump() + "\n");
}

ExitCode RunForget(MaskArguments arguments) {
  const absl::Status prepared = UnescapeArguments(arguments);
  if (!prepared.ok()) return Fail(prepared);
  const std::unique_ptr<Store> store =
      OpenStore(arguments.directory, Access::kChange);
  if (store == nullptr) return ExitCode::kFailed;
  absl::Status finished = arguments.keys.empty()
                              ? ForgetPrefix(*store, arguments)
                              : ForgetKeys(*store, arguments);
  finished.Update(FlushOutput());
  finished.Update(store->Close());
  return finished.ok() ? ExitCode::kOk : Fail(finished);
}

// --- The command line.

struct MaskCommand {
  CLI::App* app;
  CLI::Option* keys;
};

// A subcommand with the arguments that all three have.
MaskCommand AddMaskCommand(CLI::App& app, const char* name, const char* what,
                           MaskArguments& arguments) {
  CLI::App* command = app.add_subcommand(name, what);
  command->add_option("DIR", arguments.directory, "The store's directory")
      ->required();
  CLI::Option* keys = AddKeys(*command, arguments.keys);
  command->add_option("--reason", arguments.reason,
                      "Why: kept for ever, for the audit; to 64 KiB");
  command->add_flag("-e,--escaped", arguments.escaped,
                    "Keys and reason are escaped: \\t \\n \\r \\\\ \\0 \\xHH");
  return {.app = command, .keys = keys};
}

void AddBatchCommand(CLI::App& app, ExitCode& exit_code, const char* name,
                     const char* what, AddToBatch add) {
  auto arguments = std::make_shared<MaskArguments>();
  const MaskCommand command = AddMaskCommand(app, name, what, *arguments);
  command.keys->required();
  command.app->footer(absl::StrFormat(
      "All keys or none, and durable when the command is done. Exit code 1: no "
      "such key;\n4: forgotten.\n\nExamples:\n"
      "  peat %s state order-17\n"
      "  peat %s state order-17 order-18 --reason 'ticket 4711'",
      name, name));
  command.app->callback(
      [arguments, add, &exit_code] { exit_code = RunBatch(*arguments, add); });
}

constexpr const char* kForgetFooter =
    "For ever: nothing makes a forgotten key readable or writable again. What "
    "was stored\nstays on disk for `peat audit`. Absent keys can be forgotten, "
    "too.\n\n"
    "Prints receipts once they are durable: keep them elsewhere, and hold the "
    "store to\nthem with `peat audit --receipts`. A key that was forgotten "
    "before has no digests\nin its receipt; `peat audit --verify` makes it "
    "again.\n\nExamples:\n"
    "  peat forget state customer-4 --reason 'request 17' --json >> receipts\n"
    "  peat forget state --prefix customer-4/ --dry-run\n"
    "  peat forget state --prefix customer-4/ --reason 'request 17'";

}  // namespace

void AddDisable(CLI::App& app, ExitCode& exit_code) {
  AddBatchCommand(app, exit_code, "disable",
                  "Keep keys from being written; they can be read",
                  &WriteBatch::Disable);
}

void AddEnable(CLI::App& app, ExitCode& exit_code) {
  AddBatchCommand(app, exit_code, "enable", "Let disabled keys be written",
                  &WriteBatch::Enable);
}

void AddForget(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<MaskArguments>();
  const MaskCommand command = AddMaskCommand(
      app, "forget", "Keep keys from being read or written, for ever",
      *arguments);
  CLI::Option* prefix = command.app->add_option(
      "--prefix", arguments->prefix,
      "Forget every key that begins so, instead of single keys");
  prefix->excludes(command.keys);
  command.app
      ->add_flag("--dry-run", arguments->dry_run,
                 "Only count what would be forgotten")
      ->needs(prefix);
  command.app->add_flag("--json", arguments->json,
                        "Print one JSON object for each receipt");
  command.app->footer(kForgetFooter);
  command.app->callback([arguments, command, prefix, &exit_code] {
    if (command.keys->count() + prefix->count() == 0) {
      throw CLI::RequiredError("KEY or --prefix");
    }
    // As from a variable of a script that is not set.
    if (command.keys->count() == 0 && arguments->prefix.empty()) {
      throw CLI::ValidationError("--prefix", "an empty prefix is every key");
    }
    exit_code = RunForget(*arguments);
  });
}

}  // namespace peat::tools
