// Which segments to compact, and how much space a store may use. Pure
// functions; see docs/decisions/0009-compaction.md for the choices.
//
// What must stay are the bytes of records that the index points to, of
// tombstones that may not go yet, and of what audit keeps. The declared bound:
//
//   used <= max_space_amplification * must stay + two segments (or 8 MiB)
//
// of segments and the value files that their records refer to.
//
//   up to the allowance  nothing is compacted but what holds nothing, and what
//                        tombstones need
//   above it             compaction works; it has room for its output until
//   above the danger     writers are slowed, the more the closer to the limit

#ifndef PEAT_ENGINE_COMPACT_COMPACTION_POLICY_H_
#define PEAT_ENGINE_COMPACT_COMPACTION_POLICY_H_

#include <cstdint>
#include <span>
#include <vector>

#include "engine/segment/segment_usage.h"
#include "engine/segment/space_limits.h"
#include "format/location.h"
#include "format/segment_header.h"

namespace peat::engine {

// What the policy knows of one segment.
struct SegmentFacts : SegmentUsage {
  format::SegmentId id = 0;
  format::SegmentKind kind = format::SegmentKind::kLog;
  uint64_t audit_bytes = 0;  // of what audit keeps beyond live records
  // Of current records that have expired: they are not among live_bytes.
  uint64_t expired_bytes = 0;
  format::Lsn first_lsn = 0;
  format::Lsn last_lsn = 0;
  // Sealed, sound, and not the last sealed one of the log, which proves the
  // log behind it.
  bool may_be_input = false;
  bool is_set_aside = false;  // damaged or missing: compaction avoids it

  // What would have to be written again.
  uint64_t stay_bytes() const {
    return live_bytes + (tombstone_bytes - idle_bytes) + audit_bytes;
  }
  uint64_t gain_bytes() const {
    return used_bytes > stay_bytes() ? used_bytes - stay_bytes() : 0;
  }
  uint64_t dead_value_bytes() const {
    return value_bytes > live_value_bytes ? value_bytes - live_value_bytes : 0;
  }
};

struct CompactionGoal {
  double max_space_amplification = 1.5;
  // What is left to a small store besides, whatever its segment size: the log
  // is synced, and so can be compacted, in pieces.
  uint64_t space_extra_min = 0;
  uint64_t segment_size = format::kSegmentSizeMin;
  // What one compaction may write.
  uint64_t output_size = format::kSegmentSizeMin;
  format::Lsn last_lsn = 0;  // of the log, now: what a segment's age is from
};

// The limits of a store in which `stay_bytes` must stay.
SpaceLimits LimitsFor(const CompactionGoal& goal, uint64_t stay_bytes);

// Whether more space is used than is left alone.
bool IsOverAllowance(std::span<const SegmentFacts> facts,
                     const CompactionGoal& goal);

// The segments to compact now, in one go; empty if there is no need. What of
// them is believed to stay fits into the goal's output size, unless one input
// alone has more.
std::vector<format::SegmentId> PickInputs(std::span<const SegmentFacts> facts,
                                          const CompactionGoal& goal);

// Of these, segments that are so small and so many that they are to be joined,
// whatever the bound says; empty if there are none.
std::vector<format::SegmentId> PickToJoin(std::span<const SegmentFacts> facts,
                                          const CompactionGoal& goal);

// The next segments of a pass over all: the oldest of those with an id up to
// `last_id` that have anything to gain, or are small and not alone.
std::vector<format::SegmentId> PickForFullPass(
    std::span<const SegmentFacts> facts, const CompactionGoal& goal,
    format::SegmentId last_id);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_COMPACT_COMPACTION_POLICY_H_
