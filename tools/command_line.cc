#include "tools/command_line.h"

#include <CLI/CLI.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "tools/commands.h"
#include "tools/escape.h"
#include "tools/output.h"

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
  AddTop(app, exit_code);
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
    std::ostringstream out;
    std::ostringstream err;
    const bool is_help = app.exit(error, out, err) == 0;
    (void)WriteOutput(out.str());
    (void)FlushOutput();
    // What was given is repeated in it.
    const std::vector<std::string> lines = absl::StrSplit(err.str(), '\n');
    std::string text;
    for (const std::string& line : lines) text += Printable(line) + "\n";
    if (!err.str().empty()) text.pop_back();
    if (!err.str().empty()) WriteError(text);
    return is_help ? ExitCode::kOk : ExitCode::kUsage;
  }
  // What was printed before a failure is wanted, too.
  const absl::Status flushed = FlushOutput();
  if (!flushed.ok() && exit_code == ExitCode::kOk) return Fail(flushed);
  return exit_code;
}

}  // namespace peat::tools
