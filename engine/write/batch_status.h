// What a refused batch answers: the status of the operation or condition that
// it was refused for, with its place in the batch. Pure functions.

#ifndef PEAT_ENGINE_WRITE_BATCH_STATUS_H_
#define PEAT_ENGINE_WRITE_BATCH_STATUS_H_

#include <cstddef>
#include <optional>

#include "absl/status/status.h"

namespace peat::engine {

// `status`, which must not be OK, with all its payloads; its message names
// operation `index` of the batch, counted from 0.
absl::Status WithOperation(const absl::Status& status, size_t index);

// The index that WithOperation() has noted, if it has.
std::optional<size_t> OperationIn(const absl::Status& status);

// The same for a condition. Conditions are counted by themselves, from 0.
absl::Status WithCondition(const absl::Status& status, size_t index);
std::optional<size_t> ConditionIn(const absl::Status& status);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_WRITE_BATCH_STATUS_H_
