// The peat command line: every subcommand, and what is said of all of them.

#ifndef PEAT_TOOLS_COMMAND_LINE_H_
#define PEAT_TOOLS_COMMAND_LINE_H_

#include "tools/exit_code.h"

namespace peat::tools {

// Does what the command line asks for, or complains about it. Throws only what
// a library throws by mistake, or without memory. At most one at a time.
ExitCode RunCommandLine(int argc, const char* const* argv);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_COMMAND_LINE_H_
