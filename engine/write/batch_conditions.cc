#include "engine/write/batch_conditions.h"

#include <string>

#include "absl/status/statusor.h"
#include "engine/read/reader.h"
#include "engine/write/batch_status.h"
#include "format/check.h"
#include "format/mask.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

// Whether the value of `record` is `expected`. Reads a value's file only if it
// may be.
absl::StatusOr<bool> HasValue(const format::Record& record,
                              std::string_view expected, const Reader& reader) {
  const std::string_view stored = format::StoredValue(record);
  if ((record.header.flags & format::kFlagValueFile) == 0) {
    return stored == expected;
  }
  PEAT_ASSIGN_OR_RETURN(const format::ValueReference reference,
                        format::DecodeValueReference(stored));
  if (reference.size != expected.size()) return false;
  std::string value;
  PEAT_RETURN_IF_ERROR(reader.CopyReferred(stored, &value));
  return value == expected;
}

absl::StatusOr<bool> Holds(const BatchCondition& condition, KeyState state,
                           const format::Record* record, const Reader& reader) {
  using enum BatchCondition::Kind;
  if (condition.kind == kLsn) {
    return condition.lsn == (record == nullptr ? 0 : record->header.lsn);
  }
  if (state == KeyState::kForgotten) return StatusOf(Ruling::kRefused, state);
  if (condition.kind == kAbsent) return state == KeyState::kAbsent;
  if (!IsReadable(state)) return false;
  return HasValue(*record, condition.value, reader);
}

const char* WhyFailed(BatchCondition::Kind kind) {
  switch (kind) {
    case BatchCondition::Kind::kAbsent:
      return "the key is not absent";
    case BatchCondition::Kind::kValue:
      return "the key does not have this value";
    case BatchCondition::Kind::kLsn:
      return "the newest write of the key is another one";
  }
  PEAT_CHECK(false);
}

}  // namespace

absl::Status CheckCondition(const BatchCondition& condition, size_t index,
                            KeyState state, const format::Record* record,
                            const Reader& reader) {
  PEAT_DCHECK((record == nullptr) == (state == KeyState::kAbsent));
  const absl::StatusOr<bool> holds = Holds(condition, state, record, reader);
  if (!holds.ok()) return WithCondition(holds.status(), index);
  if (*holds) return absl::OkStatus();
  return WithCondition(absl::AbortedError(WhyFailed(condition.kind)), index);
}

}  // namespace peat::engine
