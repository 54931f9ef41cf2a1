// From segments to index: what open does with everything that is in the log.
//
// Segments are read and verified by several threads, a group at a time; each
// record's hash and place go to a list per shard of the index, and then shards
// are filled by several threads, so that each works on tables that fit a
// cache. On equal tags the records themselves are compared by key and lsn, so
// the order in which segments are replayed does not matter. Tombstones occupy
// their key's slot until all is replayed, and leave then.
//
// Externally synchronised.

#ifndef PEAT_ENGINE_RECOVER_REPLAY_H_
#define PEAT_ENGINE_RECOVER_REPLAY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "engine/segment/mask_counts.h"
#include "engine/segment/segment.h"
#include "engine/segment/segment_set.h"
#include "format/location.h"
#include "format/manifest.h"
#include "index/hash_index.h"
#include "index/key_hash.h"
#include "peat/stats.h"

namespace peat::engine {

// What to replay: the records of `segment` from `begin` to `entry.end`. Of the
// unsealed part of a damaged log `entry.last_lsn` is kUnknownLsn: whatever
// validates.
inline constexpr format::Lsn kUnknownLsn = UINT64_MAX;
struct ReplaySource {
  std::shared_ptr<Segment> segment;  // has its number
  format::ManifestSegment entry;
  uint64_t begin = format::kSegmentHeaderSize;
  format::Lsn lsn_before = 0;  // the largest in front of `begin`
};

// The unsealed part of the log lacks something.
struct LogDamage {
  CutRange where;
  format::Lsn durable_lsn = 0;  // at least this was durable
};

struct ReplayParts {
  const SegmentSet* segments = nullptr;
  index::HashIndex* index = nullptr;  // of what lies outside of the sources
  const index::KeyHasher* hasher = nullptr;
  MaskCounts* mask_counts = nullptr;
  int thread_count = 1;
  // False: damage is an error. True: it is passed over and listed.
  bool despite_damage = false;
  std::optional<LogDamage> log_damage = {};  // only despite damage
};

struct ReplayResult {
  uint64_t record_count = 0;
  uint64_t byte_count = 0;
  format::Lsn last_lsn = 0;
  std::vector<CutRange> damaged;
  // Lsns up to here may be among what could not be read; 0: everything was.
  format::Lsn hidden_up_to = 0;
};

// What of a segment is not there to be replayed.
struct LostRange {
  CutRange where;
  format::Lsn hidden_up_to = 0;  // lsns up to here may be in it; 0: none is
};

struct FoundDamage {
  std::optional<LogDamage> log = {};
  std::vector<LostRange> lost = {};
};

// Takes memory of up to 32 bytes a record for one group of segments (see
// replay.cc) beside the index.
absl::StatusOr<ReplayResult> Replay(const std::vector<ReplaySource>& sources,
                                    const ReplayParts& parts);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_RECOVER_REPLAY_H_
