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

const char* NameOf(SegmentStats::Kind kind) {
  switch (kind) {
    case SegmentStats::Kind::kLog:
      return "log";
    case SegmentStats::Kind::kCompacted:
      return "compacted";
    case SegmentStats::Kind::kAudit:
      return "audit";
  }
  return "";
}

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
  object["keys_loaded"] = stats.keys_loaded;
  object["records_replayed"] = stats.records_replayed;
  object["bytes_replayed"] = stats.bytes_replayed;
  object["milliseconds"] = stats.milliseconds;
  object["ordered_milliseconds"] = stats.ordered_milliseconds;
  object["cut"] = ToJson(stats.cut);
  object["damaged"] = ToJson(stats.damaged);
  return object;
}

Json ToJson(const std::vector<SegmentStats>& segments) {
  Json array = Json::array();
  for (const SegmentStats& segment : segments) {
    Json object;
    object["id"] = segment.id;
    object["kind"] = NameOf(segment.kind);
    object["used_bytes"] = segment.used_bytes;
    object["live_bytes"] = segment.live_bytes;
    object["tombstone_bytes"] = segment.tombstone_bytes;
    object["mask_bytes"] = segment.mask_bytes;
    object["dead_bytes"] = segment.dead_bytes;
    object["age"] = segment.age;
    object["set_aside"] = segment.is_set_aside;
    array.push_back(std::move(object));
  }
  return array;
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
  object["ordered_index_bytes"] = stats.ordered_index_bytes;
  object["ordered_index_complete"] = stats.ordered_index_complete;
  object["last_lsn"] = stats.last_lsn;
  object["durable_lsn"] = stats.durable_lsn;
  object["flush_count"] = stats.flush_count;
  object["reserve_complete"] = stats.reserve_complete;
  object["tombstone_bytes"] = stats.tombstone_bytes;
  object["space_amplification"] = stats.space_amplification;
  object["compaction_count"] = stats.compaction_count;
  object["compaction_written_bytes"] = stats.compaction_written_bytes;
  object["compaction_removed_bytes"] = stats.compaction_removed_bytes;
  object["appended_bytes"] = stats.appended_bytes;
  object["write_amplification"] = stats.write_amplification;
  object["slowed_seconds"] = stats.slowed_seconds;
  object["index_image_count"] = stats.index_image_count;
  object["index_image_bytes"] = stats.index_image_bytes;
  object["open"] = ToJson(stats.open);
  object["segments"] = ToJson(stats.segments);
  return object;
}

// A row for each segment, its members as columns.
std::string ToRows(const Json& segments) {
  std::string table;
  for (const Json& segment : segments) {
    if (table.empty()) {
      table = "\n";
      for (const auto& [name, value] : segment.items()) {
        table += absl::StrFormat("%-16s", name);
      }
      table += '\n';
    }
    for (const auto& [name, value] : segment.items()) {
      table += absl::StrFormat(
          "%-16s", value.is_string() ? value.get<std::string>() : value.dump());
    }
    table += '\n';
  }
  return table;
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
  Json object = ToJson(store->GetStats());
  if (arguments.json) {
    (void)WriteOutput(object.dump(2) + "\n");
  } else {
    const Json segments = std::move(object["segments"]);
    object.erase("segments");
    (void)WriteOutput(ToTable(object, "") + ToRows(segments));
  }
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
      "that\nwrites; then `open` tells of this reading. A\nsegment's age is "
      "the number of writes since its newest "
      "record.\n\nExamples:\n"
      "  peat stats state\n"
      "  peat stats state --json\n"
      "  peat stats state --recover");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
