// What a store counts, in words for people and in JSON for programs.
//
// Pure functions.

#ifndef PEAT_TOOLS_STATS_PRINTER_H_
#define PEAT_TOOLS_STATS_PRINTER_H_

#include <cstdint>
#include <string>

#include "peat/stats.h"
#include "tools/json_bytes.h"

namespace peat::tools {

// "96 B", "24.1 KiB", "3.0 GiB": four digits at most.
std::string WithUnit(uint64_t bytes);

// Lines of at most 80 columns.
std::string StatsText(const Stats& stats);

OrderedJson StatsJson(const Stats& stats);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_STATS_PRINTER_H_
