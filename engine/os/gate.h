// Whether a store may still be used, for what may outlive it: cursors and
// views. They hold no guard between calls, so Close() never waits for them;
// each call takes one and then asks here.
//
// Thread-safe.

#ifndef PEAT_ENGINE_OS_GATE_H_
#define PEAT_ENGINE_OS_GATE_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "engine/os/fork.h"
#include "index/epoch.h"

namespace peat::engine {

class Gate final {
 public:
  // The store is closing: whoever asks from now on is refused; who asked
  // before, under an epoch guard, may go on until that ends.
  void Close() { closed_.store(true, std::memory_order_seq_cst); }

  bool is_open() const {
    return !closed_.load(std::memory_order_acquire) && !is_foreign();
  }
  // True in a process that was forked from the one that opened the store.
  bool is_foreign() const { return fork_generation_ != ForkGeneration(); }

  // Why it is not open.
  absl::Status WhyNot() const {
    return absl::FailedPreconditionError(
        is_foreign() ? "the store was opened before this process was forked"
                     : "the store is closed");
  }

 private:
  const uint64_t fork_generation_ = ForkGeneration();
  std::atomic<bool> closed_{false};
};

// One visit to a store by what may outlive it: an epoch guard, and whether the
// gate was open once it was taken. Then the store is there until it ends.
class [[nodiscard]] Visit final {
 public:
  explicit Visit(const Gate& gate) : is_inside_(gate.is_open()) {}
  bool is_inside() const { return is_inside_; }

 private:
  const index::EpochGuard guard_;  // before the gate is asked
  const bool is_inside_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_GATE_H_
