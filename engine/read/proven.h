// Of a store opened despite damage: what an index image proves.
//
// The image is as new as whatever could not be read. So a record that it points
// to has not been superseded by any of that, and a key that it does not have
// was not written by any of that.
//
// Thread-safe. The caller holds an epoch guard around each call.

#ifndef PEAT_ENGINE_READ_PROVEN_H_
#define PEAT_ENGINE_READ_PROVEN_H_

#include <cstdint>

#include "format/location.h"
#include "index/hash_index.h"

namespace peat::engine {

// Whether the record there is the newest of its key. `proven` may be null.
inline bool IsProvenNewest(const index::HashIndex* proven, uint64_t hash,
                           format::Location here) {
  if (proven == nullptr) return false;
  return proven->FindUnvalidated(hash, [here](format::Location location) {
    return location == here ? index::Verdict::kMatch : index::Verdict::kOther;
  }) == index::Verdict::kMatch;
}

// Whether a key with this hash, of which nothing was read, is absent.
inline bool IsProvenAbsent(const index::HashIndex* proven, uint64_t hash) {
  if (proven == nullptr) return false;
  return proven->FindUnvalidated(hash, [](format::Location) {
    return index::Verdict::kMatch;
  }) == index::Verdict::kOther;
}

}  // namespace peat::engine

#endif  // PEAT_ENGINE_READ_PROVEN_H_
