// Whether a store may still be used, and who is inside: its calls, and what may
// outlive it, cursors and views. These hold nothing between calls, so Close()
// never waits for them; each call enters and then asks here.
//
// There are two ways in. A Visit is an epoch guard of the store's domain: it
// costs a nanosecond, and what the store retires waits for it. A LongVisit is
// counted under a mutex and holds nothing up but Close(): for calls that last
// as long as a copy of the store does.
//
// Thread-safe.

#ifndef PEAT_ENGINE_OS_GATE_H_
#define PEAT_ENGINE_OS_GATE_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "engine/os/fork.h"
#include "format/check.h"
#include "index/epoch.h"
#include "index/mutex.h"

namespace peat::engine {

class Gate final {
 public:
  // The store is closing: whoever asks from now on is refused; who asked
  // before, under an epoch guard or on a long visit, may go on until that ends.
  void Close() { closed_.store(true, std::memory_order_seq_cst); }

  // Waits for the calls that were inside when it was closed, of this store
  // alone. The caller holds no epoch guard.
  void AwaitLeaving() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      const index::MutexLock lock(&mutex_);
      while (long_visit_count_ != 0) left_.Wait(&mutex_);
    }
    index::Retire(epochs(), [] {});
    index::DrainRetired(epochs());
  }

  bool is_open() const {
    return !closed_.load(std::memory_order_acquire) && !is_foreign();
  }
  // True in a process that was forked from the one that opened the store.
  bool is_foreign() const { return fork_generation_ != ForkGeneration(); }

  // What the guards of the store's calls protect.
  index::EpochDomain* epochs() const { return &epochs_; }

  // Why it is not open.
  absl::Status WhyNot() const {
    return absl::FailedPreconditionError(
        is_foreign() ? "the store was opened before this process was forked"
                     : "the store is closed");
  }

 private:
  friend class LongVisit;

  bool EnterForLong() const ABSL_LOCKS_EXCLUDED(mutex_) {
    if (is_foreign()) return false;  // the mutex may be locked for ever
    const index::MutexLock lock(&mutex_);
    if (!is_open()) return false;
    ++long_visit_count_;
    return true;
  }
  void LeaveAfterLong() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const index::MutexLock lock(&mutex_);
    PEAT_CHECK(long_visit_count_ > 0);
    --long_visit_count_;
    left_.SignalAll();
  }

  const uint64_t fork_generation_ = ForkGeneration();
  std::atomic<bool> closed_{false};
  mutable index::EpochDomain epochs_;
  mutable index::Mutex mutex_;
  mutable index::CondVar left_;
  mutable int long_visit_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One visit to a store by what may outlive it: an epoch guard, and whether the
// gate was open once it was taken. Then the store is there until it ends.
class [[nodiscard]] Visit final {
 public:
  explicit Visit(const Gate& gate)
      : guard_(gate.epochs()), is_inside_(gate.is_open()) {}
  bool is_inside() const { return is_inside_; }

 private:
  const index::EpochGuard guard_;  // before the gate is asked
  const bool is_inside_;
};

// The same for a call that takes long, without a guard: what it reads it keeps
// by other means.
class [[nodiscard]] LongVisit final {
 public:
  explicit LongVisit(const Gate& gate)
      : gate_(gate), is_inside_(gate.EnterForLong()) {}
  LongVisit(const LongVisit&) = delete;
  LongVisit& operator=(const LongVisit&) = delete;
  ~LongVisit() {
    if (is_inside_) gate_.LeaveAfterLong();
  }
  bool is_inside() const { return is_inside_; }

 private:
  const Gate& gate_;
  const bool is_inside_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_GATE_H_
