// engine_bench's longer parts: single pauses, memory while a store grows, and
// opening it again after kill -9.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <ctime>
#include <filesystem>

#include "bench/workload.h"

namespace peat::bench {

// --- pauses

namespace {

class Pauses {
 public:
  explicit Pauses(uint64_t count) { ticks_.reserve(count); }
  template <typename Work>
  void Time(Work&& work) {
    const uint64_t begin = __rdtsc();
    work();
    ticks_.push_back(static_cast<uint32_t>(
        std::min<uint64_t>(__rdtsc() - begin, UINT32_MAX)));
  }
  void Print(const char* name, double seconds) {
    const double ticks_per_us = TicksPerMicrosecond();
    std::sort(ticks_.begin(), ticks_.end());
    const auto at = [&](double share) {
      const auto index =
          static_cast<size_t>(share * static_cast<double>(ticks_.size() - 1));
      return ticks_[index] / ticks_per_us;
    };
    const auto over =
        ticks_.end() -
        std::lower_bound(ticks_.begin(), ticks_.end(),
                         static_cast<uint32_t>(1000 * ticks_per_us));
    std::printf(
        "| %-16s | %6.0f | %6.2f | %6.2f | %6.1f | %7.1f | %9.1f | %td |\n",
        name, seconds / static_cast<double>(ticks_.size()) * 1e9, at(0.5),
        at(0.99), at(0.999), at(0.9999), at(1), over);
  }

 private:
  static double TicksPerMicrosecond() {
    const double begin = Now();
    const uint64_t ticks = __rdtsc();
    while (Now() - begin < 0.05) {
    }
    return static_cast<double>(__rdtsc() - ticks) / ((Now() - begin) * 1e6);
  }
  std::vector<uint32_t> ticks_;
};

}  // namespace

void RunPauses(const Arguments& arguments) {
  std::printf(
      "| us | mean ns | p50 | p99 | p99.9 | p99.99 | max | over 1 ms |\n"
      "|---|--:|--:|--:|--:|--:|--:|--:|\n");
  for (int round = 0; round < arguments.rounds; ++round) {
    const uint64_t keys = arguments.keys;
    {
      const std::string record(kRecordSize, 'r');
      MappedLog log(arguments.directory, keys * kRecordSize);
      Pauses pauses(keys);
      const double begin = Now();
      for (uint64_t i = 0; i < keys; ++i) {
        pauses.Time([&] { log.Append(record.data(), kRecordSize); });
      }
      pauses.Print("bare append", Now() - begin);
    }
    const std::string path = Path(arguments, "pauses");
    {
      const std::unique_ptr<Store> store = OpenStore(path);
      Pauses pauses(keys);
      const double begin = Now();
      for (uint64_t i = 0; i < keys; ++i) {
        const Key key(i);
        pauses.Time([&] { Check(store->Put(key, Value())); });
      }
      pauses.Print("put, new key", Now() - begin);
    }
    std::filesystem::remove_all(path);
  }
  std::printf("\nbar: p99.99 of put under 250 us at 10 M keys\n");
}

// --- memory

void RunMemory(const Arguments& arguments) {
  const std::unique_ptr<Store> store = OpenStore(Path(arguments, "memory"));
  Check(store->Put(Key(0), Value()));
  const uint64_t before = ResidentBytesWithoutSegments();
  std::printf("| M keys | bytes a key | most on the way |\n|--:|--:|--:|\n");
  uint64_t done = 1;
  for (const uint64_t millions : {5, 7, 10, 14, 20, 28, 40, 50}) {
    const uint64_t target = millions * 1'000'000;
    if (target > arguments.keys) break;
    double most = 0;
    while (done < target) {
      const uint64_t next = std::min(done + 250'000, target);
      Load(*store, done, next);
      done = next;
      if (done < 5'000'000) continue;
      const uint64_t grown = ResidentBytesWithoutSegments() - before;
      most = std::max(most,
                      static_cast<double>(grown) / static_cast<double>(done));
    }
    const uint64_t grown = ResidentBytesWithoutSegments() - before;
    std::printf("| %6lu | %11.2f | %15.2f |\n",
                static_cast<unsigned long>(millions),
                static_cast<double>(grown) / static_cast<double>(done), most);
    std::fflush(stdout);
  }
  std::printf("\nbar: 12 bytes a key at each size\n");
}

// --- reopen

namespace {

// Overwrites `count` pairs of the first `keys`, drawn anew by each seed.
void Overwrite(Store& store, uint64_t keys, uint64_t count, uint64_t seed) {
  for (uint64_t i = 0; i < count; ++i) {
    Check(store.Put(Key(Scatter((seed << 40) + i) % keys), Value()));
  }
}

// Calls write(store) in a process that kills itself.
template <typename Write>
void Die(const std::string& path, Write&& write) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const std::unique_ptr<Store> store = OpenStore(path);
    write(*store);
    kill(getpid(), SIGKILL);
  }
  int how = 0;
  waitpid(child, &how, 0);
  if (!WIFSIGNALED(how)) std::exit(1);
}

// Puts pairs of the numbers up to `keys` in a process that kills itself.
void LoadAndDie(const std::string& path, uint64_t keys) {
  Die(path, [keys](Store& store) { Load(store, 0, keys); });
}

void OverwriteAndDie(const std::string& path, uint64_t keys, uint64_t count,
                     uint64_t seed) {
  Die(path, [&](Store& store) { Overwrite(store, keys, count, seed); });
}
void DropCaches() {
  sync();
  const int descriptor = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
  if (descriptor < 0 || write(descriptor, "3", 1) != 1) {
    std::fprintf(stderr, "engine_bench: cold figures need root\n");
    std::exit(1);
  }
  close(descriptor);
}

void RemoveSnapshots(const std::string& path) {
  for (const auto& file : std::filesystem::directory_iterator(path)) {
    if (file.path().extension() == ".snap") {
      std::filesystem::remove(file.path());
    }
  }
}

// Seconds to open and get one pair; then the store is closed.
double OpenAndGet(const std::string& path, uint64_t keys) {
  const double begin = Now();
  const std::unique_ptr<Store> store = OpenStore(path);
  std::string value;
  if (!store->Get(Key(keys / 2), &value).ok()) std::abort();
  const double seconds = Now() - begin;
  if (store->GetStats().key_count != keys) std::abort();
  return seconds;
}

// Of all threads of the process.
double CpuSeconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

void PrintMilliseconds(const char* what, Series seconds) {
  std::sort(seconds.begin(), seconds.end());
  std::printf("| %-44s | %8.1f | %8.1f | %8.1f |\n", what,
              1e3 * seconds.front(), 1e3 * seconds[seconds.size() / 2],
              1e3 * seconds.back());
}

}  // namespace

void RunRestart(const Arguments& arguments) {
  const std::string path = Path(arguments, "restart");
  const uint64_t keys = arguments.keys;
  std::filesystem::remove_all(path);
  LoadAndDie(path, keys);
  (void)OpenAndGet(path, keys);
  Series clean, killed, amid, without;
  for (int round = 0; round < arguments.rounds; ++round) {
    clean.push_back(OpenAndGet(path, keys));
    // Long enough for the background to save the index meanwhile; where between
    // two snapshots it dies differs from round to round.
    const auto seed = static_cast<uint64_t>(round) + 1;
    OverwriteAndDie(path, keys, keys / 4 + Scatter(seed) % (keys / 4), seed);
    amid.push_back(OpenAndGet(path, keys));
    LoadAndDie(path, keys / 16);
    killed.push_back(OpenAndGet(path, keys));
    RemoveSnapshots(path);
    without.push_back(OpenAndGet(path, keys));
  }
  std::printf("%lu keys; open and first get, milliseconds\n\n",
              static_cast<unsigned long>(keys));
  std::printf("| %-44s | %8s | %8s | %8s |\n", "after", "least", "median",
              "most");
  std::printf("|%s|---------:|---------:|---------:|\n",
              std::string(46, '-').c_str());
  PrintMilliseconds("a close", clean);
  PrintMilliseconds("a close, overwrites of 1/16 and kill -9", killed);
  PrintMilliseconds("kill -9 amid overwrites of 1/4 to 1/2", amid);
  PrintMilliseconds("a close, without the index image", without);
}

void RunSnapshots(const Arguments& arguments) {
  const std::string path = Path(arguments, "snapshots");
  const uint64_t keys = arguments.keys;
  std::filesystem::remove_all(path);
  Load(*OpenStore(path), 0, keys);
  std::array<Series, 2> cpu, wall;
  uint64_t seed = 1;
  uint64_t snapshots = 0;
  for (int round = 0; round < arguments.rounds; ++round) {
    for (const bool is_on : {false, true}) {
      Options options;
      options.background_snapshots = is_on;
      const std::unique_ptr<Store> store = OpenStore(path, options);
      Overwrite(*store, keys, keys / 8, seed++);  // until all is under way
      const double cpu_begin = CpuSeconds();
      const double begin = Now();
      Overwrite(*store, keys, keys, seed++);
      wall[is_on ? 1 : 0].push_back(Now() - begin);
      cpu[is_on ? 1 : 0].push_back(CpuSeconds() - cpu_begin);
      snapshots += store->GetStats().index_image_count;
    }
  }
  std::printf("%lu keys, as many overwrites; %.1f snapshots a round\n\n",
              static_cast<unsigned long>(keys),
              static_cast<double>(snapshots) / arguments.rounds);
  std::printf(
      "| ns an overwrite | without | with | ratio |\n|---|--:|--:|--:|\n");
  const auto print = [keys](const char* what,
                            const std::array<Series, 2>& two) {
    Series ratios;
    for (size_t i = 0; i < two[0].size(); ++i) {
      ratios.push_back(two[1][i] / two[0][i]);
    }
    const double scale = 1e9 / static_cast<double>(keys);
    std::printf("| %-22s | %6.0f | %6.0f | %5.3f |\n", what,
                Median(two[0]) * scale, Median(two[1]) * scale, Median(ratios));
  };
  print("CPU time, all threads", cpu);
  print("wall time", wall);
  std::printf("\nbar: 1.05 of CPU time\n");
}

void RunReopen(const Arguments& arguments) {
  const std::string path = Path(arguments, "reopen");
  Series warm, warm_floor, cold, cold_floor;
  uint64_t bytes = 0;
  for (int round = 0; round < arguments.rounds; ++round) {
    std::filesystem::remove_all(path);
    LoadAndDie(path, arguments.keys);
    const auto reopen = [&] {
      const double begin = Now();
      const std::unique_ptr<Store> store = OpenStore(path);
      const double seconds = Now() - begin;
      if (store->GetStats().key_count != arguments.keys) std::abort();
      return seconds;
    };
    warm.push_back(reopen() * 1e9);
    warm_floor.push_back(ReadAndChecksum(path, &bytes) * 1e9);
    RemoveSnapshots(path);
    DropCaches();
    cold_floor.push_back(ReadAndChecksum(path, &bytes) * 1e9);
    DropCaches();
    cold.push_back(reopen() * 1e9);
  }
  std::printf("%.0f MB in segments\n", static_cast<double>(bytes) / 1e6);
  Header();
  Row("reopen after kill -9, warm", warm, warm_floor, "read and checksum once",
      3.5);
  Row("reopen, cold", cold, cold_floor, "read and checksum once, cold", 1.3);
  std::printf("\nwarm: 1.3 s or 3.5 times the floor\n");
}

}  // namespace peat::bench
