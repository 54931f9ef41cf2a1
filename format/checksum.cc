// Checksums: see checksum.h. FORMAT.md, "Checksums", gives the arithmetic and
// test vectors, so that a reader in another language can reproduce it.

#include "format/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#ifdef PEAT_HAS_XXH_DISPATCH  // on x86 alone
#include <immintrin.h>

// What <xxh_x86dispatch.h> declares, which cannot be had beside the above.
extern "C" uint64_t XXH3_64bits_withSeed_dispatch(const void* input,
                                                  size_t size, uint64_t seed);
#endif

namespace peat::format {
namespace {

#ifdef PEAT_HAS_XXH_DISPATCH
// Ends the use of the registers' upper halves. The library (0.8.1, for one) may
// leave them in use, and then the processor pays some 75 ns for each change
// between the old and the new encoding of vector instructions, on this thread
// from here on: puts and gets took up to 1.8 times as long.
__attribute__((target("avx"))) void ClearUpperHalves() { _mm256_zeroupper(); }

uint64_t HashByWidestVectors(const void* bytes, size_t size, uint64_t seed) {
  const uint64_t hash = XXH3_64bits_withSeed_dispatch(bytes, size, seed);
  if (__builtin_cpu_supports("avx")) ClearUpperHalves();
  return hash;
}
#endif

// The same hash everywhere: of short bytes it is taken in line, of long ones by
// the widest vectors that the processor has (twice as fast, or more).
uint64_t Hash(const void* bytes, size_t size, uint64_t seed) {
#ifdef PEAT_HAS_XXH_DISPATCH
  if (size > XXH3_MIDSIZE_MAX) return HashByWidestVectors(bytes, size, seed);
#endif
  return XXH3_64bits_withSeed(bytes, size, seed);
}

// 2^64 divided by the golden ratio: odd, so multiplication by it loses nothing.
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;

// The finalizer of splitmix64: a bijection in which each bit of the input
// flips each bit of the output with a probability of about one half.
constexpr uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9;
  x ^= x >> 27;
  x *= 0x94D049BB133111EB;
  x ^= x >> 31;
  return x;
}

// One word for a place. Offsets are spread by a multiplication but joined to
// the salt by exclusive or, and the two do not commute: no difference of salts
// shifts all offsets of one segment onto those of another.
constexpr uint64_t PlaceWord(Place place) {
  return place.salt ^ (place.offset * kGolden);
}

constexpr uint32_t Fold(uint64_t x) {
  return static_cast<uint32_t>(x >> 32) ^ static_cast<uint32_t>(x);
}

}  // namespace

uint64_t PayloadHash(std::string_view key, std::string_view value) {
  const uint64_t key_hash = Hash(key.data(), key.size(), key.size());
  return Hash(value.data(), value.size(), key_hash);
}

uint32_t PayloadChecksum(uint64_t payload_hash, Place place) {
  return Fold(Mix(payload_hash ^ PlaceWord(place)));
}

uint32_t HeaderChecksum(ByteView checked, Place place) {
  return Fold(XXH3_64bits_withSeed(checked.data(), checked.size(),
                                   Mix(PlaceWord(place))));
}

uint64_t Checksum64(ByteView bytes) {
  return Hash(bytes.data(), bytes.size(), 0);
}

}  // namespace peat::format
