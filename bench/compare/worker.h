// A thread of a run: its operations, one after the other, each timed.
//
// Of one thread.

#ifndef PEAT_BENCH_COMPARE_WORKER_H_
#define PEAT_BENCH_COMPARE_WORKER_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "bench/compare/engine.h"
#include "bench/compare/histogram.h"
#include "bench/compare/workload.h"

namespace peat::bench {

// What a worker has to know of the run.
struct WorkerSetup {
  int thread = 0;
  uint64_t value_size = 0;
  int group = 1;           // operations in one call
  uint64_t ticks_max = 0;  // for all
};

class Worker final {
 public:
  Worker(std::vector<Operation> operations, const WorkerSetup& setup);

  // Does the operations until there are no more or the time is over.
  void Work(Session* session);

  std::span<const Operation> done() const {
    return std::span(operations_).first(done_);
  }
  const Histogram& latency() const { return latency_; }
  uint64_t begin() const { return begin_; }  // ticks
  uint64_t end() const { return end_; }
  // Values that were not what they must be, or not there, or there.
  uint64_t wrong() const { return wrong_; }
  uint64_t pairs() const { return pairs_; }  // got, written or scanned
  uint64_t put_bytes() const { return put_bytes_; }

 private:
  void Do(Session* session, const Operation& operation, uint64_t index);
  void DoGets(Session* session, std::span<const Operation> group);
  void DoBatch(Session* session, std::span<const Operation> group);
  void Scan(Session* session, const Operation& operation);
  void Put(Session* session, std::string_view key, uint64_t version);
  void Get(Session* session, std::string_view key);
  void Increment(Session* session, std::string_view key);

  const std::vector<Operation> operations_;
  const WorkerSetup setup_;
  std::vector<char> value_;
  Histogram latency_;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
  uint64_t done_ = 0;
  uint64_t wrong_ = 0;
  uint64_t pairs_ = 0;
  uint64_t put_bytes_ = 0;
};

}  // namespace peat::bench

#endif  // PEAT_BENCH_COMPARE_WORKER_H_
