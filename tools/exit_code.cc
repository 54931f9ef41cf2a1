#include "tools/exit_code.h"

#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "peat/masks.h"
#include "tools/escape.h"
#include "tools/output.h"

namespace peat::tools {

ExitCode Fail(const absl::Status& status) {
  // A reader that has had enough.
  if (absl::IsCancelled(status) && OutputIsClosed()) return ExitCode::kOk;
  if (IsDisabled(status) || IsForgotten(status)) {
    Complain(std::string(status.message()));
    return ExitCode::kRefused;
  }
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      Complain(status.message().empty() ? "no such key"
                                        : std::string(status.message()));
      return ExitCode::kNotFound;
    case absl::StatusCode::kInvalidArgument:
      Complain(std::string(status.message()));
      return ExitCode::kUsage;
    default:
      Complain(absl::StrFormat("%s (%s)", std::string(status.message()),
                               absl::StatusCodeToString(status.code())));
      return ExitCode::kFailed;
  }
}

void Complain(std::string_view message) {
  // It may name a file, or whatever else somebody has chosen.
  WriteError(absl::StrFormat("peat: %s\n", Printable(message)));
}

void ComplainOfLine(uint64_t count, uint64_t line, std::string_view what) {
  constexpr uint64_t kComplaintsMax = 10;
  if (count > kComplaintsMax) return;
  Complain(absl::StrFormat("line %d: %s", line, what));
}

}  // namespace peat::tools
