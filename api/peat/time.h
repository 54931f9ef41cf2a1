// Time, and when a key ends.
//
// A key whose time has come is absent to every call, from then on and for ever:
// also after a crash, and whatever the clock says then. What it took on the
// disk is given back by compaction.

#ifndef PEAT_API_PEAT_TIME_H_
#define PEAT_API_PEAT_TIME_H_

#include <chrono>
#include <cstdint>
#include <optional>

namespace peat {

// Milliseconds since 1970-01-01 UTC.
using Time = std::chrono::sys_time<std::chrono::milliseconds>;

// How a put ends by itself. At most one of the two may be set
// (InvalidArgument); with neither it never does. A later put of the key has its
// own, or none: nothing is inherited. Disabling a key stops its time, as long
// as it is disabled.
struct PutOptions {
  // From this time on the key is absent: at once if it has come already. After
  // 1970-01-01, and at most 2^53 milliseconds after it (InvalidArgument).
  std::optional<Time> expires_at = {};
  // The same, counted from Store::Now() at the call: more than 0, and the sum
  // within the same bound (InvalidArgument).
  std::optional<std::chrono::milliseconds> expires_after = {};
};

// Who says what time it is in a store.
enum class TimeSource : uint8_t {
  // The machine's clock.
  kSystem,
  // The program, by Store::AdvanceTime(): event time, say, so that a replay of
  // old data does what it did. The machine's clock is not asked.
  kCaller,
};

}  // namespace peat

#endif  // PEAT_API_PEAT_TIME_H_
