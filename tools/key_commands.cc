// put, get and delete: the commands for one key.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/status_macros.h"
#include "peat/store.h"
#include "tools/commands.h"
#include "tools/escape.h"
#include "tools/open_store.h"
#include "tools/output.h"

namespace peat::tools {
namespace {

constexpr size_t kValueSizeMax = size_t{1} << 30U;

enum class ValueForm { kRaw, kEscaped, kHex };

struct KeyArguments {
  std::string directory;
  std::string key;
  bool escaped = false;  // the key, and for put the value
  // put
  std::string value;
  std::string value_file;
  bool if_absent = false;
  // put and delete
  bool flush = false;
  // get
  ValueForm form = ValueForm::kRaw;
};

absl::Status UnescapeArgument(std::string* argument) {
  const std::string field = std::exchange(*argument, std::string());
  return Unescape(field, argument);
}

// All of the file, "-" being standard input; refused beyond the size limit.
absl::StatusOr<std::string> ReadValueFile(const std::string& path) {
  const auto close = [](std::FILE* file) { (void)std::fclose(file); };
  std::unique_ptr<std::FILE, decltype(close)> opened(nullptr, close);
  std::FILE* file = stdin;
  if (path != "-") {
    opened.reset(std::fopen(path.c_str(), "rbe"));
    file = opened.get();
    if (file == nullptr) return absl::ErrnoToStatus(errno, "open " + path);
  }
  std::string value;
  std::string part(size_t{1} << 16U, '\0');
  while (value.size() <= kValueSizeMax) {
    const size_t size = std::fread(part.data(), 1, part.size(), file);
    if (std::ferror(file) != 0) {
      return absl::ErrnoToStatus(errno, "read " + path);
    }
    if (size == 0) return value;
    value.append(part, 0, size);
  }
  return absl::InvalidArgumentError("value is longer than 1 GiB");
}

// NotFound and its like from a file or a store are failures, not an answer.
ExitCode FailToRead(const absl::Status& status) {
  const ExitCode code = Fail(status);
  return code == ExitCode::kNotFound ? ExitCode::kFailed : code;
}

absl::Status PrepareKey(KeyArguments& arguments) {
  return arguments.escaped ? UnescapeArgument(&arguments.key)
                           : absl::OkStatus();
}

absl::Status PrepareValue(KeyArguments& arguments) {
  if (!arguments.value_file.empty()) {
    PEAT_ASSIGN_OR_RETURN(arguments.value, ReadValueFile(arguments.value_file));
    return absl::OkStatus();
  }
  return arguments.escaped ? UnescapeArgument(&arguments.value)
                           : absl::OkStatus();
}

// Whether the put wrote: false if the key was there and was to be left.
absl::StatusOr<bool> PutOne(Store& store, const KeyArguments& arguments) {
  if (arguments.if_absent) {
    return store.PutIfAbsent(arguments.key, arguments.value);
  }
  PEAT_RETURN_IF_ERROR(store.Put(arguments.key, arguments.value));
  return true;
}

absl::Status Finish(Store& store, bool flush) {
  if (flush) PEAT_RETURN_IF_ERROR(store.Flush().status());
  return store.Close();
}

ExitCode RunPut(KeyArguments arguments) {
  absl::Status prepared = PrepareKey(arguments);
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

absl::Status Print(std::string_view value, ValueForm form) {
  switch (form) {
    case ValueForm::kRaw:
      PEAT_RETURN_IF_ERROR(WriteOutput(value));
      break;
    case ValueForm::kEscaped:
      PEAT_RETURN_IF_ERROR(WriteOutput(Escape(value) + "\n"));
      break;
    case ValueForm::kHex:
      PEAT_RETURN_IF_ERROR(WriteOutput(ToHex(value) + "\n"));
      break;
  }
  return FlushOutput();
}

ExitCode RunGet(KeyArguments arguments) {
  const absl::Status prepared = PrepareKey(arguments);
  if (!prepared.ok()) return Fail(prepared);
  const std::unique_ptr<Store> store =
      OpenStore(arguments.directory, Access::kRead);
  if (store == nullptr) return ExitCode::kFailed;
  const absl::StatusOr<PinnedValue> value = store->GetPinned(arguments.key);
  if (!value.ok()) return Fail(value.status());
  const absl::Status printed = Print(*value, arguments.form);
  return printed.ok() ? ExitCode::kOk : FailToRead(printed);
}

ExitCode RunDelete(KeyArguments arguments) {
  const absl::Status prepared = PrepareKey(arguments);
  if (!prepared.ok()) return Fail(prepared);
  const std::unique_ptr<Store> store =
      OpenStore(arguments.directory, Access::kChange);
  if (store == nullptr) return ExitCode::kFailed;
  const absl::StatusOr<bool> deleted = store->Delete(arguments.key);
  if (!deleted.ok()) return Fail(deleted.status());
  const absl::Status finished = Finish(*store, arguments.flush);
  if (!finished.ok()) return Fail(finished);
  return *deleted ? ExitCode::kOk : Fail(absl::NotFoundError(""));
}

// A subcommand with the arguments that all three have.
CLI::App* AddKeyCommand(CLI::App& app, const char* name, const char* what,
                        KeyArguments& arguments) {
  CLI::App* command = app.add_subcommand(name, what);
  command->add_option("DIR", arguments.directory, "The store's directory")
      ->required();
  command->add_option("KEY", arguments.key, "The key")->required();
  return command;
}

}  // namespace

void AddPut(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<KeyArguments>();
  CLI::App* command = AddKeyCommand(
      app, "put", "Insert a key or overwrite its value", *arguments);
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
  command->add_flag("--flush", arguments->flush,
                    "Survive power loss: sync before returning");
  command->footer(
      "Makes the store if there is none.\n\nExamples:\n"
      "  peat put state order-17 paid\n"
      "  peat put state -e 'order\\x0017' 'line 1\\nline 2'\n"
      "  peat put state photo --value-file photo.jpg --flush");
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
      AddKeyCommand(app, "get", "Print a key's value", *arguments);
  command->add_flag("-e,--escaped-key", arguments->escaped,
                    "KEY is escaped: \\t \\n \\r \\\\ \\0 \\xHH");
  CLI::Option* escaped = command->add_flag_callback(
      "--escaped", [arguments] { arguments->form = ValueForm::kEscaped; },
      "Print the value escaped, and a newline");
  CLI::Option* hex = command->add_flag_callback(
      "--hex", [arguments] { arguments->form = ValueForm::kHex; },
      "Print the value in hexadecimal, and a newline");
  escaped->excludes(hex);
  command->footer(
      "Prints the value's bytes as they are, and no newline. Reads beside a "
      "process\nthat writes. Exit code 1: no such key.\n\nExamples:\n"
      "  peat get state order-17\n"
      "  peat get state photo > photo.jpg\n"
      "  peat get state --hex -e 'order\\x0017'");
  command->callback(
      [arguments, &exit_code] { exit_code = RunGet(*arguments); });
}

void AddDelete(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<KeyArguments>();
  CLI::App* command = AddKeyCommand(app, "delete", "Delete a key", *arguments);
  command->add_flag("-e,--escaped-key", arguments->escaped,
                    "KEY is escaped: \\t \\n \\r \\\\ \\0 \\xHH");
  command->add_flag("--flush", arguments->flush,
                    "Survive power loss: sync before returning");
  command->footer(
      "Exit code 1: the key was not there.\n\nExamples:\n"
      "  peat delete state order-17\n"
      "  peat delete state --flush order-17");
  command->callback(
      [arguments, &exit_code] { exit_code = RunDelete(*arguments); });
}

}  // namespace peat::tools
