// Which process of a line of forks this is.
//
// A forked child shares its parent's lock file and not its mappings, so a store
// that was opened before the fork must not be used in the child: each public
// call compares the generation it was opened in with today's and fails with
// FailedPrecondition if they differ.
//
// Safe from any thread. A child made without pthread_atfork handlers (vfork, a
// raw clone) is not noticed: such a child may only exec.

#ifndef PEAT_ENGINE_OS_FORK_H_
#define PEAT_ENGINE_OS_FORK_H_

#include <atomic>
#include <cstdint>

namespace peat::engine {

namespace internal {
// Written only by the fork handler in posix_lock.cc, in a child that has one
// thread, hence relaxed.
inline constinit std::atomic<uint64_t> fork_generation = 0;
}  // namespace internal

// 0 in the process that loaded the library, one more in each forked child.
inline uint64_t ForkGeneration() {
  return internal::fork_generation.load(std::memory_order_relaxed);
}

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_FORK_H_
