// A leaf of the ordered index: up to some 128 keys in order, packed.
//
//   prefix   the bytes that all keys here begin with, once
//   slots    16 bytes a key, in order:
//              head      the next 8 bytes, big-endian, zeros behind the end
//              location  40 bits: where the key's record was when the key came
//              tail      24 bits: where the rest lies in `tails`; or, of a key
//                        that ends within its head, how long that is
//   tails    in no order: size (2 bytes) and bytes of each rest
//
// So most comparisons are of two integers, and a key of 8 bytes or more costs
// its length and 10 bytes, less the prefix that it shares with its neighbours.
//
// Externally synchronised.

#ifndef PEAT_INDEX_ORDERED_LEAF_H_
#define PEAT_INDEX_ORDERED_LEAF_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "format/bytes.h"
#include "format/location.h"

namespace peat::index {

using format::Location;

// Keys one behind the other, with a location each: what a scan takes out of the
// ordered index at a time.
class KeyGroup final {
 public:
  void Clear() {
    byte_size_ = 0;
    keys_.clear();
  }
  void Reserve(size_t key_count) { keys_.reserve(key_count); }
  void Add(std::string_view key, Location hint = Location()) {
    char* const to = AddRoom(key.size(), hint);
    // Of no bytes there may be no address, which memcpy may not be given.
    if (!key.empty()) std::memcpy(to, key.data(), key.size());
  }
  // Adds a key of `size` bytes, which the caller writes; it may write up to
  // kSlack bytes behind them, too.
  static constexpr size_t kSlack = 16;
  char* AddRoom(size_t size, Location hint) {
    if (bytes_.size() - byte_size_ < size + kSlack) [[unlikely]] {
      bytes_.resize(2 * bytes_.size() + size + 1024);
    }
    char* const to = bytes_.data() + byte_size_;
    byte_size_ += size;
    keys_.push_back({.end = byte_size_, .hint = hint});
    return to;
  }
  void Truncate(size_t size) {
    keys_.resize(size);
    byte_size_ = size == 0 ? 0 : keys_.back().end;
  }

  size_t size() const { return keys_.size(); }
  bool empty() const { return keys_.empty(); }
  size_t byte_size() const { return byte_size_; }
  // Valid until the group changes.
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : keys_[i - 1].end;
    return {bytes_.data() + begin, keys_[i].end - begin};
  }
  // Where the record of key i may lie, or none.
  Location hint(size_t i) const { return keys_[i].hint; }

 private:
  struct Key {
    size_t end = 0;  // in bytes_
    Location hint;
  };

  // Longer than what is used, and kept so: to fill it anew costs a copy alone.
  std::string bytes_;
  size_t byte_size_ = 0;
  std::vector<Key> keys_;
};

class OrderedLeaf final {
 public:
  static constexpr size_t kKeyCountMax = 128;
  static constexpr size_t kTailSizeMax = 32'768;  // unless one key has more

  OrderedLeaf() = default;

  size_t size() const { return slots_.size(); }
  // Whether it must be split before the next insert.
  bool is_full() const {
    return slots_.size() >= kKeyCountMax ||
           (tails_.size() >= kTailSizeMax && slots_.size() >= 2);
  }
  uint64_t memory_bytes() const;

  // Asks for the cache lines of all keys.
  void PrefetchSlots() const {
    format::PrefetchToRead(slots_.data(), slots_.size() * sizeof(Slot));
  }
  void Prefetch() const {
    PrefetchSlots();
    format::PrefetchToRead(tails_.data(), tails_.size());
  }

  // The number of keys that are less than `key`.
  size_t LowerBound(std::string_view key) const;

  // False if the key is there already.
  bool Insert(std::string_view key, Location location);
  // False if the key is not there.
  bool Erase(std::string_view key);

  // Adds keys [begin, end) to `group`, in that order; or in the opposite one,
  // from `end` - 1 down to `begin`.
  void List(size_t begin, size_t end, KeyGroup* group) const;
  void ListDown(size_t begin, size_t end, KeyGroup* group) const;

  // Adds all of `keys` from `begin` to `end`, which are in order and all
  // greater than those here, and takes no more memory than they need.
  void Append(const KeyGroup& keys, size_t begin, size_t end);

 private:
  struct Slot {
    uint64_t head;
    uint64_t place;  // location << 24 | tail
  };
  // What a key is, less the prefix that it shares.
  struct Parts {
    uint64_t head;
    std::string_view tail;
    size_t size;  // of both
  };
  static Parts Split(std::string_view rest);

  static constexpr uint64_t kTailMask = 0xffffff;
  static constexpr uint64_t kNoTail = 0xfffff0;  // and up: a size of 0 to 8

  static uint64_t TailOf(const Slot& slot) { return slot.place & kTailMask; }
  std::string_view TailAt(uint64_t offset) const;
  // Negative, zero or positive as the slot's key is less, equal or greater.
  int Compare(const Slot& slot, const Parts& parts) const;
  size_t LowerBoundOfRest(const Parts& parts) const;
  void InsertRest(size_t at, const Parts& parts, Location location);
  // Adds slots one after the other, which most of listing consists of.
  class Lister;
  // Makes `size` bytes the length of the prefix, which it must not exceed.
  void ShortenPrefix(size_t size);
  void Reserve(size_t slots, size_t tails);

  std::string prefix_;
  std::vector<Slot> slots_;
  std::string tails_;
};

// How many bytes both begin with.
size_t CommonPrefixSize(std::string_view a, std::string_view b);

// The first 8 bytes as a number, so that numbers order as bytes do. Zeros stand
// for bytes that are not there: equal heads do not make equal keys.
uint64_t HeadOf(std::string_view key);

}  // namespace peat::index

#endif  // PEAT_INDEX_ORDERED_LEAF_H_
