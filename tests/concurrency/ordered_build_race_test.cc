// An ordered index that is built beside threads that put, delete, forget, write
// batches and compact, and beside queries that wait for it: what these show is
// of their moment, and in the end the index has exactly the keys that can be
// read.
//
// PEAT_RACE_ROUNDS multiplies the work. PEAT_SEED: another run.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <ostream>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "index/epoch.h"
#include "tests/support/sim_random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/threads.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::Rounds;
using ::peat::testing::RunThreads;
using ::peat::testing::SimRandom;
using ::peat::testing::TempDir;

using Pairs = std::map<std::string, std::string>;

struct Variant {
  const char* name;
  ReadMethod read_method;
  int weak_hash_bits;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

class OrderedBuildRaceTest : public ::testing::TestWithParam<Variant> {
 protected:
  static constexpr int kKeyCount = 800;

  OrderedBuildRaceTest() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    const char* const seed = std::getenv("PEAT_SEED");
    if (seed != nullptr) seed_ = std::strtoull(seed, nullptr, 10);
  }

  void Open(bool ordered) {
    Config config;
    config.read_method = GetParam().read_method;
    config.weak_hash_bits = GetParam().weak_hash_bits;
    config.segment_size_min = uint64_t{32} << 10;
    config.segment_size_max = uint64_t{32} << 10;
    config.space_extra_min = 0;
    config.ordered = ordered;
    config.listed_keys_max = 256;  // groups of 4
    // So that writers come between its steps, also where there is one core.
    config.at_build_point = [this](BuildPoint) {
      const uint64_t before = write_count_;
      while (are_writing_ && write_count_ == before) std::this_thread::yield();
    };
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(PosixFileSystem(), dir_.path() / "store", config);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  static std::string Key(uint64_t i) { return "key/" + std::to_string(i); }

  void Write(SimRandom& random);
  void WriteUntilComplete(SimRandom& random);
  void CheckQuery(SimRandom& random);
  std::vector<std::string> ListedKeys() const;
  Pairs Scan(const Snapshot& snapshot, bool reverse) const;

  uint64_t seed_ = 1;
  TempDir dir_;
  std::atomic<bool> are_writing_ = false;
  std::atomic<uint64_t> write_count_ = 0;
  // Holds the model and the store together.
  std::mutex mutex_;
  Pairs model_;
  std::set<std::string> forgotten_;
  std::unique_ptr<Engine> engine_;
};

// One unit, of one or some keys, that deletes as often as it puts.
void OrderedBuildRaceTest::Write(SimRandom& random) {
  std::vector<std::pair<std::string, std::string>> writes(
      random.Chance(2) ? 1 + random.Below(8) : 1);
  const std::lock_guard lock(mutex_);
  std::vector<BatchOperation> operations;
  for (auto& [key, value] : writes) {
    key = Key(random.Below(kKeyCount));
    if (forgotten_.contains(key)) continue;
    Operation operation = Operation::kDelete;
    if (random.Chance(5)) {
      operation = Operation::kPut;
      value = key + "=" + std::to_string(random.Below(1000));
      model_[key] = value;
    } else {
      model_.erase(key);
      if (random.Below(100) == 0) {
        operation = Operation::kForget;
        forgotten_.insert(key);
      }
    }
    operations.push_back({.operation = operation, .key = key, .value = value});
  }
  ASSERT_OK(engine_->Write(operations));
  ++write_count_;
}

void OrderedBuildRaceTest::WriteUntilComplete(SimRandom& random) {
  while (!engine_->GetStats().ordered_index_complete && !HasFatalFailure()) {
    Write(random);
  }
}

Pairs OrderedBuildRaceTest::Scan(const Snapshot& snapshot, bool reverse) const {
  Query query;
  query.reverse = reverse;
  const std::unique_ptr<Cursor> cursor = snapshot.Scan(query);
  Pairs pairs;
  for (; cursor->is_valid(); cursor->Next()) {
    pairs.emplace(cursor->key(), cursor->value());
  }
  EXPECT_OK(cursor->status());
  return pairs;
}

// One that is opened while the index is built.
void OrderedBuildRaceTest::CheckQuery(SimRandom& random) {
  std::unique_ptr<Snapshot> snapshot;
  Pairs expected;
  {
    const std::lock_guard lock(mutex_);
    snapshot = engine_->OpenSnapshot();
    expected = model_;
  }
  Pairs shown = Scan(*snapshot, random.Chance(5));
  // What has been forgotten since may have been shown before.
  const std::lock_guard lock(mutex_);
  for (const std::string& key : forgotten_) {
    shown.erase(key);
    expected.erase(key);
  }
  ASSERT_EQ(shown, expected);
}

std::vector<std::string> OrderedBuildRaceTest::ListedKeys() const {
  const index::EpochGuard guard;
  index::KeyGroup group;
  engine_->ordered()->List({}, 2 * kKeyCount, &group);
  std::vector<std::string> keys;
  for (size_t i = 0; i < group.size(); ++i) keys.emplace_back(group[i]);
  return keys;
}

TEST_P(OrderedBuildRaceTest, EndsWithExactlyTheKeysThatCanBeRead) {
  SimRandom random(seed_);
  Open(false);
  for (int i = 0; i < 2000; ++i) Write(random);
  for (int round = 0; round < Rounds(8) && !HasFatalFailure(); ++round) {
    SCOPED_TRACE(::testing::Message()
                 << "PEAT_SEED=" << seed_ << " round " << round);
    engine_.reset();
    are_writing_ = true;
    Open(true);
    std::atomic<int> writers = 2;
    const uint64_t seeds = random.Next();

    RunThreads(4, [&](int thread) {
      SimRandom own(seeds + static_cast<uint64_t>(thread));
      if (thread < 2) {
        WriteUntilComplete(own);
        if (--writers == 0) are_writing_ = false;
      } else if (thread == 2) {
        CheckQuery(own);
      } else {
        while (writers > 0) ASSERT_OK(engine_->Compact());
      }
    });

    std::vector<std::string> keys;
    for (const auto& [key, value] : model_) keys.push_back(key);
    ASSERT_EQ(ListedKeys(), keys);
    ASSERT_EQ(Scan(*engine_->OpenSnapshot(), false), model_);
    for (int i = 0; i < 300; ++i) Write(random);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Variants, OrderedBuildRaceTest,
    ::testing::Values(Variant{"mapped", ReadMethod::kMapped, 0},
                      Variant{"positional", ReadMethod::kPositional, 0},
                      Variant{"colliding", ReadMethod::kMapped, 3}),
    [](const auto& variant) { return std::string(variant.param.name); });

}  // namespace
}  // namespace peat::engine
