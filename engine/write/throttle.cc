#include "engine/write/throttle.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "format/check.h"

namespace peat::engine {
namespace {

// A KiB costs so much at the limit: one writer writes 6 MB a second then. Half
// way from danger to limit, where the output of a compaction may come on top, a
// quarter of it; beyond the limit more.
constexpr double kPriceAtLimit = 160'000;
constexpr double kDepthMax = 4;

// Shorter waits are gathered, since to fall asleep takes as long.
constexpr uint64_t kWaitMin = 50'000;
constexpr uint64_t kWaitMax = 1'000'000;

}  // namespace

void Throttle::Update(uint64_t used_bytes, const SpaceLimits& limits) {
  PEAT_DCHECK(limits.danger < limits.limit);
  if (used_bytes <= limits.danger) return Release();
  const double depth =
      std::min(static_cast<double>(used_bytes - limits.danger) /
                   static_cast<double>(limits.limit - limits.danger),
               kDepthMax);
  nanoseconds_per_kib_.store(
      static_cast<uint64_t>(kPriceAtLimit * depth * depth),
      std::memory_order_relaxed);
}

void Throttle::PayInTime(uint64_t bytes, uint64_t price) {
  const uint64_t share = std::min(bytes * price / 1024, kWaitMax);
  const uint64_t debt =
      debt_nanoseconds_.fetch_add(share, std::memory_order_relaxed) + share;
  if (debt < kWaitMin) return;
  const uint64_t wait = std::min(
      debt_nanoseconds_.exchange(0, std::memory_order_relaxed), kWaitMax);
  waited_nanoseconds_.fetch_add(wait, std::memory_order_relaxed);
  std::this_thread::sleep_for(std::chrono::nanoseconds(wait));
}

}  // namespace peat::engine
