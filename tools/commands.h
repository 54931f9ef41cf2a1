// The subcommands of peat. Each function adds one to `app`; when the command
// line names it, it runs during parsing and stores its exit code in
// `exit_code`, which outlives the parsing.

#ifndef PEAT_TOOLS_COMMANDS_H_
#define PEAT_TOOLS_COMMANDS_H_

#include <CLI/CLI.hpp>

#include "tools/exit_code.h"

namespace peat::tools {

void AddPut(CLI::App& app, ExitCode& exit_code);
void AddGet(CLI::App& app, ExitCode& exit_code);
void AddDelete(CLI::App& app, ExitCode& exit_code);
void AddDisable(CLI::App& app, ExitCode& exit_code);
void AddEnable(CLI::App& app, ExitCode& exit_code);
void AddForget(CLI::App& app, ExitCode& exit_code);
void AddLoad(CLI::App& app, ExitCode& exit_code);
void AddAudit(CLI::App& app, ExitCode& exit_code);
void AddScan(CLI::App& app, ExitCode& exit_code);
void AddExport(CLI::App& app, ExitCode& exit_code);
void AddStats(CLI::App& app, ExitCode& exit_code);
void AddTop(CLI::App& app, ExitCode& exit_code);
void AddCompact(CLI::App& app, ExitCode& exit_code);
void AddCheckpoint(CLI::App& app, ExitCode& exit_code);
void AddRestore(CLI::App& app, ExitCode& exit_code);
void AddDump(CLI::App& app, ExitCode& exit_code);
void AddRepair(CLI::App& app, ExitCode& exit_code);
void AddInspect(CLI::App& app, ExitCode& exit_code);
void AddMap(CLI::App& app, ExitCode& exit_code);
void AddManual(CLI::App& app, ExitCode& exit_code);
void AddVerify(CLI::App& app, ExitCode& exit_code);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_COMMANDS_H_
