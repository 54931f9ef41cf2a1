#include "engine/compact/tombstones.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "engine/compact/key_filters.h"
#include "format/key_filter.h"

namespace peat::engine {

void FindBlockers(Directory& directory, const format::StoreId& store_id,
                  std::span<const SealedSegment> others,
                  std::span<Tombstone> tombstones) {
  // What the loop below needs of each tombstone, side by side.
  struct Open {
    uint64_t filter_hash;
    format::Lsn lsn;
    size_t at;
  };
  std::vector<Open> open;
  open.reserve(tombstones.size());
  for (size_t i = 0; i < tombstones.size(); ++i) {
    if (tombstones[i].blocker != 0) continue;
    open.push_back({tombstones[i].filter_hash, tombstones[i].lsn, i});
  }
  for (const SealedSegment& other : others) {
    const format::ManifestSegment& entry = other.entry;
    const auto is_asked = [&](const Open& one) {
      return one.lsn > entry.first_lsn && tombstones[one.at].home != entry.id;
    };
    if (entry.first_lsn == 0 || std::ranges::none_of(open, is_asked)) continue;
    // One filter at a time, and all tombstones against it: it is in the cache
    // then, and no filter stays in memory.
    const absl::StatusOr<format::KeyFilter> filter =
        FindKeyFilter(directory, store_id, entry, *other.segment);
    std::erase_if(open, [&](const Open& one) {
      // A segment that cannot be read can hold anything.
      if (filter.ok() && !filter->MayContain(one.filter_hash)) return false;
      if (!is_asked(one)) return false;
      tombstones[one.at].blocker = entry.id;
      return true;
    });
  }
}

}  // namespace peat::engine
