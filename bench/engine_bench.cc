// The store against the physical costs of what it does, on one machine, in one
// run: Peat and its floor take turns, and what counts is the median of the
// ratios of the pairs, since machines drift by more than what is measured.
// (That is why this is no Google Benchmark program: it has no pairs.)
//
//   engine_bench calls   [--keys N] [--rounds R]   put, get, miss, multi-get
//   engine_bench threads [--keys N] [--rounds R]   one and two threads
//   engine_bench flush   [--rounds R]              one and eight writers
//   engine_bench pauses  [--keys N]                percentiles of single puts
//   engine_bench memory  [--keys N]                bytes a key while it grows
//   engine_bench reopen  [--keys N] [--rounds R]   after kill -9, warm and cold
//
// All take --directory (default: a new one in the present directory). Keys are
// 16 random-looking bytes, values 100. Each line ends with the bar it is held
// to.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/floors.h"
#include "peat/store.h"

namespace peat::bench {
namespace {

constexpr size_t kKeySize = 16;
constexpr size_t kValueSize = 100;
constexpr size_t kRecordSize = 144;  // as the log takes them

struct Arguments {
  uint64_t keys = 10'000'000;
  int rounds = 9;
  std::string directory = "engine_bench.tmp";
};

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "engine_bench: %s\n",
               std::string(status.message()).c_str());
  std::exit(1);
}

class Key {
 public:
  explicit Key(uint64_t number) {
    const std::array<uint64_t, 2> words = {Scatter(number), Scatter(~number)};
    static_assert(sizeof(words) == kKeySize);
    std::memcpy(bytes_, words.data(), kKeySize);
  }
  operator std::string_view() const {  // NOLINT(google-explicit-constructor)
    return {bytes_, kKeySize};
  }

 private:
  char bytes_[kKeySize];
};

const std::string& Value() {
  static const std::string value(kValueSize, 'v');
  return value;
}

std::string Path(const Arguments& arguments, const char* name) {
  return arguments.directory + "/" + name;
}

std::unique_ptr<Store> OpenStore(const std::string& path) {
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(path);
  Check(store.status());
  return *std::move(store);
}

void Load(Store& store, uint64_t begin, uint64_t end) {
  for (uint64_t i = begin; i < end; ++i) Check(store.Put(Key(i), Value()));
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Nanoseconds per call of one thing, round by round.
using Series = std::vector<double>;

void Row(const char* name, const Series& series, const Series& floor,
         const char* floor_name, double bar) {
  Series ratios;
  for (size_t i = 0; i < series.size(); ++i) {
    ratios.push_back(series[i] / floor[i]);
  }
  std::printf("| %-26s | %8.0f | %8.0f | %-34s | %5.2f | %5.2f | %s |\n", name,
              Median(series), Median(floor), floor_name, Median(ratios), bar,
              Median(ratios) <= bar ? "yes" : "NO");
}

void Header() {
  std::printf(
      "| %-26s | %8s | %8s | %-34s | %5s | %5s | met |\n"
      "|---|--:|--:|---|--:|--:|---|\n",
      "call", "ns", "floor ns", "floor", "ratio", "bar");
}

Series Combine(const Series& a, double factor, const Series& b) {
  Series sum;
  for (size_t i = 0; i < a.size(); ++i) {
    sum.push_back(factor * a[i] + b[i]);
  }
  return sum;
}

// --- calls

struct Calls {
  Series append, one_read, two_reads;
  Series put_new, overwrite, get, miss, multi_get;
};

double Nanoseconds(uint64_t count, const std::function<void()>& work) {
  const double begin = Now();
  work();
  return (Now() - begin) / static_cast<double>(count) * 1e9;
}

void MultiGetRound(const Store& store, uint64_t count, uint64_t keys,
                   uint64_t seed) {
  constexpr size_t kGroup = 64;
  std::vector<Key> owned;
  std::vector<std::string_view> views;
  std::vector<Lookup> results(kGroup);
  for (uint64_t i = 0; i + kGroup <= count; i += kGroup) {
    owned.clear();
    views.clear();
    for (size_t j = 0; j < kGroup; ++j) {
      owned.emplace_back(Scatter(seed + i + j) % keys);
    }
    views.assign(owned.begin(), owned.end());
    Check(store.MultiGet(views, results));
    for (const Lookup& result : results) Check(result.status);
  }
}

void CallsRound(const Arguments& arguments, Store& store, int round,
                const AnonymousSet& index_sized, const FileSet& data_sized,
                Calls* calls) {
  const uint64_t count = arguments.keys / 20;
  const uint64_t keys = arguments.keys;
  const uint64_t seed = static_cast<uint64_t>(round) << 40;
  const uint64_t fresh = keys + static_cast<uint64_t>(round) * count;
  std::string value;
  const std::string record(kRecordSize, 'r');
  {
    MappedLog log(arguments.directory, count * kRecordSize);
    calls->append.push_back(Nanoseconds(count, [&] {
      for (uint64_t i = 0; i < count; ++i) {
        log.Append(record.data(), kRecordSize);
      }
    }));
  }
  calls->put_new.push_back(
      Nanoseconds(count, [&] { Load(store, fresh, fresh + count); }));
  calls->one_read.push_back(
      Nanoseconds(count, [&] { ChainedReads(count, index_sized, nullptr); }));
  calls->overwrite.push_back(Nanoseconds(count, [&] {
    for (uint64_t i = 0; i < count; ++i) {
      Check(store.Put(Key(Scatter(seed + i) % keys), Value()));
    }
  }));
  calls->two_reads.push_back(Nanoseconds(
      count, [&] { ChainedReads(count, index_sized, &data_sized); }));
  calls->get.push_back(Nanoseconds(count, [&] {
    for (uint64_t i = 0; i < count; ++i) {
      Check(store.Get(Key(Scatter(seed + i) % keys), &value));
    }
  }));
  calls->miss.push_back(Nanoseconds(count, [&] {
    for (uint64_t i = 0; i < count; ++i) {
      if (store.Get(Key(~(seed + i)), &value).ok()) std::abort();
    }
  }));
  calls->multi_get.push_back(
      Nanoseconds(count, [&] { MultiGetRound(store, count, keys, seed); }));
}

void RunCalls(const Arguments& arguments) {
  const std::unique_ptr<Store> store = OpenStore(Path(arguments, "calls"));
  Load(*store, 0, arguments.keys);
  Check(store->Flush().status());
  const Stats stats = store->GetStats();
  const AnonymousSet index_sized(stats.index_bytes);
  const FileSet data_sized(arguments.directory, stats.used_bytes);
  Calls calls;
  for (int round = 0; round < arguments.rounds; ++round) {
    CallsRound(arguments, *store, round, index_sized, data_sized, &calls);
  }
  Header();
  Row("put, new key", calls.put_new, Combine(calls.append, 4, calls.one_read),
      "4 appends + 1 read", 1);
  Row("put, overwrite", calls.overwrite,
      Combine(calls.append, 4, calls.two_reads), "4 appends + 2 chained reads",
      1);
  Row("get", calls.get, calls.two_reads, "2 chained reads", 1.4);
  Row("miss", calls.miss, calls.one_read, "1 chained read", 1.4);
  Row("multi-get of 64, per key", calls.multi_get, calls.get, "get", 0.45);
  std::printf("\nbare append %.0f ns, one read %.0f ns, two reads %.0f ns\n",
              Median(calls.append), Median(calls.one_read),
              Median(calls.two_reads));
  std::printf("used %.3f of keys plus values (bar 1.25); spare %.1f MiB\n",
              static_cast<double>(stats.used_bytes) /
                  static_cast<double>(arguments.keys * (kKeySize + kValueSize)),
              static_cast<double>(stats.spare_bytes) / (1 << 20));
}

// --- threads

double Parallel(int threads, const std::function<void(int)>& work) {
  const double begin = Now();
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back(work, i);
  for (std::thread& thread : running) thread.join();
  return Now() - begin;
}

// How much more two threads do than one, of the same work each.
double Gain(const std::function<void(int)>& work) {
  const double one = Parallel(1, work);
  return 2 * one / Parallel(2, work);
}

void RunThreads(const Arguments& arguments) {
  const std::unique_ptr<Store> store = OpenStore(Path(arguments, "threads"));
  const uint64_t keys = arguments.keys;
  Load(*store, 0, keys);
  Check(store->Flush().status());
  const uint64_t count = keys / 10;
  const Stats stats = store->GetStats();
  const AnonymousSet index_sized(stats.index_bytes);
  const FileSet data_sized(arguments.directory, stats.used_bytes);
  Series reads, bare_reads, writes, bare_writes;
  const std::string record(kRecordSize, 'r');
  for (int round = 0; round < arguments.rounds; ++round) {
    bare_reads.push_back(
        Gain([&](int) { ChainedReads(count, index_sized, &data_sized); }));
    reads.push_back(Gain([&](int thread) {
      std::string value;
      const uint64_t seed = static_cast<uint64_t>(thread + 2 * round) << 40;
      for (uint64_t i = 0; i < count; ++i) {
        Check(store->Get(Key(Scatter(seed + i) % keys), &value));
      }
    }));
    bare_writes.push_back(Gain([&](int) {
      MappedLog log(arguments.directory, count * kRecordSize);
      for (uint64_t i = 0; i < count; ++i) {
        log.Append(record.data(), kRecordSize);
      }
    }));
    writes.push_back(Gain([&](int thread) {
      const uint64_t seed = static_cast<uint64_t>(thread + 2 * round) << 40;
      for (uint64_t i = 0; i < count; ++i) {
        Check(store->Put(Key(Scatter(seed + i) % keys), Value()));
      }
    }));
  }
  std::printf(
      "two threads over one: reads %.2f (bare loop %.2f; bar 1.7, or "
      "0.9 of the bare loop)\n",
      Median(reads), Median(bare_reads));
  std::printf(
      "two threads over one: writes %.2f (bare loop %.2f; bar 1.3, or "
      "0.9 of the bare loop)\n",
      Median(writes), Median(bare_writes));
}

// --- flush

void RunFlush(const Arguments& arguments) {
  const std::unique_ptr<Store> store = OpenStore(Path(arguments, "flush"));
  constexpr int kPairs = 200;
  const std::string record(kRecordSize, 'r');
  MappedLog log(arguments.directory, size_t{64} << 20);
  Series flush, floor;
  uint64_t number = 0;
  for (int round = 0; round < arguments.rounds; ++round) {
    Series flushes, floors;
    for (int i = 0; i < kPairs; ++i) {
      floors.push_back(Nanoseconds(1, [&] {
        log.Append(record.data(), kRecordSize);
        log.Sync();
      }));
      flushes.push_back(Nanoseconds(1, [&] {
        Check(store->Put(Key(number++), Value()));
        Check(store->Flush().status());
      }));
    }
    flush.push_back(Median(flushes));
    floor.push_back(Median(floors));
  }
  Header();
  Row("put + flush", flush, floor, "mapped store + fdatasync", 1.3);
  Series gains;
  for (int round = 0; round < arguments.rounds; ++round) {
    const auto rate = [&](int threads) {
      constexpr int kEach = 400;
      std::atomic<uint64_t> next{number};
      const double seconds = Parallel(threads, [&](int) {
        for (int i = 0; i < kEach; ++i) {
          Check(store->Put(Key(next++), Value()));
          Check(store->Flush().status());
        }
      });
      number = next;
      return threads * kEach / seconds;
    };
    const double one = rate(1);
    gains.push_back(rate(8) / one);
  }
  std::printf("\n8 writers flush %.1f times as many puts as 1 (bar 4)\n",
              Median(gains));
}

// --- pauses

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

// Loads a store in a process that kills itself.
void LoadAndDie(const std::string& path, uint64_t keys) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const std::unique_ptr<Store> store = OpenStore(path);
    Load(*store, 0, keys);
    kill(getpid(), SIGKILL);
  }
  int how = 0;
  waitpid(child, &how, 0);
  if (!WIFSIGNALED(how)) std::exit(1);
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

int Main(int argc, char** argv) {
  CLI::App app("Peat against the physical costs of what it does");
  Arguments arguments;
  app.add_option("--keys", arguments.keys, "Keys in the store");
  app.add_option("--rounds", arguments.rounds, "Paired rounds");
  app.add_option("--directory", arguments.directory, "Where to write");
  app.require_subcommand(1);
  app.fallthrough();
  const std::array<std::pair<const char*, void (*)(const Arguments&)>, 6> all =
      {{{"calls", RunCalls},
        {"threads", RunThreads},
        {"flush", RunFlush},
        {"pauses", RunPauses},
        {"memory", RunMemory},
        {"reopen", RunReopen}}};
  for (const auto& [name, run] : all) app.add_subcommand(name);
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(arguments.directory);
  for (const auto& [name, run] : all) {
    if (app.got_subcommand(name)) run(arguments);
  }
  std::filesystem::remove_all(arguments.directory);
  return 0;
}

}  // namespace
}  // namespace peat::bench

int main(int argc, char** argv) { return peat::bench::Main(argc, argv); }
