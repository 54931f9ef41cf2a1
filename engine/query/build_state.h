// Whether the ordered index of a store is complete: what queries wait for. The
// first of them makes it, if the background has not begun: it would wait for
// the indexes of other stores otherwise, which are made one after the other
// there.
//
// Shared by the store and its queries, which may outlive it. Thread-safe.

#ifndef PEAT_ENGINE_QUERY_BUILD_STATE_H_
#define PEAT_ENGINE_QUERY_BUILD_STATE_H_

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "index/mutex.h"

namespace peat::engine {

class BuildState final {
 public:
  // `build` makes the index and calls End(); it is called once at most, and not
  // after End().
  explicit BuildState(std::function<void()> build) : build_(std::move(build)) {}

  // Makes the index, unless somebody has begun to.
  void BuildOnce() ABSL_LOCKS_EXCLUDED(mutex_);

  // BuildOnce(), then waits for End(), and returns its status: OK when the
  // index is complete. Not to be called under an epoch guard.
  absl::Status Await() ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until nobody is making it; after End() nobody will.
  void AwaitNobody() ABSL_LOCKS_EXCLUDED(mutex_);

  bool is_complete() const {
    return is_complete_.load(std::memory_order_acquire);
  }

  // The index is complete, or never will be. The first call counts.
  void End(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Release: who sees it finds the keys in the index.
  std::atomic<bool> is_complete_{false};
  index::Mutex mutex_;
  index::CondVar ended_;  // the building, or its maker's part in it
  std::function<void()> build_ ABSL_GUARDED_BY(mutex_);  // null: begun
  bool is_building_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_ended_ ABSL_GUARDED_BY(mutex_) = false;
  // In parts, since a shared absl::Status is counted inside a library that
  // ThreadSanitizer cannot see.
  absl::StatusCode code_ ABSL_GUARDED_BY(mutex_) = absl::StatusCode::kOk;
  std::string message_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_QUERY_BUILD_STATE_H_
