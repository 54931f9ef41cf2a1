// What every system call of engine/os/ needs: a status for its errno, a retry
// after a signal, an owner for its descriptor.
//
// Used inside engine/os/ only. Safe from any thread.

#ifndef PEAT_ENGINE_OS_POSIX_CALL_H_
#define PEAT_ENGINE_OS_POSIX_CALL_H_

#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "format/check.h"

namespace peat::engine {

// The status of `error` as file_system.h's table has it, saying
// "<call> <name>: No space left on device".
absl::Status PosixStatus(int error, std::string_view call,
                         std::string_view name);

// Calls until the result is not EINTR.
template <typename Call>
auto RetryOnSignal(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

// Owns a file descriptor, which is never that of standard input, output or
// error: OpenDescriptor() makes it. Movable; externally synchronised.
class Descriptor final {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {
    PEAT_CHECK(fd < 0 || fd > STDERR_FILENO);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() { Close(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }

  // Async-signal-safe. An error is of no interest: close makes nothing durable,
  // and Linux frees the descriptor whatever it returns.
  void Close();

 private:
  int fd_ = -1;
};

// Owns the descriptor that `open` returns; not open, with errno set, if that
// fails. Every call of engine/os/ that makes a descriptor is made here: a
// process may have been started with 0, 1 or 2 closed, the kernel gives their
// numbers to whatever is opened next, and what the program then prints to its
// standard error would be written into a segment. So what is closed of them is
// occupied first, by a descriptor that can neither be read nor written and
// stays; moving the file's own would leave a moment in which it can be hit.
Descriptor OpenDescriptor(absl::FunctionRef<int()> open);

// Opens `name` in `directory`, or fails; the descriptor is of a regular file,
// closed on exec, and was not reached through a symbolic link. `flags` as of
// openat. A file that O_CREAT|O_EXCL creates has mode 0600 whatever the umask.
// Never hangs, whatever kind of file has the name.
//
// Returns the errno, or 0. A file of another kind is reported as `kNotRegular`.
inline constexpr int kNotRegular = -1;
int OpenRegular(int directory, const std::string& name, int flags,
                Descriptor* out);

// While it lives, a call that would grow a file over RLIMIT_FSIZE fails with
// EFBIG only: the SIGXFSZ that comes with it, which would end the process, is
// held back and taken away. The signal's disposition is the application's and
// stays as it is, and so does a SIGXFSZ that was pending before.
class SizeSignalBlock final {
 public:
  SizeSignalBlock();
  SizeSignalBlock(const SizeSignalBlock&) = delete;
  SizeSignalBlock& operator=(const SizeSignalBlock&) = delete;
  ~SizeSignalBlock();

 private:
  sigset_t signal_ = {};
  sigset_t mask_before_ = {};
  bool was_pending_ = false;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_POSIX_CALL_H_
