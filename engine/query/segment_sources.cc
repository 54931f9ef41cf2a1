#include "engine/query/segment_sources.h"

#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::ManifestSegment;
using format::SegmentId;

// The first record of an open log segment is a link: it bears the last lsn
// before it.
absl::StatusOr<format::Lsn> LsnBefore(const Segment& segment) {
  std::string scratch;
  format::Record record;
  PEAT_RETURN_IF_ERROR(
      segment.ReadRecord(format::kSegmentHeaderSize, &scratch, &record));
  return record.header.lsn;
}

// Nothing if the segments have changed meanwhile.
std::optional<std::vector<SegmentSource>> TryTakeSources(
    const ManifestStore& manifest, const SegmentSet& segments) {
  absl::flat_hash_map<SegmentId, std::shared_ptr<Segment>> by_id;
  for (std::shared_ptr<Segment>& segment : segments.All()) {
    by_id.emplace(segment->identity().id, std::move(segment));
  }
  const format::Manifest current = manifest.Current();
  std::vector<SegmentSource> sources;
  for (const ManifestSegment& entry : current.segments) {
    const auto found = by_id.find(entry.id);
    if (found == by_id.end()) {
      // Sealed: the output of a compaction that has just ended, whose inputs
      // are not in the manifest any more. Open: nothing was in it.
      if (entry.state == format::SegmentState::kSealed) return std::nullopt;
      continue;
    }
    SegmentSource source{.segment = found->second, .end = found->second->end()};
    if (entry.state == format::SegmentState::kSealed) {
      source.end = entry.end;
      source.first_lsn = entry.first_lsn;
      source.last_lsn = entry.last_lsn;
      // Its stubs take no lsn, and so are not within these bounds.
      if (entry.kind == format::SegmentKind::kAudit) {
        source.first_lsn = 1;
        source.last_lsn = UINT64_MAX;
      }
    }
    if (source.end > format::kSegmentHeaderSize) {
      sources.push_back(std::move(source));
    }
  }
  return sources;
}

}  // namespace

absl::StatusOr<std::vector<SegmentSource>> TakeSources(
    const ManifestStore& manifest, const SegmentSet& segments) {
  constexpr int kAttempts = 1000;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::optional<std::vector<SegmentSource>> sources =
        TryTakeSources(manifest, segments);
    if (!sources.has_value()) {
      std::this_thread::yield();
      continue;
    }
    for (SegmentSource& source : *sources) {
      if (source.first_lsn != 0) continue;
      PEAT_ASSIGN_OR_RETURN(const format::Lsn before,
                            LsnBefore(*source.segment));
      source.first_lsn = before + 1;
    }
    return *std::move(sources);
  }
  return absl::UnavailableError("segments change all the time");
}

}  // namespace peat::engine
