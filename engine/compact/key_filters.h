// The key filter of a sealed segment, when it is asked for: read from its hint
// file or, where that is missing or damaged, made from the segment and written
// for the next time. Whoever reads or writes a segment's records anyway may
// make it ahead.
//
// Only compaction asks, and only about tombstones; a store without deletes has
// no hint files, and no filter stays in memory. A filter is of the keys that a
// tombstone could shadow: those of all records but tombstones.
//
// Stateless; a hint file is written by one thread at a time.

#ifndef PEAT_ENGINE_COMPACT_KEY_FILTERS_H_
#define PEAT_ENGINE_COMPACT_KEY_FILTERS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "engine/segment/segment.h"
#include "format/key_filter.h"
#include "format/manifest.h"
#include "format/record.h"

namespace peat::engine {

// `segment` is the one that `entry` describes, sealed. DataLoss when neither
// its hint file nor the segment itself is sound, Internal when no filter of its
// keys can be made: it can hold any key then. A
// hint file that cannot be written is no error.
absl::StatusOr<format::KeyFilter> FindKeyFilter(
    Directory& directory, const format::StoreId& store_id,
    const format::ManifestSegment& entry, const Segment& segment);

// Whether a record of this kind has its key in the filter.
inline bool IsInKeyFilter(format::RecordKind kind) {
  return TakesLsn(kind) && kind != format::RecordKind::kTombstone;
}

// Whether FindKeyFilter() need not make it.
bool HasKeyFilter(const Directory& directory, const format::StoreId& store_id,
                  const format::ManifestSegment& entry);

// Makes it of the FilterHash of each key that is in it. A failure is no error.
void SaveKeyFilter(Directory& directory, const format::StoreId& store_id,
                   const format::ManifestSegment& entry,
                   const std::vector<uint64_t>& hashes);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_COMPACT_KEY_FILTERS_H_
