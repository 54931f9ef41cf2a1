#include "format/key_filter.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "absl/strings/str_format.h"
#include "format/check.h"
#include "format/checksum.h"

namespace peat::format {
namespace {

//   0   8   seed
//   8   4   slice_bits
//   12  4   slice_count
//   16  2n  fingerprints
constexpr size_t kSliceBitsOffset = 8;
constexpr size_t kSliceCountOffset = 12;
constexpr size_t kFingerprintsOffset = 16;

constexpr uint32_t kSliceBitsMax = 18;

// Sorts numbers that are as good as random: half the time of std::sort alone.
void SortScattered(std::vector<uint64_t>* numbers) {
  constexpr size_t kPerBucket = 8;
  const size_t bucket_count = std::bit_ceil(numbers->size() / kPerBucket + 2);
  const int shift = 64 - std::countr_zero(bucket_count);
  std::vector<size_t> ends(bucket_count);
  for (const uint64_t number : *numbers) ++ends[number >> shift];
  std::exclusive_scan(ends.begin(), ends.end(), ends.begin(), size_t{0});
  std::vector<uint64_t> sorted(numbers->size());
  for (const uint64_t number : *numbers) {
    sorted[ends[number >> shift]++] = number;
  }
  size_t begin = 0;
  for (const size_t end : ends) {
    std::sort(sorted.begin() + static_cast<std::ptrdiff_t>(begin),
              sorted.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
  }
  numbers->swap(sorted);
}

uint64_t FingerprintCount(uint64_t slice_bits, uint64_t slice_count) {
  return slice_count == 0 ? 0 : (slice_count + 2) << slice_bits;
}

}  // namespace

uint64_t FilterHash(std::string_view key) { return PayloadHash(key, {}); }

std::optional<KeyFilter> KeyFilter::Build(const std::vector<uint64_t>& hashes,
                                          int attempt_count_max) {
  KeyFilter filter;
  if (hashes.empty()) return filter;
  std::vector<uint64_t> mixed(hashes.size());
  for (int i = 0; i < attempt_count_max; ++i) {
    ++filter.seed_;
    mixed.resize(hashes.size());
    std::ranges::transform(hashes, mixed.begin(), [&filter](uint64_t hash) {
      return filter.Mix(hash);
    });
    // In this order keys are near each other, too. And the same key must not
    // come twice.
    SortScattered(&mixed);
    mixed.erase(std::unique(mixed.begin(), mixed.end()), mixed.end());
    if (i == 0) {
      filter.ChooseSize(mixed.size());
    } else {
      filter.Grow();
    }
    if (filter.Fill(mixed)) return filter;
  }
  return std::nullopt;
}

// The size of a slice is what the authors of the paper found to work: with
// smaller ones, two keys have all three places in common too often. How many
// keys a slice can take in the middle of many is 0.918 of its places at most;
// what must be left free beyond that was measured, as the share of attempts
// that fail at every step of the size.
void KeyFilter::ChooseSize(size_t key_count) {
  constexpr double kLoadMax = 0.895;
  const double keys = std::max(static_cast<double>(key_count), 2.0);
  slice_bits_ =
      std::min(static_cast<uint32_t>(std::log(keys) / std::log(3.33) + 2.25),
               kSliceBitsMax);
  const auto slice = static_cast<double>(uint64_t{1} << slice_bits_);
  const double slices = keys / slice;
  slice_count_ =
      static_cast<uint64_t>(std::ceil(slices / (kLoadMax - slices / slice)));
}

// A place at which only one key is left can be given what makes that key's
// three fingerprints match, after those of all others: so keys are taken away
// one by one, and places filled in the opposite order.
bool KeyFilter::Fill(const std::vector<uint64_t>& keys) {
  struct Load {
    uint64_t mixed = 0;  // of all keys that are left there, by exclusive or
    uint32_t count = 0;
  };
  std::vector<Load> loads(FingerprintCount(slice_bits_, slice_count_));
  std::vector<size_t> single;
  const auto flip = [&loads](size_t place, uint64_t mixed, uint32_t by) {
    loads[place].mixed ^= mixed;
    loads[place].count += by;
  };
  for (const uint64_t mixed : keys) {
    for (const size_t place : PlacesOf(mixed)) flip(place, mixed, 1);
  }
  for (size_t place = 0; place < loads.size(); ++place) {
    if (loads[place].count == 1) single.push_back(place);
  }
  struct Taken {
    uint64_t mixed;
    size_t place;
  };
  std::vector<Taken> taken;
  taken.reserve(keys.size());
  while (!single.empty()) {
    const size_t place = single.back();
    single.pop_back();
    if (loads[place].count != 1) continue;
    const uint64_t mixed = loads[place].mixed;
    taken.push_back({mixed, place});
    for (const size_t other : PlacesOf(mixed)) {
      flip(other, mixed, ~uint32_t{0});
      if (loads[other].count == 1) single.push_back(other);
    }
  }
  if (taken.size() != keys.size()) return false;
  fingerprints_.assign(loads.size(), 0);
  for (size_t i = taken.size(); i-- > 0;) {
    const Places places = PlacesOf(taken[i].mixed);
    fingerprints_[taken[i].place] = static_cast<uint16_t>(
        fingerprints_[places[0]] ^ fingerprints_[places[1]] ^
        fingerprints_[places[2]] ^ FingerprintOf(taken[i].mixed));
  }
  return true;
}

std::string KeyFilter::Encode() const {
  std::string bytes(
      kFingerprintsOffset + fingerprints_.size() * sizeof(uint16_t), '\0');
  auto* const to = reinterpret_cast<std::byte*>(bytes.data());
  Store<uint64_t>(to, seed_);
  Store<uint32_t>(to + kSliceBitsOffset, slice_bits_);
  Store<uint32_t>(to + kSliceCountOffset, static_cast<uint32_t>(slice_count_));
  for (size_t i = 0; i < fingerprints_.size(); ++i) {
    Store<uint16_t>(to + kFingerprintsOffset + i * sizeof(uint16_t),
                    fingerprints_[i]);
  }
  return bytes;
}

absl::StatusOr<KeyFilter> KeyFilter::Decode(ByteView bytes) {
  KeyFilter filter;
  if (bytes.size() >= kFingerprintsOffset) {
    filter.seed_ = Load<uint64_t>(bytes, 0);
    filter.slice_bits_ = Load<uint32_t>(bytes, kSliceBitsOffset);
    filter.slice_count_ = Load<uint32_t>(bytes, kSliceCountOffset);
  }
  const bool is_sound =
      bytes.size() >= kFingerprintsOffset &&
      filter.slice_bits_ <= kSliceBitsMax &&
      bytes.size() - kFingerprintsOffset ==
          FingerprintCount(filter.slice_bits_, filter.slice_count_) *
              sizeof(uint16_t);
  if (!is_sound) {
    return absl::DataLossError(absl::StrFormat(
        "%d bytes are no key filter of %d slices of 2^%d fingerprints",
        bytes.size(), filter.slice_count_, filter.slice_bits_));
  }
  filter.fingerprints_.resize(
      FingerprintCount(filter.slice_bits_, filter.slice_count_));
  for (size_t i = 0; i < filter.fingerprints_.size(); ++i) {
    filter.fingerprints_[i] =
        Load<uint16_t>(bytes, kFingerprintsOffset + i * sizeof(uint16_t));
  }
  return filter;
}

}  // namespace peat::format
