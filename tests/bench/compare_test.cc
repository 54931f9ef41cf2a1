// The comparison's driver: that it measures what it says, and that an engine
// that cheats is found out.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/compare/engines.h"
#include "bench/compare/histogram.h"
#include "bench/compare/pairs.h"
#include "bench/compare/run.h"
#include "bench/compare/usage.h"
#include "bench/workload.h"

namespace peat::bench {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::Le;

// --- values

TEST(PairsTest, AValueIsSoundForItsKeyAlone) {
  for (const size_t size : {8, 9, 15, 16, 100, 1024}) {
    SCOPED_TRACE(size);
    std::string value(size, ' ');
    MakeValue(Key(7), 42, value.data(), size);

    EXPECT_TRUE(CheckValue(Key(7), value, size).sound);
    EXPECT_EQ(CheckValue(Key(7), value, size).version, 42U);
    EXPECT_EQ(CheckValue(Key(8), value, size).sound, size == 8);
    EXPECT_FALSE(CheckValue(Key(7), value, size + 1).sound);
  }
}

TEST(PairsTest, NoBitOfAValueCanChange) {
  std::string value(101, ' ');
  MakeValue(Key(7), 42, value.data(), value.size());
  for (size_t bit = 0; bit < 8 * value.size(); ++bit) {
    SCOPED_TRACE(bit);
    std::string changed = value;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(CheckValue(Key(7), changed, value.size()).sound);
  }
}

// --- latencies

TEST(HistogramTest, QuantilesAreWithinAThirtySecond) {
  Histogram histogram;
  for (uint64_t i = 1; i <= 1'000'000; ++i) histogram.Add(i);

  EXPECT_EQ(histogram.count(), 1'000'000U);
  EXPECT_EQ(histogram.max(), 1'000'000U);
  for (const double fraction : {0.001, 0.5, 0.99, 0.9999}) {
    const double exact = fraction * 1e6;
    EXPECT_THAT(static_cast<double>(histogram.Quantile(fraction)),
                AllOf(Ge(exact), Le(exact * 33 / 32 + 1)));
  }
  EXPECT_EQ(histogram.Quantile(1), 1'000'000U);
}

TEST(HistogramTest, TakesTheLargestValue) {
  Histogram histogram;
  histogram.Add(~uint64_t{0});
  EXPECT_EQ(histogram.Quantile(0.5), ~uint64_t{0});
}

// --- operations

std::vector<Operation> Make(const char* workload, uint64_t count,
                            uint64_t keys) {
  return MakeOperations(*FindWorkload(workload),
                        {.keys = keys, .operations = count, .seed = 3});
}

TEST(WorkloadTest, AFillInsertsEachNumberOnce) {
  std::vector<uint32_t> numbers;
  for (const int thread : {0, 1}) {
    for (const Operation& operation :
         MakeOperations(*FindWorkload("fill"), {.keys = 1000,
                                               .operations = 500,
                                               .thread = thread,
                                               .threads = 2,
                                               .seed = 1})) {
      EXPECT_EQ(operation.action, Action::kInsert);
      numbers.push_back(operation.number);
    }
  }
  std::ranges::sort(numbers);
  for (uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(numbers[i], i);
}

TEST(WorkloadTest, ZipfianTakesTheMostFrequentAsOftenAsItShould) {
  constexpr uint64_t kKeys = 100'000;
  constexpr uint64_t kCount = 1'000'000;
  std::map<uint32_t, uint64_t> counts;
  for (const Operation& operation : Make("ycsb-c", kCount, kKeys)) {
    ASSERT_LT(operation.number, kKeys);
    ++counts[operation.number];
  }
  uint64_t most = 0;
  for (const auto& [number, count] : counts) most = std::max(most, count);

  double zeta = 0;
  for (uint64_t i = 1; i <= kKeys; ++i) {
    zeta += std::pow(static_cast<double>(i), -0.99);
  }
  EXPECT_NEAR(static_cast<double>(most) / kCount, 1 / zeta, 0.1 / zeta);
}

TEST(WorkloadTest, DedupRepeatsNineOfTen) {
  uint64_t fresh = 0;
  for (const Operation& operation : Make("dedup", 100'000, 5000)) {
    EXPECT_EQ(operation.action, Action::kPutIfAbsent);
    fresh += operation.number >= 5000;
  }
  EXPECT_THAT(fresh, AllOf(Ge(9500U), Le(10'500U)));
}

TEST(WorkloadTest, TheLatestAreThoseInsertedLast) {
  uint64_t inserted = 0;
  uint64_t recent = 0;
  uint64_t gets = 0;
  for (const Operation& operation : Make("ycsb-d", 200'000, 100'000)) {
    if (operation.action == Action::kInsert) {
      EXPECT_EQ(operation.number, 100'000 + inserted++);
      continue;
    }
    ASSERT_LT(operation.number, 100'000 + inserted);
    ++gets;
    recent += operation.number + 1000 >= 100'000 + inserted;
  }
  EXPECT_GT(2 * recent, gets);
}

// --- runs

// A directory that goes with the test.
class Directory {
 public:
  Directory()
      : path_(std::filesystem::path(::testing::TempDir()) /
              ("compare_test_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string path() const { return path_.string(); }

 private:
  const std::filesystem::path path_;
};

RunResult RunOn(const EngineEntry& entry, const char* workload,
                const RunSetup& setup) {
  return Run(entry, *FindWorkload(workload), setup);
}

RunSetup Small(const Directory& directory) {
  return {.keys = 2000, .operations = 20'000, .directory = directory.path()};
}

class EveryWorkloadTest : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryWorkloadTest, PeatGivesBackWhatWasWritten) {
  const Directory directory;
  RunSetup setup = Small(directory);
  const Workload& workload = *FindWorkload(GetParam());
  if (!BeginsEmpty(workload)) RunOn(PeatEngine(), "load", setup);
  if (workload.split) setup.threads = 2;
  if (workload.durable) setup.operations = 200;

  const RunResult result = RunOn(PeatEngine(), GetParam(), setup);

  EXPECT_EQ(result.wrong, 0U);
  EXPECT_EQ(result.lost, 0U);
  EXPECT_THAT(result.audited, Gt(100U));
  if (workload.procedure == Procedure::kOperations) {
    EXPECT_GE(result.operations, std::min(setup.operations, setup.keys));
  }
}

TEST_P(EveryWorkloadTest, TwoThreadsGiveBackWhatWasWritten) {
  if (std::string(GetParam()) == "counters" ||
      FindWorkload(GetParam())->procedure != Procedure::kOperations) {
    GTEST_SKIP() << "of one thread";
  }
  const Directory directory;
  RunSetup setup = Small(directory);
  setup.threads = 2;
  const Workload& workload = *FindWorkload(GetParam());
  if (!BeginsEmpty(workload)) RunOn(PeatEngine(), "load", setup);
  if (workload.durable) setup.operations = 200;

  EXPECT_EQ(RunOn(PeatEngine(), GetParam(), setup).wrong, 0U);
}

INSTANTIATE_TEST_SUITE_P(Workloads, EveryWorkloadTest,
                         ::testing::Values("fill", "fill-batch", "overwrite",
                                           "get", "miss", "multi-get", "ycsb-a",
                                           "ycsb-b", "ycsb-c", "ycsb-d",
                                           "ycsb-e", "ycsb-f", "dedup",
                                           "counters", "durable", "mixed",
                                           "reopen", "kill"),
                         [](const auto& workload) {
                           std::string name = workload.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(RunTest, CountsBytesOfTheFilesAndOfTheDisk) {
  const Directory directory;
  RunSetup setup = Small(directory);
  setup.keys = 50'000;

  const RunResult result = RunOn(PeatEngine(), "fill", setup);

  EXPECT_EQ(result.logical_bytes, 50'000U * 116);
  EXPECT_EQ(result.put_bytes, 50'000U * 116);
  EXPECT_GT(result.disk_bytes, result.logical_bytes);
  EXPECT_GT(result.cached_bytes, result.logical_bytes);
  EXPECT_EQ(DiskBytes(directory.path()), result.disk_bytes);
}

// --- engines that cheat

// An ordered map, which survives nothing, with one fault.
struct Fault {
  bool drops_puts = false;      // one of a thousand is not stored
  bool keeps_first = false;     // overwrites are acknowledged and not done
  bool swaps_values = false;    // gives another key's value now and then
  bool finds_all = false;       // a miss is a hit
  bool forgets_half = false;    // a scan leaves pairs out
  bool always_inserts = false;  // a duplicate overwrites
};
Fault g_fault;

class CheatingSession final : public Session {
 public:
  explicit CheatingSession(std::map<std::string, std::string>* pairs)
      : pairs_(pairs) {}

  void Put(std::string_view key, std::string_view value) override {
    if (g_fault.drops_puts && ++puts_ % 1000 == 0) return;
    if (g_fault.keeps_first) {
      pairs_->try_emplace(std::string(key), value);
    } else {
      (*pairs_)[std::string(key)] = value;
    }
  }
  bool Get(std::string_view key, UseValue use) override {
    auto found = pairs_->find(std::string(key));
    if (found == pairs_->end()) {
      if (g_fault.finds_all) use("");
      return g_fault.finds_all;
    }
    if (g_fault.swaps_values && ++gets_ % 1000 == 0) found = pairs_->begin();
    use(found->second);
    return true;
  }
  bool PutIfAbsent(std::string_view key, std::string_view value) override {
    if (!g_fault.always_inserts) return Session::PutIfAbsent(key, value);
    // The driver's duplicates come with the value that is there, so only the
    // answer tells.
    (*pairs_)[std::string(key)] = std::string(value.size(), 'x');
    return true;
  }
  void PutBatch(std::span<const Pair> pairs) override {
    for (const Pair& pair : pairs) Put(pair.key, pair.value);
  }
  void Scan(std::string_view from, int count, UsePair use) override {
    auto it = pairs_->lower_bound(std::string(from));
    for (int i = 0; i < count && it != pairs_->end(); ++i, ++it) {
      use(it->first, it->second);
      if (g_fault.forgets_half && std::next(it) != pairs_->end()) ++it;
    }
  }

 private:
  std::map<std::string, std::string>* const pairs_;
  uint64_t puts_ = 0;
  uint64_t gets_ = 0;
};

class CheatingEngine final : public Engine {
 public:
  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<CheatingSession>(&pairs_);
  }

 private:
  std::map<std::string, std::string> pairs_;
};

uint64_t WrongOf(const Fault& fault, const char* workload) {
  g_fault = fault;
  const Directory directory;
  EngineEntry entry;
  entry.info.name = "cheating";
  entry.open = [](const Setup&) -> std::unique_ptr<Engine> {
    return std::make_unique<CheatingEngine>();
  };
  return RunOn(entry, workload, Small(directory)).wrong;
}

TEST(CheatingTest, AnHonestEngineIsNotSuspected) {
  for (const char* workload :
       {"fill", "fill-batch", "overwrite", "get", "miss", "multi-get", "ycsb-a",
        "ycsb-d", "ycsb-e", "ycsb-f", "dedup", "counters"}) {
    EXPECT_EQ(WrongOf({}, workload), 0U) << workload;
  }
}

TEST(CheatingTest, FindsPutsThatAreDropped) {
  for (const char* workload :
       {"fill", "fill-batch", "overwrite", "ycsb-a", "counters"}) {
    EXPECT_GT(WrongOf({.drops_puts = true}, workload), 0U) << workload;
  }
}

TEST(CheatingTest, FindsOverwritesThatAreNotDone) {
  for (const char* workload : {"overwrite", "ycsb-a", "ycsb-f", "counters"}) {
    EXPECT_GT(WrongOf({.keeps_first = true}, workload), 0U) << workload;
  }
}

TEST(CheatingTest, FindsValuesOfOtherKeys) {
  for (const char* workload : {"get", "multi-get", "ycsb-c", "ycsb-d"}) {
    EXPECT_GT(WrongOf({.swaps_values = true}, workload), 0U) << workload;
  }
}

TEST(CheatingTest, FindsHitsThatMustBeMisses) {
  EXPECT_GT(WrongOf({.finds_all = true}, "miss"), 0U);
}

TEST(CheatingTest, FindsPairsThatAScanLeavesOut) {
  EXPECT_GT(WrongOf({.forgets_half = true}, "ycsb-e"), 0U);
}

TEST(CheatingTest, FindsDuplicatesThatWereInserted) {
  EXPECT_GT(WrongOf({.always_inserts = true}, "dedup"), 0U);
}

TEST(CheatingTest, FindsThatNothingSurvivesAKill) {
  const Directory directory;

  const RunResult result = RunOn(MapEngine(), "kill", Small(directory));

  EXPECT_GE(result.acknowledged, 200U);
  EXPECT_EQ(result.lost, result.acknowledged);
}

}  // namespace
}  // namespace peat::bench
