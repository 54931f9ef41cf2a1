// A clock cheap enough to read after each operation: the processor's counter
// of time where there is one, which does not wait for what is under way.
//
// Pure functions.

#ifndef PEAT_BENCH_COMPARE_CLOCK_H_
#define PEAT_BENCH_COMPARE_CLOCK_H_

#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace peat::bench {

inline uint64_t Nanoseconds() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

inline uint64_t Ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return Nanoseconds();
#endif
}

// Nanoseconds a tick. Takes 20 ms.
inline double MeasureTick() {
  const uint64_t begin = Nanoseconds();
  const uint64_t begin_ticks = Ticks();
  uint64_t end = begin;
  while (end - begin < 20'000'000) end = Nanoseconds();
  return static_cast<double>(end - begin) /
         static_cast<double>(Ticks() - begin_ticks);
}

}  // namespace peat::bench

#endif  // PEAT_BENCH_COMPARE_CLOCK_H_
