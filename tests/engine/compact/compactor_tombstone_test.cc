// What compaction does to tombstones: each goes with the last record that it
// shadows, and not before.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/engine/compact/compactor_fixture.h"

namespace peat::engine {
namespace {

using CompactorTombstoneTest = CompactorTest;

INSTANTIATE_TEST_SUITE_P(Methods, CompactorTombstoneTest,
                         ::testing::Values(ReadMethod::kMapped,
                                           ReadMethod::kPositional));

TEST_P(CompactorTombstoneTest, DropsATombstoneOnlyWithAllThatItShadows) {
  Fill(0, 126);    // two segments
  Fill(500, 502);  // and a bit
  Erase(0, 60);    // in the third, which shadow the first
  Fill(600, 720);
  Seal();
  CompactUntilDone();
  EXPECT_EQ(TheStats().tombstone_bytes % 32, 0U);
  for (int reopened = 0; reopened < 3; ++reopened) {
    for (int i = 0; i < 60; ++i) ASSERT_EQ(Get(i), std::nullopt) << i;
    EXPECT_EQ(TheStats().key_count, 66U + 2 + 120);
    Open();
    ASSERT_OK(engine_->RunCompaction());
  }
  Fill(800, 930);
  Seal();
  ASSERT_OK(engine_->Compact());
  EXPECT_LE(TheStats().tombstone_bytes, 2U * 32);  // the filters err, rarely
  Open();
  for (int i = 0; i < 60; ++i) ASSERT_EQ(Get(i), std::nullopt) << i;
}

TEST_P(CompactorTombstoneTest, AColdSurvivorDoesNotPinTombstones) {
  Fill(0, 63);  // cold, and older than all that follows
  Fill(1000, 1400);
  Erase(1000, 1400);
  Fill(2000, 2200, 'x');
  Seal();
  CompactUntilDone();
  // What most of them shadow has gone with its segments.
  EXPECT_LT(TheStats().tombstone_bytes, 200U * 32);
  ASSERT_OK(engine_->Compact());
  EXPECT_LE(TheStats().tombstone_bytes, 2U * 32);  // the filters err, rarely
  EXPECT_EQ(TheStats().key_count, 263U);
  EXPECT_GT(FileCount(".hint"), 0U);
}

// What shadows something was taken for idle from then on.
TEST_P(CompactorTombstoneTest, SamplesAgainWhatCouldNotBeReadForAMoment) {
  if (GetParam() == ReadMethod::kMapped) GTEST_SKIP() << "it is not read";
  Fill(0, 63);
  Fill(500, 563);
  Erase(0, 60);
  Fill(600, 720);
  Seal();
  disk_.FailNth({.op = testing::SimOp::kOpen,
                 .status = absl::ResourceExhaustedError("no handle"),
                 .forever = true,
                 .name_part = ".seg"});
  (void)engine_->RunCompaction();
  EXPECT_EQ(engine_->segments().Sum().idle_bytes, 0U);

  disk_.ClearFaults();
  ASSERT_OK(engine_->RunCompaction());

  EXPECT_EQ(TheStats().tombstone_bytes, 60U * 32);
  EXPECT_LE(engine_->segments().Sum().idle_bytes, 2U * 32);
}

// A window over keys that come and go; one of a hundred stays for ever.
TEST_P(CompactorTombstoneTest, KeepsTombstonesOfAWindowFew) {
  constexpr int kWindow = 12'000;
  const auto put = [this](int i) {
    ASSERT_OK(engine_->Put(Key(i), std::string(100, 'w')));
  };
  for (int i = 0; i < kWindow; ++i) put(i);
  uint64_t most = 0;
  for (int i = 0; i < 3 * kWindow; ++i) {
    if (i % 100 != 0) Erase(i, i + 1);
    put(kWindow + i);
    if (i % 100 != 0) continue;
    Seal();
    CompactUntilDone();
    if (i < kWindow) continue;
    const Stats stats = TheStats();
    const uint64_t count = stats.tombstone_bytes / 32;
    most = std::max(most, 100 * count / (count + stats.key_count));
    EXPECT_LE(stats.space_amplification, 1.5);
  }
  EXPECT_LT(most, 10U);
  EXPECT_LT(TheStats().write_amplification, 2);
}

// The sample takes them for idle, since each sixteenth is. Two segments are
// then compacted to one, where there is no room for the others.
TEST_P(CompactorTombstoneTest, KeepsTombstonesThatTheSampleHasMissed) {
  constexpr int kPairs = 608;  // of a segment
  const auto name = [](const char* what, int i) {
    return what + std::to_string(1000 + i);
  };
  for (int i = 0; i < 3 * kPairs; i += 16) {
    ASSERT_OK(engine_->Put(name("gone", i), std::string(900, 'g')));
  }
  ASSERT_OK(engine_->Close());
  Open();
  for (int i = 0; i < 3 * kPairs; ++i) {
    ASSERT_OK(engine_->Put(name("live", i), std::string(2000, 'l')));
    if (i % 16 == 0) continue;
    ASSERT_OK(engine_->Put(name("dead", i), "d"));
  }
  for (int first = 0; first < 3 * kPairs; first += kPairs) {
    ASSERT_OK(engine_->Close());
    Open();
    for (int i = first; i < first + kPairs; ++i) {
      const char* const what = i % 16 == 0 ? "gone" : "dead";
      ASSERT_OK(engine_->Delete(name(what, i)));
      ASSERT_OK(engine_->Put(name("pair", i), std::string(10, 'p')));
    }
  }
  ASSERT_OK(engine_->Close());
  Open();
  ASSERT_EQ(TheStats().tombstone_bytes, 3 * kPairs * 32U);

  CompactUntilDone();

  EXPECT_LE(TheStats().tombstone_bytes, (3 * kPairs - 2 * kPairs / 16) * 32U);
  EXPECT_GT(TheStats().compaction_written_bytes, 0U);
  ASSERT_OK(engine_->Close());
  Open();
  std::string value;
  for (int i = 0; i < 3 * kPairs; ++i) {
    EXPECT_THAT(engine_->Get(name("dead", i), &value),
                StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(engine_->Get(name("gone", i), &value),
                StatusIs(absl::StatusCode::kNotFound));
    EXPECT_OK(engine_->Get(name("pair", i), &value));
    EXPECT_OK(engine_->Get(name("live", i), &value));
  }
}

TEST_P(CompactorTombstoneTest, ADamagedHintFileIsMadeAgain) {
  Fill(0, 63);
  Fill(1000, 1400);
  Erase(1000, 1100);
  Fill(2000, 2130, 'x');
  Seal();
  ASSERT_OK(engine_->Compact());
  ASSERT_GT(FileCount(".hint"), 0U);
  for (const std::string& name : disk_.ListFiles("store")) {
    if (name.ends_with(".hint")) disk_.FlipBit("store/" + name, 8 * 75);
  }
  Erase(0, 30);
  Fill(3000, 3130, 'x');
  Seal();
  ASSERT_OK(engine_->Compact());
  Open();
  EXPECT_EQ(TheStats().key_count, 33U + 300 + 130 + 130);
  EXPECT_EQ(Get(10), std::nullopt);
}

}  // namespace
}  // namespace peat::engine
