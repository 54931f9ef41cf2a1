// How those who follow the log hear that it has gone on: an event count. They
// take the count, look at the log, and wait only if the count is still the
// same; so nothing that is told after the look is missed, and nobody polls.
//
// Thread-safe. Nothing is done under its lock. May outlive the store.

#ifndef PEAT_ENGINE_LOG_LOG_SIGNAL_H_
#define PEAT_ENGINE_LOG_LOG_SIGNAL_H_

#include <chrono>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "index/mutex.h"

namespace peat::engine {

class LogSignal final {
 public:
  // How often it has been told so far.
  uint64_t count() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const index::MutexLock lock(&mutex_);
    return count_;
  }

  // Wakes everybody who waits.
  void Tell() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      const index::MutexLock lock(&mutex_);
      ++count_;
    }
    told_.SignalAll();
  }

  // Returns once it has been told more often than `count` times, or after
  // `wait`.
  void Await(uint64_t count, std::chrono::nanoseconds wait)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto deadline = std::chrono::steady_clock::now() + wait;
    const index::MutexLock lock(&mutex_);
    while (count_ == count) {
      const auto left = deadline - std::chrono::steady_clock::now();
      if (left <= left.zero()) return;
      (void)told_.WaitFor(&mutex_, left);
    }
  }

 private:
  mutable index::Mutex mutex_;
  index::CondVar told_;
  uint64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_LOG_SIGNAL_H_
