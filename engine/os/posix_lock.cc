// flock, the registry of locks held in this process, and what a fork does.

#include "engine/os/posix_lock.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mutex>
#include <string_view>

#include "absl/strings/str_format.h"
#include "engine/os/fork.h"
#include "engine/os/lock_holder.h"
#include "engine/os/posix_call.h"
#include "format/check.h"

namespace peat::engine {
namespace {

class PosixDirectoryLock;

// Guards the list of locks and is held over every fork, so that no child is
// made between the open of a lock file and its entry here.
constinit std::mutex registry_mutex;
constinit PosixDirectoryLock* first_lock = nullptr;

struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

FileIdentity IdentityOf(const struct stat& status) {
  return {.device = status.st_dev, .inode = status.st_ino};
}

// A member of the registry, which is a list through the locks themselves: the
// fork handler may not allocate.
class PosixDirectoryLock final : public DirectoryLock {
 public:
  // With the registry locked.
  PosixDirectoryLock(Descriptor fd, FileIdentity identity)
      : fd_(std::move(fd)),
        identity_(identity),
        generation_(ForkGeneration()),
        next_(first_lock) {
    if (next_ != nullptr) next_->previous_ = this;
    first_lock = this;
  }

  ~PosixDirectoryLock() override {
    const std::lock_guard<std::mutex> hold(registry_mutex);
    // The copy of a lock in a forked child: nothing is left of it.
    if (generation_ != ForkGeneration()) return;
    (previous_ != nullptr ? previous_->next_ : first_lock) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
    // Not only closed: a child between its vfork and exec still has a copy.
    (void)flock(fd_.get(), LOCK_UN);
    fd_.Close();
  }

  static bool IsHeld(FileIdentity identity) {
    for (const PosixDirectoryLock* lock = first_lock; lock != nullptr;
         lock = lock->next_) {
      if (lock->identity_ == identity) return true;
    }
    return false;
  }

  // In a forked child: closes every copy and empties the registry.
  static void AbandonAll() {
    for (PosixDirectoryLock* lock = first_lock; lock != nullptr;
         lock = lock->next_) {
      lock->fd_.Close();
    }
    first_lock = nullptr;
  }

 private:
  Descriptor fd_;
  const FileIdentity identity_;
  const uint64_t generation_;
  PosixDirectoryLock* next_;
  PosixDirectoryLock* previous_ = nullptr;
};

void BeforeFork() { registry_mutex.lock(); }

void AfterForkInParent() { registry_mutex.unlock(); }

void AfterForkInChild() {
  PosixDirectoryLock::AbandonAll();
  internal::fork_generation.fetch_add(1, std::memory_order_relaxed);
  registry_mutex.unlock();
}

[[maybe_unused]] const int kHandlersInstalled = [] {
  const int error =
      pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild);
  PEAT_CHECK(error == 0);
  return error;
}();

absl::Status HeldStatus(const std::string& name, std::string_view by) {
  return absl::UnavailableError(
      absl::StrFormat("%s is locked by %s", name, by));
}

constexpr std::string_view kThisProcess = "this process";

// Creates the file if there is none, without opening it: where that has to wait
// for the volume, nothing else waits. What fails shows when it is opened.
void CreateLockFile(int directory, const std::string& name) {
  if (mknodat(directory, name.c_str(), S_IFREG | 0600, 0) != 0) return;
  // The umask may have taken away bits that we need.
  (void)fchmodat(directory, name.c_str(), 0600, 0);
}

// Creates the file with mode 0600 if there is none.
int OpenLockFile(int directory, const std::string& name, Descriptor* out) {
  const int error =
      OpenRegular(directory, name, O_RDWR | O_CREAT | O_EXCL, out);
  if (error != EEXIST) return error;
  return OpenRegular(directory, name, O_RDWR, out);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DirectoryLock>> LockPosixFile(
    int directory, const std::string& name) {
  struct stat status = {};
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    CreateLockFile(directory, name);
  }
  // Of a file that is there, no call below waits for a frozen volume; whoever
  // forks, opens or closes a store on another one would wait along.
  const std::lock_guard<std::mutex> hold(registry_mutex);
  // Asked before the file is opened: with locks of the fcntl kind, closing a
  // second descriptor would drop the lock.
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      PosixDirectoryLock::IsHeld(IdentityOf(status))) {
    return HeldStatus(name, kThisProcess);
  }
  Descriptor fd;
  if (const int error = OpenLockFile(directory, name, &fd); error != 0) {
    return PosixStatus(error, "open", name);
  }
  if (fstat(fd.get(), &status) != 0) return PosixStatus(errno, "fstat", name);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return HeldStatus(name, DescribeLockHolder(status));
    }
    return PosixStatus(errno, "flock", name);
  }
  // Someone may have renamed files in between.
  if (PosixDirectoryLock::IsHeld(IdentityOf(status))) {
    return HeldStatus(name, kThisProcess);
  }
  return std::make_unique<PosixDirectoryLock>(std::move(fd),
                                              IdentityOf(status));
}

}  // namespace peat::engine
