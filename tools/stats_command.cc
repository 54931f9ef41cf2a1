// stats: what a store counts about itself.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "tools/commands.h"
#include "tools/json_bytes.h"
#include "tools/open_store.h"
#include "tools/output.h"

namespace peat::tools {
namespace {

using Json = OrderedJson;

struct StatsArguments {
  std::string directory;
  bool json = false;
  bool recover = false;
};

Json ToJson(const std::vector<CutRange>& ranges) {
  Json array = Json::array();
  for (const CutRange& range : ranges) {
    Json object;
    object["file"] = range.file;
    object["offset"] = range.offset;
    object["size"] = range.size;
    array.push_back(std::move(object));
  }
  return array;
}

Json ToJson(const OpenStats& stats) {
  Json object;
  object["clean"] = stats.clean;
  object["records_replayed"] = stats.records_replayed;
  object["bytes_replayed"] = stats.bytes_replayed;
  object["milliseconds"] = stats.milliseconds;
  object["cut"] = ToJson(stats.cut);
  object["damaged"] = ToJson(stats.damaged);
  return object;
}

Json ToJson(const Stats& stats) {
  Json object;
  object["key_count"] = stats.key_count;
  object["disabled_key_count"] = stats.disabled_key_count;
  object["forgotten_key_count"] = stats.forgotten_key_count;
  object["live_bytes"] = stats.live_bytes;
  object["dead_bytes"] = stats.dead_bytes;
  object["used_bytes"] = stats.used_bytes;
  object["spare_bytes"] = stats.spare_bytes;
  object["segment_count"] = stats.segment_count;
  object["value_file_count"] = stats.value_file_count;
  object["index_bytes"] = stats.index_bytes;
  object["last_lsn"] = stats.last_lsn;
  object["durable_lsn"] = stats.durable_lsn;
  object["flush_count"] = stats.flush_count;
  object["reserve_complete"] = stats.reserve_complete;
  object["open"] = ToJson(stats.open);
  return object;
}

// One line for each member, those of an object under its name.
std::string ToTable(const Json& object, const std::string& prefix) {
  std::string table;
  for (const auto& [name, value] : object.items()) {
    if (value.is_object()) {
      table += ToTable(value, prefix + name + ".");
    } else if (!value.is_array() || !value.empty()) {
      table += absl::StrFormat("%-24s %s\n", prefix + name, value.dump());
    }
  }
  return table;
}

ExitCode Run(const StatsArguments& arguments) {
  const std::unique_ptr<Store> store = OpenStore(
      arguments.directory, arguments.recover ? Access::kChange : Access::kRead);
  if (store == nullptr) return ExitCode::kFailed;
  const Json object = ToJson(store->GetStats());
  (void)WriteOutput(arguments.json ? object.dump(2) + "\n"
                                   : ToTable(object, ""));
  absl::Status finished = FlushOutput();
  if (finished.ok()) finished = store->Close();
  return finished.ok() ? ExitCode::kOk : Fail(finished);
}

}  // namespace

void AddStats(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<StatsArguments>();
  CLI::App* command =
      app.add_subcommand("stats", "Print what the store counts");
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  command->add_flag("--json", arguments->json, "Print one JSON object");
  command->add_flag("--recover", arguments->recover,
                    "Open for writing: recover what a crash left, and tell "
                    "how that went");
  command->footer(
      "Bytes are bytes of disk, index_bytes of memory. Reads beside a process "
      "that\nwrites; then `open` tells of this reading.\n\nExamples:\n"
      "  peat stats state\n"
      "  peat stats state --json\n"
      "  peat stats state --recover");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
