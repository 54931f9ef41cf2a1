// Standard output of the peat command.
//
// A reader that closes the pipe early, as head does, has had enough: that is no
// failure, and a command that only prints stops then. A full disk is one. A
// pipe that some other program has made non-blocking is waited for.
// Externally synchronised.

#ifndef PEAT_TOOLS_OUTPUT_H_
#define PEAT_TOOLS_OUTPUT_H_

#include <string_view>

#include "absl/status/status.h"

namespace peat::tools {

// Makes writing to a closed pipe an error instead of the process's end. Called
// once, before anything is written.
void IgnoreClosedPipes();

// Writes `bytes`; they may stay in a buffer until FlushOutput(). Cancelled when
// the reader has closed the pipe: whoever only prints returns it, and Fail()
// knows that it is no failure.
absl::Status WriteOutput(std::string_view bytes);

// OK also when nobody reads.
absl::Status FlushOutput();

// Writes all of `bytes` to standard error, as far as that can be.
void WriteError(std::string_view bytes);

// Whether the reader has closed the pipe: nothing more needs to be written.
bool OutputIsClosed();

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OUTPUT_H_
