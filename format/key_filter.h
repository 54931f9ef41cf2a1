// A key filter: 18 to 22 bits for each key of a segment (more for each of less
// than 10,000) that say "surely not in it" or, of one absent key in 65,536,
// "perhaps".
//
// A binary fuse filter of three-wise, 16-bit fingerprints: Graf and Lemire,
// "Binary fuse filters: fast and smaller than xor filters", 2022. FORMAT.md is
// normative for reading one; how it is made is left to the writer.
//
// Pure functions and plain values, safe from any thread.

#ifndef PEAT_FORMAT_KEY_FILTER_H_
#define PEAT_FORMAT_KEY_FILTER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "format/bytes.h"

namespace peat::format {

// What a key filter knows a key by.
uint64_t FilterHash(std::string_view key);

class KeyFilter final {
 public:
  // Of no key.
  KeyFilter() = default;

  // How often Build() tries. One attempt in 20 fails at most, at any number of
  // keys, and each gets more room than the one before.
  static constexpr int kAttemptCountMax = 64;

  // Of the keys with these hashes, some of which may be the same. Costs some
  // 100 ns a key, and 30 bytes of memory. Nullopt after so many attempts, which
  // only hashes that were made for it can bring about.
  static std::optional<KeyFilter> Build(
      const std::vector<uint64_t>& hashes,
      int attempt_count_max = kAttemptCountMax);

  // False: the key is not among them.
  bool MayContain(uint64_t hash) const {
    if (fingerprints_.empty()) return false;
    const uint64_t mixed = Mix(hash);
    const Places places = PlacesOf(mixed);
    return (fingerprints_[places[0]] ^ fingerprints_[places[1]] ^
            fingerprints_[places[2]] ^ FingerprintOf(mixed)) == 0;
  }

  // As it is stored.
  std::string Encode() const;
  // DataLoss unless `bytes` can be a filter.
  static absl::StatusOr<KeyFilter> Decode(ByteView bytes);

 private:
  using Places = std::array<size_t, 3>;

  // The finalizer of MurmurHash3.
  uint64_t Mix(uint64_t hash) const {
    hash += seed_;
    hash = (hash ^ (hash >> 33)) * 0xFF51AFD7ED558CCD;
    hash = (hash ^ (hash >> 33)) * 0xC4CEB9FE1A85EC53;
    return hash ^ (hash >> 33);
  }
  static uint16_t FingerprintOf(uint64_t mixed) {
    return static_cast<uint16_t>(mixed ^ (mixed >> 32));
  }
  // One place in each of three slices that follow one another.
  Places PlacesOf(uint64_t mixed) const {
    const uint64_t slice = uint64_t{1} << slice_bits_;
    const uint64_t first = MultiplyHigh(mixed, slice_count_ * slice);
    return {first, (first + slice) ^ ((mixed >> 18) & (slice - 1)),
            (first + 2 * slice) ^ (mixed & (slice - 1))};
  }
  static uint64_t MultiplyHigh(uint64_t a, uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<uint64_t>((Wide{a} * b) >> 64);
  }

  // The size of the first attempt, and of the one after.
  void ChooseSize(size_t key_count);
  void Grow() { slice_count_ += 1 + slice_count_ / 16; }
  // Of mixed hashes. False: another seed may do.
  bool Fill(const std::vector<uint64_t>& keys);

  uint64_t seed_ = 0;
  uint32_t slice_bits_ = 0;
  uint64_t slice_count_ = 0;  // in which a key's first place can be
  std::vector<uint16_t> fingerprints_;
};

}  // namespace peat::format

#endif  // PEAT_FORMAT_KEY_FILTER_H_
