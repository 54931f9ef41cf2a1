#include "tools/offline/finding.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "tools/escape.h"

namespace peat::tools {

const char* NameOf(Severity severity) {
  switch (severity) {
    case Severity::kDamage:
      return "damage";
    case Severity::kFlaw:
      return "flaw";
    case Severity::kNote:
      return "note";
  }
  return "";
}

std::string FindingText(const Finding& finding) {
  std::string text =
      absl::StrFormat("%-6s  %s offset %d", NameOf(finding.severity),
                      Escape(finding.file), finding.offset);
  if (finding.size > 0) text += absl::StrFormat(" size %d", finding.size);
  text += absl::StrFormat("\n  what         %s\n", Printable(finding.what));
  if (!finding.consequence.empty()) {
    text += absl::StrFormat("  consequence  %s\n", finding.consequence);
  }
  if (!finding.remedy.empty()) {
    text += absl::StrFormat("  remedy       %s\n", finding.remedy);
  }
  return text;
}

OrderedJson FindingJson(const Finding& finding) {
  OrderedJson object;
  object["severity"] = NameOf(finding.severity);
  AddBytes(object, "file", finding.file);  // a name may be any bytes
  object["offset"] = finding.offset;
  if (finding.size > 0) object["size"] = finding.size;
  object["what"] = Printable(finding.what);
  object["consequence"] = finding.consequence;
  object["remedy"] = finding.remedy;
  return object;
}

uint64_t CountOf(const Findings& findings, Severity severity) {
  return static_cast<uint64_t>(std::count_if(
      findings.begin(), findings.end(), [severity](const Finding& finding) {
        return finding.severity == severity;
      }));
}

bool HasTrouble(const Findings& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) {
                       return finding.severity != Severity::kNote;
                     });
}

}  // namespace peat::tools
