#include "index/ordered_leaf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "format/check.h"

namespace peat::index {
namespace {

constexpr size_t kHeadSize = sizeof(uint64_t);
constexpr size_t kTailHeaderSize = sizeof(uint16_t);

// Room for so much more is made when there is none: little, since most leaves
// are never about to be full.
constexpr size_t kSlotSlack = 8;
constexpr size_t kTailSlack = 128;

std::array<char, kHeadSize> BytesOfHead(uint64_t head) {
  std::array<char, kHeadSize> bytes = {};
  const uint64_t swapped = __builtin_bswap64(head);
  std::memcpy(bytes.data(), &swapped, kHeadSize);
  return bytes;
}

}  // namespace

size_t CommonPrefixSize(std::string_view a, std::string_view b) {
  const size_t size = std::min(a.size(), b.size());
  size_t i = 0;
  while (i < size && a[i] == b[i]) ++i;
  return i;
}

uint64_t HeadOf(std::string_view key) {
  uint64_t head = 0;
  if (key.size() >= kHeadSize) [[likely]] {
    std::memcpy(&head, key.data(), kHeadSize);
  } else if (!key.empty()) {
    std::memcpy(&head, key.data(), key.size());
  }
  return __builtin_bswap64(head);
}

OrderedLeaf::Parts OrderedLeaf::Split(std::string_view rest) {
  return {.head = HeadOf(rest),
          .tail = rest.substr(std::min(rest.size(), kHeadSize)),
          .size = rest.size()};
}

uint64_t OrderedLeaf::memory_bytes() const {
  return sizeof(*this) + slots_.capacity() * sizeof(Slot) + tails_.capacity() +
         prefix_.capacity();
}

std::string_view OrderedLeaf::TailAt(uint64_t offset) const {
  uint16_t size = 0;
  PEAT_DCHECK(offset + kTailHeaderSize <= tails_.size());
  std::memcpy(&size, tails_.data() + offset, kTailHeaderSize);
  return std::string_view(tails_).substr(offset + kTailHeaderSize, size);
}

int OrderedLeaf::Compare(const Slot& slot, const Parts& parts) const {
  if (slot.head != parts.head) return slot.head < parts.head ? -1 : 1;
  const uint64_t tail = TailOf(slot);
  if (tail >= kNoTail) {
    // Equal bytes, then: the shorter key comes first.
    const size_t size = tail - kNoTail;
    if (size == parts.size) return 0;
    return size < parts.size ? -1 : 1;
  }
  if (parts.size <= kHeadSize) return 1;
  return TailAt(tail).compare(parts.tail);
}

size_t OrderedLeaf::LowerBoundOfRest(const Parts& parts) const {
  const auto at = std::lower_bound(slots_.begin(), slots_.end(), parts,
                                   [this](const Slot& slot, const Parts& key) {
                                     return Compare(slot, key) < 0;
                                   });
  return static_cast<size_t>(at - slots_.begin());
}

size_t OrderedLeaf::LowerBound(std::string_view key) const {
  const int order = key.substr(0, prefix_.size()).compare(prefix_);
  if (order < 0) return 0;
  if (order > 0) return slots_.size();
  return LowerBoundOfRest(Split(key.substr(prefix_.size())));
}

bool OrderedLeaf::Insert(std::string_view key, Location location) {
  if (slots_.empty()) {
    // One key is all prefix but its last bytes, which others will differ in.
    prefix_.assign(key.substr(0, key.size() - std::min(key.size(), kHeadSize)));
  } else if (!key.starts_with(prefix_)) {
    ShortenPrefix(CommonPrefixSize(prefix_, key));
  }
  const Parts parts = Split(key.substr(prefix_.size()));
  const size_t at = LowerBoundOfRest(parts);
  if (at < slots_.size() && Compare(slots_[at], parts) == 0) return false;
  InsertRest(at, parts, location);
  return true;
}

void OrderedLeaf::InsertRest(size_t at, const Parts& parts, Location location) {
  uint64_t tail = kNoTail + parts.size;
  Reserve(1, parts.tail.empty() ? 0 : kTailHeaderSize + parts.tail.size());
  if (!parts.tail.empty()) {
    tail = tails_.size();
    const auto size = static_cast<uint16_t>(parts.tail.size());
    tails_.append(reinterpret_cast<const char*>(&size), kTailHeaderSize);
    tails_.append(parts.tail);
    PEAT_CHECK(tails_.size() < kNoTail);
  }
  slots_.insert(
      slots_.begin() + static_cast<std::ptrdiff_t>(at),
      Slot{.head = parts.head, .place = (location.bits() << 24) | tail});
}

// By steps of a fixed size: a vector that doubles would be a third empty.
void OrderedLeaf::Reserve(size_t slots, size_t tails) {
  if (slots_.capacity() - slots_.size() < slots) {
    slots_.reserve(slots_.size() + std::max(slots, kSlotSlack));
  }
  if (tails_.capacity() - tails_.size() < tails) {
    std::string more;
    more.reserve(tails_.size() + std::max(tails, kTailSlack));
    more.append(tails_);
    tails_.swap(more);
  }
}

bool OrderedLeaf::Erase(std::string_view key) {
  if (!key.starts_with(prefix_)) return false;
  const Parts parts = Split(key.substr(prefix_.size()));
  const size_t at = LowerBoundOfRest(parts);
  if (at == slots_.size() || Compare(slots_[at], parts) != 0) return false;
  const uint64_t tail = TailOf(slots_[at]);
  slots_.erase(slots_.begin() + static_cast<std::ptrdiff_t>(at));
  if (tail >= kNoTail) return true;
  const size_t size = kTailHeaderSize + parts.tail.size();
  tails_.erase(tail, size);
  for (Slot& slot : slots_) {
    if (TailOf(slot) < kNoTail && TailOf(slot) > tail) slot.place -= size;
  }
  return true;
}

void OrderedLeaf::ShortenPrefix(size_t size) {
  PEAT_DCHECK(size < prefix_.size());
  KeyGroup keys;
  List(0, slots_.size(), &keys);
  *this = OrderedLeaf();
  prefix_.assign(keys[0].substr(0, size));
  for (size_t i = 0; i < keys.size(); ++i) {
    InsertRest(i, Split(keys[i].substr(size)), keys.hint(i));
  }
}

// Copies of a fixed size take one instruction, where a call would take twenty;
// what they write behind a part is overwritten by the next, or is slack.
class OrderedLeaf::Lister final {
 public:
  Lister(const OrderedLeaf& leaf, KeyGroup* group)
      : leaf_(leaf), group_(*group) {
    const std::string_view prefix = leaf.prefix_;
    if (prefix.size() <= kShort) {
      std::copy(prefix.begin(), prefix.end(), prefix_.begin());
    }
  }

  void Add(const Slot& slot) {
    const Location hint = Location::FromBits(slot.place >> 24);
    const size_t prefix = leaf_.prefix_.size();
    const uint64_t tail = TailOf(slot);
    const std::array<char, kHeadSize> head = BytesOfHead(slot.head);
    if (tail >= kNoTail) {
      char* const to = group_.AddRoom(prefix + (tail - kNoTail), hint);
      CopyPrefix(to);
      std::memcpy(to + prefix, head.data(), kHeadSize);
      return;
    }
    const std::string_view rest = leaf_.TailAt(tail);
    char* const to = group_.AddRoom(prefix + kHeadSize + rest.size(), hint);
    CopyPrefix(to);
    std::memcpy(to + prefix, head.data(), kHeadSize);
    if (rest.size() <= kShort &&
        tail + kTailHeaderSize + kShort <= leaf_.tails_.size()) [[likely]] {
      std::memcpy(to + prefix + kHeadSize, rest.data(), kShort);
    } else {
      std::memcpy(to + prefix + kHeadSize, rest.data(), rest.size());
    }
  }

 private:
  static constexpr size_t kShort = KeyGroup::kSlack;
  static_assert(kHeadSize <= KeyGroup::kSlack);

  void CopyPrefix(char* to) const {
    const std::string_view prefix = leaf_.prefix_;
    if (prefix.size() <= kShort) [[likely]] {
      std::memcpy(to, prefix_.data(), kShort);
    } else {
      std::memcpy(to, prefix.data(), prefix.size());
    }
  }

  const OrderedLeaf& leaf_;
  KeyGroup& group_;
  std::array<char, kShort> prefix_ = {};
};

void OrderedLeaf::List(size_t begin, size_t end, KeyGroup* group) const {
  PEAT_DCHECK(end <= slots_.size());
  Lister lister(*this, group);
  for (size_t i = begin; i < end; ++i) lister.Add(slots_[i]);
}

void OrderedLeaf::ListDown(size_t begin, size_t end, KeyGroup* group) const {
  PEAT_DCHECK(end <= slots_.size());
  Lister lister(*this, group);
  for (size_t i = end; i > begin; --i) lister.Add(slots_[i - 1]);
}

void OrderedLeaf::Append(const KeyGroup& keys, size_t begin, size_t end) {
  if (begin == end) return;
  const std::string_view first = keys[begin];
  const size_t common = CommonPrefixSize(first, keys[end - 1]);
  if (slots_.empty()) {
    prefix_.assign(first.substr(0, common));
  } else if (!first.substr(0, common).starts_with(prefix_)) {
    ShortenPrefix(CommonPrefixSize(prefix_, first));
  }
  size_t tails = 0;
  for (size_t i = begin; i < end; ++i) {
    const size_t rest = keys[i].size() - prefix_.size();
    if (rest > kHeadSize) tails += kTailHeaderSize + rest - kHeadSize;
  }
  slots_.reserve(slots_.size() + end - begin);
  tails_.reserve(tails_.size() + tails);
  for (size_t i = begin; i < end; ++i) {
    InsertRest(slots_.size(), Split(keys[i].substr(prefix_.size())),
               keys.hint(i));
  }
}

}  // namespace peat::index
