#include "engine/write/digest.h"

#include <sodium.h>

#include "format/check.h"

namespace peat::engine {

Digest DigestOf(std::string_view bytes) {
  // Chooses the fastest implementation for this processor, once.
  [[maybe_unused]] static const int kInitialized = sodium_init();
  Digest digest = {};
  const int failed = crypto_generichash(
      reinterpret_cast<unsigned char*>(digest.data()), digest.size(),
      reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
      nullptr, 0);
  PEAT_CHECK(failed == 0);
  return digest;
}

}  // namespace peat::engine
