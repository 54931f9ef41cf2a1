#include "tools/stats_printer.h"

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "tools/progress.h"

namespace peat::tools {
namespace {

using Json = OrderedJson;

// With less than that on disk, what a segment costs by itself is most of it,
// and a ratio says nothing.
constexpr uint64_t kWorthARatio = uint64_t{8} << 20;

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

void AddLine(std::string_view name, const std::string& text,
             std::string* lines) {
  *lines += absl::StrFormat("%-13s %s\n", name, text);
}

std::string Ranges(const std::vector<CutRange>& ranges, const char* what) {
  uint64_t bytes = 0;
  for (const CutRange& range : ranges) bytes += range.size;
  return absl::StrFormat("%s in %d places %s", WithUnit(bytes), ranges.size(),
                         what);
}

std::string SegmentTable(const std::vector<SegmentStats>& segments) {
  if (segments.empty()) return "";
  std::string table =
      absl::StrFormat("\n%-9s %-9s %9s %9s %9s %9s %9s %s\n", "segment", "kind",
                      "used", "live", "deletes", "masks", "dead", "");
  for (const SegmentStats& segment : segments) {
    table += absl::StrFormat(
        "%-9d %-9s %9s %9s %9s %9s %9s%s\n", segment.id, NameOf(segment.kind),
        WithUnit(segment.used_bytes), WithUnit(segment.live_bytes),
        WithUnit(segment.tombstone_bytes), WithUnit(segment.mask_bytes),
        WithUnit(segment.dead_bytes), segment.is_set_aside ? " damaged" : "");
  }
  return table;
}

}  // namespace

std::string WithUnit(uint64_t bytes) {
  constexpr std::array<const char*, 7> kUnits = {"B",   "KiB", "MiB", "GiB",
                                                 "TiB", "PiB", "EiB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  for (; size >= 999.95 && unit + 1 < kUnits.size(); ++unit) size /= 1024;
  if (unit == 0) return absl::StrFormat("%d B", bytes);
  return absl::StrFormat("%.1f %s", size, kUnits[unit]);
}

std::string StatsText(const Stats& stats) {
  std::string lines;
  AddLine("keys",
          absl::StrFormat("%s  (%d disabled, %d forgotten)",
                          WithCommas(stats.key_count), stats.disabled_key_count,
                          stats.forgotten_key_count),
          &lines);
  AddLine("segments",
          absl::StrFormat(
              "%d, %s: %s live, %s deletes, %s dead", stats.segment_count,
              WithUnit(stats.used_bytes), WithUnit(stats.live_bytes),
              WithUnit(stats.tombstone_bytes), WithUnit(stats.dead_bytes)),
          &lines);
  AddLine("large values",
          absl::StrFormat("%d, %s", stats.value_file_count,
                          WithUnit(stats.value_file_bytes)),
          &lines);
  // A store that is only read has none of its own.
  if (stats.spare_bytes > 0) {
    AddLine("prepared",
            absl::StrFormat("%s of disk, for writes to come and a full disk%s",
                            WithUnit(stats.spare_bytes),
                            stats.reserve_complete ? "" : " (NOT COMPLETE)"),
            &lines);
  }
  if (stats.used_bytes >= kWorthARatio) {
    AddLine(
        "space",
        absl::StrFormat("%.2f times what must stay", stats.space_amplification),
        &lines);
  }
  std::string writes = WithCommas(stats.last_lsn);
  if (stats.durable_lsn > 0) {
    writes += ", durable up to " + WithCommas(stats.durable_lsn);
  }
  AddLine("writes", writes, &lines);
  AddLine("memory",
          absl::StrFormat("%s of index, %s of ordered index",
                          WithUnit(stats.index_bytes),
                          WithUnit(stats.ordered_index_bytes)),
          &lines);
  AddLine("opened",
          absl::StrFormat("in %d ms%s: %d keys of an index image, %d records "
                          "replayed",
                          stats.open.milliseconds,
                          stats.open.clean ? "" : ", not closed before",
                          stats.open.keys_loaded, stats.open.records_replayed),
          &lines);
  if (!stats.open.cut.empty()) {
    AddLine("torn", Ranges(stats.open.cut, "cut away, which never counted"),
            &lines);
  }
  if (!stats.open.damaged.empty()) {
    AddLine("DAMAGED", Ranges(stats.open.damaged, "cannot be read"), &lines);
  }
  return lines + SegmentTable(stats.segments);
}

OrderedJson StatsJson(const Stats& stats) {
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
  object["value_file_bytes"] = stats.value_file_bytes;
  object["index_bytes"] = stats.index_bytes;
  object["ordered_index_bytes"] = stats.ordered_index_bytes;
  object["ordered_index_complete"] = stats.ordered_index_complete;
  object["full_log_scans"] = stats.full_log_scans;
  object["view_count"] = stats.view_count;
  object["view_saved_count"] = stats.view_saved_count;
  object["view_saved_bytes"] = stats.view_saved_bytes;
  object["view_held_bytes"] = stats.view_held_bytes;
  object["last_lsn"] = stats.last_lsn;
  object["durable_lsn"] = stats.durable_lsn;
  object["flush_count"] = stats.flush_count;
  object["flush_overdue_milliseconds"] = stats.flush_overdue_milliseconds;
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

}  // namespace peat::tools
