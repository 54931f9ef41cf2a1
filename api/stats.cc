// The statistics in the text format of Prometheus.

#include "peat/stats.h"

#include <array>
#include <string>
#include <variant>

#include "absl/strings/str_format.h"

namespace peat {
namespace {

enum class MetricType { kGauge, kCounter };

// A number of `Of`: which, under which name, and what it means to somebody who
// reads a dashboard.
template <typename Of>
struct Metric {
  const char* name;
  MetricType type;
  std::variant<uint64_t Of::*, double Of::*, bool Of::*> number;
  const char* help;
};

constexpr auto kGauge = MetricType::kGauge;
constexpr auto kCounter = MetricType::kCounter;

constexpr std::array<Metric<Stats>, 33> kStoreMetrics = {{
    {"key_count", kGauge, &Stats::key_count, "Keys that can be read."},
    {"disabled_key_count", kGauge, &Stats::disabled_key_count,
     "Keys that are disabled."},
    {"forgotten_key_count", kGauge, &Stats::forgotten_key_count,
     "Keys that are forgotten."},
    {"live_bytes", kGauge, &Stats::live_bytes,
     "Bytes of records that must stay."},
    {"dead_bytes", kGauge, &Stats::dead_bytes,
     "Bytes of records that compaction would give back."},
    {"used_bytes", kGauge, &Stats::used_bytes,
     "Bytes of segments up to where their records end."},
    {"spare_bytes", kGauge, &Stats::spare_bytes,
     "Bytes of disk that are allocated ahead."},
    {"segment_count", kGauge, &Stats::segment_count, "Segments."},
    {"value_file_count", kGauge, &Stats::value_file_count,
     "Values in files of their own."},
    {"value_file_bytes", kGauge, &Stats::value_file_bytes,
     "Bytes of values in files of their own."},
    {"index_bytes", kGauge, &Stats::index_bytes, "Memory of the index."},
    {"ordered_index_bytes", kGauge, &Stats::ordered_index_bytes,
     "Memory of the ordered index."},
    {"ordered_index_complete", kGauge, &Stats::ordered_index_complete,
     "Whether all keys are in the ordered index."},
    {"full_log_scans", kCounter, &Stats::full_log_scans,
     "Queries that read the whole log for want of an ordered index."},
    {"view_count", kGauge, &Stats::view_count, "Open cursors and snapshots."},
    {"view_saved_count", kGauge, &Stats::view_saved_count,
     "Records kept for open cursors and snapshots."},
    {"view_saved_bytes", kGauge, &Stats::view_saved_bytes,
     "Memory of what is kept for open cursors and snapshots."},
    {"view_held_bytes", kGauge, &Stats::view_held_bytes,
     "Bytes of segments that only cursors and snapshots keep."},
    {"last_lsn", kCounter, &Stats::last_lsn, "Lsn of the last write."},
    {"durable_lsn", kCounter, &Stats::durable_lsn,
     "Lsn up to which writes survive a power loss."},
    {"flush_count", kCounter, &Stats::flush_count, "Syncs of the log."},
    {"flush_overdue_milliseconds", kGauge, &Stats::flush_overdue_milliseconds,
     "By how much the oldest write waits longer than the flush interval."},
    {"reserve_complete", kGauge, &Stats::reserve_complete,
     "Whether the reserve for a full disk is complete."},
    {"tombstone_bytes", kGauge, &Stats::tombstone_bytes,
     "Bytes of deletes that must stay."},
    {"space_amplification", kGauge, &Stats::space_amplification,
     "Bytes of disk over bytes that must stay."},
    {"compaction_count", kCounter, &Stats::compaction_count, "Compactions."},
    {"compaction_written_bytes", kCounter, &Stats::compaction_written_bytes,
     "Bytes of segments that compaction wrote."},
    {"compaction_removed_bytes", kCounter, &Stats::compaction_removed_bytes,
     "Bytes of segments that compaction took out."},
    {"appended_bytes", kCounter, &Stats::appended_bytes,
     "Bytes written to the log and to value files."},
    {"write_amplification", kGauge, &Stats::write_amplification,
     "Bytes appended and compacted over bytes appended."},
    {"slowed_seconds", kCounter, &Stats::slowed_seconds,
     "How long writers were slowed to hold the bound on space."},
    {"index_image_count", kCounter, &Stats::index_image_count,
     "How often the index was saved."},
    {"index_image_bytes", kCounter, &Stats::index_image_bytes,
     "Bytes of the saved indexes."},
}};

constexpr std::array<Metric<OpenStats>, 6> kOpenMetrics = {{
    {"open_clean", kGauge, &OpenStats::clean,
     "Whether the store had been closed before it was opened."},
    {"open_keys_loaded", kGauge, &OpenStats::keys_loaded,
     "Keys that opening took from an index image."},
    {"open_records_replayed", kGauge, &OpenStats::records_replayed,
     "Records that opening read."},
    {"open_bytes_replayed", kGauge, &OpenStats::bytes_replayed,
     "Bytes of the records that opening read."},
    {"open_milliseconds", kGauge, &OpenStats::milliseconds,
     "How long opening took."},
    {"open_ordered_milliseconds", kGauge, &OpenStats::ordered_milliseconds,
     "How long the ordered index took to build."},
}};

struct Number {
  std::string operator()(uint64_t value) const {
    return absl::StrFormat("%d", value);
  }
  std::string operator()(double value) const {
    return absl::StrFormat("%.9g", value);
  }
  std::string operator()(bool value) const { return value ? "1" : "0"; }
};

void AddMetric(const char* name, MetricType type, const char* help,
               const std::string& number, std::string* text) {
  absl::StrAppendFormat(
      text, "# HELP peat_%s %s\n# TYPE peat_%s %s\npeat_%s %s\n", name, help,
      name, type == kCounter ? "counter" : "gauge", name, number);
}

template <typename Of, size_t kCount>
void AddMetrics(const std::array<Metric<Of>, kCount>& metrics, const Of& stats,
                std::string* text) {
  for (const Metric<Of>& metric : metrics) {
    const std::string number =
        std::visit([&stats](auto member) { return Number()(stats.*member); },
                   metric.number);
    AddMetric(metric.name, metric.type, metric.help, number, text);
  }
}

}  // namespace

std::string Stats::ToPrometheus() const {
  std::string text;
  AddMetrics(kStoreMetrics, *this, &text);
  AddMetrics(kOpenMetrics, open, &text);
  AddMetric("open_cut", kGauge, "Places that opening cut away as torn.",
            Number()(uint64_t{open.cut.size()}), &text);
  AddMetric("open_damaged", kGauge, "Places that are damaged.",
            Number()(uint64_t{open.damaged.size()}), &text);
  return text;
}

}  // namespace peat
