#include "tools/input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "format/check.h"
#include "format/status_macros.h"

namespace peat::tools {
namespace {

constexpr size_t kInputBufferSize = size_t{1} << 18U;

// When nothing has come for so long, the input pauses.
constexpr int kPauseMilliseconds = 20;
// How long an interruption can stay unnoticed that came right before the wait.
constexpr int kLookMilliseconds = 100;

}  // namespace

Input::Input(int descriptor) : descriptor_(descriptor) {
  buffer_.resize(kInputBufferSize);
}

absl::Status Input::Await() {
  bool was_told = watch_.on_pause == nullptr;
  pollfd wanted{.fd = descriptor_, .events = POLLIN, .revents = 0};
  for (;;) {
    if (watch_.is_interrupted != nullptr && watch_.is_interrupted()) {
      // What has come is read, once: a pipe holds no more than the buffer.
      const bool has_more = !is_drained_ && poll(&wanted, 1, 0) > 0;
      is_drained_ = true;
      return has_more ? absl::OkStatus() : absl::CancelledError("interrupted");
    }
    const int patience =
        watch_.is_interrupted != nullptr ? kLookMilliseconds : -1;
    const int ready =
        poll(&wanted, 1, was_told ? patience : kPauseMilliseconds);
    // Also at its end, and when it cannot be read: read() tells.
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) {
      return absl::ErrnoToStatus(errno, "wait for the input");
    }
    if (ready < 0 || was_told) continue;
    was_told = true;
    PEAT_RETURN_IF_ERROR(watch_.on_pause());
  }
}

absl::StatusOr<bool> Input::Fill() {
  PEAT_CHECK(unread_.empty());
  const bool is_watched =
      watch_.on_pause != nullptr || watch_.is_interrupted != nullptr;
  if (is_watched) PEAT_RETURN_IF_ERROR(Await());
  for (;;) {
    const ssize_t size = read(descriptor_, buffer_.data(), buffer_.size());
    if (size >= 0) {
      unread_ = std::string_view(buffer_.data(), static_cast<size_t>(size));
      bytes_read_ += unread_.size();
      return size > 0;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      return absl::ErrnoToStatus(errno, "read the input");
    }
    PEAT_RETURN_IF_ERROR(Await());
  }
}

InputBuffer::int_type InputBuffer::underflow() {
  const absl::StatusOr<bool> has_more = input_.HasMore();
  if (!has_more.ok()) status_ = has_more.status();
  if (!has_more.ok() || !*has_more) return traits_type::eof();
  part_ = input_.unread();
  input_.Take(part_.size());
  setg(part_.data(), part_.data(), part_.data() + part_.size());
  return traits_type::to_int_type(part_.front());
}

}  // namespace peat::tools
