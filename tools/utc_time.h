// Times of masks as ISO 8601 has them: 2026-11-22T20:22:13.123456Z.

#ifndef PEAT_TOOLS_UTC_TIME_H_
#define PEAT_TOOLS_UTC_TIME_H_

#include <string>

#include "absl/status/statusor.h"
#include "peat/audit.h"

namespace peat::tools {

// In UTC, with microseconds.
std::string FormatUtc(MaskTime time);

// From `first` to `last`, both inclusive.
struct MaskTimeSpan {
  MaskTime first;
  MaskTime last;
};

// What `text` names: a date its whole day in UTC, a time without a fraction its
// whole second, other times their microsecond. Times need an offset from UTC: Z
// or +01:00. InvalidArgument if it is neither, or not in the years 1970 to
// 9999.
absl::StatusOr<MaskTimeSpan> ParseUtc(const std::string& text);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_UTC_TIME_H_
