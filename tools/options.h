// Options that more than one subcommand has. What each writes to outlives the
// parsing.

#ifndef PEAT_TOOLS_OPTIONS_H_
#define PEAT_TOOLS_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>

#include "tools/pair_reader.h"
#include "tools/progress.h"

namespace peat::tools {

// --format tsv|jsonl|nul.
void AddFormat(CLI::App& command, PairFormat& format);

// --to NEW, which is required: the directory of a store that is made.
void AddNewStore(CLI::App& command, std::string& path);

// --progress and --no-progress.
void AddProgress(CLI::App& command, Progress::Mode& mode);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OPTIONS_H_
