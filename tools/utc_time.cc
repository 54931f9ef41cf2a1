#include "tools/utc_time.h"

#include <array>

#include "absl/time/time.h"

namespace peat::tools {
namespace {

struct TimeForm {
  const char* format;
  absl::Duration precision;
};

MaskTime ToMaskTime(absl::Time time) {
  return MaskTime(std::chrono::microseconds(absl::ToUnixMicros(time)));
}

}  // namespace

std::string FormatUtc(MaskTime time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ",
                          absl::FromUnixMicros(time.time_since_epoch().count()),
                          absl::UTCTimeZone());
}

absl::StatusOr<MaskTimeSpan> ParseUtc(const std::string& text) {
  const std::array<TimeForm, 3> forms = {
      {{"%Y-%m-%d", absl::Hours(24)},
       {absl::RFC3339_sec, absl::Seconds(1)},
       {absl::RFC3339_full, absl::Microseconds(1)}}};
  const absl::Time end =
      absl::FromCivil(absl::CivilYear(10'000), absl::UTCTimeZone());
  for (const TimeForm& form : forms) {
    absl::Time time;
    if (!absl::ParseTime(form.format, text, &time, nullptr)) continue;
    if (time < absl::UnixEpoch() || time >= end) break;
    return MaskTimeSpan{
        .first = ToMaskTime(time),
        .last = ToMaskTime(time + form.precision - absl::Microseconds(1))};
  }
  return absl::InvalidArgumentError(
      "not a date (2026-11-22) or time (2026-11-22T20:22:13Z) from 1970 on");
}

}  // namespace peat::tools
