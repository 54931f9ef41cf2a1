// The pairs of the comparison. A value is made from its key and a version, so
// whoever has a pair can tell whether the value is that key's, whole, and which
// write it is from. Nothing in it can be compressed.
//
// Pure functions.

#ifndef PEAT_BENCH_COMPARE_PAIRS_H_
#define PEAT_BENCH_COMPARE_PAIRS_H_

#include <cstdint>
#include <cstring>
#include <string_view>

#include "bench/floors.h"

namespace peat::bench {

inline constexpr uint64_t kValueSizeMin = 8;  // the version

inline uint64_t LoadWord(const char* from) {
  uint64_t word = 0;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

// The word at `offset` of a value. `seed` is of key and version.
inline uint64_t ValueWord(uint64_t seed, size_t offset) {
  uint64_t word = (seed + offset) * 0x9E3779B97F4A7C15;
  word ^= word >> 32;
  return word * 0xD6E8FEB86659FD93;
}

inline uint64_t ValueSeed(std::string_view key, uint64_t version) {
  return LoadWord(key.data()) ^ Scatter(version);
}

// Fills value[0, size), size at least kValueSizeMin.
inline void MakeValue(std::string_view key, uint64_t version, char* value,
                      size_t size) {
  const uint64_t seed = ValueSeed(key, version);
  std::memcpy(value, &version, sizeof(version));
  size_t i = sizeof(version);
  for (; i + 8 <= size; i += 8) {
    const uint64_t word = ValueWord(seed, i);
    std::memcpy(value + i, &word, 8);
  }
  const uint64_t word = ValueWord(seed, i);
  std::memcpy(value + i, &word, size - i);
}

struct Found {
  bool sound = false;  // the value is of this key, whole, of this size
  uint64_t version = 0;
};

// Looks at every byte, whatever it finds.
inline Found CheckValue(std::string_view key, std::string_view value,
                        size_t size) {
  if (value.size() != size) return {};
  const uint64_t version = LoadWord(value.data());
  const uint64_t seed = ValueSeed(key, version);
  uint64_t difference = 0;
  size_t i = sizeof(version);
  for (; i + 8 <= size; i += 8) {
    difference |= LoadWord(value.data() + i) ^ ValueWord(seed, i);
  }
  uint64_t rest = ValueWord(seed, i);
  std::memcpy(&rest, value.data() + i, size - i);
  difference |= rest ^ ValueWord(seed, i);
  return {.sound = difference == 0, .version = version};
}

}  // namespace peat::bench

#endif  // PEAT_BENCH_COMPARE_PAIRS_H_
