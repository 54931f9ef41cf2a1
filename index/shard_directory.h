// The directory of a shard of the index: 2^depth tables, each as often as the
// tag bits that it does not distinguish demand. Its depth travels in the low
// bits of the pointer to it.
//
// Values and lines of atomics, owned and published by the shard.

#ifndef PEAT_INDEX_SHARD_DIRECTORY_H_
#define PEAT_INDEX_SHARD_DIRECTORY_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "index/bucket_table.h"

namespace peat::index {

struct alignas(64) DirectoryLine {
  std::array<std::atomic<uint64_t>, 8> tables = {};
};

class DirectoryRef final {
 public:
  explicit DirectoryRef(uint64_t bits) : bits_(bits) {}
  DirectoryRef(DirectoryLine* lines, uint32_t depth)
      : bits_(reinterpret_cast<uintptr_t>(lines) | depth) {}

  uint64_t bits() const { return bits_; }
  bool is_null() const { return bits_ == 0; }
  uint32_t depth() const { return static_cast<uint32_t>(bits_ & 63); }
  uint64_t table_count() const { return uint64_t{1} << depth(); }
  DirectoryLine* lines() const {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a pointer with bits to spare
    return reinterpret_cast<DirectoryLine*>(bits_ & ~uint64_t{63});
  }
  uint64_t line_count() const { return (table_count() + 7) / 8; }
  std::atomic<uint64_t>& operator[](uint64_t number) const {
    return reinterpret_cast<std::atomic<uint64_t>*>(lines())[number];
  }
  uint64_t NumberOf(uint32_t tag) const { return tag >> (kTagBits - depth()); }

 private:
  uint64_t bits_;
};

}  // namespace peat::index

#endif  // PEAT_INDEX_SHARD_DIRECTORY_H_
