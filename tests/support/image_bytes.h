// The file of an index image in memory, as HashIndex::LoadShard() reads it.

#ifndef PEAT_TESTS_SUPPORT_IMAGE_BYTES_H_
#define PEAT_TESTS_SUPPORT_IMAGE_BYTES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "format/bytes.h"

namespace peat::testing {

// `file` must outlive what is made of it.
inline auto ReadsFrom(format::ByteView file) {
  return [file](uint64_t offset, std::span<std::byte> to) {
    if (offset > file.size() || to.size() > file.size() - offset) return false;
    std::ranges::copy(file.subspan(offset, to.size()), to.begin());
    return true;
  };
}

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_IMAGE_BYTES_H_
