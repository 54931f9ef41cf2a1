#include "engine/log/segment_sizer.h"

#include <algorithm>
#include <bit>

#include "format/check.h"

namespace peat::engine {
namespace {

// A store's share of its live bytes that one segment holds: at least, and
// beside a fast writer.
constexpr uint64_t kSegmentsPerStore = 64;
constexpr uint64_t kSegmentsPerBusyStore = 8;
static_assert(kSegmentsPerBusyStore < kSegmentsPerStore);

// What the rate of rolling can ask for at most.
constexpr uint64_t kBusySizeMax = uint64_t{32} << 20;

// A segment that is full earlier was too small, later too large.
constexpr std::chrono::milliseconds kLifeMin{200};
constexpr std::chrono::milliseconds kLifeMax{2000};

// The most that the rate may ask for in a store of `live_bytes`.
uint64_t BusySizeMax(uint64_t live_bytes, const Config& config) {
  const uint64_t share =
      std::max(live_bytes / kSegmentsPerBusyStore, config.space_extra_min / 2);
  return std::bit_floor(
      std::min({share, kBusySizeMax, config.segment_size_max}));
}

}  // namespace

uint64_t SegmentSizer::BaseSize(uint64_t live_bytes, const Config& config) {
  const uint64_t share = std::bit_floor(live_bytes / kSegmentsPerStore);
  return std::clamp(share, config.segment_size_min, config.segment_size_max);
}

uint64_t SegmentSizer::Size(uint64_t live_bytes) const {
  const uint64_t wanted = wanted_size_.load(std::memory_order_relaxed);
  return std::max(BaseSize(live_bytes, config_),
                  std::min(wanted, BusySizeMax(live_bytes, config_)));
}

void SegmentSizer::NoteSegment(TimePoint now, uint64_t live_bytes) {
  const auto before = last_prepared_;
  last_prepared_ = now;
  if (!before.has_value()) return;
  const uint64_t size = Size(live_bytes);
  PEAT_CHECK(std::has_single_bit(size));
  uint64_t wanted = size;
  if (now - *before < kLifeMin) {
    wanted = std::min(2 * size, BusySizeMax(live_bytes, config_));
  } else if (now - *before > kLifeMax) {
    wanted = size / 2;
  }
  wanted_size_.store(wanted, std::memory_order_relaxed);
}

}  // namespace peat::engine
