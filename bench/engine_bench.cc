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
//   engine_bench reopen  [--keys N] [--rounds R]   after kill -9, warm and
//   cold,
//                                                  without an index image
//   engine_bench restart [--keys N] [--rounds R]   with one
//   engine_bench snapshots [--keys N] [--rounds R] what saving the index costs
//   engine_bench masks   [--keys N] [--rounds R]   forget, list, memory
//   engine_bench overwrites [--masks]              to count instructions of
//
// All take --directory (default: a new one in the present directory). Keys are
// 16 random-looking bytes, values 100. Each line ends with the bar it is held
// to.

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

#include "bench/workload.h"

namespace peat::bench {
namespace {

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

int Main(int argc, char** argv) {
  CLI::App app("Peat against the physical costs of what it does");
  Arguments arguments;
  app.add_option("--keys", arguments.keys, "Keys in the store");
  app.add_option("--rounds", arguments.rounds, "Paired rounds");
  app.add_option("--directory", arguments.directory, "Where to write");
  app.add_flag("--masks", arguments.masks, "Mask a tenth of the keys");
  app.require_subcommand(1);
  app.fallthrough();
  const std::array<std::pair<const char*, void (*)(const Arguments&)>, 10> all =
      {{{"calls", RunCalls},
        {"threads", RunThreads},
        {"flush", RunFlush},
        {"pauses", RunPauses},
        {"memory", RunMemory},
        {"reopen", RunReopen},
        {"restart", RunRestart},
        {"snapshots", RunSnapshots},
        {"masks", RunMasks},
        {"overwrites", RunOverwrites}}};
  for (const auto& [name, run] : all) app.add_subcommand(name);
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(arguments.directory);
  for (const auto& [name, run] : all) {
    if (app.got_subcommand(name)) run(arguments);
  }
  if (!app.got_subcommand("overwrites")) {
    std::filesystem::remove_all(arguments.directory);
  }
  return 0;
}

}  // namespace
}  // namespace peat::bench

int main(int argc, char** argv) { return peat::bench::Main(argc, argv); }
