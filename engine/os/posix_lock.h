// The lock of a store's directory: one writer among all processes, and one
// within this process.
//
// flock belongs to the open file, which a forked child shares: its unlock would
// be the parent's, and its copy would outlive a dead parent. So a fork handler
// closes the copies in the child at once, without unlocking. And within one
// process a registry keyed by device and inode refuses the second open even
// where flock is emulated with fcntl locks (NFS), which a process always grants
// to itself and loses when it closes any descriptor of the file.
//
// Used by posix_file_system.cc only. Thread-safe.

#ifndef PEAT_ENGINE_OS_POSIX_LOCK_H_
#define PEAT_ENGINE_OS_POSIX_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/os/file_system.h"

namespace peat::engine {

// Directory::Lock for the directory open as `directory`.
absl::StatusOr<std::unique_ptr<DirectoryLock>> LockPosixFile(
    int directory, const std::string& name);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_POSIX_LOCK_H_
