// Which tombstones must stay: those whose key an older record may still bear,
// somewhere else.
//
// A sealed segment can hold what a tombstone shadows if its smallest lsn is
// lower than the tombstone's, and its key filter does not exclude the key. The
// rest of the log need not be asked: its lsns are above those of every sealed
// log segment, and so of every tombstone in a sealed segment.
//
// Pure but for reading and writing hint files.

#ifndef PEAT_ENGINE_TOMBSTONES_H_
#define PEAT_ENGINE_TOMBSTONES_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/fs/file_system.h"
#include "engine/segment.h"
#include "format/location.h"
#include "format/manifest.h"

namespace peat::engine {

// A segment as the manifest has it, and open.
struct SealedSegment {
  format::ManifestSegment entry;
  std::shared_ptr<Segment> segment;
};

struct Tombstone {
  uint64_t filter_hash = 0;  // format::FilterHash of its key
  format::Lsn lsn = 0;
  uint32_t input = 0;  // whoever lists it may say where it lies
  uint64_t offset = 0;
  bool must_stay = false;
};

// The share of the tombstones in `segment` that need not stay, judged by a
// sample of them. Those that a later put has superseded count as if they had
// to stay, unless nothing older is left of their key either.
absl::StatusOr<double> EstimateIdleShare(
    Directory& directory, const format::StoreId& store_id,
    const SealedSegment& segment, const std::vector<SealedSegment>& others);

// Sets `must_stay` of those tombstones that a segment of `others` may be
// shadowed by. Costs a filter of each segment that is old enough.
void MarkThoseThatStay(Directory& directory, const format::StoreId& store_id,
                       const std::vector<SealedSegment>& others,
                       std::span<Tombstone> tombstones);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_TOMBSTONES_H_
