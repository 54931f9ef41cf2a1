// Queries, beside LMDB and RocksDB on the same pairs in the same run where they
// were there at the build, and beside a store without an ordered index.
//
//   query_bench ranges     50 pairs from a random start, by each store
//   query_bench cold       the same, gets and multi-gets of Peat, from the disk
//   query_bench inserts    new keys with and without order; memory a key; open
//   query_bench scan       everything, in the order of the log and sorted
//   query_bench deletes    a range behind 100,000 deleted keys
//   query_bench views      puts beside an open view
//   query_bench overwrites [--ordered]  for callgrind: see README.md
//
// All take --keys, --rounds, --directory. What counts is the median of the
// ratios of paired rounds. Every value that is listed is read, byte by byte.

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/compare/engine.h"
#include "bench/page_out.h"
#include "bench/workload.h"

namespace peat::bench {
namespace {

constexpr int kRange = 50;

struct QueryArguments : Arguments {
  bool ordered = false;
};

std::unique_ptr<Store> Open(const std::string& path, bool ordered) {
  absl::StatusOr<std::unique_ptr<Store>> store =
      Store::Open(path, {.ordered = ordered});
  Check(store.status());
  return *std::move(store);
}

// Reads all of `value`, as whoever asked for it would.
uint64_t Sum(std::string_view value) {
  uint64_t sum = value.size();
  for (; value.size() >= sizeof(sum); value.remove_prefix(sizeof(sum))) {
    uint64_t word = 0;
    std::memcpy(&word, value.data(), sizeof(word));
    sum += word;
  }
  return sum;
}

double Nanoseconds(uint64_t count, const std::function<void()>& work) {
  const double begin = Now();
  work();
  return (Now() - begin) / static_cast<double>(count) * 1e9;
}

uint64_t Drain(const Store& store, const Query& query, uint64_t* sum) {
  Cursor cursor = store.Scan(query);
  uint64_t count = 0;
  for (; cursor.Valid(); cursor.Next(), ++count) *sum += Sum(cursor.value());
  Check(cursor.status());
  return count;
}

// --- ranges

using Range = std::function<void(std::string_view from)>;

struct Rival {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Session> session;
};

// The pairs that Peat has, in another engine, as the comparison sets it up.
Rival LoadRival(const EngineEntry& entry, const QueryArguments& arguments) {
  const std::string path = Path(arguments, entry.info.name.c_str());
  std::filesystem::create_directories(path);
  Rival rival;
  rival.engine =
      entry.open({.directory = path,
                  .keys = arguments.keys,
                  .value_size = kValueSize,
                  .cache_bytes = 2 * arguments.keys * (kKeySize + kValueSize),
                  .ordered = true});
  rival.session = rival.engine->NewSession();
  constexpr uint64_t kBatch = 1000;
  std::vector<Key> keys;
  std::vector<Pair> pairs;
  for (uint64_t i = 0; i < arguments.keys; i += kBatch) {
    keys.clear();
    pairs.clear();
    for (uint64_t j = i; j < std::min(i + kBatch, arguments.keys); ++j) {
      keys.emplace_back(j);
    }
    for (const Key& key : keys) pairs.push_back({.key = key, .value = Value()});
    rival.session->PutBatch(pairs);
  }
  return rival;
}

void RunRanges(const QueryArguments& arguments) {
  constexpr uint64_t kCount = 20'000;
  const std::unique_ptr<Store> store = Open(Path(arguments, "peat"), true);
  Load(*store, 0, arguments.keys);
  uint64_t sum = 0;
  std::vector<std::pair<std::string, Range>> all;
  all.emplace_back("Peat", [&](std::string_view from) {
    Drain(*store, {.from = std::string(from), .limit = kRange}, &sum);
  });
  all.emplace_back("Peat, keys only", [&](std::string_view from) {
    Drain(*store,
          {.from = std::string(from), .keys_only = true, .limit = kRange},
          &sum);
  });
  all.emplace_back("Peat, no limit set", [&](std::string_view from) {
    Cursor cursor = store->Scan({.from = std::string(from)});
    for (int i = 0; i < kRange && cursor.Valid(); ++i, cursor.Next()) {
      sum += Sum(cursor.value());
    }
  });
  std::vector<Rival> rivals;
  for (const char* name : {"LMDB", "RocksDB"}) {
    const EngineEntry* const entry = FindEngine(name);
    if (entry == nullptr) {
      std::printf("%s was not there at the build\n", name);
      continue;
    }
    rivals.push_back(LoadRival(*entry, arguments));
    all.emplace_back(name, [&sum, it = rivals.back().session.get()](auto from) {
      it->Scan(from, kRange,
               [&sum](auto, std::string_view value) { sum += Sum(value); });
    });
  }
  std::vector<Series> series(all.size());
  for (int round = 0; round < arguments.rounds; ++round) {
    for (size_t i = 0; i < all.size(); ++i) {
      series[i].push_back(Nanoseconds(kCount, [&] {
        for (uint64_t j = 0; j < kCount; ++j) {
          all[i].second(Key(Scatter(j + (static_cast<uint64_t>(round) << 32))));
        }
      }));
    }
  }
  std::printf(
      "| 50 pairs | us | M pairs/s | Peat's pairs/s over its |\n"
      "|---|--:|--:|--:|\n");
  for (size_t i = 0; i < all.size(); ++i) {
    Series ratios;
    for (size_t j = 0; j < series[i].size(); ++j) {
      ratios.push_back(series[i][j] / series[0][j]);
    }
    std::printf("| %s | %.2f | %.1f | %.2f |\n", all[i].first.c_str(),
                Median(series[i]) / 1e3, kRange * 1e3 / Median(series[i]),
                Median(ratios));
  }
  std::printf("(sum %llu)\n", static_cast<unsigned long long>(sum));
}

// --- cold

int64_t MajorFaults() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_majflt;
}

// Pairs here and there of a store that lies on the disk: few enough that most
// of them come from there.
void RunCold(const QueryArguments& arguments) {
  constexpr uint64_t kPairs = 12'800;
  constexpr uint64_t kBatch = 64;
  const std::string path = Path(arguments, "peat");
  const std::unique_ptr<Store> store = Open(path, true);
  Load(*store, 0, arguments.keys);
  Check(store->Flush().status());
  uint64_t sum = 0;
  uint64_t random = 0;
  std::string value;
  const auto next = [&] { return Key(Scatter(++random) % arguments.keys); };
  const std::array<std::pair<const char*, std::function<void()>>, 3> all = {{
      {"gets",
       [&] {
         for (uint64_t i = 0; i < kPairs; ++i) {
           Check(store->Get(next(), &value));
           sum += Sum(value);
         }
       }},
      {"multi-gets of 64",
       [&] {
         for (uint64_t i = 0; i < kPairs; i += kBatch) {
           std::vector<Key> keys;
           for (uint64_t j = 0; j < kBatch; ++j) keys.push_back(next());
           const std::vector<std::string_view> views(keys.begin(), keys.end());
           std::vector<Lookup> found(kBatch);
           Check(store->MultiGet(views, found));
           for (const Lookup& lookup : found) {
             Check(lookup.status);
             sum += Sum(lookup.value);
           }
         }
       }},
      {"ranges of 50",
       [&] {
         for (uint64_t i = 0; i < kPairs; i += kRange) {
           const std::string from{std::string_view(next())};
           Drain(*store, {.from = from, .limit = kRange}, &sum);
         }
       }},
  }};
  std::printf("| from the disk | us a pair | faults a pair |\n|---|--:|--:|\n");
  for (const auto& [name, read] : all) {
    Series times;
    Series faults;
    for (int round = 0; round < arguments.rounds; ++round) {
      if (!PageOut(arguments.directory)) std::perror("MADV_PAGEOUT");
      const int64_t before = MajorFaults();
      times.push_back(Nanoseconds(kPairs, read) / 1e3);
      faults.push_back(static_cast<double>(MajorFaults() - before) / kPairs);
    }
    std::printf("| %s | %.2f | %.2f |\n", name, Median(times), Median(faults));
  }
  std::printf("(sum %llu)\n", static_cast<unsigned long long>(sum));
}

// --- inserts

void RunInserts(const QueryArguments& arguments) {
  Series plain;
  Series ordered;
  Series ratios;
  for (int round = 0; round < arguments.rounds; ++round) {
    for (const bool with_order : {false, true}) {
      const std::string path = Path(arguments, "peat");
      std::filesystem::remove_all(path);
      const std::unique_ptr<Store> store = Open(path, with_order);
      (with_order ? ordered : plain).push_back(Nanoseconds(arguments.keys, [&] {
        Load(*store, 0, arguments.keys);
      }));
      if (round + 1 < arguments.rounds || !with_order) continue;
      const Stats stats = store->GetStats();
      const auto keys = static_cast<double>(stats.key_count);
      std::printf("memory of the ordered index: %.1f bytes a key of %zu\n",
                  static_cast<double>(stats.ordered_index_bytes) / keys,
                  kKeySize);
    }
    ratios.push_back(ordered.back() / plain.back());
  }
  std::printf("insert %.0f ns, ordered %.0f ns, ratio %.2f (bar 2.5)\n",
              Median(plain), Median(ordered), Median(ratios));
  for (const bool with_order : {false, true, false, true}) {
    const double begin = Now();
    const auto store = Open(Path(arguments, "peat"), with_order);
    const double opened = Now();
    uint64_t sum = 0;
    Drain(*store, {.from = std::string(Key(0)), .limit = kRange}, &sum);
    std::printf("open%s: %.3f s, the first range %.2f s later\n",
                with_order ? " with order" : "", opened - begin,
                Now() - opened);
  }
}

// --- scan

void RunScan(const QueryArguments& arguments) {
  const std::unique_ptr<Store> store = Open(Path(arguments, "peat"), false);
  Load(*store, 0, arguments.keys);
  struct Case {
    const char* name;
    Query query;
  };
  const auto run = [&](const Case& one) {
    Series series;
    uint64_t sum = 0;
    for (int round = 0; round < arguments.rounds; ++round) {
      series.push_back(
          Nanoseconds(arguments.keys, [&] { Drain(*store, one.query, &sum); }));
    }
    std::printf("| %s | %.0f | %.1f |\n", one.name, Median(series),
                1e3 / Median(series));
  };
  std::printf("| without order | ns a pair | M pairs/s |\n|---|--:|--:|\n");
  run({"everything, order of the log (bar 5)", {}});
  run({"keys alone", {.keys_only = true}});
  run({"sorted", {.from = ""}});
  run({"the first 1,000 in order, a pair of the store", {.limit = 1000}});
  Load(*store, 0, arguments.keys);
  run({"everything, every key overwritten once", {}});
}

// --- deletes

void RunDeletes(const QueryArguments& arguments) {
  constexpr int kDeleted = 100'000;
  constexpr int kCount = 2000;
  const std::unique_ptr<Store> store = Open(Path(arguments, "peat"), true);
  const auto key = [](int number) {
    std::array<char, 32> text = {};
    std::snprintf(text.data(), text.size(), "window/%09d", number);
    return std::string(text.data());
  };
  for (int i = 0; i < 2 * kDeleted; ++i) Check(store->Put(key(i), Value()));
  uint64_t sum = 0;
  // From the first key on: behind the deleted ones, once they are.
  const auto measure = [&] {
    Series series;
    for (int round = 0; round < arguments.rounds; ++round) {
      series.push_back(Nanoseconds(kCount, [&] {
        for (int i = 0; i < kCount; ++i) {
          Drain(*store, {.from = key(0), .limit = kRange}, &sum);
        }
      }));
    }
    return Median(series) / 1e3;
  };
  const double before = measure();
  Check(store->DeleteRange(key(0), key(kDeleted)).status());
  const double after = measure();
  const auto view = store->OpenSnapshot();
  Check(store->DeleteRange(key(kDeleted), key(3 * kDeleted / 2)).status());
  std::printf(
      "range of 50: %.2f us, behind 100,000 deleted keys %.2f us, "
      "behind 50,000 more under a view %.2f us\n",
      before, after, measure());
}

// --- views

void RunViews(const QueryArguments& arguments) {
  const std::unique_ptr<Store> store = Open(Path(arguments, "peat"), true);
  Load(*store, 0, arguments.keys);
  const uint64_t count = arguments.keys / 20;
  uint64_t at = 0;
  const auto overwrite = [&] {
    return Nanoseconds(count, [&] {
      for (uint64_t i = 0; i < count; ++i) {
        Check(store->Put(Key(at++ % arguments.keys), Value()));
      }
    });
  };
  Series without;
  Series with;
  Series bytes;
  for (int round = 0; round < arguments.rounds; ++round) {
    without.push_back(overwrite());
    const auto view = store->OpenSnapshot();
    with.push_back(overwrite());
    const Stats stats = store->GetStats();
    bytes.push_back(static_cast<double>(stats.view_saved_bytes) /
                    static_cast<double>(stats.view_saved_count));
  }
  uint64_t sum = 0;
  const double open = Nanoseconds(100'000, [&] {
    for (int i = 0; i < 100'000; ++i) sum += store->OpenSnapshot() != nullptr;
  });
  std::printf(
      "overwrite %.0f ns, first one of its key under a view %.0f ns "
      "and %.0f bytes; open and close a view %.0f ns\n",
      Median(without), Median(with), Median(bytes), open);
}

// --- overwrites

void RunOverwrites(const QueryArguments& arguments) {
  const std::unique_ptr<Store> store =
      Open(Path(arguments, "peat"), arguments.ordered);
  Load(*store, 0, arguments.keys);
}

int Main(int argc, char** argv) {
  CLI::App app("Queries of Peat, beside other stores");
  QueryArguments arguments;
  arguments.keys = 5'000'000;
  arguments.rounds = 7;
  arguments.directory = "query_bench.tmp";
  app.add_option("--keys", arguments.keys, "Keys in the store");
  app.add_option("--rounds", arguments.rounds, "Paired rounds");
  app.add_option("--directory", arguments.directory, "Where to write");
  app.add_flag("--ordered", arguments.ordered, "overwrites: with order");
  bool keep = false;
  app.add_flag("--keep", keep, "Leave the directory as it is");
  app.require_subcommand(1);
  app.fallthrough();
  const std::array<std::pair<const char*, void (*)(const QueryArguments&)>, 7>
      all = {{{"ranges", RunRanges},
              {"cold", RunCold},
              {"inserts", RunInserts},
              {"scan", RunScan},
              {"deletes", RunDeletes},
              {"views", RunViews},
              {"overwrites", RunOverwrites}}};
  for (const auto& [name, run] : all) app.add_subcommand(name);
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(arguments.directory);
  for (const auto& [name, run] : all) {
    if (app.got_subcommand(name)) run(arguments);
  }
  if (!keep) std::filesystem::remove_all(arguments.directory);
  return 0;
}

}  // namespace
}  // namespace peat::bench

int main(int argc, char** argv) { return peat::bench::Main(argc, argv); }
