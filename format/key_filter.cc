#include "format/key_filter.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_format.h"
#include "format/checksum.h"

namespace peat::format {
namespace {

constexpr size_t kWordsPerBlock = kFilterBlockSize / sizeof(uint32_t);

// One odd multiplier for each word of a block.
constexpr std::array<uint32_t, kWordsPerBlock> kMultipliers = {
    0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d,
    0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31};

// The first word of the hash's block: by its upper half.
size_t BlockOf(uint64_t hash, size_t word_count) {
  const uint64_t block_count = word_count / kWordsPerBlock;
  return ((hash >> 32) * block_count >> 32) * kWordsPerBlock;
}

// The hash's bit in the i-th word: by its lower half.
uint32_t BitOf(uint64_t hash, size_t i) {
  return uint32_t{1} << (static_cast<uint32_t>(hash) * kMultipliers[i] >> 27);
}

}  // namespace

uint64_t FilterHash(std::string_view key) { return PayloadHash(key, {}); }

KeyFilter::KeyFilter(std::span<const uint64_t> hashes) {
  constexpr uint64_t kBlockBits = 8 * kFilterBlockSize;
  const uint64_t block_count =
      (hashes.size() * kFilterBitsPerKey + kBlockBits - 1) / kBlockBits;
  words_.resize(std::max<uint64_t>(block_count, 1) * kWordsPerBlock);
  for (const uint64_t hash : hashes) {
    const size_t block = BlockOf(hash, words_.size());
    for (size_t i = 0; i < kWordsPerBlock; ++i) {
      words_[block + i] |= BitOf(hash, i);
    }
  }
}

bool KeyFilter::MayContain(uint64_t hash) const {
  const size_t block = BlockOf(hash, words_.size());
  uint32_t missing = 0;
  for (size_t i = 0; i < kWordsPerBlock; ++i) {
    missing |= ~words_[block + i] & BitOf(hash, i);
  }
  return missing == 0;
}

std::string KeyFilter::Encode() const {
  std::string bytes(words_.size() * sizeof(uint32_t), '\0');
  auto* to = reinterpret_cast<std::byte*>(bytes.data());
  for (const uint32_t word : words_) {
    Store<uint32_t>(to, word);
    to += sizeof(word);
  }
  return bytes;
}

absl::StatusOr<KeyFilter> KeyFilter::Decode(ByteView bytes) {
  if (bytes.empty() || bytes.size() % kFilterBlockSize != 0) {
    return absl::DataLossError(absl::StrFormat(
        "key filter of %d bytes is no number of blocks", bytes.size()));
  }
  KeyFilter filter;
  filter.words_.resize(bytes.size() / sizeof(uint32_t));
  for (size_t i = 0; i < filter.words_.size(); ++i) {
    filter.words_[i] = Load<uint32_t>(bytes, i * sizeof(uint32_t));
  }
  return filter;
}

}  // namespace peat::format
