#include "engine/compact/compaction_loop.h"

#include <algorithm>
#include <optional>

namespace peat::engine {
namespace {

using std::chrono::milliseconds;

// After a failure, such as a full disk.
constexpr milliseconds kRestAfterFailure{1000};

// The clock may be set.
constexpr milliseconds kExpiryWaitMax{60'000};

// Readers leave within a call.
constexpr milliseconds kRestForReaders{5};

}  // namespace

bool CompactionLoop::Run() {
  const auto now = config_->now();
  if (now < not_before_) {
    run_after_(std::chrono::duration_cast<milliseconds>(not_before_ - now) +
               milliseconds(1));
    return is_able_;
  }
  const uint64_t written_before = compactor_->counters().written_bytes;
  const absl::StatusOr<Compactor::Step> step = compactor_->RunOnce();
  is_able_ = step.ok();
  if (!step.ok()) {
    RestFor(kRestAfterFailure);
    return false;
  }
  if (*step == Compactor::Step::kWaiting) RestFor(kRestForReaders);
  if (*step != Compactor::Step::kDone) {
    WaitForExpiry();
    return true;
  }
  const uint64_t written =
      compactor_->counters().written_bytes - written_before;
  const uint64_t rate = config_->compaction_bytes_per_second;
  RestFor(milliseconds(rate == 0 ? 0 : 1000 * written / rate));
  return true;
}

void CompactionLoop::WaitForExpiry() {
  const std::optional<milliseconds> until = compactor_->UntilExpiry();
  if (!until.has_value()) return;
  const milliseconds wait = std::min(*until, kExpiryWaitMax);
  const auto at = config_->now() + wait;
  // One that is asked for already comes first.
  if (expiry_at_ > config_->now() && expiry_at_ <= at) return;
  expiry_at_ = at;
  run_after_(wait + milliseconds(1));
}

void CompactionLoop::RestFor(milliseconds rest) {
  not_before_ = config_->now() + rest;
  run_after_(rest);
}

}  // namespace peat::engine
