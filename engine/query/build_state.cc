#include "engine/query/build_state.h"

#include <utility>

namespace peat::engine {

absl::Status BuildState::Await() const {
  if (is_complete()) [[likely]]
    return absl::OkStatus();
  const index::MutexLock lock(&mutex_);
  while (!has_ended_) ended_.Wait(&mutex_);
  return {code_, message_};
}

void BuildState::End(const absl::Status& status) {
  const index::MutexLock lock(&mutex_);
  if (std::exchange(has_ended_, true)) return;
  code_ = status.code();
  message_ = std::string(status.message());
  is_complete_.store(status.ok(), std::memory_order_release);
  ended_.SignalAll();
}

}  // namespace peat::engine
