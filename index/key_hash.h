// The keyed hash of a key: 64 bits that decide where the index keeps it.
//
// Keyed with a random seed per store, so that nobody outside can choose keys
// that collide. It never reaches the disk other than in caches that carry the
// seed. Immutable after construction, so safe from any thread.

#ifndef PEAT_INDEX_KEY_HASH_H_
#define PEAT_INDEX_KEY_HASH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace peat::index {

class KeyHasher final {
 public:
  using Seed = std::array<std::byte, 16>;

  explicit KeyHasher(const Seed& seed);

  // For tests: only 2^bits different hashes exist, so that many keys collide
  // in all 64 bits.
  static KeyHasher WeakForTest(int bits);

  uint64_t operator()(std::string_view key) const;

 private:
  static constexpr size_t kSecretSize = 192;

  alignas(64) std::array<std::byte, kSecretSize> secret_ = {};
  uint64_t kept_bits_ = ~uint64_t{0};
};

}  // namespace peat::index

#endif  // PEAT_INDEX_KEY_HASH_H_
