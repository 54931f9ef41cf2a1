// What every function of peat.h does around its call of the store: it checks
// what comes in, turns a status into a code and an error, and stops exceptions.
// Safe from any thread.

#ifndef PEAT_API_C_CALL_H_
#define PEAT_API_C_CALL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/c/peat.h"
#include "peat/pinned_value.h"

namespace peat::c {

// The code of `status`; and `*error`, unless it is null, says what it was.
peat_code Report(const absl::Status& status, peat_error** error);

// The same for the exception that is being handled.
peat_code ReportException(peat_error** error);

// Calls `call`, which returns a status, and reports what it returned.
template <typename Function>
peat_code Call(peat_error** error, const Function& call) noexcept {
  if (error != nullptr) *error = nullptr;
  // No code but that of memory throws; in a caller's language nobody catches.
  try {
    const absl::Status status = call();
    return status.ok() ? PEAT_OK : Report(status, error);
  } catch (...) {
    return ReportException(error);
  }
}

// InvalidArgument if one of `pointers` is null.
template <typename... Pointers>
absl::Status CheckNotNull(const Pointers*... pointers) {
  if (((pointers != nullptr) && ...)) return absl::OkStatus();
  return absl::InvalidArgumentError("pointer is NULL");
}

// InvalidArgument if there is a size and no pointer.
absl::Status CheckBytes(peat_bytes bytes);
absl::Status CheckBytes(peat_bytes first, peat_bytes second);

// Never null, also for no bytes.
inline std::string_view View(peat_bytes bytes) {
  if (bytes.data == nullptr) return "";
  return {static_cast<const char*>(bytes.data), bytes.size};
}

inline peat_bytes Bytes(std::string_view view) {
  return {view.data() == nullptr ? "" : view.data(), view.size()};
}

// Moves `from` into the caller's struct.
void Give(PinnedValue from, peat_value* to);
void GiveCopy(std::string from, peat_value* to);

// Says that `error`, unless it is null, is of place `index` in an array.
void SetIndex(peat_error* error, int64_t index);

absl::Status WrongStructSize(size_t size);
absl::Status UnknownField(size_t size, size_t known_size);

// What is known of a caller's struct, whose first field is its size: zeros if
// it is null. InvalidArgument if it says more than is known.
template <typename Struct>
absl::StatusOr<Struct> Known(const Struct* given) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  Struct known = {};
  if (given == nullptr) return known;
  const size_t size = given->struct_size;
  if (size < sizeof(size_t)) return WrongStructSize(size);
  std::memcpy(&known, given, std::min(size, sizeof(Struct)));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (size_t i = sizeof(Struct); i < size; ++i) {
    if (bytes[i] != 0) return UnknownField(size, sizeof(Struct));
  }
  return known;
}

// InvalidArgument unless `to`, which may be null, says how large it is.
template <typename Struct>
absl::Status CheckRoom(const Struct* to) {
  if (to == nullptr || to->struct_size >= sizeof(size_t)) {
    return absl::OkStatus();
  }
  return WrongStructSize(to->struct_size);
}

// Fills the caller's struct, which CheckRoom() has passed, as far as it goes.
template <typename Struct>
void Fill(const Struct& from, Struct* to) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  if (to == nullptr) return;
  const size_t size = to->struct_size;
  const size_t known_size = std::min(size, sizeof(Struct));
  std::memcpy(to, &from, known_size);
  std::memset(reinterpret_cast<unsigned char*>(to) + known_size, 0,
              size - known_size);
  to->struct_size = size;
}

}  // namespace peat::c

#endif  // PEAT_API_C_CALL_H_
