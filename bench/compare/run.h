// One run: one workload on one engine, in this process.
//
//   open -> warm up -> measure -> audit -> close -> result
//
// The loop that is measured makes each key and value, calls the engine, looks
// at every byte that comes back, and reads a clock, whatever the engine. The
// audit then compares what is in the store with what was written, exactly: the
// last version of each number, each counter, each insert.

#ifndef PEAT_BENCH_COMPARE_RUN_H_
#define PEAT_BENCH_COMPARE_RUN_H_

#include <cstdint>
#include <string>

#include "bench/compare/engine.h"
#include "bench/compare/histogram.h"
#include "bench/compare/workload.h"

namespace peat::bench {

struct RunSetup {
  uint64_t keys = 1'000'000;
  uint64_t value_size = 100;
  int threads = 1;
  uint64_t operations = 1'000'000;  // at most, of all threads; fills: all keys
  double seconds = 3600;            // at most
  uint64_t cache_bytes = 0;         // 0: twice the pairs, and 256 MiB
  std::string directory;            // with the pairs, or empty
  uint64_t seed = 1;
  bool cold = false;  // the files leave the page cache first
};

struct RunResult {
  double seconds = 0;       // from the first operation to the last
  uint64_t operations = 0;  // pairs that were asked for or written
  double rate = 0;          // a second
  Histogram latency;        // of calls, in ticks; of gets alone if `split`
  double tick = 0;          // nanoseconds
  double other_rate = 0;    // `split`: overwrites a second

  double open_seconds = 0;       // until the first get has returned
  uint64_t anonymous_bytes = 0;  // the engine's, at the end of the loop
  uint64_t cached_bytes = 0;     // of its files, in the page cache
  uint64_t disk_bytes = 0;       // of its files, once closed
  uint64_t logical_bytes = 0;    // of the pairs that are there
  uint64_t written_bytes = 0;    // to the disk, until closed
  uint64_t put_bytes = 0;        // keys and values that were written
  uint64_t audited = 0;          // pairs compared exactly
  uint64_t wrong = 0;            // what did not come back as it must

  // Of Procedure::kKill.
  uint64_t acknowledged = 0;  // writes, before the kill
  uint64_t lost = 0;          // of these, not there afterwards
};

// Fails (ends the process) where the engine fails.
RunResult Run(const EngineEntry& entry, const Workload& workload,
              const RunSetup& setup);

// What Run() does of Procedure::kLoad, kReopen and kKill.
RunResult RunLoad(const EngineEntry& entry, const RunSetup& setup);
RunResult RunReopen(const EngineEntry& entry, const RunSetup& setup);
RunResult RunKill(const EngineEntry& entry, const RunSetup& setup);

// How the engine of a run is opened.
Setup EngineSetup(const Workload& workload, const RunSetup& setup);

// Inserts all pairs in the order of their numbers, in batches.
void LoadPairs(Session* session, const RunSetup& setup);

// Whether the engine keeps pairs in files, so that a run can begin with those
// of an earlier one.
bool IsPersistent(const EngineInfo& info);

}  // namespace peat::bench

#endif  // PEAT_BENCH_COMPARE_RUN_H_
