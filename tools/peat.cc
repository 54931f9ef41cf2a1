// peat: stores from the command line.
//
// Only what a process is needed for; see command_line.h.

#include <exception>

#include "tools/command_line.h"
#include "tools/exit_code.h"
#include "tools/output.h"

int main(int argc, char** argv) {
  peat::tools::IgnoreClosedPipes();
  try {
    return static_cast<int>(peat::tools::RunCommandLine(argc, argv));
  } catch (const std::exception& error) {
    // Out of memory, or a mistake in a library.
    peat::tools::Complain(error.what());
    return static_cast<int>(peat::tools::ExitCode::kFailed);
  }
}
