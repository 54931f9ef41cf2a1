// Random numbers for simulations: one 64-bit seed gives one sequence, on every
// machine and for ever. Not for cryptography. Externally synchronised.

#ifndef PEAT_TESTS_SUPPORT_SIM_RANDOM_H_
#define PEAT_TESTS_SUPPORT_SIM_RANDOM_H_

#include <cstdint>

#include "format/check.h"

namespace peat::testing {

// SplitMix64.
class SimRandom final {
 public:
  explicit SimRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

  // In [0, bound). The bias is below bound / 2^32 for bounds below 2^32.
  uint64_t Below(uint64_t bound) {
    PEAT_DCHECK(bound > 0);
    return Next() % bound;
  }

  // True `eighths` times out of eight.
  bool Chance(uint64_t eighths) { return Below(8) < eighths; }

 private:
  uint64_t state_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SIM_RANDOM_H_
