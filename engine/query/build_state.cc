#include "engine/query/build_state.h"

#include <utility>

#include "format/check.h"

namespace peat::engine {

void BuildState::BuildOnce() {
  std::function<void()> build;
  {
    const index::MutexLock lock(&mutex_);
    if (has_ended_ || build_ == nullptr) return;
    build = std::exchange(build_, nullptr);
    is_building_ = true;
  }
  build();
  const index::MutexLock lock(&mutex_);
  PEAT_CHECK(has_ended_);
  is_building_ = false;
  ended_.SignalAll();
}

void BuildState::AwaitNobody() {
  const index::MutexLock lock(&mutex_);
  while (is_building_) ended_.Wait(&mutex_);
}

absl::Status BuildState::Await() {
  if (is_complete()) [[likely]]
    return absl::OkStatus();
  BuildOnce();
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
