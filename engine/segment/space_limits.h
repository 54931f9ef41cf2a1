// How much space a store may use. See compaction_policy.h for the choice.

#ifndef PEAT_ENGINE_SEGMENT_SPACE_LIMITS_H_
#define PEAT_ENGINE_SEGMENT_SPACE_LIMITS_H_

#include <cstdint>

namespace peat::engine {

// Bytes of segments and value files: what is left alone, what puts the bound in
// danger, and the bound.
struct SpaceLimits {
  uint64_t allowance = 0;
  uint64_t danger = 0;
  uint64_t limit = 0;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_SPACE_LIMITS_H_
