#include "engine/log/store_clock.h"

#include <algorithm>
#include <utility>

#include "engine/os/clock.h"
#include "format/check.h"

namespace peat::engine {
namespace {

// How far the coarse clock may be from the precise one, and more.
constexpr Millis kCoarseError = 100;

constexpr uint64_t kMicrosInMillis = 1'000;

// Returns the larger of the two, which `*highest` then is.
Millis RaiseTo(std::atomic<Millis>* highest, Millis time) {
  Millis seen = highest->load(std::memory_order_acquire);
  while (time > seen) {
    if (highest->compare_exchange_weak(seen, time, std::memory_order_acq_rel)) {
      return time;
    }
  }
  return seen;
}

}  // namespace

StoreClock::StoreClock(Millis persisted)
    : highest_(persisted), recorded_(persisted), durable_(persisted) {}

void StoreClock::SetSource(const Config& config, std::function<void()> on_due) {
  source_ = config.time_source;
  wall_clock_ = config.wall_clock;
  has_coarse_clock_ = config.has_coarse_clock;
  on_due_ = std::move(on_due);
}

Millis StoreClock::Precise() const {
  return std::min(wall_clock_() / kMicrosInMillis, format::kMillisMax);
}

Millis StoreClock::Peek() const {
  if (source_ == TimeSource::kCaller) return highest();
  return std::max(highest(), Precise());
}

Millis StoreClock::Now() {
  if (source_ == TimeSource::kCaller) return highest();
  const Millis now = Raise(Precise());
  TellIfDue();
  return now;
}

Millis StoreClock::Raise(Millis time) {
  PEAT_DCHECK(time <= format::kMillisMax);
  return RaiseTo(&highest_, time);
}

bool StoreClock::Check(Millis expiry) {
  const Millis highest = highest_.load(std::memory_order_acquire);
  if (expiry <= highest) return true;
  if (source_ == TimeSource::kCaller) return false;
  if (has_coarse_clock_) [[likely]] {
    const Millis coarse = CoarseWallClock() / kMicrosInMillis;
    if (coarse + kCoarseError < expiry) [[likely]] {
      // While what expires is read, its time goes on, too.
      if (coarse >= highest + kRecordEvery && coarse <= format::kMillisMax)
          [[unlikely]] {
        Raise(coarse);
      }
      return false;
    }
  }
  return expiry <= Raise(Precise());
}

void StoreClock::TellDue() {
  // Once for each step, whoever sees it first.
  const Millis due = highest();
  Millis told = told_due_.load(std::memory_order_relaxed);
  if (due < told + kRecordEvery) return;
  if (told_due_.compare_exchange_strong(told, due, std::memory_order_relaxed)) {
    on_due_();
  }
}

Millis StoreClock::TimeToSync() {
  if (highest() == 0) return 0;
  const Millis now =
      source_ == TimeSource::kCaller ? highest() : Raise(Precise());
  return now > durable() ? now : 0;
}

void StoreClock::SetRecorded(Millis time) { RaiseTo(&recorded_, time); }

void StoreClock::SetDurable(Millis time) {
  RaiseTo(&durable_, time);
  RaiseTo(&recorded_, time);
}

}  // namespace peat::engine
