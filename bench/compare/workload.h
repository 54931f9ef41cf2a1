// What the engines are asked to do: the workloads, and the operations of each,
// made in advance so that choosing a key costs the measured loop nothing.
//
// Pairs are numbered. A store to begin with holds numbers 0 to `keys` - 1, each
// in version 0; what a workload inserts is numbered from `keys` on, and of
// version 0, too. An overwrite's version tells which operation it is.
//
// Pure functions.

#ifndef PEAT_BENCH_COMPARE_WORKLOAD_H_
#define PEAT_BENCH_COMPARE_WORKLOAD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace peat::bench {

enum class Action : uint8_t {
  kInsert,           // a put of a number that is not there
  kOverwrite,        // a put of one that is
  kGet,              // of one that is there
  kMiss,             // a get of one that is not
  kReadModifyWrite,  // a get and a put of one that is there
  kPutIfAbsent,
  kIncrement,  // a get and a put of a counter, which begins at 0
  kScan,
};

struct Operation {
  uint32_t number;
  uint16_t length;  // of a scan, in pairs
  Action action;
};

enum class Choice {
  kUniform,
  kZipfian,  // 0.99, as YCSB has it, scattered over all numbers
  kLatest,   // zipfian, counted back from the newest
};

// How a workload is measured.
enum class Procedure {
  kLoad,        // makes the store that runs begin with; nothing is measured
  kOperations,  // loops of operations
  kReopen,      // open and first get, after a clean close
  kKill,        // the same after SIGKILL, and what is there
};

// Of every hundred operations so many are of each kind; the rest are gets.
struct Workload {
  std::string name;
  Procedure procedure = Procedure::kOperations;
  Choice choice = Choice::kUniform;
  int insert = 0;
  int overwrite = 0;
  int miss = 0;
  int read_modify_write = 0;
  int put_if_absent = 0;  // a tenth of them inserts
  int increment = 0;
  int scan = 0;        // of 1 to 100 pairs
  int group = 1;       // operations in one call: inserts or gets
  bool fills = false;  // begins with no store and ends with `keys` pairs
  bool empty = false;  // begins with no store
  bool durable = false;
  bool split = false;  // of two threads one overwrites and the other gets
};

const std::vector<Workload>& Workloads();

// Null if there is none of that name.
const Workload* FindWorkload(std::string_view name);

bool BeginsEmpty(const Workload& workload);
bool IsOrdered(const Workload& workload);

// A thread's part of a run.
struct Part {
  uint64_t keys = 0;        // in the store at the beginning, or to fill it with
  uint64_t operations = 0;  // of this thread
  int thread = 0;
  int threads = 1;
  uint64_t seed = 0;
};

std::vector<Operation> MakeOperations(const Workload& workload,
                                      const Part& part);

// The version that operation `index` of a thread writes.
inline uint64_t VersionOf(const Operation& operation, int thread,
                          uint64_t index) {
  if (operation.action == Action::kInsert) return 0;
  return (static_cast<uint64_t>(thread + 1) << 40) | (index + 1);
}

}  // namespace peat::bench

#endif  // PEAT_BENCH_COMPARE_WORKLOAD_H_
