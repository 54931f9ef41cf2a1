#include "engine/compact/compaction_policy.h"

#include <algorithm>

#include "format/check.h"

namespace peat::engine {
namespace {

using format::SegmentId;

// In one go: bounds the time of one compaction, and what is unlinked after it.
// More only of those that together are not more than one output.
constexpr size_t kInputCountMax = 64;
constexpr size_t kJoinedCountMax = 1024;

// A segment from which less than this share can be gained is left alone.
constexpr uint64_t kGainShareMin = 16;

// Where tombstones are more than this share of all bytes, segments in which
// less than that share is alive are taken before the bound asks for it: what is
// dead in them keeps tombstones from leaving, and they cost little.
constexpr uint64_t kTombstoneShareMax = 64;
constexpr uint64_t kNearlyEmptyShare = 8;

// So many segments of a kind that are so small are joined to one.
constexpr size_t kSmallCount = 8;

// Those of the log only if a store has more segments than this, or so many that
// are tiny: a program that opens the store for a few writes leaves one of them.
constexpr size_t kSegmentCountMax = 512;
constexpr size_t kTinyCount = 32;
constexpr uint64_t kTinySize = format::kSegmentSizeMin / kSmallCount;

// Believed idle tombstones of more than this share of all bytes are swept out
// even where the bound does not ask for it: they cost the index nothing, but
// scans and recovery.
constexpr uint64_t kIdleShareMax = 128;

// What rewriting the segment would free. Its survivors need a header, too: if
// that counted, a segment of a few records would be rewritten for ever.
uint64_t GainOf(const SegmentFacts& segment) {
  const uint64_t gain = segment.gain_bytes() > format::kSegmentHeaderSize
                            ? segment.gain_bytes() - format::kSegmentHeaderSize
                            : 0;
  return gain + segment.dead_value_bytes();
}

bool IsWorthwhile(const SegmentFacts& segment) {
  const uint64_t gain = GainOf(segment);
  return segment.may_be_input && gain > 0 &&
         gain >= segment.used_bytes / kGainShareMin;
}

bool IsNearlyEmpty(const SegmentFacts& segment) {
  return segment.live_bytes + segment.audit_bytes <
             segment.used_bytes / kNearlyEmptyShare &&
         segment.gain_bytes() > segment.used_bytes / 2;
}

bool HoldsNothing(const SegmentFacts& segment) {
  return segment.may_be_input && segment.live_bytes == 0 &&
         segment.tombstone_bytes == 0 && segment.audit_bytes == 0;
}

// Benefit against cost: what is gained for each byte read or written, weighed
// with how long the segment has been left alone, since what has not changed
// for long will not empty by itself soon (Rosenblum and Ousterhout, "The design
// and implementation of a log-structured file system"). Of a share of age in
// the whole life of the log; the constant was found by measurement.
double Score(const SegmentFacts& segment, const CompactionGoal& goal) {
  const auto gain = static_cast<double>(GainOf(segment));
  const auto cost =
      static_cast<double>(segment.used_bytes + segment.stay_bytes());
  const double age =
      segment.last_lsn < goal.last_lsn
          ? static_cast<double>(goal.last_lsn - segment.last_lsn) /
                static_cast<double>(goal.last_lsn)
          : 0;
  constexpr double kAgeless = 0.3;
  return gain / cost * (kAgeless + age);
}

// The first of `candidates` whose survivors fit into `size` bytes together.
std::vector<SegmentId> TakeWhatFits(
    const std::vector<const SegmentFacts*>& candidates, uint64_t size) {
  std::vector<SegmentId> inputs;
  uint64_t stay = format::kSegmentHeaderSize;
  uint64_t used = 0;
  for (const SegmentFacts* const candidate : candidates) {
    used += candidate->used_bytes;
    if (inputs.size() >= kInputCountMax && used > size) break;
    if (inputs.size() == kJoinedCountMax) break;
    stay += candidate->stay_bytes();
    if (!inputs.empty() && candidate->stay_bytes() > 0 && stay > size) break;
    inputs.push_back(candidate->id);
  }
  return inputs;
}

}  // namespace

SpaceLimits LimitsFor(const CompactionGoal& goal, uint64_t stay_bytes) {
  PEAT_CHECK(goal.max_space_amplification > 1);
  const auto proportional = static_cast<uint64_t>(
      goal.max_space_amplification * static_cast<double>(stay_bytes));
  const uint64_t extra = std::max(2 * goal.segment_size, goal.space_extra_min);
  const uint64_t limit = proportional + extra;
  // Room for an output beside its inputs, which are there until it is used, and
  // for what is written meanwhile; but in a small store half of what it may use
  // beyond what must stay.
  const uint64_t room = extra + extra / 8;
  const uint64_t low = proportional > room ? proportional - room : 0;
  return {.allowance = std::max(low, (stay_bytes + proportional) / 2),
          .danger = std::max(proportional, limit / 2),
          .limit = limit};
}

bool IsOverAllowance(std::span<const SegmentFacts> facts,
                     const CompactionGoal& goal) {
  uint64_t used = 0;
  uint64_t stay = 0;
  for (const SegmentFacts& segment : facts) {
    used += segment.used_bytes + segment.value_bytes;
    stay += segment.stay_bytes() + segment.live_value_bytes;
  }
  return used > LimitsFor(goal, stay).allowance;
}

namespace {

uint64_t SmallSize(const CompactionGoal& goal) {
  return goal.segment_size / kSmallCount;
}

// Of what little survives, a compaction makes a small segment, and what is for
// audit never dies: when there are enough to fill a segment, they are joined.
// Fewer at a time would be rewritten often. Those of the log are small because
// the store was, and so were its segments, or because it is closed often: they
// are joined when there are many, or many that are tiny.
std::vector<SegmentId> PickSmall(std::span<const SegmentFacts> facts,
                                 format::SegmentKind kind,
                                 const CompactionGoal& goal) {
  const bool has_few =
      kind == format::SegmentKind::kLog && facts.size() <= kSegmentCountMax;
  const uint64_t size_max =
      has_few ? std::min(kTinySize, SmallSize(goal)) : SmallSize(goal);
  std::vector<const SegmentFacts*> small;
  for (const SegmentFacts& segment : facts) {
    if (segment.may_be_input && segment.kind == kind &&
        segment.used_bytes <= size_max) {
      small.push_back(&segment);
    }
  }
  if (small.size() < (has_few ? kTinyCount : kSmallCount)) return {};
  return TakeWhatFits(small, goal.segment_size);
}

struct TombstoneSums {
  uint64_t used = 0;  // by all records
  uint64_t tombstones = 0;
  uint64_t idle = 0;
};

// Leaves what is worth it for the sake of tombstones alone: those that may go,
// and the segments that keep others from going, in turn.
void LeaveWhatTombstonesNeed(const TombstoneSums& sums,
                             std::vector<const SegmentFacts*>* candidates) {
  const bool can_unclog =
      sums.tombstones - sums.idle > sums.used / kTombstoneShareMax &&
      std::ranges::any_of(*candidates, [](const SegmentFacts* segment) {
        return IsNearlyEmpty(*segment);
      });
  const bool sweeps = sums.idle > sums.used / kIdleShareMax &&
                      (!can_unclog || 2 * sums.idle > sums.tombstones);
  std::erase_if(*candidates, [&](const SegmentFacts* segment) {
    if (sweeps) return segment->idle_bytes == 0;
    return !can_unclog || !IsNearlyEmpty(*segment);
  });
}

}  // namespace

std::vector<SegmentId> PickToJoin(std::span<const SegmentFacts> facts,
                                  const CompactionGoal& goal) {
  for (const auto kind :
       {format::SegmentKind::kAudit, format::SegmentKind::kCompacted,
        format::SegmentKind::kLog}) {
    std::vector<SegmentId> small = PickSmall(facts, kind, goal);
    if (small.size() > 1) return small;
  }
  return {};
}

std::vector<SegmentId> PickInputs(std::span<const SegmentFacts> facts,
                                  const CompactionGoal& goal) {
  uint64_t used = 0;
  uint64_t idle = 0;
  uint64_t tombstones = 0;
  std::vector<const SegmentFacts*> candidates;
  std::vector<SegmentId> empty;
  for (const SegmentFacts& segment : facts) {
    used += segment.used_bytes;
    if (segment.may_be_input) idle += segment.idle_bytes;
    tombstones += segment.tombstone_bytes;
    if (HoldsNothing(segment) && empty.size() < kInputCountMax) {
      empty.push_back(segment.id);
    }
    if (IsWorthwhile(segment)) candidates.push_back(&segment);
  }
  // Costs nothing but the edit.
  if (!empty.empty()) return empty;
  std::vector<SegmentId> small = PickToJoin(facts, goal);
  if (!small.empty()) return small;
  if (!IsOverAllowance(facts, goal)) {
    LeaveWhatTombstonesNeed({used, tombstones, idle}, &candidates);
  }
  std::ranges::sort(
      candidates, [&goal](const SegmentFacts* a, const SegmentFacts* b) {
        const double score_a = Score(*a, goal);
        const double score_b = Score(*b, goal);
        return score_a != score_b ? score_a > score_b : a->id < b->id;
      });
  return TakeWhatFits(candidates, goal.output_size);
}

namespace {

// Segments that may be joined with others of their kind: what is for audit
// keeps apart.
struct SmallCounts {
  size_t audit = 0;
  size_t others = 0;
  size_t& Of(const SegmentFacts& segment) {
    return segment.kind == format::SegmentKind::kAudit ? audit : others;
  }
};

SmallCounts CountSmall(std::span<const SegmentFacts> facts,
                       const CompactionGoal& goal, SegmentId last_id) {
  SmallCounts counts;
  for (const SegmentFacts& segment : facts) {
    if (!segment.may_be_input || segment.id > last_id) continue;
    if (segment.used_bytes <= SmallSize(goal)) ++counts.Of(segment);
  }
  return counts;
}

}  // namespace

std::vector<SegmentId> PickForFullPass(std::span<const SegmentFacts> facts,
                                       const CompactionGoal& goal,
                                       SegmentId last_id) {
  std::vector<const SegmentFacts*> candidates;
  SmallCounts small = CountSmall(facts, goal, last_id);
  for (const SegmentFacts& segment : facts) {
    if (!segment.may_be_input || segment.id > last_id) continue;
    // Its header alone is not worth a rewrite; each tombstone may be.
    const bool has_gain =
        segment.gain_bytes() > 2 * format::kSegmentHeaderSize ||
        segment.dead_value_bytes() > 0 || segment.tombstone_bytes > 0 ||
        HoldsNothing(segment) ||
        (segment.used_bytes <= SmallSize(goal) && small.Of(segment) > 1);
    if (has_gain) candidates.push_back(&segment);
  }
  // What shadows comes after what is shadowed, so that tombstones can go.
  std::ranges::sort(
      candidates, [](const SegmentFacts* a, const SegmentFacts* b) {
        return a->first_lsn != b->first_lsn ? a->first_lsn < b->first_lsn
                                            : a->id < b->id;
      });
  return TakeWhatFits(candidates, goal.output_size);
}

}  // namespace peat::engine
