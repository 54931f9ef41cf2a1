// What compaction costs and what it holds: the same overwrites with and without
// it, in one run.
//
//   compaction_bench overwrite [--keys N] [--zipfian] [--times T]
//   compaction_bench hot       [--seconds S]     100 keys over and over
//   compaction_bench window    [--keys N]        a sliding window of keys
//   compaction_bench churn     [--keys N]        insert all, delete all
//   compaction_bench insert    [--per-second N]  fast, then slowly
//
// Keys are 16 random-looking bytes, values 100. Write amplification is that of
// compaction alone: bytes appended and rewritten over bytes appended. Space is
// looked at every 100,000 writes.

#include <x86intrin.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/workload.h"

namespace peat::bench {
namespace {

constexpr uint64_t kLookEvery = 100'000;
constexpr std::chrono::microseconds kPause(100);

uint64_t DirectoryBytes(const std::string& path) {
  uint64_t bytes = 0;
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(path, ignored)) {
    const uint64_t size = file.file_size(ignored);
    if (!ignored) bytes += size;
  }
  return bytes;
}

// Numbers below `count`, the lowest drawn most often, with exponent 0.99; then
// scattered. Gray et al., "Quickly generating billion-record synthetic
// databases".
class Zipfian {
 public:
  explicit Zipfian(uint64_t count) : count_(count) {
    for (uint64_t i = 1; i <= count; ++i) {
      zeta_ += 1 / std::pow(static_cast<double>(i), kTheta);
    }
    const double zeta_of_two = 1 + std::pow(0.5, kTheta);
    eta_ = (1 - std::pow(2.0 / static_cast<double>(count), 1 - kTheta)) /
           (1 - zeta_of_two / zeta_);
  }
  uint64_t operator()(uint64_t random) const {
    const double u = static_cast<double>(random >> 11) * 0x1p-53;
    const double uz = u * zeta_;
    if (uz < 1) return 0;
    if (uz < 1 + std::pow(0.5, kTheta)) return 1;
    const auto rank =
        static_cast<uint64_t>(static_cast<double>(count_) *
                              std::pow(eta_ * u - eta_ + 1, 1 / (1 - kTheta)));
    return std::min(rank, count_ - 1);
  }

 private:
  static constexpr double kTheta = 0.99;
  const uint64_t count_;
  double zeta_ = 0;
  double eta_ = 0;
};

struct Setup {
  uint64_t keys = 5'000'000;
  double times = 10;
  double seconds = 60;
  double per_second = 0;
  double amplification = 1.5;
  bool zipfian = false;
  std::string directory = "compaction_bench.tmp";
};

double TicksPerMicrosecond() {
  const double begin = Now();
  const uint64_t ticks = __rdtsc();
  while (Now() - begin < 0.05) {
  }
  return static_cast<double>(__rdtsc() - ticks) / ((Now() - begin) * 1e6);
}

struct Outcome {
  double puts_per_second = 0;
  double p9999 = 0;  // microseconds
  double longest = 0;
  double space_most = 0;     // used over what must stay
  uint64_t beyond_most = 0;  // bytes beyond amplification * what must stay
  uint64_t segment_size = 0;
  Stats stats;
};

std::unique_ptr<Store> OpenAnew(const std::string& path, const Setup& setup,
                                bool compacts) {
  std::filesystem::remove_all(path);
  Options options;
  options.max_space_amplification = setup.amplification;
  options.background_compaction = compacts;
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(path, options);
  Check(store.status());
  return *std::move(store);
}

double Percentile(std::vector<uint32_t>& ticks, double share) {
  const auto at =
      static_cast<size_t>(share * static_cast<double>(ticks.size() - 1));
  std::nth_element(ticks.begin(),
                   ticks.begin() + static_cast<std::ptrdiff_t>(at),
                   ticks.end());
  return ticks[at];
}

void NoteSpace(const Store& store, double amplification, Outcome* outcome) {
  const Stats stats = store.GetStats();
  outcome->space_most =
      std::max(outcome->space_most, stats.space_amplification);
  const double stay =
      static_cast<double>(stats.used_bytes) / stats.space_amplification;
  const double beyond =
      static_cast<double>(stats.used_bytes) - amplification * stay;
  if (beyond > static_cast<double>(outcome->beyond_most)) {
    outcome->beyond_most = static_cast<uint64_t>(beyond);
  }
}

// `write(i)` is timed for each i below `count`.
Outcome Drive(Store& store, uint64_t count, double amplification,
              const std::function<void(uint64_t)>& write) {
  const double ticks_per_us = TicksPerMicrosecond();
  std::vector<uint32_t> ticks;
  ticks.reserve(count);
  Outcome outcome;
  double seconds = 0;
  double begin = Now();
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t before = __rdtsc();
    write(i);
    ticks.push_back(static_cast<uint32_t>(
        std::min<uint64_t>(__rdtsc() - before, UINT32_MAX)));
    if (i % kLookEvery != kLookEvery - 1) continue;
    seconds += Now() - begin;
    NoteSpace(store, amplification, &outcome);
    begin = Now();
  }
  seconds += Now() - begin;
  outcome.puts_per_second = static_cast<double>(count) / seconds;
  outcome.longest = Percentile(ticks, 1) / ticks_per_us;
  outcome.p9999 = Percentile(ticks, 0.9999) / ticks_per_us;
  outcome.stats = store.GetStats();
  return outcome;
}

Outcome Overwrite(const Setup& setup, const std::string& path, bool compacts,
                  const Zipfian* zipfian) {
  const std::unique_ptr<Store> store = OpenAnew(path, setup, compacts);
  Load(*store, 0, setup.keys);
  Check(store->Flush().status());
  const Stats before = store->GetStats();
  const auto count =
      static_cast<uint64_t>(setup.times * static_cast<double>(setup.keys));
  Outcome outcome = Drive(*store, count, setup.amplification, [&](uint64_t i) {
    const uint64_t random = Scatter(i + (uint64_t{1} << 50));
    const uint64_t number = zipfian == nullptr
                                ? random % setup.keys
                                : Scatter((*zipfian)(random)) % setup.keys;
    Check(store->Put(Key(number), Value()));
  });
  outcome.stats.write_amplification =
      1 + static_cast<double>(outcome.stats.compaction_written_bytes -
                              before.compaction_written_bytes) /
              static_cast<double>(outcome.stats.appended_bytes -
                                  before.appended_bytes);
  return outcome;
}

void PrintOutcome(const char* name, const Outcome& outcome) {
  std::printf(
      "| %-18s | %9.0f | %8.1f | %9.1f | %5.2f | %6.3f | %6.1f | %6.2f | "
      "%lu |\n",
      name, outcome.puts_per_second, outcome.p9999, outcome.longest,
      outcome.stats.write_amplification, outcome.space_most,
      static_cast<double>(outcome.beyond_most) / (1 << 20),
      outcome.stats.slowed_seconds,
      static_cast<unsigned long>(outcome.stats.compaction_count));
  std::fflush(stdout);
}

void PrintHead() {
  std::printf(
      "| run | puts/s | p99.99 us | max us | write amp. | most space | MiB "
      "beyond | slowed s | compactions "
      "|\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n");
}

void RunOverwrite(const Setup& setup) {
  const std::string path = setup.directory + "/overwrite";
  std::unique_ptr<Zipfian> zipfian;
  if (setup.zipfian) zipfian = std::make_unique<Zipfian>(setup.keys);
  PrintHead();
  const Outcome without = Overwrite(setup, path, false, zipfian.get());
  PrintOutcome("without", without);
  const Outcome with = Overwrite(setup, path, true, zipfian.get());
  PrintOutcome("with compaction", with);
  std::printf(
      "\nthroughput %.2f of that without (bar 0.60), p99.99 %.2f (bar 3), "
      "max %.2f (bar 3), write amplification %.2f (bar %.1f)\n",
      with.puts_per_second / without.puts_per_second,
      with.p9999 / without.p9999, with.longest / without.longest,
      with.stats.write_amplification, setup.zipfian ? 1.6 : 2.0);
  std::filesystem::remove_all(path);
}

void RunHot(const Setup& setup) {
  const std::string path = setup.directory + "/hot";
  const std::unique_ptr<Store> store = OpenAnew(path, setup, true);
  uint64_t most = 0;
  uint64_t count = 0;
  for (const double end = Now() + setup.seconds; Now() < end;) {
    for (uint64_t i = 0; i < kLookEvery; ++i) {
      Check(store->Put(Key(Scatter(++count) % 100), Value()));
    }
    most = std::max(most, DirectoryBytes(path));
  }
  const Stats stats = store->GetStats();
  std::printf(
      "100 hot keys: %.0f puts/s, directory at most %.0f MiB (bar 1024), "
      "slowed %.1f s of %.0f\n",
      static_cast<double>(count) / setup.seconds,
      static_cast<double>(most) / (1 << 20), stats.slowed_seconds,
      setup.seconds);
}

// Waits until it is time for the i-th step since `begin`.
void Pace(double per_second, double begin, uint64_t i) {
  if (per_second == 0 || i % 256 != 0) return;
  const double due = begin + static_cast<double>(i) / per_second;
  while (Now() < due) std::this_thread::sleep_for(kPause);
}

// A hundredth of the keys stays; of the others as many are deleted as put.
void RunWindow(const Setup& setup) {
  const std::string path = setup.directory + "/window";
  const std::unique_ptr<Store> store = OpenAnew(path, setup, true);
  const uint64_t window = setup.keys;
  Load(*store, 0, window);
  const auto count =
      static_cast<uint64_t>(setup.times * static_cast<double>(window));
  double tombstones_most = 0;
  PrintHead();
  const double begin = Now();
  const Outcome outcome =
      Drive(*store, count, setup.amplification, [&](uint64_t i) {
        Pace(setup.per_second, begin, i);
        if (i % 100 != 0) Check(store->Delete(Key(i)).status());
        Check(store->Put(Key(window + i), Value()));
        if (i % kLookEvery != 0 || i < window) return;
        const Stats stats = store->GetStats();
        const double records = static_cast<double>(stats.key_count) +
                               static_cast<double>(stats.tombstone_bytes) / 40;
        tombstones_most =
            std::max(tombstones_most,
                     static_cast<double>(stats.tombstone_bytes) / 40 / records);
      });
  PrintOutcome("window", outcome);
  std::printf("\ntombstones at most %.1f %% of the records (bar 10)\n",
              100 * tombstones_most);
}

void RunInsert(const Setup& setup) {
  double sizes[2];
  for (const bool is_slow : {false, true}) {
    const std::string path = setup.directory + "/insert";
    std::unique_ptr<Store> store = OpenAnew(path, setup, true);
    const double begin = Now();
    for (uint64_t i = 0; i < setup.keys; ++i) {
      if (is_slow) Pace(setup.per_second, begin, i);
      Check(store->Put(Key(i), Value()));
    }
    const double seconds = Now() - begin;
    Check(store->Close());
    sizes[is_slow ? 1 : 0] = static_cast<double>(DirectoryBytes(path));
    std::printf("inserted in %.1f s: %.1f MiB\n", seconds,
                sizes[is_slow ? 1 : 0] / (1 << 20));
  }
  std::printf("slow over fast %.3f (bar 0.9 to 1.1)\n", sizes[1] / sizes[0]);
}

void RunChurn(const Setup& setup) {
  const std::string path = setup.directory + "/churn";
  const std::unique_ptr<Store> store = OpenAnew(path, setup, true);
  Load(*store, 0, setup.keys);
  Check(store->Flush().status());
  const uint64_t full = DirectoryBytes(path);
  const double begin = Now();
  for (uint64_t i = 0; i < setup.keys; ++i) {
    Check(store->Delete(Key(i)).status());
  }
  Check(store->Flush().status());
  const double deleted = Now();
  uint64_t left = DirectoryBytes(path);
  while (Now() < deleted + 60 && 20 * left > full) {
    left = DirectoryBytes(path);
  }
  std::printf(
      "%.0f MiB full; deleted in %.1f s; %.1f MiB %.1f s later: %.2f %% (bar "
      "5), index %.1f MiB\n",
      static_cast<double>(full) / (1 << 20), deleted - begin,
      static_cast<double>(left) / (1 << 20), Now() - deleted,
      100 * static_cast<double>(left) / static_cast<double>(full),
      static_cast<double>(store->GetStats().index_bytes) / (1 << 20));
}

int Main(int argc, char** argv) {
  Setup setup;
  CLI::App app("What compaction costs and what it holds", "compaction_bench");
  app.require_subcommand(1, 1);
  const auto add = [&](const char* name, void (*run)(const Setup&)) {
    CLI::App* const command = app.add_subcommand(name);
    command->add_option("--keys", setup.keys);
    command->add_option("--times", setup.times);
    command->add_option("--seconds", setup.seconds);
    command->add_option("--per-second", setup.per_second,
                        "steps of window, keys of insert; 0: all speed");
    command->add_option("--amplification", setup.amplification);
    command->add_option("--directory", setup.directory);
    command->add_flag("--zipfian", setup.zipfian);
    command->callback([&setup, run] {
      std::filesystem::create_directories(setup.directory);
      run(setup);
      std::filesystem::remove_all(setup.directory);
    });
  };
  add("overwrite", RunOverwrite);
  add("hot", RunHot);
  add("window", RunWindow);
  add("churn", RunChurn);
  add("insert", RunInsert);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  return 0;
}

}  // namespace
}  // namespace peat::bench

int main(int argc, char** argv) { return peat::bench::Main(argc, argv); }
