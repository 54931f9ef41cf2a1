#include "bench/compare/run.h"

#include <algorithm>
#include <array>
#include <barrier>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "bench/compare/audit.h"
#include "bench/compare/clock.h"
#include "bench/compare/pairs.h"
#include "bench/compare/usage.h"
#include "bench/compare/worker.h"
#include "bench/workload.h"

namespace peat::bench {
namespace {

// Pairs that the audit gets; fewer where each is read from the disk.
constexpr uint64_t kCompared = 30'000;
constexpr uint64_t kComparedCold = 300;

uint64_t TicksOf(double seconds, double tick) {
  return static_cast<uint64_t>(seconds * 1e9 / tick);
}

using Workers = std::vector<std::unique_ptr<Worker>>;

Workers MakeWorkers(const Workload& workload, const RunSetup& setup,
                    double tick) {
  const uint64_t all = workload.fills ? setup.keys : setup.operations;
  const auto threads = static_cast<uint64_t>(setup.threads);
  Workers workers;
  for (int i = 0; i < setup.threads; ++i) {
    // A fill's part ends where the numbers do.
    const uint64_t count =
        (all + threads - 1 - static_cast<uint64_t>(i)) / threads;
    workers.push_back(std::make_unique<Worker>(
        MakeOperations(workload, {.keys = setup.keys,
                                  .operations = count,
                                  .thread = i,
                                  .threads = setup.threads,
                                  .seed = setup.seed}),
        WorkerSetup{.thread = i,
                    .value_size = setup.value_size,
                    .group = workload.group,
                    .ticks_max = TicksOf(setup.seconds, tick)}));
  }
  return workers;
}

// Gets four pairs for each page of 4 KiB that they take, at random, so that an
// engine's own cache holds what it is going to hold; a minute at most. Where
// ranges are asked for, one of them first: an engine may make its order after
// opening.
void WarmUp(Session* session, const Workload& workload, const RunSetup& setup,
            double tick) {
  if (IsOrdered(workload)) {
    session->Scan(Key(0), 1, [](std::string_view, std::string_view) {});
  }
  const Workload gets;
  const uint64_t bytes = setup.keys * (kKeySize + setup.value_size);
  Worker worker(
      MakeOperations(gets, {.keys = setup.keys,
                            .operations = bytes / 1024,
                            .seed = setup.seed + 1}),
      {.value_size = setup.value_size, .ticks_max = TicksOf(60, tick)});
  worker.Work(session);
}

void WorkAll(Engine* engine, const Workers& workers) {
  std::barrier start(static_cast<ptrdiff_t>(workers.size()));
  std::vector<std::thread> threads;
  for (const std::unique_ptr<Worker>& worker : workers) {
    threads.emplace_back([&start, engine, it = worker.get()] {
      const std::unique_ptr<Session> session = engine->NewSession();
      start.arrive_and_wait();
      it->Work(session.get());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

double Rate(uint64_t pairs, const Worker& first, const Worker& last,
            double tick) {
  return static_cast<double>(pairs) /
         (static_cast<double>(last.end() - first.begin()) * tick / 1e9);
}

void Collect(const Workload& workload, const Workers& workers,
             RunResult* result) {
  uint64_t begin = ~uint64_t{0};
  uint64_t end = 0;
  for (const std::unique_ptr<Worker>& worker : workers) {
    result->put_bytes += worker->put_bytes();
    result->wrong += worker->wrong();
    if (workload.split && worker == workers.front()) {
      result->other_rate =
          Rate(worker->pairs(), *worker, *worker, result->tick);
      continue;
    }
    begin = std::min(begin, worker->begin());
    end = std::max(end, worker->end());
    result->operations += worker->pairs();
    result->latency.Merge(worker->latency());
  }
  result->seconds = static_cast<double>(end - begin) * result->tick / 1e9;
  result->rate = static_cast<double>(result->operations) / result->seconds;
}

}  // namespace

Setup EngineSetup(const Workload& workload, const RunSetup& setup) {
  const uint64_t pairs = setup.keys * (kKeySize + setup.value_size);
  return {.directory = setup.directory,
          .keys = setup.keys,
          .value_size = setup.value_size,
          .cache_bytes = setup.cache_bytes > 0
                             ? setup.cache_bytes
                             : 2 * pairs + (uint64_t{256} << 20),
          .threads = setup.threads,
          .ordered = IsOrdered(workload),
          .durable = workload.durable};
}

bool IsPersistent(const EngineInfo& info) {
  return info.survives != Survives::kNothing;
}

RunResult Run(const EngineEntry& entry, const Workload& workload,
              const RunSetup& setup) {
  if (workload.procedure == Procedure::kLoad) return RunLoad(entry, setup);
  if (workload.procedure == Procedure::kReopen) return RunReopen(entry, setup);
  if (workload.procedure == Procedure::kKill) return RunKill(entry, setup);
  RunResult result;
  result.tick = MeasureTick();
  const Workers workers = MakeWorkers(workload, setup, result.tick);
  if (setup.cold) DropCached(setup.directory);
  const uint64_t anonymous_before = AnonymousBytes();
  const uint64_t opening = Nanoseconds();
  std::unique_ptr<Engine> engine = entry.open(EngineSetup(workload, setup));
  result.open_seconds = static_cast<double>(Nanoseconds() - opening) / 1e9;
  const bool is_nothing = entry.info.name == "nothing";
  if (!BeginsEmpty(workload)) {
    const std::unique_ptr<Session> session = engine->NewSession();
    if (!IsPersistent(entry.info) && !is_nothing) {
      LoadPairs(session.get(), setup);
    }
    WarmUp(session.get(), workload, setup, result.tick);
  }
  const uint64_t written_before = WrittenBytes();
  WorkAll(engine.get(), workers);
  result.anonymous_bytes =
      AnonymousBytes() - std::min(anonymous_before, AnonymousBytes());
  Collect(workload, workers, &result);
  if (is_nothing || entry.info.name == "floor") {
    result.wrong = 0;  // They have nothing to compare.
  } else {
    History history;
    for (const auto& worker : workers) history.push_back(worker->done());
    const Audit audit =
        Compare(engine->NewSession().get(), workload, history,
                {.keys = setup.keys,
                 .value_size = setup.value_size,
                 .compared_max = setup.cold ? kComparedCold : kCompared});
    result.audited = audit.compared;
    result.wrong += audit.wrong;
    result.logical_bytes = audit.pair_bytes;
  }
  engine.reset();
  result.written_bytes = WrittenBytes() - written_before;
  result.disk_bytes = DiskBytes(setup.directory);
  result.cached_bytes = CachedBytes(setup.directory);
  return result;
}

}  // namespace peat::bench
