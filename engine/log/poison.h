// The first failure of a write or sync of log or manifest, kept for ever.
//
// After such a failure it is not known what is on disk, so the store stays
// readable and every later write gets the first error. A sync is never retried:
// the kernel may report success for pages that it has dropped.
//
// Thread-safe.

#ifndef PEAT_ENGINE_LOG_POISON_H_
#define PEAT_ENGINE_LOG_POISON_H_

#include <atomic>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "index/mutex.h"

namespace peat::engine {

class Poison {
 public:
  // Keeps the first call's `cause`. Returns what status() returns.
  absl::Status Set(const absl::Status& cause) ABSL_LOCKS_EXCLUDED(mutex_);

  bool is_set() const { return is_set_.load(std::memory_order_acquire); }

  // FailedPrecondition with the first cause; OK if there is none. Minted anew
  // for each caller, since a shared absl::Status is counted inside a library
  // that ThreadSanitizer cannot see.
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable index::Mutex mutex_;
  std::string cause_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> is_set_{false};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_POISON_H_
