// The time of a store, which never goes back.
//
// It is the larger of its source, the machine's clock or what the program says,
// and of the highest time that the store has seen: that a call was told, or by
// which a key was taken for expired. What was seen is made durable by the next
// sync (a time record in the log, group_commit.h) and by each manifest edit,
// and gets into the log at least once a second while it moves. So what has
// expired before a sync stays so after any crash and with any clock.
//
// A store in which nothing expires, and whose time nobody asks for, has seen
// none: then all of this costs nothing.
//
// Thread-safe. No call waits; none but the functions that SetSource() was given
// makes a system call.

#ifndef PEAT_ENGINE_LOG_STORE_CLOCK_H_
#define PEAT_ENGINE_LOG_STORE_CLOCK_H_

#include <atomic>
#include <cstdint>
#include <functional>

#include "engine/segment/config.h"
#include "engine/segment/key_state.h"
#include "format/record.h"

namespace peat::engine {

using format::Millis;

class StoreClock final {
 public:
  // `persisted` is durable; 0: the store has seen no time.
  explicit StoreClock(Millis persisted);
  StoreClock(const StoreClock&) = delete;
  StoreClock& operator=(const StoreClock&) = delete;

  // Before anything else: whom to ask, by `config`; and what to call, outside
  // of all locks, when a time is to be recorded.
  void SetSource(const Config& config, std::function<void()> on_due);

  TimeSource source() const { return source_; }

  // What time it is. It counts as seen.
  Millis Now();

  // The same, but it counts as seen only once Raise() is told so.
  Millis Peek() const;

  // `time` has been seen. Returns the highest.
  Millis Raise(Millis time);

  // Whether that time has come. If so, that counts as seen. Costs a few
  // nanoseconds, unless it is due within 100 ms.
  bool HasCome(Millis expiry) {
    const bool has_come = Check(expiry);
    TellIfDue();
    return has_come;
  }
  // The same for who holds a lock: tells nobody that a time is to be recorded.
  bool HasComeUnderLock(Millis expiry) { return Check(expiry); }

  // Whether the key of a verified record is absent, since its time has come.
  bool HasExpired(const format::Record& record) {
    return format::Expires(record.header) && HasCome(LiveUntil(record));
  }
  bool HasExpiredUnderLock(const format::Record& record) {
    return format::Expires(record.header) &&
           HasComeUnderLock(LiveUntil(record));
  }

  // Calls what SetSource() was given, if a time is to be recorded.
  void TellIfDue() {
    if (IsDue()) [[unlikely]] {
      TellDue();
    }
  }

  // The highest time seen; 0: none.
  Millis highest() const { return highest_.load(std::memory_order_acquire); }

  // --- Making it durable.

  // What the next sync must make durable: the time now, if any was ever seen
  // and it has moved since; else 0.
  Millis TimeToSync();
  // Whether a second has passed since the last one was recorded.
  bool IsDue() const {
    return highest() >=
           recorded_.load(std::memory_order_relaxed) + kRecordEvery;
  }
  // A record of `time` is in the log.
  void SetRecorded(Millis time);
  // `time` is durable.
  void SetDurable(Millis time);
  Millis durable() const { return durable_.load(std::memory_order_acquire); }

 private:
  static constexpr Millis kRecordEvery = 1'000;

  bool Check(Millis expiry);
  Millis Precise() const;
  void TellDue();

  TimeSource source_ = TimeSource::kSystem;
  std::function<uint64_t()> wall_clock_ = WallClock;
  bool has_coarse_clock_ = true;
  std::function<void()> on_due_ = [] {};

  // Each only grows. Whoever sees a time as highest may rely on nothing else;
  // release and acquire, so that what has expired for one thread has so for
  // every other that it tells.
  std::atomic<Millis> highest_;
  std::atomic<Millis> recorded_;
  std::atomic<Millis> durable_;
  // What on_due_ was called for last.
  std::atomic<Millis> told_due_{0};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_STORE_CLOCK_H_
