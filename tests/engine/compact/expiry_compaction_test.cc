// Compaction and what has expired: it is given back, leaves the index, and
// nothing older comes back in its place, whatever the clock says later.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/engine.h"
#include "engine/segment/expiry_sum.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using format::kNever;
using format::Millis;
using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;

constexpr uint64_t kSegmentSize = uint64_t{64} << 10;

class ExpiryCompactionTest : public ::testing::TestWithParam<bool> {
 protected:
  ExpiryCompactionTest() : disk_(1) { Open(); }

  // As after a kill.
  void Open() {
    engine_.reset();
    Config config;
    config.time_source = TimeSource::kCaller;
    config.ordered = GetParam();
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.space_extra_min = 0;
    config.background_threads = false;
    config.recovery_threads = 1;
    config.at_compaction_point = [this](CompactionPoint point) {
      if (at_point_ != nullptr && point == CompactionPoint::kScanned) {
        std::exchange(at_point_, nullptr)();
      }
    };
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(disk_, "store", config);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  static std::string Key(int i) { return absl::StrFormat("key%05d", i); }

  void Put(std::string_view key, std::string_view value,
           Millis expiry = kNever) {
    ASSERT_OK(engine_->Put(key, value, expiry));
  }
  // Two segments of keys of their own, which never expire: what came before
  // lies in sealed segments.
  void Fill() {
    for (int i = 0; i < 130; ++i) {
      Put(absl::StrFormat("fill%d", filled_++), std::string(1000, 'f'));
    }
    ASSERT_OK(engine_->Flush());
    engine_->RunSync();
  }

  void CompactUntilDone() {
    for (int i = 0; i < 1000; ++i) {
      const absl::StatusOr<Compactor::Step> step = engine_->RunCompaction();
      ASSERT_OK(step);
      if (*step != Compactor::Step::kDone) return;
    }
    FAIL() << "compaction finds no end";
  }

  std::string Get(std::string_view key) const {
    std::string value;
    const absl::Status status = engine_->Get(key, &value);
    return status.ok() ? value : std::string(status.ToString());
  }
  static std::string Absent() { return absl::NotFoundError("").ToString(); }

  int CountListed() const {
    int count = 0;
    const std::unique_ptr<Cursor> cursor = engine_->Scan({});
    for (; cursor->is_valid(); cursor->Next()) ++count;
    EXPECT_OK(cursor->status());
    return count;
  }

  SimFileSystem disk_;
  std::function<void()> at_point_;
  std::unique_ptr<Engine> engine_;
  int filled_ = 0;
};

TEST_P(ExpiryCompactionTest, GivesBackWhatHasExpiredAndWritesNothing) {
  for (int i = 0; i < 600; ++i) Put(Key(i), std::string(1000, 'x'), 1000);
  Fill();
  CompactUntilDone();
  EXPECT_EQ(engine_->GetStats().compaction_count, 0U);

  ASSERT_OK(engine_->AdvanceTime(1000));
  CompactUntilDone();

  const Stats stats = engine_->GetStats();
  // What shares a segment with the first of the others is copied.
  EXPECT_LT(stats.compaction_written_bytes, kSegmentSize);
  EXPECT_EQ(stats.tombstone_bytes, 0U);
  EXPECT_LT(stats.used_bytes, 5 * kSegmentSize);
  EXPECT_LE(stats.key_count, 130U + 64);
  EXPECT_EQ(CountListed(), 130);
  EXPECT_EQ(Get(Key(0)), Absent());
}

TEST_P(ExpiryCompactionTest, CopiesWhatHasNot) {
  for (int i = 0; i < 600; ++i) {
    Put(Key(i), std::string(1000, 'x'), i % 10 == 0 ? 3000 : 1000);
  }
  Fill();

  ASSERT_OK(engine_->AdvanceTime(1000));
  CompactUntilDone();

  EXPECT_EQ(CountListed(), 130 + 60);
  EXPECT_EQ(Get(Key(10)), std::string(1000, 'x'));
  EXPECT_EQ(Get(Key(11)), Absent());
  const uint64_t used = engine_->GetStats().used_bytes;
  EXPECT_LT(used, 7 * kSegmentSize);

  ASSERT_OK(engine_->AdvanceTime(3000));
  CompactUntilDone();
  EXPECT_EQ(CountListed(), 130);
  EXPECT_LT(engine_->GetStats().used_bytes, used);
}

// A lives for ever, B hides it and ends, and its segment goes.
TEST_P(ExpiryCompactionTest, LetsNothingOlderComeBack) {
  Put("key", "A");
  Fill();
  Put("key", "B", 1000);
  for (int i = 0; i < 200; ++i) Put(Key(i), std::string(1000, 'x'), 1000);
  Fill();
  ASSERT_OK(engine_->AdvanceTime(2000));
  CompactUntilDone();
  EXPECT_EQ(Get("key"), Absent());

  Open();
  EXPECT_EQ(Get("key"), Absent());

  // C takes B's place, and leaves no trace.
  Put("key", "C", 3000);
  for (int i = 0; i < 200; ++i) Put(Key(i), std::string(1000, 'x'), 3000);
  Fill();
  EXPECT_EQ(Get("key"), "C");
  ASSERT_OK(engine_->Compact());
  EXPECT_EQ(Get("key"), "C");
  ASSERT_OK(engine_->AdvanceTime(4000));
  CompactUntilDone();
  ASSERT_OK(engine_->Compact());
  EXPECT_EQ(Get("key"), Absent());
  Open();
  EXPECT_EQ(Get("key"), Absent());
  ASSERT_OK(engine_->Compact());
  Open();
  EXPECT_EQ(Get("key"), Absent());
}

// What was disabled, enabled, put again with an end, and is gone.
TEST_P(ExpiryCompactionTest, LetsNoMaskComeBack) {
  Put("key", "A");
  ASSERT_OK(engine_->Disable("key", "why"));
  Fill();
  ASSERT_OK(engine_->Enable("key", "why"));
  Fill();
  Put("key", "B", 1000);
  for (int i = 0; i < 200; ++i) Put(Key(i), std::string(1000, 'x'), 1000);
  Fill();
  ASSERT_OK(engine_->AdvanceTime(2000));
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(engine_->Compact());
    EXPECT_EQ(*engine_->State("key"), KeyState::kAbsent);
    Open();
    EXPECT_EQ(*engine_->State("key"), KeyState::kAbsent);
  }
}

// The time of a compaction is durable with it.
TEST_P(ExpiryCompactionTest, WhatItTookForExpiredStaysSo) {
  for (int i = 0; i < 200; ++i) Put(Key(i), std::string(1000, 'x'), 900 + i);
  for (int i = 0; i < 200; ++i) Put(Key(i), std::string(1000, 'y'), 900 + i);
  Fill();
  ASSERT_OK(engine_->AdvanceTime(1100));
  CompactUntilDone();

  Open();

  EXPECT_GE(engine_->Now(), 1100U);
  EXPECT_EQ(CountListed(), 130);
}

TEST_P(ExpiryCompactionTest, AViewShowsWhatEndsWhileItIsOpen) {
  for (int i = 0; i < 300; ++i) Put(Key(i), std::string(1000, 'x'), 1000);
  Fill();
  const std::unique_ptr<Snapshot> before = engine_->OpenSnapshot();
  ASSERT_OK(engine_->AdvanceTime(1000));
  CompactUntilDone();
  const std::unique_ptr<Snapshot> after = engine_->OpenSnapshot();

  std::string value;
  for (int i = 0; i < 300; ++i) {
    ASSERT_OK(before->Get(Key(i), &value)) << i;
    ASSERT_TRUE(absl::IsNotFound(after->Get(Key(i), &value))) << i;
  }
  int listed = 0;
  const std::unique_ptr<Cursor> cursor = before->Scan({});
  for (; cursor->is_valid(); cursor->Next()) ++listed;
  EXPECT_EQ(listed, 430);
  EXPECT_EQ(CountListed(), 130);
}

// Put again between the compaction's look and its publishing.
TEST_P(ExpiryCompactionTest, LeavesWhatWasPutMeanwhile) {
  for (int i = 0; i < 300; ++i) Put(Key(i), std::string(1000, 'x'), 1000);
  Fill();
  ASSERT_OK(engine_->AdvanceTime(1000));
  at_point_ = [this] {
    for (int i = 0; i < 10; ++i) Put(Key(i), "again");
  };
  CompactUntilDone();

  for (int i = 0; i < 10; ++i) EXPECT_EQ(Get(Key(i)), "again");
  Open();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Get(Key(i)), "again");
  EXPECT_EQ(CountListed(), 140);
}

// What a store knows of expiries survives sealing, kills and reopening.
TEST_P(ExpiryCompactionTest, KnowsWhatExpiresAfterReopening) {
  for (int i = 0; i < 300; ++i) Put(Key(i), std::string(1000, 'x'), 1000);
  ASSERT_OK(engine_->Flush());
  Open();
  for (int i = 300; i < 330; ++i) Put(Key(i), std::string(1000, 'x'), 1000);
  Open();
  Fill();

  ASSERT_OK(engine_->AdvanceTime(1000));
  CompactUntilDone();

  EXPECT_EQ(CountListed(), 130);
  EXPECT_LT(engine_->GetStats().used_bytes, 5 * kSegmentSize);
}

INSTANTIATE_TEST_SUITE_P(Order, ExpiryCompactionTest, ::testing::Bool(),
                         [](const auto& param_info) {
                           return param_info.param ? "Ordered" : "Hashed";
                         });

TEST(ExpirySumTest, NeverTellsMoreThanHasExpired) {
  ExpirySum sum;
  uint64_t all = 0;
  for (Millis expiry = 1; expiry < 2'000'000; expiry += 997) {
    sum.Add(expiry, 8);
    all += 8;
  }
  EXPECT_EQ(sum.all_bytes(), all);
  EXPECT_EQ(sum.first(), 1U);
  for (Millis now = 0; now < 2'100'000; now += 10'007) {
    const uint64_t expired = sum.ExpiredBytes(now);
    const uint64_t truth =
        now == 0 ? 0 : 8 * ((std::min(now, sum.last()) - 1) / 997 + 1);
    EXPECT_LE(expired, truth) << now;
    // A sixteenth of the time behind, at most.
    EXPECT_GE(expired + all / 8, truth) << now;
    EXPECT_GT(sum.NextExpiry(now), now);
  }
  EXPECT_EQ(sum.ExpiredBytes(sum.last()), all);
  EXPECT_EQ(sum.NextExpiry(sum.last()), kNever);
}

}  // namespace
}  // namespace peat::engine
