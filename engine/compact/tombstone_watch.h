// How much of each segment's tombstones may go, as far as a sample tells.
//
// Of each segment some tombstones are watched, each together with a segment
// that may still hold what it shadows. Only when that one has left the store is
// another looked for; a tombstone for which there is none is idle. So filters
// are read for what may have changed alone. (Solvers for satisfiability watch
// literals like that: Moskewicz et al., "Chaff: engineering an efficient SAT
// solver".)
//
// Externally synchronised. Memory: 2 KiB for each segment with tombstones.

#ifndef PEAT_ENGINE_COMPACT_TOMBSTONE_WATCH_H_
#define PEAT_ENGINE_COMPACT_TOMBSTONE_WATCH_H_

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "engine/compact/tombstones.h"
#include "engine/os/file_system.h"
#include "format/location.h"
#include "format/manifest.h"

namespace peat::engine {

class TombstoneWatch final {
 public:
  // `sealed`: every sealed segment that can be read. Sets the idle bytes of
  // each. Costs a scan of each segment with tombstones that is new (of some of
  // them, if there are many), and when there is one or one has gone, filters.
  void Update(Directory& directory, const format::StoreId& store_id,
              const std::vector<SealedSegment>& sealed);

 private:
  // Of a segment's tombstones, evenly spread.
  struct Sample {
    size_t size = 0;
    // Those with a blocker. The others are idle, and stay so, since whatever is
    // written now is newer.
    std::vector<Tombstone> blocked;
  };

  void FindBlockersOfAll(Directory& directory, const format::StoreId& store_id,
                         const std::vector<SealedSegment>& sealed);

  absl::flat_hash_map<format::SegmentId, Sample> samples_;
  absl::flat_hash_set<format::SegmentId> sealed_ids_;  // at the last update
  bool is_complete_ = false;  // all that are to be watched are
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_COMPACT_TOMBSTONE_WATCH_H_
