// Which process has locked a file, as the kernel tells it in /proc/locks.
//
// Nothing is written to the file for it, so what is said is never out of date,
// and a full disk or a crash has no part in it.
//
// Used by posix_lock.cc only. Safe from any thread.

#ifndef PEAT_ENGINE_OS_LOCK_HOLDER_H_
#define PEAT_ENGINE_OS_LOCK_HOLDER_H_

#include <sys/stat.h>

#include <string>

namespace peat::engine {

// "process 4242 (name)", for a message, of the process whose flock is on the
// file of `status`; "another process" where that cannot be found out: the lock
// has gone since, belongs to another machine or container, or there is no
// /proc.
std::string DescribeLockHolder(const struct stat& status);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_LOCK_HOLDER_H_
