// Everything that a pass over the whole store reads: which segments there are,
// how far each goes, and which lsns to expect.

#ifndef PEAT_ENGINE_QUERY_SEGMENT_SOURCES_H_
#define PEAT_ENGINE_QUERY_SEGMENT_SOURCES_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/log/manifest_store.h"
#include "engine/segment/segment.h"
#include "engine/segment/segment_set.h"
#include "format/location.h"

namespace peat::engine {

// The records of `segment` below `end`, which all have been written. Keeps the
// segment readable.
struct SegmentSource {
  std::shared_ptr<Segment> segment;
  uint64_t end = 0;
  // Bounds of the lsns in it.
  format::Lsn first_lsn = 0;
  format::Lsn last_lsn = UINT64_MAX;
};

// All segments that hold records, as of one moment, in the manifest's order.
// The active segment's end must have been updated before (Appender::UpdateEnd).
// Takes no epoch guard.
absl::StatusOr<std::vector<SegmentSource>> TakeSources(
    const ManifestStore& manifest, const SegmentSet& segments);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_QUERY_SEGMENT_SOURCES_H_
