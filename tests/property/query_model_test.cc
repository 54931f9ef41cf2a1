// Random queries against a map as of the view's lsn, while another thread puts,
// deletes and writes batches: with and without order, with colliding hashes,
// small segments, and so little memory that sorting takes many passes.
//
// PEAT_MODEL_OPS: how many views. PEAT_SEED: another run.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "tests/support/sim_random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimRandom;
using ::peat::testing::StatusIs;
using ::peat::testing::TempDir;

using State = std::map<std::string, std::string>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Variant {
  const char* name;
  bool ordered;
  int weak_hash_bits;
  ReadMethod read_method;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

class QueryModelTest : public ::testing::TestWithParam<Variant> {
 protected:
  QueryModelTest() : seed_(FromEnvironment("PEAT_SEED", 1)) {
    keys_ = {"", std::string(1, '\0'), "\xff", std::string(300, 'k')};
    for (int i = 0; i < 300; ++i) {
      keys_.push_back("window/" + std::to_string(i % 9) + "/" +
                      std::to_string(i));
    }
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(PosixFileSystem(), dir_.path() / "store",
                     {.read_method = GetParam().read_method,
                      .ordered = GetParam().ordered,
                      .segment_size_min = 1 << 16,
                      .segment_size_max = 1 << 16,
                      .weak_hash_bits = GetParam().weak_hash_bits,
                      .collected_bytes_max = 2000});
    EXPECT_OK(engine);
    engine_ = *std::move(engine);
  }

  const std::string& RandomKey(SimRandom& random) const {
    return keys_[random.Below(keys_.size())];
  }

  void Write(SimRandom& random);
  Query RandomQuery(SimRandom& random) const;
  static Pairs Expected(const State& state, const Query& query);
  void CheckScan(const Snapshot& snapshot, const State& state,
                 const Query& query) const;
  void CheckSeek(const Snapshot& snapshot, const State& state,
                 const Query& query, SimRandom& random) const;
  void CheckGet(const Snapshot& snapshot, const State& state,
                SimRandom& random) const;

  const uint64_t seed_;
  TempDir dir_;
  std::vector<std::string> keys_;
  std::unique_ptr<Engine> engine_;
  // Holds the model and the store together.
  std::mutex mutex_;
  State model_;
  std::set<std::string> forgotten_;
};

// One unit, of one to a few writes, of keys that may be written.
void QueryModelTest::Write(SimRandom& random) {
  std::vector<std::pair<std::string, std::string>> writes(
      random.Chance(2) ? 1 + random.Below(8) : 1);
  const std::lock_guard lock(mutex_);
  std::vector<BatchOperation> operations;
  for (auto& [key, value] : writes) {
    key = RandomKey(random);
    if (forgotten_.contains(key)) continue;
    const bool is_put = random.Chance(5);
    if (is_put) value = key + "=" + std::to_string(random.Next());
    if (is_put && random.Below(100) == 0) value.resize(20'000, 'l');  // a file
    operations.push_back(
        {.operation = is_put ? Operation::kPut : Operation::kDelete,
         .key = key,
         .value = value});
  }
  ASSERT_OK(engine_->Write(operations));
  for (const BatchOperation& operation : operations) {
    if (operation.operation == Operation::kPut) {
      model_[std::string(operation.key)] = operation.value;
    } else {
      model_.erase(std::string(operation.key));
    }
  }
}

Query QueryModelTest::RandomQuery(SimRandom& random) const {
  Query query;
  if (random.Chance(3)) query.range.begin = RandomKey(random);
  if (random.Chance(3)) query.range.end = RandomKey(random);
  query.keys_only = random.Chance(2);
  query.reverse = random.Chance(4);
  if (random.Chance(3)) query.limit = random.Below(100);
  if (random.Chance(2)) {
    query.keys.emplace();
    for (const std::string& key : keys_) {
      if (random.Chance(3) && query.range.Contains(key)) {
        query.keys->push_back(key);
      }
    }
    query.keys->emplace_back("window/no such key");
    if (!query.range.Contains(query.keys->back())) query.keys->pop_back();
    std::sort(query.keys->begin(), query.keys->end());
  }
  if (random.Chance(1)) {
    query = Query();
    query.any_order = true;
  }
  return query;
}

Pairs QueryModelTest::Expected(const State& state, const Query& query) {
  Pairs pairs;
  for (const auto& [key, value] : state) {
    if (!query.range.Contains(key)) continue;
    if (query.keys.has_value() &&
        !std::binary_search(query.keys->begin(), query.keys->end(), key)) {
      continue;
    }
    pairs.emplace_back(key, query.keys_only ? "" : value);
  }
  if (query.reverse) std::reverse(pairs.begin(), pairs.end());
  if (pairs.size() > query.limit) pairs.resize(query.limit);
  return pairs;
}

void QueryModelTest::CheckScan(const Snapshot& snapshot, const State& state,
                               const Query& query) const {
  Pairs pairs;
  const std::unique_ptr<Cursor> cursor = snapshot.Scan(query);
  for (; cursor->is_valid(); cursor->Next()) {
    pairs.emplace_back(cursor->key(), cursor->value());
  }
  ASSERT_OK(cursor->status());
  if (query.any_order) std::sort(pairs.begin(), pairs.end());
  ASSERT_EQ(pairs, Expected(state, query));
}

// A cursor that goes to keys at random, ahead and back, and on from there.
void QueryModelTest::CheckSeek(const Snapshot& snapshot, const State& state,
                               const Query& query, SimRandom& random) const {
  if (query.any_order || query.limit != UINT64_MAX) return;
  const Pairs expected = Expected(state, query);
  const std::unique_ptr<Cursor> cursor = snapshot.Scan(query);
  auto at = expected.begin();
  for (int i = 0; i < 30 && cursor->is_valid(); ++i) {
    if (random.Chance(5)) {
      cursor->Next();
      ++at;
    } else {
      const std::string& key = RandomKey(random);
      cursor->Seek(key);
      at = std::find_if(expected.begin(), expected.end(), [&](const auto& one) {
        return query.reverse ? one.first <= key : one.first >= key;
      });
    }
    ASSERT_EQ(cursor->is_valid(), at != expected.end());
    if (!cursor->is_valid()) break;
    ASSERT_EQ(cursor->key(), at->first);
    ASSERT_EQ(cursor->value(), at->second);
  }
  ASSERT_OK(cursor->status());
}

void QueryModelTest::CheckGet(const Snapshot& snapshot, const State& state,
                              SimRandom& random) const {
  const std::string& key = RandomKey(random);
  const auto expected = state.find(key);
  std::string value;
  const absl::Status status = snapshot.Get(key, &value);
  if (expected == state.end()) {
    ASSERT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
  } else {
    ASSERT_OK(status);
    ASSERT_EQ(value, expected->second);
  }
}

// Several views of different age at a time, in a ring.
TEST_P(QueryModelTest, AgreesWithAMapAsOfItsLsn) {
  struct Open {
    std::unique_ptr<Snapshot> snapshot;
    State state;
  };
  const uint64_t count = FromEnvironment("PEAT_MODEL_OPS", 60);
  // The writer is ahead of the views, and they of it, by so many units at most:
  // so it writes while they read, and the log does not outgrow the test.
  constexpr uint64_t kAhead = 100;
  std::atomic<uint64_t> written = 0;
  std::atomic<uint64_t> allowed = 0;
  std::atomic<bool> stops = false;
  std::thread writer([&] {
    SimRandom random(seed_);
    while (!stops && !HasFatalFailure()) {
      if (written == allowed) {
        std::this_thread::yield();
        continue;
      }
      Write(random);
      ++written;
    }
  });
  SimRandom random(seed_ + 1);
  std::vector<Open> open(5);
  for (uint64_t i = 0; i < count && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(::testing::Message()
                 << "PEAT_SEED=" << seed_ << " view " << i);
    while (written < allowed) std::this_thread::yield();
    allowed += kAhead;
    if (random.Chance(1)) {
      // Views do not show it any more either.
      const std::string& key = RandomKey(random);
      const std::lock_guard lock(mutex_);
      ASSERT_OK(engine_->Forget(key, "test"));
      forgotten_.insert(key);
      model_.erase(key);
      for (Open& any : open) any.state.erase(key);
    }
    Open& one = open[random.Below(open.size())];
    one.snapshot.reset();
    {
      const std::lock_guard lock(mutex_);
      one.snapshot = engine_->OpenSnapshot();
      one.state = model_;
    }
    for (const Open& any : open) {
      if (any.snapshot == nullptr) continue;
      CheckScan(*any.snapshot, any.state, RandomQuery(random));
      CheckSeek(*any.snapshot, any.state, RandomQuery(random), random);
      CheckGet(*any.snapshot, any.state, random);
    }
  }
  stops = true;
  writer.join();
  open.clear();

  EXPECT_EQ(engine_->GetStats().view_count, 0U);
  EXPECT_EQ(engine_->GetStats().view_saved_count, 0U);
  CheckScan(*engine_->OpenSnapshot(), model_, {});
}

// As a store without order would fill it.
TEST_P(QueryModelTest, AgreesWithAMapAfterReopening) {
  SimRandom random(seed_);
  for (int i = 0; i < 2000; ++i) Write(random);
  engine_.reset();
  absl::StatusOr<std::unique_ptr<Engine>> engine =
      Engine::Open(PosixFileSystem(), dir_.path() / "store",
                   {.read_method = GetParam().read_method,
                    .ordered = GetParam().ordered,
                    .weak_hash_bits = GetParam().weak_hash_bits});
  ASSERT_OK(engine);
  engine_ = *std::move(engine);

  for (int i = 0; i < 30; ++i) {
    CheckScan(*engine_->OpenSnapshot(), model_, RandomQuery(random));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Variants, QueryModelTest,
    ::testing::Values(
        Variant{"ordered", true, 0, ReadMethod::kMapped},
        Variant{"ordered_colliding", true, 3, ReadMethod::kMapped},
        Variant{"unordered", false, 0, ReadMethod::kMapped},
        Variant{"unordered_positional", false, 0, ReadMethod::kPositional}),
    [](const auto& variant) { return std::string(variant.param.name); });

}  // namespace
}  // namespace peat::engine
