// What a checkpoint costs: a store of so many gigabytes, and checkpoints of it
// beside a writer that never rests.
//
//   checkpoint_bench [--gigabytes G] [--count N] [--idle]
//
// Each line is one checkpoint: how long a Flush() just before it took, how long
// the checkpoint (which flushes again, what came meanwhile), what it linked,
// and the longest put meanwhile.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "bench/floors.h"
#include "bench/workload.h"

namespace peat::bench {
namespace {

constexpr uint64_t kValueSize = 4'000;

std::string NumberedKey(uint64_t i) { return "key" + std::to_string(i); }

// Overwrites keys for as long as `is_over` is false, and notes the longest put,
// in microseconds.
void WriteOn(Store& store, uint64_t key_count, const std::atomic<bool>& is_over,
             std::atomic<uint64_t>& longest) {
  const std::string value(100, 'w');
  for (uint64_t i = 0; !is_over; ++i) {
    const double begin = Now();
    Check(store.Put(NumberedKey(i % key_count), value));
    const auto took = static_cast<uint64_t>((Now() - begin) * 1e6);
    if (took > longest) longest = took;
  }
}

void Run(const std::string& directory, double gigabytes, int count,
         bool is_idle) {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directory(directory);
  const std::filesystem::path root(directory);
  auto opened = Store::Open(root / "store");
  Check(opened.status());
  Store& store = **opened;
  const auto key_count = static_cast<uint64_t>(gigabytes * 1e9 / kValueSize);
  const std::string value(kValueSize, 'v');
  for (uint64_t i = 0; i < key_count; ++i) {
    Check(store.Put(NumberedKey(i), value));
  }
  Check(store.Flush().status());
  std::printf("%llu keys, %zu segments\n",
              static_cast<unsigned long long>(key_count),
              static_cast<size_t>(store.GetStats().segment_count));
  std::printf("flush_ms  checkpoint_ms  linked_bytes  longest_put_us\n");
  std::atomic<bool> is_over = false;
  std::atomic<uint64_t> longest = 0;
  std::thread writer([&] {
    if (!is_idle) WriteOn(store, key_count, is_over, longest);
  });
  for (int i = 0; i < count; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    Check(store.Put(NumberedKey(static_cast<uint64_t>(i)), value));
    const double begin = Now();
    Check(store.Flush().status());
    const double flushed = Now();
    longest = 0;
    const auto result = store.Checkpoint(root / std::to_string(i));
    const double end = Now();
    Check(result.status());
    std::printf("%8.1f  %13.1f  %12llu  %14llu\n", (flushed - begin) * 1e3,
                (end - flushed) * 1e3,
                static_cast<unsigned long long>(result->linked_bytes),
                static_cast<unsigned long long>(longest));
  }
  is_over = true;
  writer.join();
  opened->reset();
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace peat::bench

int main(int argc, char** argv) {
  CLI::App app("Checkpoints beside a writer");
  std::string directory = "checkpoint_bench.tmp";
  double gigabytes = 10;
  int count = 10;
  bool is_idle = false;
  app.add_option("--directory", directory);
  app.add_option("--gigabytes", gigabytes);
  app.add_option("--count", count);
  app.add_flag("--idle", is_idle, "One put before each, and no writer");
  CLI11_PARSE(app, argc, argv);
  peat::bench::Run(directory, gigabytes, count, is_idle);
}
