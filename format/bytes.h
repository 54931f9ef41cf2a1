// Bytes as they lie on disk: views of them, and integers in them.
//
// The only place that knows that Peat's files are little-endian. Pure
// functions, safe from any thread.

#ifndef PEAT_FORMAT_BYTES_H_
#define PEAT_FORMAT_BYTES_H_

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "format/check.h"

namespace peat::format {

static_assert(std::endian::native == std::endian::little,
              "Load and Store copy integers as they are");

using ByteView = std::span<const std::byte>;

inline ByteView AsBytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

// Lives as long as the bytes that `bytes` looks at.
inline std::string_view AsString(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <std::unsigned_integral T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <std::unsigned_integral T>
T Load(ByteView bytes, size_t offset) {
  PEAT_DCHECK(offset + sizeof(T) <= bytes.size());
  return Load<T>(bytes.data() + offset);
}

template <std::unsigned_integral T>
void Store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

// Ask the processor for a cache line, to read or to write it. Always inlined:
// g++ 12 takes a function that only prefetches for one without effect, and
// drops the calls of it before it would inline them.
[[gnu::always_inline]] inline void PrefetchToRead(const void* address) {
  __builtin_prefetch(address);
  asm volatile("");
}
// The same for all lines of [begin, begin + size), if `begin` begins one.
[[gnu::always_inline]] inline void PrefetchToRead(const void* begin,
                                                  size_t size) {
  const auto* const bytes = static_cast<const std::byte*>(begin);
  for (size_t i = 0; i < size; i += 64) PrefetchToRead(bytes + i);
}
[[gnu::always_inline]] inline void PrefetchToWrite(const void* address) {
  __builtin_prefetch(address, 1);
  asm volatile("");
}

template <std::unsigned_integral T>
constexpr T RoundUp(T value, T alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace peat::format

#endif  // PEAT_FORMAT_BYTES_H_
