#include "api/c/call.h"

#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/c/error.h"
#include "format/check.h"
#include "peat/masks.h"
#include "peat/write_batch.h"

namespace peat::c {
namespace {

peat_refusal RefusalOf(const absl::Status& status) {
  if (IsDisabled(status)) return PEAT_DISABLED;
  return IsForgotten(status) ? PEAT_FORGOTTEN : PEAT_NOT_REFUSED;
}

int64_t IndexOf(const absl::Status& status) {
  const std::optional<size_t> operation = FailedOperation(status);
  return operation.has_value() ? static_cast<int64_t>(*operation) : -1;
}

peat_code CodeOf(const absl::Status& status) {
  return static_cast<peat_code>(status.code());
}

}  // namespace

peat_code Report(const absl::Status& status, peat_error** error) {
  const bool is_miss = absl::IsNotFound(status) && status.message().empty();
  if (error == nullptr || is_miss) return CodeOf(status);
  PEAT_DCHECK(!status.ok());
  std::string message(status.message());
  std::string file(FileIn(message));
  *error =
      std::make_unique<peat_error>(peat_error{.code = CodeOf(status),
                                              .refusal = RefusalOf(status),
                                              .index = IndexOf(status),
                                              .message = std::move(message),
                                              .file = std::move(file)})
          .release();
  return CodeOf(status);
}

peat_code ReportException(peat_error** error) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    if (error != nullptr) *error = OutOfMemory();
    return PEAT_RESOURCE_EXHAUSTED;
  } catch (const std::length_error&) {
    if (error != nullptr) *error = OutOfMemory();
    return PEAT_RESOURCE_EXHAUSTED;
  } catch (...) {
    // Nothing here throws anything else.
    return PEAT_INTERNAL;
  }
}

absl::Status CheckBytes(peat_bytes bytes) {
  if (bytes.data != nullptr || bytes.size == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("pointer to %d bytes is NULL", bytes.size));
}

absl::Status CheckBytes(peat_bytes first, peat_bytes second) {
  const absl::Status checked = CheckBytes(first);
  return checked.ok() ? CheckBytes(second) : checked;
}

void Give(PinnedValue from, peat_value* to) {
  static_assert(sizeof(PinnedValue) <= sizeof(to->owner));
  static_assert(alignof(PinnedValue) <= alignof(void*));
  const peat_bytes bytes = Bytes(from);
  to->data = bytes.data;
  to->size = bytes.size;
  std::construct_at(reinterpret_cast<PinnedValue*>(&to->owner),
                    std::move(from));
}

void GiveCopy(std::string from, peat_value* to) {
  const auto owner = std::make_shared<const std::string>(std::move(from));
  Give(PinnedValue(owner, *owner), to);
}

void SetIndex(peat_error* error, int64_t index) {
  if (error != nullptr && error != OutOfMemory()) error->index = index;
}

absl::Status WrongStructSize(size_t size) {
  return absl::InvalidArgumentError(
      absl::StrFormat("struct_size is %d, not the struct's size", size));
}

absl::Status UnknownField(size_t size, size_t known_size) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "struct of %d bytes sets a field that this version does not know (its "
      "own has %d)",
      size, known_size));
}

}  // namespace peat::c

using peat::PinnedValue;

// NOLINTBEGIN(readability-identifier-naming)
void peat_value_free(peat_value* value) {
  if (value == nullptr || value->data == nullptr) return;
  std::destroy_at(std::launder(reinterpret_cast<PinnedValue*>(&value->owner)));
  *value = {};
}
// NOLINTEND(readability-identifier-naming)
