// What must be in the store after a run, and whether it is.
//
// Of one thread.

#ifndef PEAT_BENCH_COMPARE_AUDIT_H_
#define PEAT_BENCH_COMPARE_AUDIT_H_

#include <cstdint>
#include <span>
#include <vector>

#include "bench/compare/engine.h"
#include "bench/compare/workload.h"

namespace peat::bench {

struct Audit {
  uint64_t compared = 0;
  uint64_t wrong = 0;
  uint64_t pair_bytes = 0;  // of all that must be in the store by now
};

// What each thread has done, by its number.
using History = std::vector<std::span<const Operation>>;

struct AuditSetup {
  uint64_t keys = 0;  // at the beginning
  uint64_t value_size = 0;
  uint64_t compared_max = 0;  // pairs of those that were written
};

// Gets pairs and compares each with the version that was written last, and a
// third as many that nobody touched; two threads' last writes of one number are
// both right. An ordered workload's store is also scanned in places, for what a
// scan leaves out.
Audit Compare(Session* session, const Workload& workload,
              const History& history, const AuditSetup& setup);

}  // namespace peat::bench

#endif  // PEAT_BENCH_COMPARE_AUDIT_H_
