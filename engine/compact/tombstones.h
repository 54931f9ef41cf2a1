// Which tombstones must stay: those whose key an older record may still bear,
// somewhere else.
//
// A sealed segment can hold what a tombstone shadows if its smallest lsn is
// lower than the tombstone's, and its key filter does not exclude the key. The
// rest of the log need not be asked: its lsns are above those of every sealed
// log segment, and so of every tombstone in a sealed segment.
//
// Pure but for reading and writing hint files.

#ifndef PEAT_ENGINE_COMPACT_TOMBSTONES_H_
#define PEAT_ENGINE_COMPACT_TOMBSTONES_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/os/file_system.h"
#include "engine/segment/segment.h"
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
  format::SegmentId home = 0;     // where it lies: not asked
  format::SegmentId blocker = 0;  // may hold what it shadows; 0: none
};

// Gives each tombstone without a blocker the first of `others` that may be one.
// Those that have none afterwards need not stay. Costs a filter of each segment
// that is old enough, as long as there are tombstones without a blocker.
void FindBlockers(Directory& directory, const format::StoreId& store_id,
                  std::span<const SealedSegment> others,
                  std::span<Tombstone> tombstones);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_COMPACT_TOMBSTONES_H_
