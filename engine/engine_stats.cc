// Engine::GetStats: the counts of all parts, put together.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine/engine.h"
#include "format/file_name.h"

namespace peat::engine {
namespace {

using format::Manifest;
using format::ManifestSegment;
using format::SegmentId;

// By a look at the directory: statistics are asked for rarely.
void CountValueFiles(const Directory& directory, Stats* stats) {
  const absl::StatusOr<std::vector<std::string>> names = directory.List();
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::optional<format::FileName> parsed = format::ParseFileName(name);
    if (!parsed.has_value() || parsed->kind != format::FileKind::kValue) {
      continue;
    }
    const auto file = directory.Open(name, OpenMode::kRead);
    if (!file.ok()) continue;
    ++stats->value_file_count;
    stats->value_file_bytes += (*file)->Size().value_or(0);
  }
}

SegmentStats::Kind PublicKind(format::SegmentKind kind) {
  switch (kind) {
    case format::SegmentKind::kLog:
      return SegmentStats::Kind::kLog;
    case format::SegmentKind::kCompacted:
      return SegmentStats::Kind::kCompacted;
    case format::SegmentKind::kAudit:
      return SegmentStats::Kind::kAudit;
    case format::SegmentKind::kValue:
      break;  // not a segment of the log
  }
  PEAT_CHECK(false);
}

}  // namespace

Stats Engine::GetStats() const {
  Stats stats;
  const index::EpochGuard guard(epochs_);
  stats.open = open_stats_;
  if (!IsOpen(guard)) return stats;
  const Manifest manifest = manifest_.Current();
  stats.disabled_key_count = mask_counts_->disabled();
  stats.forgotten_key_count = mask_counts_->forgotten();
  stats.key_count = index_.size() - stats.forgotten_key_count;
  stats.index_bytes = index_.memory_bytes();
  if (ordered_ != nullptr) {
    stats.ordered_index_bytes = ordered_->memory_bytes();
    stats.ordered_index_complete = ordered_builder_->state()->is_complete();
    stats.open.ordered_milliseconds = ordered_builder_->milliseconds();
  }
  stats.full_log_scans = log_passes_->load(std::memory_order_relaxed);
  const Views::Usage views = views_.TakeUsage();
  stats.view_count = views.view_count;
  stats.view_saved_count = views.saved_count;
  stats.view_saved_bytes = views.saved_bytes;
  stats.view_held_bytes = views.held_bytes;
  stats.last_lsn = opened_lsn_;
  stats.durable_lsn = manifest.durable_lsn;
  if (log_ != nullptr) {
    log_->appender.UpdateEnd();
    stats.last_lsn = log_->appender.last_lsn();
    stats.durable_lsn = log_->syncer.durable_lsn();
    stats.flush_count = log_->syncer.sync_count();
    stats.flush_overdue_milliseconds =
        static_cast<uint64_t>(log_->housekeeping.FlushOverdue().count());
    stats.reserve_complete = log_->supply.reserve_complete();
    stats.spare_bytes = log_->supply.reserve_bytes() + manifest_.disk_bytes();
  }
  absl::flat_hash_map<SegmentId, uint64_t> ends;
  for (const std::shared_ptr<Segment>& segment : segments_.All()) {
    ++stats.segment_count;
    stats.used_bytes += segment->end();
    ends[segment->identity().id] = segment->end();
  }
  for (const ManifestSegment& entry : manifest.segments) {
    if (entry.state != format::SegmentState::kOpen) continue;
    const auto end = ends.find(entry.id);
    if (end != ends.end()) stats.spare_bytes += entry.capacity - end->second;
  }
  const SegmentUsage totals = segments_.Sum();
  stats.live_bytes = totals.live_bytes;
  stats.tombstone_bytes = totals.tombstone_bytes;
  stats.dead_bytes =
      stats.used_bytes -
      std::min(stats.live_bytes + stats.tombstone_bytes, stats.used_bytes);
  if (log_ != nullptr) {
    CountCompaction(&stats);
  } else {
    CountSegments(manifest, &stats);
  }
  CountValueFiles(*directory_, &stats);
  return stats;
}

// Of a store that is open to read only: nothing is known of tombstones.
void Engine::CountSegments(const Manifest& manifest, Stats* stats) const {
  uint64_t value_bytes = 0;
  uint64_t live_value_bytes = 0;
  absl::flat_hash_map<SegmentId, format::Lsn> last_lsns;
  for (const ManifestSegment& entry : manifest.segments) {
    last_lsns[entry.id] = entry.last_lsn;
  }
  for (const std::shared_ptr<Segment>& segment : segments_.All()) {
    SegmentStats& one = stats->segments.emplace_back();
    one.id = segment->identity().id;
    one.kind = PublicKind(segment->identity().kind);
    one.used_bytes = segment->end();
    const SegmentUsage usage = segment->usage();
    one.live_bytes = usage.live_bytes;
    one.tombstone_bytes = usage.tombstone_bytes;
    one.dead_bytes =
        one.used_bytes -
        std::min(one.used_bytes, one.live_bytes + one.tombstone_bytes);
    if (one.kind == SegmentStats::Kind::kAudit) {
      one.mask_bytes = std::exchange(one.live_bytes, 0);
    }
    value_bytes += usage.value_bytes;
    live_value_bytes += usage.live_value_bytes;
    const format::Lsn last_lsn = last_lsns[one.id];
    if (last_lsn != 0 && last_lsn <= stats->last_lsn) {
      one.age = stats->last_lsn - last_lsn;
    }
  }
  const uint64_t stay_bytes =
      stats->live_bytes + stats->tombstone_bytes + live_value_bytes;
  if (stay_bytes > 0) {
    stats->space_amplification =
        static_cast<double>(stats->used_bytes + value_bytes) /
        static_cast<double>(stay_bytes);
  }
}

void Engine::CountCompaction(Stats* stats) const {
  uint64_t used_bytes = 0;
  uint64_t stay_bytes = 0;
  for (const SegmentFacts& fact : log_->compactor.Facts()) {
    used_bytes += fact.used_bytes + fact.value_bytes;
    stay_bytes += fact.stay_bytes() + fact.live_value_bytes;
    stats->segments.push_back(
        {.id = fact.id,
         .kind = PublicKind(fact.kind),
         .used_bytes = fact.used_bytes,
         .live_bytes = fact.live_bytes,
         .tombstone_bytes = fact.tombstone_bytes - fact.idle_bytes,
         .mask_bytes = fact.audit_bytes,
         .dead_bytes = fact.gain_bytes(),
         .age = fact.last_lsn == 0 || fact.last_lsn > stats->last_lsn
                    ? 0
                    : stats->last_lsn - fact.last_lsn,
         .is_set_aside = fact.is_set_aside});
  }
  if (stay_bytes > 0) {
    stats->space_amplification =
        static_cast<double>(used_bytes) / static_cast<double>(stay_bytes);
  }
  const Compactor::Counters counters = log_->compactor.counters();
  stats->compaction_count = counters.compaction_count;
  stats->compaction_written_bytes = counters.written_bytes;
  stats->compaction_removed_bytes = counters.removed_bytes;
  stats->appended_bytes = log_->appender.appended_bytes();
  if (stats->appended_bytes > 0) {
    stats->write_amplification =
        1 + static_cast<double>(counters.written_bytes) /
                static_cast<double>(stats->appended_bytes);
  }
  stats->slowed_seconds =
      static_cast<double>(log_->throttle.waited_nanoseconds()) * 1e-9;
  stats->index_image_count = log_->saver.counters().snapshot_count;
  stats->index_image_bytes = log_->saver.counters().written_bytes;
}

}  // namespace peat::engine
