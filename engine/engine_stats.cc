// Engine::GetStats: the counts of all parts, put together.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
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

}  // namespace

Stats Engine::GetStats() const {
  Stats stats;
  const index::EpochGuard guard;
  stats.open = open_stats_;
  if (!IsOpen(guard)) return stats;
  const Manifest manifest = manifest_.Current();
  stats.key_count = index_.size();
  stats.index_bytes = index_.memory_bytes();
  stats.last_lsn = open_stats_.last_lsn;
  stats.durable_lsn = manifest.durable_lsn;
  if (log_ != nullptr) {
    log_->appender.UpdateEnd();
    stats.last_lsn = log_->appender.last_lsn();
    stats.durable_lsn = log_->syncer.durable_lsn();
    stats.flush_count = log_->syncer.sync_count();
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
  stats.live_bytes = segments_.LiveBytes();
  stats.dead_bytes =
      stats.used_bytes - std::min(stats.live_bytes, stats.used_bytes);
  CountValueFiles(*directory_, &stats);
  return stats;
}

}  // namespace peat::engine
