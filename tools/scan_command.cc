// scan and export: pairs of a store on standard output.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "peat/store.h"
#include "tools/commands.h"
#include "tools/escape.h"
#include "tools/open_store.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/pair_writer.h"

namespace peat::tools {
namespace {

struct ScanArguments {
  std::string directory;
  PairFormat format = PairFormat::kTsv;
  bool escaped = false;
  bool hex = false;
  bool count = false;
  bool despite_damage = false;
  uint64_t limit = UINT64_MAX;
  Query query;
};

absl::Status UnescapeIn(std::optional<std::string>* field) {
  if (!field->has_value()) return absl::OkStatus();
  const std::string escaped = **field;
  return Unescape(escaped, &**field);
}

absl::Status Prepare(ScanArguments& arguments) {
  if (!arguments.escaped) return absl::OkStatus();
  for (std::optional<std::string>* field :
       {&arguments.query.from, &arguments.query.to, &arguments.query.prefix,
        &arguments.query.after}) {
    PEAT_RETURN_IF_ERROR(UnescapeIn(field));
  }
  return absl::OkStatus();
}

absl::Status Render(const ScanArguments& arguments, const PairView& pair,
                    std::string* text) {
  const std::string_view key = pair.key;
  const std::string_view value = pair.value;
  const bool keys_only = arguments.query.keys_only;
  if (arguments.hex) {
    *text = ToHex(key) + (keys_only ? "" : "\t" + ToHex(value)) + "\n";
    return absl::OkStatus();
  }
  return keys_only ? WriteKey(key, arguments.format, text)
                   : WritePair(pair, arguments.format, text);
}

// Passes over what is damaged, in a store that is read despite damage.
void ComplainOfPair(const Cursor& cursor, uint64_t count) {
  constexpr uint64_t kComplaintsMax = 10;
  if (count > kComplaintsMax) return;
  Complain(absl::StrFormat("key %s: %s", Escape(cursor.key()),
                           std::string(cursor.status().message())));
}

absl::Status Print(const Store& store, const ScanArguments& arguments) {
  Cursor cursor = store.Scan(arguments.query);
  std::string text;
  uint64_t count = 0;
  uint64_t lost_count = 0;
  while (count < arguments.limit && (cursor.Valid() || cursor.CanGoOn())) {
    if (!cursor.Valid()) {
      ComplainOfPair(cursor, ++lost_count);
      cursor.Next();
      continue;
    }
    if (!arguments.count) {
      PEAT_RETURN_IF_ERROR(
          Render(arguments, {cursor.key(), cursor.value(), cursor.expires_at()},
                 &text));
      PEAT_RETURN_IF_ERROR(WriteOutput(text));
    }
    // No more is looked for than is wanted.
    if (++count < arguments.limit) cursor.Next();
  }
  if (arguments.count) {
    PEAT_RETURN_IF_ERROR(WriteOutput(absl::StrFormat("%d\n", count)));
  }
  return cursor.status();
}

ExitCode Run(ScanArguments arguments) {
  const absl::Status prepared = Prepare(arguments);
  if (!prepared.ok()) return Fail(prepared);
  if (arguments.count) arguments.query.keys_only = true;
  // A limit of the query asks for an order, and 0 for all.
  if (arguments.query.from.has_value() && arguments.limit != UINT64_MAX) {
    arguments.query.limit = std::max<uint64_t>(arguments.limit, 1);
  }
  const std::unique_ptr<Store> store = OpenStore(
      arguments.directory,
      arguments.despite_damage ? Access::kReadDespiteDamage : Access::kRead);
  if (store == nullptr) return ExitCode::kFailed;
  absl::Status printed = Print(*store, arguments);
  printed.Update(FlushOutput());
  return printed.ok() ? ExitCode::kOk : Fail(printed);
}

constexpr const char* kFormatFooter =
    "Formats, as `peat load` reads them:\n"
    "  tsv    key, tab, value, one pair a line; escapes \\t \\n \\r \\\\ \\0 "
    "\\xHH\n"
    "  jsonl  {\"key\": ..., \"value\": ...} a line; key64 and value64 hold "
    "base64,\n"
    "         for bytes that are not UTF-8; of keys that expire, also "
    "\"expires_at\",\n"
    "         in milliseconds since 1970-01-01 UTC (the others leave it out)\n"
    "  nul    key, zero byte, value, zero byte; fails at a zero byte in "
    "either\n"
    "\nReads beside a process that writes, and shows what there was at one "
    "moment.\nKeys that are forgotten or have expired are not "
    "shown.\n\nExamples:\n";

// What both commands have.
CLI::App* AddCommand(CLI::App& app, const char* name, const char* what,
                     const std::shared_ptr<ScanArguments>& arguments,
                     ExitCode& exit_code) {
  CLI::App* command = app.add_subcommand(name, what);
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  AddFormat(*command, arguments->format);
  command
      ->add_flag("--hex", arguments->hex,
                 "Print keys and values in hexadecimal, a tab between them")
      ->excludes("--format");
  AddLimit(*command, arguments->limit);
  command->add_flag("--count", arguments->count, "Print only how many");
  command->add_flag("--keys-only", arguments->query.keys_only,
                    "Print no values");
  AddDespiteDamage(*command, arguments->despite_damage);
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
  return command;
}

void AddKeyOption(CLI::App* command, const char* name, const char* what,
                  std::optional<std::string>* field) {
  command
      ->add_option_function<std::string>(
          name, [field](const std::string& key) { *field = key; }, what)
      ->option_text("KEY");
}

}  // namespace

void AddScan(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<ScanArguments>();
  CLI::App* command =
      AddCommand(app, "scan", "Print pairs in the order of their keys",
                 arguments, exit_code);
  Query& query = arguments->query;
  query.from = "";  // so that the order is that of the keys
  AddKeyOption(command, "--prefix", "Keys that begin with this", &query.prefix);
  AddKeyOption(command, "--from", "Keys from this one on", &query.from);
  AddKeyOption(command, "--to", "Keys before this one", &query.to);
  AddKeyOption(command, "--after", "Keys behind this one, for paging",
               &query.after);
  command->add_flag("--reverse", query.reverse,
                    "From the last key to the first");
  command->add_flag("-e,--escaped-key,--escaped", arguments->escaped,
                    "Keys on the command line are escaped as in tsv");
  command->footer(
      std::string("To find the first keys, all of the log is read; `peat "
                  "export --limit N` prints some\npairs at once, in the order "
                  "of the log.\n\n") +
      kFormatFooter +
      "  peat scan state --prefix order- --limit 10\n"
      "  peat scan state --from a --to b --keys-only --reverse\n"
      "  peat scan state -e --after 'k\\x00' --format jsonl");
}

void AddExport(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<ScanArguments>();
  CLI::App* command =
      AddCommand(app, "export", "Print all pairs, in the order of the log",
                 arguments, exit_code);
  command->footer(std::string(kFormatFooter) +
                  "  peat export state > state.tsv\n"
                  "  peat export state --format jsonl | peat load copy "
                  "--format jsonl");
}

}  // namespace peat::tools
