#include "engine/log/poison.h"

#include "absl/strings/str_format.h"
#include "engine/segment/seeded_bug.h"

namespace peat::engine {

absl::Status Poison::Set(const absl::Status& cause) {
  if (HasBug(Bug::kPoisonForgotten)) return cause;
  {
    index::MutexLock lock(&mutex_);
    if (!is_set_.load(std::memory_order_relaxed)) {
      cause_ = std::string(cause.message());
      is_set_.store(true, std::memory_order_release);
    }
  }
  return status();
}

absl::Status Poison::status() const {
  if (!is_set()) return absl::OkStatus();
  index::MutexLock lock(&mutex_);
  return absl::FailedPreconditionError(
      absl::StrFormat("writes ended by an earlier failure: %s", cause_));
}

}  // namespace peat::engine
