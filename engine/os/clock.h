// The clock of the machine, cheaply: within a few milliseconds of the truth,
// for whoever asks the precise one only when those would matter.
//
// Safe from any thread.

#ifndef PEAT_ENGINE_OS_CLOCK_H_
#define PEAT_ENGINE_OS_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace peat::engine {

// Microseconds since 1970-01-01 UTC, as of the kernel's last tick. No system
// call: the kernel keeps it in memory that every process can read.
inline uint64_t CoarseWallClock() {
  timespec time = {};
  (void)::clock_gettime(CLOCK_REALTIME_COARSE, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000 +
         static_cast<uint64_t>(time.tv_nsec) / 1'000;
}

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_CLOCK_H_
