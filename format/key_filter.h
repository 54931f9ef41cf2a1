// A key filter: a few bits for each key of a segment that say "surely not in
// it" or "perhaps".
//
// A split-block Bloom filter: blocks of 32 bytes, eight words each; a hash
// chooses a block and sets one bit in each word. At 16 bits a key less than
// three absent keys in a thousand are "perhaps". FORMAT.md is normative.
//
// Pure functions and plain values, safe from any thread.

#ifndef PEAT_FORMAT_KEY_FILTER_H_
#define PEAT_FORMAT_KEY_FILTER_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "format/bytes.h"

namespace peat::format {

inline constexpr uint64_t kFilterBitsPerKey = 16;
inline constexpr uint64_t kFilterBlockSize = 32;

// What a key filter knows a key by.
uint64_t FilterHash(std::string_view key);

class KeyFilter final {
 public:
  // Of no key.
  KeyFilter() : KeyFilter(std::span<const uint64_t>()) {}
  // Of the keys with these hashes.
  explicit KeyFilter(std::span<const uint64_t> hashes);

  // False: the key is not among them.
  bool MayContain(uint64_t hash) const;

  // The blocks, as they are stored.
  std::string Encode() const;
  // DataLoss unless `bytes` is a number of whole blocks, at least one.
  static absl::StatusOr<KeyFilter> Decode(ByteView bytes);

 private:
  std::vector<uint32_t> words_;  // eight to a block
};

}  // namespace peat::format

#endif  // PEAT_FORMAT_KEY_FILTER_H_
