// Standard output of the peat command.
//
// A reader that closes the pipe early, as head does, has had enough: that is
// no failure, and what is written after it goes nowhere. A full disk is one.
// Externally synchronised.

#ifndef PEAT_TOOLS_OUTPUT_H_
#define PEAT_TOOLS_OUTPUT_H_

#include <string_view>

#include "absl/status/status.h"

namespace peat::tools {

// Makes writing to a closed pipe an error instead of the process's end. Called
// once, before anything is written.
void IgnoreClosedPipes();

// Writes `bytes`; they may stay in a buffer until FlushOutput().
absl::Status WriteOutput(std::string_view bytes);

absl::Status FlushOutput();

// Whether the reader has closed the pipe: nothing more needs to be written.
bool OutputIsClosed();

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OUTPUT_H_
