// What the background does for a store, in two loops around synchronous
// functions that tests call directly:
//
//   RunSupply   keeps a segment prepared, pages touched, the reserve complete
//               and the index's memory provisioned ahead of the writers
//   RunSync     starts writeback behind them, syncs at least every 32 MiB,
//               seals what is rolled, and flushes at intervals if asked to;
//               has the index give back memory that keys have left
//
// A third, compaction, has a loop and workers of its own (compaction_loop.h).
//
// Apart, because a sync may take long and writers must not run out of
// segments meanwhile. Each is called by one thread at a time.

#ifndef PEAT_ENGINE_HOUSEKEEPING_H_
#define PEAT_ENGINE_HOUSEKEEPING_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "engine/log/appender.h"
#include "engine/log/core.h"

namespace peat::engine {

class Housekeeping {
 public:
  explicit Housekeeping(const Core& core) : parts_(core) {}

  void RunSupply();
  void RunSync();

  // A writer has wakened the background. Under kInterval the first unit that
  // is not durable starts the clock, whether or not a worker is free. Cheap;
  // any thread.
  void NoteWrite();

  // Under kInterval, by how much the oldest unit that is not durable has
  // waited longer than the interval. Any thread.
  std::chrono::milliseconds FlushOverdue() const;

  // Tells the throttle how much space is used. Any thread.
  void WatchSpace();

 private:
  // How far the active segment's pages have been touched.
  struct Touched {
    format::SegmentId segment = 0;
    uint64_t end = 0;
  };
  void TouchAhead(const Appender::Progress& progress, uint64_t ahead);
  // Starts to write what lies below `end` to disk.
  // Gets the store's time into the log, or else into the manifest, once a
  // second while it moves.
  void RecordTime();
  static void StartWriteback(LogFile& log, uint64_t end);
  // Under kInterval: flushes when it is time, and sees to it that the next
  // flush comes.
  void FlushAtIntervals();
  // Asks for RunSync when the flush of what was written at `since` is due.
  void AwaitFlush(std::chrono::steady_clock::time_point since);
  void TouchUpTo(const LogFile& file, uint64_t from, uint64_t to);

  const Core& parts_;
  // Of RunSupply.
  Touched touched_;
  uint64_t appended_before_ = 0;
  // Of RunSync.
  std::optional<std::chrono::steady_clock::time_point> awaited_since_;

  // When the oldest unit that is not durable was written, in ticks of the
  // configured clock, or a little later; kClean: there is none. Relaxed: what
  // depends on it is looked at again.
  static constexpr int64_t kClean = INT64_MIN;
  std::atomic<int64_t> dirty_since_{kClean};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_HOUSEKEEPING_H_
