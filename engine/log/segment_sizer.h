// How large the segments of a store are.
//
// The base follows the live bytes: the power of two at or below a 64th of them,
// so that a compaction moves a small share of the store. Every segment costs an
// allocation, two syncs and a manifest edit, whatever its size, and a fast
// writer waits for them. So the size also follows the rate of rolling: a
// segment that was full within 0.2 s was too small, and the next one is twice
// as large; one that took 2 s or more was larger than it need be. What this
// adds is bounded by an eighth of the live bytes (in a small store, by half of
// what it may use beyond its bound on space) and by 32 MiB, since the log's
// last segment cannot be compacted, whatever is dead in it. docs/decisions/0025
// has the alternatives.
//
// Thread-safe, but for NoteSegment().

#ifndef PEAT_ENGINE_LOG_SEGMENT_SIZER_H_
#define PEAT_ENGINE_LOG_SEGMENT_SIZER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "engine/segment/config.h"

namespace peat::engine {

class SegmentSizer final {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit SegmentSizer(const Config& config) : config_(config) {}

  // Of a store of `live_bytes`, in bytes. By the live bytes alone:
  static uint64_t BaseSize(uint64_t live_bytes, const Config& config);
  // And by the rate of rolling, too; at least the base.
  uint64_t Size(uint64_t live_bytes) const;

  // A further log segment is being prepared at `now`, which means that another
  // one was filled since the last call. Externally synchronised.
  void NoteSegment(TimePoint now, uint64_t live_bytes);

 private:
  const Config& config_;
  // What the rate asks for; 0: nothing. Relaxed: any recent one will do.
  std::atomic<uint64_t> wanted_size_{0};
  std::optional<TimePoint> last_prepared_;  // of NoteSegment()
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_SEGMENT_SIZER_H_
