// Man pages and the shell's completion, made of the definitions of the command
// line, so that there is one place that says what a command takes.
//
// Pure functions.

#ifndef PEAT_TOOLS_MANUAL_H_
#define PEAT_TOOLS_MANUAL_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace peat::tools {

// The subcommands that help lists.
std::vector<const CLI::App*> ShownCommands(const CLI::App& root);

// The page peat(1), and the page peat-COMMAND(1) of a subcommand, in troff.
std::string ManPageOfRoot(const CLI::App& root);
std::string ManPageOf(const CLI::App& root, const CLI::App& command);

// Scripts that bash sources, and that zsh and fish find by their names.
std::string BashCompletion(const CLI::App& root);
std::string ZshCompletion(const CLI::App& root);
std::string FishCompletion(const CLI::App& root);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_MANUAL_H_
