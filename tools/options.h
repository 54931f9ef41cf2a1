// Options that more than one subcommand has. What each writes to outlives the
// parsing.

#ifndef PEAT_TOOLS_OPTIONS_H_
#define PEAT_TOOLS_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/pair_reader.h"
#include "tools/progress.h"

namespace peat::tools {

// --despite-damage: read what is sound of a damaged store.
void AddDespiteDamage(CLI::App& command, bool& despite_damage);

// -e, --escaped-key: KEY and its like on the command line are escaped.
void AddEscaped(CLI::App& command, bool& escaped);

// --format tsv|jsonl|nul.
void AddFormat(CLI::App& command, PairFormat& format);

// --to NEW, which is required: the directory of a store that is made.
void AddNewStore(CLI::App& command, std::string& path);

// KEY..., each word as it is.
CLI::Option* AddKeys(CLI::App& command, std::vector<std::string>& keys);

// An option `name` N, a number in digits: no sign, nothing else, and no more
// than fits.
CLI::Option* AddCount(CLI::App& command, const char* name, uint64_t& count,
                      const char* what);

// --limit N: at most so many. `limit` stays as it is if it is not given.
CLI::Option* AddLimit(CLI::App& command, uint64_t& limit);

// --progress and --no-progress.
void AddProgress(CLI::App& command, Progress::Mode& mode);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OPTIONS_H_
