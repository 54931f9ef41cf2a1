// Keys for tests of the index, which keeps none: key n is the number n, its
// record lies at the location with these bits, and its hash is a mix of it.

#ifndef PEAT_TESTS_INDEX_KEY_MODEL_H_
#define PEAT_TESTS_INDEX_KEY_MODEL_H_

#include <cstdint>

#include "format/location.h"
#include "index/epoch.h"
#include "index/hash_index.h"

namespace peat::index {

// A bijection that scatters (splitmix64).
inline uint64_t Scatter(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// A record of key `key`, the `version`-th: at most 2^24 keys, from 1 on.
inline Location RecordOf(uint64_t key, uint64_t version = 0) {
  return Location::FromBits((version << 24) | key);
}
inline uint64_t KeyAt(Location location) {
  return location.bits() & ((1 << 24) - 1);
}
inline uint64_t VersionAt(Location location) { return location.bits() >> 24; }

// What an engine does for one write, with or without a record before.
inline void Put(HashIndex& index, uint64_t hash, uint64_t key,
                uint64_t version = 0) {
  const EpochGuard guard;
  const auto match = [key](Location location) {
    return KeyAt(location) == key ? Verdict::kMatch : Verdict::kOther;
  };
  HashIndex::Position position = index.Locate(hash, match);
  const HashIndex::ShardLock lock(index, HashIndex::ShardOf(hash));
  if (!index.IsCurrent(hash, position)) position = index.Locate(hash, match);
  index.Set(hash, position, RecordOf(key, version));
}

// False when the key was not there.
inline bool Remove(HashIndex& index, uint64_t hash, uint64_t key) {
  const EpochGuard guard;
  const HashIndex::ShardLock lock(index, HashIndex::ShardOf(hash));
  const HashIndex::Position position =
      index.Locate(hash, [key](Location location) {
        return KeyAt(location) == key ? Verdict::kMatch : Verdict::kOther;
      });
  if (position.verdict != Verdict::kMatch) return false;
  index.Erase(hash, position);
  return true;
}

// Where the key's record lies; none when it is not in the index.
inline Location Get(const HashIndex& index, uint64_t hash, uint64_t key) {
  const EpochGuard guard;
  Location found;
  index.Find(hash, [&](Location location) {
    if (KeyAt(location) != key) return Verdict::kOther;
    found = location;
    return Verdict::kMatch;
  });
  return found;
}

}  // namespace peat::index

#endif  // PEAT_TESTS_INDEX_KEY_MODEL_H_
