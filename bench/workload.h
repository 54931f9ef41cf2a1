// What the benchmarks of the store share: its keys and values, and tables of
// Peat beside a floor.
//
// Keys are 16 random-looking bytes, values 100. Pure functions, or of one
// thread.

#ifndef PEAT_BENCH_WORKLOAD_H_
#define PEAT_BENCH_WORKLOAD_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/floors.h"
#include "peat/store.h"

namespace peat::bench {

inline constexpr size_t kKeySize = 16;
inline constexpr size_t kValueSize = 100;
inline constexpr size_t kRecordSize = 144;  // as the log takes them

struct Arguments {
  uint64_t keys = 10'000'000;
  int rounds = 9;
  bool masks = false;
  std::string directory = "engine_bench.tmp";
};

inline void Check(const absl::Status& status) {
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

inline const std::string& Value() {
  static const std::string value(kValueSize, 'v');
  return value;
}

inline std::string Path(const Arguments& arguments, const char* name) {
  return arguments.directory + "/" + name;
}

inline std::unique_ptr<Store> OpenStore(const std::string& path,
                                        const Options& options = {}) {
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(path, options);
  Check(store.status());
  return *std::move(store);
}

inline void Load(Store& store, uint64_t begin, uint64_t end) {
  for (uint64_t i = begin; i < end; ++i) Check(store.Put(Key(i), Value()));
}

inline double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Nanoseconds per call of one thing, round by round.
using Series = std::vector<double>;

inline void Row(const char* name, const Series& series, const Series& floor,
                const char* floor_name, double bar) {
  Series ratios;
  for (size_t i = 0; i < series.size(); ++i) {
    ratios.push_back(series[i] / floor[i]);
  }
  std::printf("| %-26s | %8.0f | %8.0f | %-34s | %5.2f | %5.2f | %s |\n", name,
              Median(series), Median(floor), floor_name, Median(ratios), bar,
              Median(ratios) <= bar ? "yes" : "NO");
}

inline void Header() {
  std::printf(
      "| %-26s | %8s | %8s | %-34s | %5s | %5s | met |\n"
      "|---|--:|--:|---|--:|--:|---|\n",
      "call", "ns", "floor ns", "floor", "ratio", "bar");
}

inline Series Combine(const Series& a, double factor, const Series& b) {
  Series sum;
  for (size_t i = 0; i < a.size(); ++i) {
    sum.push_back(factor * a[i] + b[i]);
  }
  return sum;
}

// What one subcommand of engine_bench does.
void RunPauses(const Arguments& arguments);
void RunMemory(const Arguments& arguments);
void RunReopen(const Arguments& arguments);
void RunRestart(const Arguments& arguments);
void RunSnapshots(const Arguments& arguments);
void RunMasks(const Arguments& arguments);
void RunOverwrites(const Arguments& arguments);

}  // namespace peat::bench

#endif  // PEAT_BENCH_WORKLOAD_H_
