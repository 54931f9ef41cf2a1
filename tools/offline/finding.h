// What the offline commands find wrong with a store: where, what, what follows
// from it, and what to do about it.
//
// Plain values and pure functions.

#ifndef PEAT_TOOLS_OFFLINE_FINDING_H_
#define PEAT_TOOLS_OFFLINE_FINDING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/json_bytes.h"

namespace peat::tools {

enum class Severity {
  kDamage,  // something is lost, or may be, or the store does not open
  kFlaw,    // a copy or a cache is wrong; nothing is lost by it
  kNote,    // as a crash or a running process leaves things: nothing is wrong
};

struct Finding {
  Severity severity = Severity::kDamage;
  std::string file = {};
  uint64_t offset = 0;
  uint64_t size = 0;  // bytes that it is about; 0: not known
  std::string what = {};
  std::string consequence = {};
  std::string remedy = {};
};
using Findings = std::vector<Finding>;

// The remedy of damage to what a store holds.
inline constexpr char kSalvage[] =
    "peat repair DIR --to NEW --salvage keeps what is sound, and lists what is "
    "lost";

// "damage", "flaw" or "note".
const char* NameOf(Severity severity);

// A paragraph of lines, for people.
std::string FindingText(const Finding& finding);
// One object, for programs.
OrderedJson FindingJson(const Finding& finding);

uint64_t CountOf(const Findings& findings, Severity severity);
// Whether there is more than notes.
bool HasTrouble(const Findings& findings);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_FINDING_H_
