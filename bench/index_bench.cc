// Benchmarks of the index alone: no log, no keys; a candidate's "key" is
// compared by its location. The argument is the number of keys.
//
//   index_bench                       time of one call
//   index_bench --memory [MILLIONS]   resident bytes a key while it fills, and
//                                     the time of the steps of growth
//
// Lookups of hits are chained (each key depends on what the last one found), so
// that they do not overlap in the processor; misses overlap.

#include <benchmark/benchmark.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "index/hash_index.h"

namespace peat::index {
namespace {

// splitmix64: stands for the hash of key `key`.
uint64_t Scatter(uint64_t key) {
  uint64_t x = key + 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

void Put(HashIndex& index, uint64_t key, Location from, Location to) {
  const uint64_t hash = Scatter(key);
  const EpochGuard guard;
  const auto match = [from](Location location) {
    return location == from ? Verdict::kMatch : Verdict::kOther;
  };
  HashIndex::Position position = index.Locate(hash, match);
  const HashIndex::ShardLock lock(index, HashIndex::ShardOf(hash));
  if (!index.IsCurrent(hash, position)) position = index.Locate(hash, match);
  index.Set(hash, position, to);
}

void Add(HashIndex& index, uint64_t key) {
  Put(index, key, Location(), Location::FromBits(key));
}

// Key n lies at location n.
std::unique_ptr<HashIndex> MakeFilled(uint64_t key_count) {
  auto index = std::make_unique<HashIndex>();
  for (uint64_t key = 1; key <= key_count; ++key) {
    Add(*index, key);
    if (index->WantsProvision()) index->Provision();
  }
  return index;
}

// The index of the last benchmark, kept while the next asks for the same size.
HashIndex& Filled(uint64_t key_count) {
  static std::unique_ptr<HashIndex> index;
  if (index == nullptr || index->size() != key_count) {
    index = nullptr;
    index = MakeFilled(key_count);
  }
  return *index;
}

void BM_FindHit(benchmark::State& state) {
  const auto key_count = static_cast<uint64_t>(state.range(0));
  const HashIndex& index = Filled(key_count);
  uint64_t key = 1;
  uint64_t turn = 0;  // without it the chain would soon be a short circle
  for (auto _ : state) {
    key = Scatter(key + ++turn) % key_count + 1;
    const Location wanted = Location::FromBits(key);
    const EpochGuard guard;
    index.Find(Scatter(key), [&](Location location) {
      if (location != wanted) return Verdict::kOther;
      uint64_t found = location.bits();
      benchmark::DoNotOptimize(found);  // so that it is not taken from wanted
      key = found;
      return Verdict::kMatch;
    });
  }
  benchmark::DoNotOptimize(key);
}

void BM_FindMiss(benchmark::State& state) {
  const auto key_count = static_cast<uint64_t>(state.range(0));
  const HashIndex& index = Filled(key_count);
  uint64_t key = key_count + 1;
  uint64_t candidate_count = 0;
  for (auto _ : state) {
    const EpochGuard guard;
    const Verdict verdict = index.Find(Scatter(key), [&](Location) {
      ++candidate_count;
      return Verdict::kOther;
    });
    key += 1 + static_cast<uint64_t>(verdict);
  }
  state.counters["candidates"] = benchmark::Counter(
      static_cast<double>(candidate_count), benchmark::Counter::kAvgIterations);
}

// As MultiGet does: all lines are asked for before the first is looked at.
void BM_FindHitInGroupsOf64(benchmark::State& state) {
  const auto key_count = static_cast<uint64_t>(state.range(0));
  const HashIndex& index = Filled(key_count);
  uint64_t key = 1;
  uint64_t turn = 0;
  while (state.KeepRunningBatch(64)) {
    uint64_t hashes[64];
    const EpochGuard guard;
    for (uint64_t& hash : hashes) {
      key = Scatter(key + ++turn) % key_count + 1;
      hash = Scatter(key);
      index.Prefetch(hash);
    }
    for (const uint64_t hash : hashes) {
      key += index.Peek(hash).bits() & 1;
    }
  }
  benchmark::DoNotOptimize(key);
}

void BM_Overwrite(benchmark::State& state) {
  const auto key_count = static_cast<uint64_t>(state.range(0));
  HashIndex& index = Filled(key_count);
  uint64_t key = 1;
  uint64_t turn = 0;  // without it the chain would soon be a short circle
  for (auto _ : state) {
    key = Scatter(key + ++turn) % key_count + 1;
    Put(index, key, Location::FromBits(key), Location::FromBits(key));
  }
}

void BM_Insert(benchmark::State& state) {
  const auto key_count = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    auto index = std::make_unique<HashIndex>();
    for (uint64_t key = 1; key <= key_count; ++key) {
      Add(*index, key);
      if (!index->WantsProvision()) continue;
      state.PauseTiming();  // a background thread's work
      index->Provision();
      state.ResumeTiming();
    }
    state.PauseTiming();
    index = nullptr;
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_EpochGuard(benchmark::State& state) {
  for (auto _ : state) {
    const EpochGuard guard;
    benchmark::ClobberMemory();
  }
}

BENCHMARK(BM_EpochGuard);
#define PEAT_SIZES ->Arg(100'000)->Arg(1'000'000)->Arg(10'000'000)
BENCHMARK(BM_FindHit) PEAT_SIZES;
BENCHMARK(BM_FindMiss) PEAT_SIZES;
BENCHMARK(BM_FindHitInGroupsOf64) PEAT_SIZES;
BENCHMARK(BM_Overwrite) PEAT_SIZES;
BENCHMARK(BM_Insert)->Unit(benchmark::kMillisecond) PEAT_SIZES;

uint64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t total_pages = 0;
  uint64_t resident_pages = 0;
  file >> total_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

uint64_t CpuNanoseconds() {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<uint64_t>(time.tv_nsec);
}

// CPU times of puts, in classes of 1 us up to 1 ms.
class Histogram {
 public:
  void Add(uint64_t nanoseconds) {
    ++counts_[std::min<uint64_t>(nanoseconds / 1000, counts_.size() - 1)];
    max_ = std::max(max_, nanoseconds);
    ++count_;
  }
  uint64_t Microseconds(double share) const {
    double left = share * static_cast<double>(count_);
    size_t i = 0;
    while (i + 1 < counts_.size() && left > static_cast<double>(counts_[i])) {
      left -= static_cast<double>(counts_[i++]);
    }
    return i + 1;
  }
  uint64_t max() const { return max_; }

 private:
  std::vector<uint64_t> counts_ = std::vector<uint64_t>(1000);
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

// Resident memory per key at every 2 % of growth: the worst of each doubling,
// and what it is at the sizes that other engines are measured at.
void ReportMemory(uint64_t key_count) {
  const std::vector<uint64_t> reported = {5, 7, 10, 14, 20, 28, 40, 50};
  const uint64_t before = ResidentBytes();
  HashIndex index;
  Histogram times;
  std::atomic<bool> is_done = false;
  std::thread background([&] {
    while (!is_done) {
      if (index.WantsProvision()) index.Provision();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  double worst = 0;
  uint64_t next = 1'000'000;
  for (uint64_t key = 1; key <= key_count; ++key) {
    const uint64_t start = CpuNanoseconds();
    Add(index, key);
    times.Add(CpuNanoseconds() - start);
    const bool is_reported =
        key % 1'000'000 == 0 &&
        std::count(reported.begin(), reported.end(), key / 1'000'000) != 0;
    if (key != next && !is_reported) continue;
    if (key == next) next += next / 50;
    const double bytes = static_cast<double>(ResidentBytes() - before) /
                         static_cast<double>(key);
    worst = std::max(worst, bytes);
    if (!is_reported) continue;
    std::printf(
        "%3lu M keys: %.2f bytes a key resident (%.2f by its own count); worst "
        "since the line above %.2f\n",
        key / 1'000'000, bytes,
        static_cast<double>(index.memory_bytes()) / static_cast<double>(key),
        worst);
    worst = 0;
  }
  is_done = true;
  background.join();
  std::printf(
      "CPU time of a put: p99 %lu us, p99.9 %lu us, p99.99 %lu us, max "
      "%.1f us\n",
      times.Microseconds(0.99), times.Microseconds(0.999),
      times.Microseconds(0.9999), static_cast<double>(times.max()) / 1000);
}

}  // namespace
}  // namespace peat::index

int main(int argc, char** argv) {
  if (argc >= 2 && std::string_view(argv[1]) == "--memory") {
    const uint64_t millions =
        argc >= 3 ? std::strtoull(argv[2], nullptr, 10) : 50;
    peat::index::ReportMemory(millions * 1'000'000);
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
