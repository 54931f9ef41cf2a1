// What the peat command's exit codes mean, and how it reports a failure.

#ifndef PEAT_TOOLS_EXIT_CODE_H_
#define PEAT_TOOLS_EXIT_CODE_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace peat::tools {

enum class ExitCode {
  kOk = 0,
  kNotFound = 1,  // no such key, or a check has findings
  kUsage = 2,     // the command line, or a key or value that is not allowed
  kFailed = 3,    // a store or an input cannot be opened, read or written
  kRefused = 4,   // the key is disabled or forgotten
};

// Prints `peat: message` to standard error and returns the code for `status`,
// which is not OK. Keys and values are in no message. That nobody reads the
// output is no failure.
ExitCode Fail(const absl::Status& status);

// Prints `peat: message` to standard error.
void Complain(std::string_view message);

// Prints `peat: line LINE: what`; of a check's complaints, of which this is the
// `count`th, only the first ten.
void ComplainOfLine(uint64_t count, uint64_t line, std::string_view what);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_EXIT_CODE_H_
