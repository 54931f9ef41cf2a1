// Filling an ordered index from the hash index, at open.

#ifndef PEAT_ENGINE_LOAD_ORDERED_H_
#define PEAT_ENGINE_LOAD_ORDERED_H_

#include "absl/status/status.h"
#include "engine/segment_set.h"
#include "index/hash_index.h"
#include "index/ordered_index.h"

namespace peat::engine {

// Reads the key of every record that `index` points to, and puts them into
// `ordered`, which is empty. Nobody writes meanwhile. Takes 16 bytes of memory
// a key beside the index, and reads records at random, some of them twice.
absl::Status LoadOrdered(const index::HashIndex& index,
                         const SegmentSet& segments,
                         index::OrderedIndex* ordered);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOAD_ORDERED_H_
