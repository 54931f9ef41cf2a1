// manual: writes the man pages and the completion, for the build. Not listed by
// --help.

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "tools/commands.h"
#include "tools/manual.h"

namespace peat::tools {
namespace {

bool WriteText(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  return file.good();
}

ExitCode Run(const CLI::App& root, const std::filesystem::path& directory) {
  bool is_written = WriteText(directory / "peat.1", ManPageOfRoot(root)) &&
                    WriteText(directory / "peat.bash", BashCompletion(root)) &&
                    WriteText(directory / "_peat", ZshCompletion(root)) &&
                    WriteText(directory / "peat.fish", FishCompletion(root));
  for (const CLI::App* command : ShownCommands(root)) {
    is_written &= WriteText(directory / ("peat-" + command->get_name() + ".1"),
                            ManPageOf(root, *command));
  }
  if (is_written) return ExitCode::kOk;
  Complain("cannot write the manual to " + directory.string());
  return ExitCode::kFailed;
}

}  // namespace

void AddManual(CLI::App& app, ExitCode& exit_code) {
  auto directory = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("manual", "Write the man pages");
  command->group("");  // not listed
  command->add_option("DIR", *directory, "Where to")->required();
  command->callback(
      [directory, &app, &exit_code] { exit_code = Run(app, *directory); });
}

}  // namespace peat::tools
