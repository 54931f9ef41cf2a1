#include "tools/command_line.h"

#include <CLI/CLI.hpp>

#include "tools/commands.h"

namespace peat::tools {
namespace {

constexpr const char* kCommandFooter =
    "Exit codes: 0 done, 1 no such key, not as checked, or findings, 2 command "
    "line or\ninput not allowed, 3 cannot open, read or write, 4 refused: the "
    "key is disabled or\nforgotten.\n"
    "`peat COMMAND --help` has examples. Use -- before a key that begins with "
    "a dash.";

}  // namespace

ExitCode RunCommandLine(int argc, const char* const* argv) {
  ExitCode exit_code = ExitCode::kOk;
  CLI::App app("Peat: a log-structured key-value store in a directory", "peat");
  app.set_version_flag("--version", "peat " PEAT_VERSION);
  // At most one, so that a key may be named like a command.
  app.require_subcommand(1, 1);
  app.footer(kCommandFooter);
  AddPut(app, exit_code);
  AddGet(app, exit_code);
  AddDelete(app, exit_code);
  AddDisable(app, exit_code);
  AddEnable(app, exit_code);
  AddForget(app, exit_code);
  AddLoad(app, exit_code);
  AddAudit(app, exit_code);
  AddScan(app, exit_code);
  AddExport(app, exit_code);
  AddStats(app, exit_code);
  AddCompact(app, exit_code);
  AddCheckpoint(app, exit_code);
  AddRestore(app, exit_code);
  AddDump(app, exit_code);
  AddRepair(app, exit_code);
  AddVerify(app, exit_code);
  AddInspect(app, exit_code);
  AddMap(app, exit_code);
  AddManual(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ExitCode::kOk : ExitCode::kUsage;
  }
  return exit_code;
}

}  // namespace peat::tools
