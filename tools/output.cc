#include "tools/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <string_view>

#include "format/status_macros.h"

namespace peat::tools {
namespace {

constexpr size_t kOutputBufferSize = size_t{1} << 16U;

std::string output_buffer;
bool is_closed = false;

// 0, or the number of the error.
int WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = write(descriptor, bytes.data(), bytes.size());
    if (size >= 0) {
      bytes.remove_prefix(static_cast<size_t>(size));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return errno;
    pollfd wanted{.fd = descriptor, .events = POLLOUT, .revents = 0};
    if (poll(&wanted, 1, -1) < 0 && errno != EINTR) return errno;
  }
  return 0;
}

// Whoever looks at it sees each line as it comes.
bool IsTerminal() {
  static const bool kIsTerminal = isatty(STDOUT_FILENO) == 1;
  return kIsTerminal;
}

}  // namespace

void IgnoreClosedPipes() {
  // Fails only for signals that do not exist.
  (void)std::signal(SIGPIPE, SIG_IGN);
}

absl::Status WriteOutput(std::string_view bytes) {
  if (!is_closed) {
    output_buffer.append(bytes);
    if (output_buffer.size() >= kOutputBufferSize || IsTerminal()) {
      PEAT_RETURN_IF_ERROR(FlushOutput());
    }
  }
  if (is_closed) return absl::CancelledError("nobody reads the output");
  return absl::OkStatus();
}

absl::Status FlushOutput() {
  const int error_number =
      is_closed ? 0 : WriteAll(STDOUT_FILENO, output_buffer);
  output_buffer.clear();
  if (error_number == 0) return absl::OkStatus();
  if (error_number == EPIPE) {
    is_closed = true;
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(error_number, "write standard output");
}

void WriteError(std::string_view bytes) {
  (void)WriteAll(STDERR_FILENO, bytes);
}

bool OutputIsClosed() { return is_closed; }

}  // namespace peat::tools
