// System calls: failures, descriptors, and the signal of the file size limit.

#include "engine/os/posix_call.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include "absl/strings/str_format.h"
#include "format/check.h"

namespace peat::engine {
namespace {

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
      return absl::StatusCode::kResourceExhausted;
    case EIO:
      return absl::StatusCode::kDataLoss;
    case ELOOP:
    case kNotRegular:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::ErrnoToStatusCode(error);
  }
}

void OccupyStandardDescriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    const int lowest = ::open("/", O_PATH | O_CLOEXEC);
    // Another thread was faster.
    if (lowest > STDERR_FILENO) (void)close(lowest);
  }
}

}  // namespace

absl::Status PosixStatus(int error, std::string_view call,
                         std::string_view name) {
  PEAT_CHECK(error != 0);
  if (error == kNotRegular) {
    return absl::Status(
        CodeOf(error),
        absl::StrFormat("%s %s: not a regular file", call, name));
  }
  // ErrnoToStatus knows how to name an errno from any thread.
  const absl::Status named =
      absl::ErrnoToStatus(error, absl::StrFormat("%s %s", call, name));
  return absl::Status(CodeOf(error), named.message());
}

void Descriptor::Close() {
  if (fd_ >= 0) (void)close(fd_);
  fd_ = -1;
}

Descriptor OpenDescriptor(absl::FunctionRef<int()> open) {
  OccupyStandardDescriptors();
  const int fd = RetryOnSignal(open);
  // The program has closed another one just now, or there was none left.
  if (fd < 0 || fd > STDERR_FILENO) return Descriptor(fd);
  const int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int error = errno;
  (void)close(fd);
  errno = error;
  return Descriptor(higher);
}

int OpenRegular(int directory, const std::string& name, int flags,
                Descriptor* out) {
  // O_NONBLOCK: opening a fifo must not wait for its other end.
  const int all_flags = flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  Descriptor fd = OpenDescriptor(
      [&] { return openat(directory, name.c_str(), all_flags, 0600); });
  if (!fd.is_open()) return errno;
  struct stat status = {};
  if (fstat(fd.get(), &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return kNotRegular;
  const bool creates = (flags & O_CREAT) != 0;
  if (creates && (status.st_mode & 07777) != 0600 &&
      fchmod(fd.get(), 0600) != 0) {
    return errno;
  }
  *out = std::move(fd);
  return 0;
}

SizeSignalBlock::SizeSignalBlock() {
  sigset_t pending;
  sigemptyset(&pending);
  PEAT_CHECK(sigpending(&pending) == 0);
  was_pending_ = sigismember(&pending, SIGXFSZ) == 1;
  sigemptyset(&signal_);
  sigaddset(&signal_, SIGXFSZ);
  PEAT_CHECK(pthread_sigmask(SIG_BLOCK, &signal_, &mask_before_) == 0);
}

SizeSignalBlock::~SizeSignalBlock() {
  const int error_before = errno;
  if (!was_pending_) {
    // The kernel sends it to the thread that made the call, before the call
    // returns, so it is here now or it does not come.
    const timespec no_wait = {};
    (void)RetryOnSignal(
        [&] { return sigtimedwait(&signal_, nullptr, &no_wait); });
  }
  PEAT_CHECK(pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr) == 0);
  errno = error_before;
}

}  // namespace peat::engine
