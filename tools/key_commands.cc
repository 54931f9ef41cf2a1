// put, get and delete: the commands for single keys.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "format/status_macros.h"
#include "peat/store.h"
#include "tools/commands.h"
#include "tools/escape.h"
#include "tools/input.h"
#include "tools/open_store.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/utc_time.h"

namespace peat::tools {
namespace {

constexpr size_t kValueSizeMax = size_t{1} << 30U;

enum class ValueForm { kRaw, kEscaped, kHex };

struct KeyArguments {
  std::string directory;
  std::string key;                // of put
  std::vector<std::string> keys;  // of get and delete
  bool escaped = false;           // the key, and for put the value
  // put
  std::string value;
  std::string value_file;
  bool if_absent = false;
  std::string expires_after;
  std::string expires_at;
  PutOptions options;
  // put and delete
  bool flush = false;
  // delete
  std::string prefix;
  bool dry_run = false;
  // get
  ValueForm form = ValueForm::kRaw;
  bool despite_damage = false;
};

absl::Status UnescapeArgument(std::string* argument) {
  const std::string field = std::exchange(*argument, std::string());
  return Unescape(field, argument);
}

// All of the file, "-" being standard input; refused beyond the size limit.
absl::StatusOr<std::string> ReadValueFile(const std::string& path) {
  const auto close = [](std::FILE* file) { (void)std::fclose(file); };
  std::unique_ptr<std::FILE, decltype(close)> opened(nullptr, close);
  if (path != "-") {
    opened.reset(std::fopen(path.c_str(), "rbe"));
    if (opened == nullptr) return absl::ErrnoToStatus(errno, "open " + path);
  }
  Input input(opened == nullptr ? STDIN_FILENO : fileno(opened.get()));
  std::string value;
  while (value.size() <= kValueSizeMax) {
    PEAT_ASSIGN_OR_RETURN(const bool has_more, input.HasMore());
    if (!has_more) return value;
    value.append(input.unread());
    input.Take(input.unread().size());
  }
  return absl::InvalidArgumentError("value is longer than 1 GiB");
}

// NotFound and its like from a file or a store are failures, not an answer.
ExitCode FailToRead(const absl::Status& status) {
  const ExitCode code = Fail(status);
  return code == ExitCode::kNotFound ? ExitCode::kFailed : code;
}

absl::Status PrepareKey(KeyArguments& arguments) {
  if (!arguments.escaped) return absl::OkStatus();
  for (std::string& key : arguments.keys) {
    PEAT_RETURN_IF_ERROR(UnescapeArgument(&key));
  }
  PEAT_RETURN_IF_ERROR(UnescapeArgument(&arguments.prefix));
  return UnescapeArgument(&arguments.key);
}

absl::Status PrepareValue(KeyArguments& arguments) {
  if (!arguments.value_file.empty()) {
    PEAT_ASSIGN_OR_RETURN(arguments.value, ReadValueFile(arguments.value_file));
    return absl::OkStatus();
  }
  return arguments.escaped ? UnescapeArgument(&arguments.value)
                           : absl::OkStatus();
}

// From what the command line says of when the key ends.
absl::Status PrepareExpiry(KeyArguments& arguments) {
  if (!arguments.expires_after.empty()) {
    absl::Duration after;
    if (!absl::ParseDuration(arguments.expires_after, &after) ||
        after < absl::Milliseconds(1)) {
      return absl::InvalidArgumentError(
          "--expires-after is no time span such as 90s, 30m or 1h, from 1ms "
          "on");
    }
    arguments.options.expires_after =
        std::chrono::milliseconds(absl::ToInt64Milliseconds(after));
  }
  if (!arguments.expires_at.empty()) {
    PEAT_ASSIGN_OR_RETURN(const MaskTimeSpan span,
                          ParseUtc(arguments.expires_at));
    arguments.options.expires_at =
        std::chrono::ceil<std::chrono::milliseconds>(span.first);
  }
  return absl::OkStatus();
}

// Whether the put wrote: false if the key was there and was to be left.
absl::StatusOr<bool> PutOne(Store& store, const KeyArguments& arguments) {
  if (arguments.if_absent) {
    return store.PutIfAbsent(arguments.key, arguments.value, arguments.options);
  }
  PEAT_RETURN_IF_ERROR(
      store.Put(arguments.key, arguments.value, arguments.options));
  return true;
}

absl::Status Finish(Store& store, bool flush) {
  if (flush) PEAT_RETURN_IF_ERROR(store.Flush().status());
  return store.Close();
}

ExitCode RunPut(KeyArguments arguments) {
  absl::Status prepared = PrepareKey(arguments);
  if (prepared.ok()) prepared = PrepareExpiry(arguments);
  if (prepared.ok()) prepared = PrepareValue(arguments);
  if (!prepared.ok()) return FailToRead(prepared);
  const std::unique_ptr<Store> store =
      OpenStore(arguments.directory, Access::kCreate);
  if (store == nullptr) return ExitCode::kFailed;
  const absl::StatusOr<bool> wrote = PutOne(*store, arguments);
  if (!wrote.ok()) return Fail(wrote.status());
  const absl::Status finished = Finish(*store, arguments.flush);
  if (!finished.ok()) return Fail(finished);
  if (*wrote) return ExitCode::kOk;
  Complain("the key is there already");
  return ExitCode::kNotFound;
}

// The value alone: as it is, if nothing else is asked for, but for a newline
// that keeps a prompt from standing behind it.
absl::Status Print(std::string_view value, ValueForm form) {
  switch (form) {
    case ValueForm::kRaw:
      PEAT_RETURN_IF_ERROR(WriteOutput(value));
      if (isatty(STDOUT_FILENO) != 1 || value.ends_with('\n')) break;
      return WriteOutput("\n");
    case ValueForm::kEscaped:
      return WriteOutput(Escape(value) + "\n");
    case ValueForm::kHex:
      return WriteOutput(ToHex(value) + "\n");
  }
  return absl::OkStatus();
}

// Of several, a line with key and value, as scan prints it.
absl::Status PrintPair(std::string_view key, std::string_view value,
                       ValueForm form) {
  const bool is_hex = form == ValueForm::kHex;
  return WriteOutput((is_hex ? ToHex(key) : Escape(key)) + "\t" +
                     (is_hex ? ToHex(value) : Escape(value)) + "\n");
}

// The worst that one of the keys has led to.
ExitCode GetAll(const Store& store, const KeyArguments& arguments) {
  ExitCode code = ExitCode::kOk;
  for (const std::string& key : arguments.keys) {
    const absl::StatusOr<PinnedValue> value = store.GetPinned(key);
    if (!value.ok()) {
      if (arguments.keys.size() > 1) Complain("of key " + Escape(key) + ":");
      code = std::max(code, Fail(value.status()));
      continue;
    }
    const absl::Status printed = arguments.keys.size() == 1
                                     ? Print(*value, arguments.form)
                                     : PrintPair(key, *value, arguments.form);
    if (!printed.ok()) return FailToRead(printed);
  }
  return code;
}

ExitCode RunGet(KeyArguments arguments) {
  const absl::Status prepared = PrepareKey(arguments);
  if (!prepared.ok()) return Fail(prepared);
  const std::unique_ptr<Store> store = OpenStore(
      arguments.directory,
      arguments.despite_damage ? Access::kReadDespiteDamage : Access::kRead);
  if (store == nullptr) return ExitCode::kFailed;
  const ExitCode code = GetAll(*store, arguments);
  const absl::Status flushed = FlushOutput();
  return flushed.ok() ? code : FailToRead(flushed);
}

ExitCode DeleteByPrefix(Store& store, const KeyArguments& arguments) {
  uint64_t count = 0;
  absl::Status done;
  if (arguments.dry_run) {
    Cursor cursor = store.Scan({.prefix = arguments.prefix, .keys_only = true});
    for (; cursor.Valid(); cursor.Next()) ++count;
    done = cursor.status();
  } else {
    const absl::StatusOr<uint64_t> deleted =
        store.DeletePrefix(arguments.prefix);
    done = deleted.status();
    if (done.ok()) count = *deleted;
  }
  done.Update(Finish(store, arguments.flush));
  if (!done.ok()) return Fail(done);
  (void)WriteOutput(absl::StrFormat(
      "%s %d keys\n", arguments.dry_run ? "would delete" : "deleted", count));
  return ExitCode::kOk;
}

ExitCode RunDelete(KeyArguments arguments) {
  const absl::Status prepared = PrepareKey(arguments);
  if (!prepared.ok()) return Fail(prepared);
  const std::unique_ptr<Store> store =
      OpenStore(arguments.directory, Access::kChange);
  if (store == nullptr) return ExitCode::kFailed;
  if (arguments.keys.empty()) return DeleteByPrefix(*store, arguments);
  ExitCode code = ExitCode::kOk;
  for (const std::string& key : arguments.keys) {
    const absl::StatusOr<bool> deleted = store->Delete(key);
    if (deleted.ok() && *deleted) continue;
    if (arguments.keys.size() > 1) Complain("of key " + Escape(key) + ":");
    code = std::max(
        code, Fail(deleted.ok() ? absl::NotFoundError("") : deleted.status()));
  }
  const absl::Status finished = Finish(*store, arguments.flush);
  return finished.ok() ? code : Fail(finished);
}

CLI::App* AddCommand(CLI::App& app, const char* name, const char* what,
                     KeyArguments& arguments) {
  CLI::App* command = app.add_subcommand(name, what);
  command->add_option("DIR", arguments.directory, "The store's directory")
      ->required();
  return command;
}

}  // namespace

void AddPut(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<KeyArguments>();
  CLI::App* command =
      AddCommand(app, "put", "Insert a key or overwrite its value", *arguments);
  command->add_option("KEY", arguments->key, "The key")->required();
  CLI::Option* value =
      command->add_option("VALUE", arguments->value, "The value");
  CLI::Option* file = command->add_option("--value-file", arguments->value_file,
                                          "Read the value from a file; - is "
                                          "standard input");
  value->excludes(file);
  command->add_flag("-e,--escaped", arguments->escaped,
                    "KEY and VALUE are escaped: \\t \\n \\r \\\\ \\0 \\xHH");
  command->add_flag("--if-absent", arguments->if_absent,
                    "Leave a key that is there; exit code 1");
  CLI::Option* after = command->add_option(
      "--expires-after", arguments->expires_after,
      "Let the key end after a time, such as 90s, 30m or 1h");
  command
      ->add_option("--expires-at", arguments->expires_at,
                   "Let it end at a date or time, such as "
                   "2026-11-22T20:22:13Z")
      ->excludes(after);
  command->add_flag("--flush", arguments->flush,
                    "Survive power loss: sync before returning");
  command->footer(
      "Makes the store if there is none.\n\nExamples:\n"
      "  peat put state order-17 paid\n"
      "  peat put state -e 'order\\x0017' 'line 1\\nline 2'\n"
      "  peat put state photo --value-file photo.jpg --flush\n"
      "  peat put state session-4 open --expires-after 30m");
  command->callback([arguments, value, file, &exit_code] {
    if (value->count() + file->count() == 0) {
      throw CLI::RequiredError("VALUE or --value-file");
    }
    exit_code = RunPut(*arguments);
  });
}

void AddGet(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<KeyArguments>();
  CLI::App* command =
      AddCommand(app, "get", "Print the values of keys", *arguments);
  AddKeys(*command, arguments->keys)->required();
  AddEscaped(*command, arguments->escaped);
  CLI::Option* escaped = command->add_flag_callback(
      "--escaped", [arguments] { arguments->form = ValueForm::kEscaped; },
      "Print the value escaped, and a newline");
  CLI::Option* hex = command->add_flag_callback(
      "--hex", [arguments] { arguments->form = ValueForm::kHex; },
      "Print the value in hexadecimal, and a newline");
  escaped->excludes(hex);
  AddDespiteDamage(*command, arguments->despite_damage);
  command->footer(
      "Prints the value's bytes as they are, and no newline but on a terminal; "
      "of several\nkeys, a line for each that is there: key, tab, value, "
      "escaped as `peat scan` does.\nReads beside a process that writes. Exit "
      "code 1: no such key.\n\nExamples:\n"
      "  peat get state order-17\n"
      "  peat get state order-17 order-18\n"
      "  peat get state photo > photo.jpg\n"
      "  peat get state --hex -e 'order\\x0017'");
  command->callback(
      [arguments, &exit_code] { exit_code = RunGet(*arguments); });
}

void AddDelete(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<KeyArguments>();
  CLI::App* command = AddCommand(app, "delete", "Delete keys", *arguments);
  CLI::Option* keys = AddKeys(*command, arguments->keys);
  CLI::Option* prefix = command->add_option(
      "--prefix", arguments->prefix,
      "Delete every key that begins so, instead of single keys");
  prefix->excludes(keys);
  command
      ->add_flag("--dry-run", arguments->dry_run,
                 "Only count what would be deleted")
      ->needs(prefix);
  AddEscaped(*command, arguments->escaped);
  command->add_flag("--flush", arguments->flush,
                    "Survive power loss: sync before returning");
  command->footer(
      "Exit code 1: a key was not there.\n\nExamples:\n"
      "  peat delete state order-17\n"
      "  peat delete state --flush order-17 order-18\n"
      "  peat delete state --prefix order- --dry-run");
  command->callback([arguments, keys, prefix, &exit_code] {
    if (keys->count() + prefix->count() == 0) {
      throw CLI::RequiredError("KEY or --prefix");
    }
    // As from a variable of a script that is not set.
    if (keys->count() == 0 && arguments->prefix.empty()) {
      throw CLI::ValidationError("--prefix", "an empty prefix is every key");
    }
    exit_code = RunDelete(*arguments);
  });
}

}  // namespace peat::tools
