// Propagation of absl::Status without exceptions.

#ifndef PEAT_FORMAT_STATUS_MACROS_H_
#define PEAT_FORMAT_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define PEAT_MACRO_CONCAT_INNER(a, b) a##b
#define PEAT_MACRO_CONCAT(a, b) PEAT_MACRO_CONCAT_INNER(a, b)

// Returns from the function if `expression` is not OK. The name is of the line,
// so that the expression may be a lambda that uses the macro too.
#define PEAT_RETURN_IF_ERROR(...)                                       \
  PEAT_RETURN_IF_ERROR_INNER(PEAT_MACRO_CONCAT(peat_status_, __LINE__), \
                             (__VA_ARGS__))

#define PEAT_RETURN_IF_ERROR_INNER(name, expression)  \
  do {                                                \
    if (absl::Status name = expression; !name.ok()) { \
      return name;                                    \
    }                                                 \
  } while (false)

// Assigns the value of a StatusOr, or returns its status from the function:
// PEAT_ASSIGN_OR_RETURN(const Record record, DecodeRecord(bytes));
#define PEAT_ASSIGN_OR_RETURN(target, expression)                           \
  PEAT_ASSIGN_OR_RETURN_INNER(PEAT_MACRO_CONCAT(peat_status_or_, __LINE__), \
                              target, expression)

#define PEAT_ASSIGN_OR_RETURN_INNER(name, target, expression) \
  auto name = (expression);                                   \
  if (!name.ok()) return std::move(name).status();            \
  target = *std::move(name)

#endif  // PEAT_FORMAT_STATUS_MACROS_H_
