// What is behind a peat_error.

#ifndef PEAT_API_C_ERROR_H_
#define PEAT_API_C_ERROR_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "api/c/peat.h"

// NOLINTNEXTLINE(readability-identifier-naming): the name is C's.
struct peat_error {
  peat_code code = PEAT_UNKNOWN;
  peat_refusal refusal = PEAT_NOT_REFUSED;
  int64_t index = -1;
  std::string message;
  std::string file;
};

namespace peat::c {

// The file that a status's message is about: the first word that is the name of
// a store's file, or a path; empty if there is none.
std::string_view FileIn(std::string_view message);

// The error of no memory, which takes none: it is always there, and
// peat_error_free() leaves it.
peat_error* OutOfMemory();

}  // namespace peat::c

#endif  // PEAT_API_C_ERROR_H_
