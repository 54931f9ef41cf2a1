#include "tools/output.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string_view>

namespace peat::tools {
namespace {

bool is_closed = false;

absl::Status WriteError(int error_number) {
  if (error_number == EPIPE) {
    is_closed = true;
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(error_number, "write standard output");
}

}  // namespace

void IgnoreClosedPipes() {
  // Fails only for signals that do not exist.
  (void)std::signal(SIGPIPE, SIG_IGN);
}

absl::Status WriteOutput(std::string_view bytes) {
  errno = 0;
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) {
    return WriteError(errno);
  }
  return absl::OkStatus();
}

absl::Status FlushOutput() {
  errno = 0;
  if (std::fflush(stdout) != 0) return WriteError(errno);
  return absl::OkStatus();
}

bool OutputIsClosed() { return is_closed; }

}  // namespace peat::tools
