// audit: what was masked, and whether it is kept as it was.

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "format/status_macros.h"
#include "peat/audit.h"
#include "tools/commands.h"
#include "tools/escape.h"
#include "tools/input.h"
#include "tools/json_bytes.h"
#include "tools/mask_printer.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/receipt_check.h"
#include "tools/utc_time.h"

namespace peat::tools {
namespace {

struct AuditArguments {
  std::string directory;
  // As they were given, if they were.
  std::optional<std::string> key;
  std::optional<std::string> prefix;
  bool escaped = false;  // key and prefix
  std::optional<std::string> kinds;
  std::optional<std::string> lsns;
  std::optional<std::string> since;
  std::optional<std::string> until;
  bool newest_first = false;
  uint64_t limit = UINT64_MAX;
  bool count = false;
  std::optional<std::string> receipts_path;
  MaskPrinterOptions printed;
};

// --- What the arguments ask for.

absl::Status ParseKinds(const std::string& names, MaskQuery* query) {
  query->disables = query->enables = query->forgets = false;
  const std::vector<std::string> words = absl::StrSplit(names, ',');
  for (const std::string& name : words) {
    if (name == NameOf(MaskKind::kDisable)) {
      query->disables = true;
    } else if (name == NameOf(MaskKind::kEnable)) {
      query->enables = true;
    } else if (name == NameOf(MaskKind::kForget)) {
      query->forgets = true;
    } else {
      return absl::InvalidArgumentError(
          "--kind: not some of disable,enable,forget");
    }
  }
  return absl::OkStatus();
}

// "A..B", "A..", "..B" or "A".
absl::Status ParseLsns(const std::string& text, MaskQuery* query) {
  const size_t dots = text.find("..");
  const bool is_range = dots != text.npos;
  const std::string first = text.substr(0, dots);
  const std::string last = is_range ? text.substr(dots + 2) : first;
  const bool parsed =
      (is_range && first.empty()) || absl::SimpleAtoi(first, &query->first_lsn);
  if (parsed && ((is_range && last.empty()) ||
                 absl::SimpleAtoi(last, &query->last_lsn))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("--lsn: not A..B, A.., ..B or A");
}

absl::StatusOr<MaskTimeSpan> ParseTime(const char* option,
                                       const std::string& text) {
  absl::StatusOr<MaskTimeSpan> span = ParseUtc(text);
  if (span.ok()) return span;
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: %s", option, std::string(span.status().message())));
}

absl::StatusOr<MaskQuery> QueryOf(const AuditArguments& arguments) {
  MaskQuery query{.key = arguments.key,
                  .prefix = arguments.prefix,
                  .newest_first = arguments.newest_first};
  for (std::optional<std::string>* bytes : {&query.key, &query.prefix}) {
    if (!arguments.escaped || !bytes->has_value()) continue;
    PEAT_RETURN_IF_ERROR(Unescape(std::string(**bytes), &**bytes));
  }
  if (arguments.kinds.has_value()) {
    PEAT_RETURN_IF_ERROR(ParseKinds(*arguments.kinds, &query));
  }
  if (arguments.lsns.has_value()) {
    PEAT_RETURN_IF_ERROR(ParseLsns(*arguments.lsns, &query));
  }
  if (arguments.since.has_value()) {
    PEAT_ASSIGN_OR_RETURN(const MaskTimeSpan since,
                          ParseTime("--since", *arguments.since));
    query.first_time = since.first;
  }
  if (arguments.until.has_value()) {
    PEAT_ASSIGN_OR_RETURN(const MaskTimeSpan until,
                          ParseTime("--until", *arguments.until));
    query.last_time = until.last;
  }
  return query;
}

// --- What is done. Each tells whether all is as it should be.

absl::StatusOr<bool> List(const AuditReader& reader, const MaskQuery& query,
                          const AuditArguments& arguments) {
  MaskPrinter printer(arguments.printed);
  PEAT_RETURN_IF_ERROR(printer.PrintHeader());
  const std::unique_ptr<MaskCursor> masks = reader.Masks(query);
  for (uint64_t i = 0; i < arguments.limit && masks->Valid(); ++i) {
    PEAT_RETURN_IF_ERROR(printer.Print(*masks));
    masks->Next();
  }
  PEAT_RETURN_IF_ERROR(masks->status());
  return printer.damaged_count() == 0;
}

absl::StatusOr<bool> Count(const AuditReader& reader, const MaskQuery& query,
                           bool json) {
  PEAT_ASSIGN_OR_RETURN(const MaskTally tally, reader.Count(query));
  OrderedJson object;
  object["disables"] = tally.disables;
  object["enables"] = tally.enables;
  object["forgets"] = tally.forgets;
  if (json) {
    PEAT_RETURN_IF_ERROR(WriteOutput(object.dump() + "\n"));
    return true;
  }
  for (const auto& [name, count] : object.items()) {
    PEAT_RETURN_IF_ERROR(
        WriteOutput(absl::StrFormat("%-8s  %s\n", name, count.dump())));
  }
  return true;
}

absl::StatusOr<bool> Check(const AuditReader& reader, const std::string& path) {
  const auto close = [](std::FILE* file) { (void)std::fclose(file); };
  std::unique_ptr<std::FILE, decltype(close)> opened(nullptr, close);
  if (path != "-") {
    opened.reset(std::fopen(path.c_str(), "rbe"));
    if (opened == nullptr) return absl::ErrnoToStatus(errno, "open " + path);
  }
  Input input(opened == nullptr ? STDIN_FILENO : fileno(opened.get()));
  InputBuffer bytes(&input);
  std::istream stream(&bytes);
  absl::StatusOr<std::vector<NumberedReceipt>> receipts = ReadReceipts(stream);
  PEAT_RETURN_IF_ERROR(bytes.status());
  PEAT_RETURN_IF_ERROR(receipts.status());
  const uint64_t count = receipts->size();
  ReceiptCounts counts;
  PEAT_RETURN_IF_ERROR(CheckReceipts(reader, *std::move(receipts), &counts));
  PEAT_RETURN_IF_ERROR(WriteOutput(absl::StrFormat(
      "checked %d receipts, %d missing, %d different, %d damaged\n", count,
      counts.missing, counts.different, counts.damaged)));
  return counts.complaints() == 0;
}

absl::StatusOr<bool> RunOn(const AuditReader& reader, const MaskQuery& query,
                           const AuditArguments& arguments) {
  if (arguments.receipts_path.has_value()) {
    return Check(reader, *arguments.receipts_path);
  }
  return arguments.count ? Count(reader, query, arguments.printed.json)
                         : List(reader, query, arguments);
}

ExitCode Run(const AuditArguments& arguments) {
  const absl::StatusOr<MaskQuery> query = QueryOf(arguments);
  if (!query.ok()) return Fail(query.status());
  const absl::StatusOr<std::unique_ptr<AuditReader>> reader =
      AuditReader::Open(arguments.directory);
  if (!reader.ok()) {
    (void)Fail(reader.status());
    return ExitCode::kFailed;
  }
  const absl::StatusOr<bool> is_sound = RunOn(**reader, *query, arguments);
  // What was printed before a failure is wanted, too.
  const absl::Status flushed = FlushOutput();
  for (const absl::Status& status : {is_sound.status(), flushed}) {
    if (status.ok()) continue;
    const ExitCode code = Fail(status);
    return code == ExitCode::kNotFound ? ExitCode::kFailed : code;
  }
  return *is_sound ? ExitCode::kOk : ExitCode::kNotFound;
}

// --- The command line.

// CLI11 takes an empty word for no value of an optional.
CLI::Option* AddText(CLI::App& command, const char* name,
                     std::optional<std::string>& text, const char* type,
                     const char* what) {
  return command
      .add_option_function<std::string>(
          name, [&text](const std::string& word) { text = word; }, what)
      ->type_name(type);
}

void AddQueryOptions(CLI::App& command, AuditArguments& arguments) {
  CLI::Option* key =
      AddText(command, "--key", arguments.key, "TEXT", "Only this key");
  AddText(command, "--prefix", arguments.prefix, "TEXT",
          "Only keys that begin so")
      ->excludes(key);
  command.add_flag("-e,--escaped-key", arguments.escaped,
                   "Key and prefix are escaped: \\t \\n \\r \\\\ \\0 \\xHH");
  AddText(command, "--kind", arguments.kinds, "KIND,...",
          "Only these: some of disable,enable,forget");
  AddText(command, "--lsn", arguments.lsns, "RANGE",
          "Only these: A..B, A.., ..B or A");
  AddText(command, "--since", arguments.since, "TIME",
          "From this date or time on: 2026-11-22, 2026-11-22T20:22:13Z");
  AddText(command, "--until", arguments.until, "TIME",
          "Up to this date or time, all of it included");
}

void AddOutputOptions(CLI::App& command, AuditArguments& arguments) {
  CLI::Option* newest_first =
      command.add_flag("--newest-first", arguments.newest_first,
                       "In reverse order (default: oldest first)");
  CLI::Option* limit = AddLimit(command, arguments.limit);
  command.add_flag("--json", arguments.printed.json,
                   "Print one JSON object for each mask");
  CLI::Option* reveal = command.add_flag("--reveal", arguments.printed.values,
                                         "Print what is preserved, too");
  CLI::Option* verify =
      command.add_flag("--verify", arguments.printed.receipts,
                       "Make the receipts of forgets again and print them");
  command
      .add_flag("--count", arguments.count,
                "Only count, by kind; preserved values are not checked")
      ->excludes(newest_first)
      ->excludes(limit)
      ->excludes(reveal)
      ->excludes(verify);
  AddText(command, "--receipts", arguments.receipts_path, "FILE",
          "Check the receipts in a file (JSON lines, as forget prints them) "
          "instead; - is standard input");
}

// Checking receipts is no listing, so it goes with no other option.
void CheckAlone(const CLI::App& command) {
  constexpr const char* kReceipts = "--receipts";
  if (command.count(kReceipts) == 0) return;
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0 || option->get_positional()) continue;
    if (option->check_name(kReceipts)) continue;
    throw CLI::ExcludesError(kReceipts, option->get_name());
  }
}

constexpr const char* kAuditFooter =
    "Lists what was disabled, enabled and forgotten, with the times and "
    "reasons "
    "that were\ngiven. VALUE tells what became of the value: kept, none (there "
    "was none), dropped (the\nmask was superseded, and compaction kept only "
    "what is listed), or DAMAGED. A table cuts\nlong keys and reasons; --json "
    "has every byte: key64, reason64 and value64 hold base64,\nfor bytes that "
    "are not UTF-8.\n\n"
    "Whatever is listed is checked: exit code 1 if a forgotten value is not "
    "what its digest\nsays, or if a receipt fails. Reads beside a process that "
    "writes.\n\nExamples:\n"
    "  peat audit state --prefix customer-4/\n"
    "  peat audit state --kind forget --since 2026-11-01 --json --verify\n"
    "  peat audit state --key customer-4 --reveal\n"
    "  peat audit state --receipts receipts";

}  // namespace

void AddAudit(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<AuditArguments>();
  CLI::App* command =
      app.add_subcommand("audit", "List what was disabled and forgotten");
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  AddQueryOptions(*command, *arguments);
  AddOutputOptions(*command, *arguments);
  command->footer(kAuditFooter);
  command->callback([arguments, command, &exit_code] {
    CheckAlone(*command);
    exit_code = Run(*arguments);
  });
}

}  // namespace peat::tools
