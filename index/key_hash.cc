#include "index/key_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/check.h"

namespace peat::index {

namespace {

// Spreads the few bits of a weak hash over all 64; odd, so nothing merges.
constexpr uint64_t kSpread = 0x9E3779B97F4A7C15;

}  // namespace

KeyHasher::KeyHasher(const Seed& seed) {
  static_assert(kSecretSize >= XXH3_SECRET_SIZE_MIN);
  const XXH_errorcode code = XXH3_generateSecret(secret_.data(), secret_.size(),
                                                 seed.data(), seed.size());
  PEAT_CHECK(code == XXH_OK);
}

KeyHasher KeyHasher::WeakForTest(int bits) {
  PEAT_CHECK(bits >= 0);
  PEAT_CHECK(bits < 64);
  KeyHasher hasher(Seed{});
  hasher.kept_bits_ = (uint64_t{1} << bits) - 1;
  return hasher;
}

uint64_t KeyHasher::operator()(std::string_view key) const {
  const uint64_t hash = XXH3_64bits_withSecret(key.data(), key.size(),
                                               secret_.data(), secret_.size());
  if (kept_bits_ != ~uint64_t{0}) [[unlikely]] {
    return (hash & kept_bits_) * kSpread;
  }
  return hash;
}

}  // namespace peat::index
