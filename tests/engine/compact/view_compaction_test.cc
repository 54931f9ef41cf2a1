// Views beside compaction, step by step: whenever a view is opened amid a
// compaction, and whatever compaction takes away later, it shows each key once,
// as it was.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::StatusIs;

using Pairs = std::multimap<std::string, std::string>;

constexpr uint64_t kSegmentSize = uint64_t{64} << 10;

struct Variant {
  const char* name;
  ReadMethod read_method;
  bool ordered;
};

class ViewCompactionTest : public ::testing::TestWithParam<Variant> {
 protected:
  ViewCompactionTest() : disk_(1) {
    Config config;
    config.read_method = GetParam().read_method;
    config.ordered = GetParam().ordered;
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.space_extra_min = 0;
    config.background_threads = false;
    config.recovery_threads = 1;
    config.at_compaction_point = [this](CompactionPoint point) {
      if (at_point_ != nullptr) at_point_(point);
    };
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(disk_, "store", config);
    EXPECT_OK(engine);
    if (engine.ok()) engine_ = *std::move(engine);
  }

  void Put(int i, const std::string& value) {
    const std::string key = "key" + std::to_string(i);
    ASSERT_OK(engine_->Put(key, value));
    expected_.erase(key);
    expected_.emplace(key, value);
  }

  // Four segments, of which a half is superseded.
  void Fill() {
    for (int i = 0; i < 200; ++i) Put(i, std::string(1000, 'a'));
    for (int i = 0; i < 200; i += 2) Put(i, std::string(900, 'b'));
    ASSERT_OK(engine_->Flush());
    engine_->RunSync();
  }

  static Pairs Read(Cursor& cursor) {
    Pairs pairs;
    for (; cursor.is_valid(); cursor.Next()) {
      pairs.emplace(cursor.key(), cursor.value());
    }
    EXPECT_OK(cursor.status());
    return pairs;
  }

  SimFileSystem disk_;
  std::function<void(CompactionPoint)> at_point_;
  std::unique_ptr<Engine> engine_;
  Pairs expected_;
};

constexpr Variant kVariants[] = {
    {"mapped", ReadMethod::kMapped, false},
    {"positional", ReadMethod::kPositional, false},
    {"ordered", ReadMethod::kMapped, true},
    {"ordered_positional", ReadMethod::kPositional, true}};
INSTANTIATE_TEST_SUITE_P(Variants, ViewCompactionTest,
                         ::testing::ValuesIn(kVariants),
                         [](const auto& variant) {
                           return std::string(variant.param.name);
                         });

// In the order of the log, where a record that lies in two places would show.
TEST_P(ViewCompactionTest, AScanOpenedAmidACompactionShowsEachKeyOnce) {
  Fill();
  std::vector<std::pair<std::unique_ptr<Cursor>, Pairs>> cursors;
  at_point_ = [&](CompactionPoint) {
    // So that each has a view of its own. A key that is new, and one that is to
    // be moved, or was.
    const auto point = static_cast<int>(cursors.size());
    Put(5000 + point, "new");
    Put(1 + 2 * point, "newer");
    cursors.emplace_back(engine_->Scan({}), expected_);
    EXPECT_EQ(Read(*engine_->Scan({})), expected_);
  };
  ASSERT_OK(engine_->Compact());
  ASSERT_GE(cursors.size(), 3U);
  cursors.emplace_back(engine_->Scan({}), expected_);
  for (const auto& [cursor, expected] : cursors) {
    EXPECT_EQ(Read(*cursor), expected);
  }
}

// Half read before the compaction, half after, and beside two more of them.
TEST_P(ViewCompactionTest, AScanOutlivesItsSegments) {
  Fill();
  const Pairs before = expected_;
  const auto cursor = engine_->Scan({});
  Pairs pairs;
  for (int i = 0; i < 70; ++i, cursor->Next()) {
    ASSERT_TRUE(cursor->is_valid());
    pairs.emplace(cursor->key(), cursor->value());
  }
  const std::unique_ptr<Snapshot> snapshot = engine_->OpenSnapshot();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 200; i += 3) Put(i, std::string(800, 'c'));
    ASSERT_OK(engine_->Flush());
    engine_->RunSync();
    ASSERT_OK(engine_->Compact());
    ASSERT_OK(engine_->RunCompaction());
  }
  for (; cursor->is_valid(); cursor->Next()) {
    pairs.emplace(cursor->key(), cursor->value());
  }
  EXPECT_OK(cursor->status());
  EXPECT_EQ(pairs, before);
  EXPECT_EQ(Read(*snapshot->Scan({})), before);
  Query backward;
  backward.reverse = true;
  EXPECT_EQ(Read(*snapshot->Scan(backward)), before);
  EXPECT_EQ(Read(*engine_->Scan({})), expected_);
}

// The file of a value that only a view shows stays until the view is closed.
TEST_P(ViewCompactionTest, AViewKeepsLargeValues) {
  const std::string large(100'000, 'L');
  Put(1000, large);
  Fill();
  std::unique_ptr<Snapshot> snapshot = engine_->OpenSnapshot();
  Put(1000, "small");
  ASSERT_OK(engine_->Flush());
  engine_->RunSync();
  ASSERT_OK(engine_->Compact());
  ASSERT_OK(engine_->RunCompaction());
  std::string value;
  ASSERT_OK(snapshot->Get("key1000", &value));
  EXPECT_EQ(value, large);
  EXPECT_EQ(engine_->GetStats().value_file_count, 1U);
  snapshot.reset();
  ASSERT_OK(engine_->RunCompaction());
  EXPECT_EQ(engine_->GetStats().value_file_count, 0U);
}

// Compaction moves a mask, and what is forgotten leaves every view.
TEST_P(ViewCompactionTest, WhatIsForgottenLeavesEveryView) {
  Fill();
  const std::unique_ptr<Snapshot> snapshot = engine_->OpenSnapshot();
  ASSERT_OK(engine_->Forget("key1", "r"));
  ASSERT_OK(engine_->Flush());
  engine_->RunSync();
  ASSERT_OK(engine_->Compact());
  std::string value;
  EXPECT_THAT(snapshot->Get("key1", &value),
              StatusIs(absl::StatusCode::kNotFound));
  expected_.erase("key1");
  EXPECT_EQ(Read(*snapshot->Scan({})), expected_);
}

}  // namespace
}  // namespace peat::engine
