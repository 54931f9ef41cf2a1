// Slows writers when the declared bound on space is in danger: each write then
// waits a little, in proportion to its size and to how deep in danger the store
// is. Never stops one: a wait is at most a millisecond.
//
// Thread-safe.

#ifndef PEAT_ENGINE_WRITE_THROTTLE_H_
#define PEAT_ENGINE_WRITE_THROTTLE_H_

#include <atomic>
#include <cstdint>

#include "engine/segment/space_limits.h"

namespace peat::engine {

class Throttle final {
 public:
  // `used_bytes` of segments are used, and compaction does what it can.
  void Update(uint64_t used_bytes, const SpaceLimits& limits);
  // Compaction cannot help now: it makes no sense to wait for it.
  void Release() { nanoseconds_per_kib_.store(0, std::memory_order_relaxed); }

  // After a write of `bytes`; no lock is held. Waits if that must be.
  void Pay(uint64_t bytes) {
    const uint64_t price = nanoseconds_per_kib_.load(std::memory_order_relaxed);
    if (price == 0) [[likely]] {
      return;
    }
    PayInTime(bytes, price);
  }

  // How long all writers together have waited.
  uint64_t waited_nanoseconds() const {
    return waited_nanoseconds_.load(std::memory_order_relaxed);
  }

 private:
  void PayInTime(uint64_t bytes, uint64_t price);

  // All relaxed: writers may see an old price for a while.
  std::atomic<uint64_t> nanoseconds_per_kib_{0};
  std::atomic<uint64_t> debt_nanoseconds_{0};  // not yet waited for
  std::atomic<uint64_t> waited_nanoseconds_{0};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_WRITE_THROTTLE_H_
