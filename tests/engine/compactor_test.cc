// Compaction through the engine, step by step, on the simulated file system.

#include "engine/compactor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "format/file_name.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::SimOp;
using ::peat::testing::StatusIs;
using ::testing::ElementsAre;

constexpr uint64_t kSegmentSize = uint64_t{64} << 10;

class CompactorTest : public ::testing::TestWithParam<ReadMethod> {
 protected:
  CompactorTest() : disk_(1) { Open(); }

  void Open() {
    engine_.reset();
    Config config;
    config.read_method = GetParam();
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.space_extra_min = 0;
    config.background_threads = false;
    config.recovery_threads = 1;
    config.at_compaction_point = [this](CompactionPoint point) {
      if (at_point_ == nullptr || point != at_) return;
      std::exchange(at_point_, nullptr)();
    };
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(disk_, "store", config);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  // Does `what` once, at `point` of the next compaction.
  void At(CompactionPoint point, std::function<void()> what) {
    at_ = point;
    at_point_ = std::move(what);
  }

  static std::string Key(int i) { return "key" + std::to_string(i); }

  // Puts keys [begin, end) with values of 1,000 bytes: 63 to a segment.
  void Fill(int begin, int end, char value = 'v') {
    for (int i = begin; i < end; ++i) {
      ASSERT_OK(engine_->Put(Key(i), std::string(1000, value)));
    }
  }
  void Erase(int begin, int end) {
    for (int i = begin; i < end; ++i) ASSERT_OK(engine_->Delete(Key(i)));
  }
  // Everything so far lies in sealed segments but the last few records.
  void Seal() {
    ASSERT_OK(engine_->Flush());
    engine_->RunSync();
  }

  std::optional<char> Get(int i) const {
    std::string value;
    const absl::Status status = engine_->Get(Key(i), &value);
    if (absl::IsNotFound(status)) return std::nullopt;
    EXPECT_OK(status);
    return value.empty() ? '-' : value[0];
  }

  void CompactUntilDone() {
    for (int i = 0; i < 1000; ++i) {
      const absl::StatusOr<Compactor::Step> step = engine_->RunCompaction();
      ASSERT_OK(step);
      if (*step != Compactor::Step::kDone) return;
    }
    FAIL() << "compaction finds no end";
  }

  Stats TheStats() const { return engine_->GetStats(); }
  size_t FileCount(const std::string& suffix) const {
    size_t count = 0;
    for (const std::string& name : disk_.ListFiles("store")) {
      count += name.ends_with(suffix) ? 1 : 0;
    }
    return count;
  }

  SimFileSystem disk_;
  CompactionPoint at_ = CompactionPoint::kScanned;
  std::function<void()> at_point_;
  std::unique_ptr<Engine> engine_;
};

INSTANTIATE_TEST_SUITE_P(Methods, CompactorTest,
                         ::testing::Values(ReadMethod::kMapped,
                                           ReadMethod::kPositional));

// A handful of records is not rewritten over and over.
TEST_P(CompactorTest, ComesToAnEndInATinyStore) {
  for (int i = 0; i < 6; ++i) {
    ASSERT_OK(engine_->Put("a", "1"));
    ASSERT_OK(engine_->Put("b", "2"));
    ASSERT_OK(engine_->Disable("a", "r"));
    ASSERT_OK(engine_->Enable("a", "r"));
    ASSERT_OK(engine_->Close());
    Open();
    CompactUntilDone();
  }
  ASSERT_OK(engine_->Forget("b", "r"));
  Seal();
  CompactUntilDone();
  EXPECT_LT(TheStats().compaction_count, 10U);
}

TEST_P(CompactorTest, KeepsSpaceWithinTheBound) {
  Fill(0, 300);
  for (int round = 0; round < 20; ++round) {
    for (int i = round % 3; i < 300; i += 3) {
      Fill(i, i + 1, static_cast<char>('a' + round));
      if (i % 30 < 3) Seal();
    }
    Seal();
    CompactUntilDone();
    const Stats stats = TheStats();
    const double stay =
        static_cast<double>(stats.live_bytes + stats.tombstone_bytes);
    EXPECT_LE(static_cast<double>(stats.used_bytes),
              1.5 * stay + 2.0 * kSegmentSize);
  }
  EXPECT_GT(TheStats().compaction_count, 5U);
  EXPECT_EQ(TheStats().key_count, 300U);
  EXPECT_LE(FileCount(".seg"), TheStats().segment_count + 1);
}

TEST_P(CompactorTest, LeavesWhatWasWrittenMeanwhileAlone) {
  for (const CompactionPoint point :
       {CompactionPoint::kScanned, CompactionPoint::kCommitted}) {
    SCOPED_TRACE(static_cast<int>(point));
    Fill(0, 200, 'a');
    Fill(20, 60, 'a');
    Seal();
    At(point, [this] {
      Fill(3, 4, 'b');
      Erase(4, 5);
      ASSERT_OK(engine_->CompareAndSet(Key(5), std::string(1000, 'a'), "c"));
      const std::string key = Key(6);
      ASSERT_OK(engine_->Write(std::vector<BatchOperation>{
          {.operation = Operation::kPut, .key = key, .value = "d"}}));
    });
    ASSERT_OK(engine_->Compact());
    ASSERT_EQ(at_point_, nullptr) << "nothing was compacted";

    for (int reopened = 0; reopened < 2; ++reopened) {
      EXPECT_EQ(Get(2), 'a');
      EXPECT_EQ(Get(3), 'b');
      EXPECT_EQ(Get(4), std::nullopt);
      EXPECT_EQ(Get(5), 'c');
      EXPECT_EQ(Get(6), 'd');
      EXPECT_EQ(TheStats().key_count, 199U);
      if (reopened == 0) Open();
    }
    Fill(4, 5);
  }
}

TEST_P(CompactorTest, LeavesWhatWasMaskedMeanwhileAlone) {
  for (const CompactionPoint point :
       {CompactionPoint::kScanned, CompactionPoint::kCommitted}) {
    SCOPED_TRACE(static_cast<int>(point));
    const int first = point == CompactionPoint::kScanned ? 0 : 300;
    Fill(first, first + 200, 'a');
    Fill(first + 20, first + 60, 'a');
    Seal();
    At(point, [this, first] {
      ASSERT_OK(engine_->Forget(Key(first), "asked to"));
      ASSERT_OK(engine_->Disable(Key(first + 1), "closed"));
    });
    ASSERT_OK(engine_->Compact());
    ASSERT_EQ(at_point_, nullptr) << "nothing was compacted";

    for (int reopened = 0; reopened < 2; ++reopened) {
      EXPECT_EQ(Get(first), std::nullopt);
      EXPECT_FALSE(engine_->Put(Key(first), "b").ok());
      EXPECT_EQ(Get(first + 1), 'a');
      EXPECT_FALSE(engine_->Put(Key(first + 1), "b").ok());
      EXPECT_EQ(Get(first + 2), 'a');
      // A pass over everything moves what was masked, too.
      ASSERT_OK(engine_->Compact());
      if (reopened == 0) Open();
    }
  }
  EXPECT_EQ(TheStats().forgotten_key_count, 2U);
  EXPECT_EQ(TheStats().disabled_key_count, 2U);
}

TEST_P(CompactorTest, CountsExactly) {
  Fill(0, 150);
  Fill(20, 60, 'w');
  Erase(100, 120);
  Seal();
  ASSERT_OK(engine_->Compact());
  Fill(50, 70, 'x');
  const Stats before = TheStats();
  Open();
  const Stats after = TheStats();
  EXPECT_EQ(before.live_bytes, 130U * (24 + 1000 + 8));
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(after.tombstone_bytes, before.tombstone_bytes);
}

TEST_P(CompactorTest, DropsATombstoneOnlyWithAllThatItShadows) {
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

TEST_P(CompactorTest, AColdSurvivorDoesNotPinTombstones) {
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

// A window over keys that come and go; one of a hundred stays for ever.
TEST_P(CompactorTest, KeepsTombstonesOfAWindowFew) {
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
TEST_P(CompactorTest, KeepsTombstonesThatTheSampleHasMissed) {
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

TEST_P(CompactorTest, ADamagedHintFileIsMadeAgain) {
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

TEST_P(CompactorTest, SetsADamagedInputAside) {
  Fill(0, 200);
  Seal();
  Fill(0, 50, 'w');
  Seal();
  std::string damaged;
  for (const SegmentStats& segment : TheStats().segments) {
    if (segment.dead_bytes > kSegmentSize / 2 && damaged.empty()) {
      damaged = format::SegmentFileName(segment.id);
    }
  }
  ASSERT_NE(damaged, "");
  disk_.FlipBit("store/" + damaged, 8 * 60'000);

  EXPECT_THAT(engine_->Compact(),
              StatusIs(absl::StatusCode::kDataLoss, damaged));

  int set_aside = 0;
  for (const SegmentStats& segment : TheStats().segments) {
    set_aside += segment.is_set_aside ? 1 : 0;
  }
  EXPECT_EQ(set_aside, 1);
  EXPECT_OK(engine_->Compact());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Get(i), 'w') << i;
  for (int i = 63; i < 200; ++i) EXPECT_EQ(Get(i), 'v') << i;
}

TEST_P(CompactorTest, SetsAMissingInputAside) {
  Fill(0, 200);
  Fill(0, 50, 'w');
  Seal();
  disk_.RemoveFile("store/" +
                   format::SegmentFileName(TheStats().segments.front().id));

  EXPECT_THAT(engine_->Compact(),
              StatusIs(absl::StatusCode::kDataLoss, "missing"));

  EXPECT_TRUE(TheStats().segments.front().is_set_aside);
  EXPECT_OK(engine_->Compact());
  EXPECT_EQ(Get(199), 'v');
}

TEST_P(CompactorTest, RemovesAValueFileWithTheLastRecordThatRefersToIt) {
  const std::string large(40'000, 'L');
  ASSERT_OK(engine_->Put("large", large));
  Fill(0, 130);
  ASSERT_OK(engine_->Put("large", large));
  Fill(200, 330);
  Seal();
  ASSERT_EQ(FileCount(".val"), 2U);
  ASSERT_OK(engine_->Compact());
  EXPECT_EQ(FileCount(".val"), 1U);
  std::string value;
  ASSERT_OK(engine_->Get("large", &value));
  EXPECT_EQ(value, large);
  ASSERT_OK(engine_->Delete("large"));
  Fill(400, 530);
  Seal();
  ASSERT_OK(engine_->Compact());
  EXPECT_EQ(FileCount(".val"), 0U);
}

TEST_P(CompactorTest, MasksStayForEver) {
  ASSERT_OK(engine_->Put("a", "value of a"));
  ASSERT_OK(engine_->Disable("a", "first"));
  ASSERT_OK(engine_->Enable("a", "second"));
  ASSERT_OK(engine_->Put("b", std::string(40'000, 'L')));
  ASSERT_OK(engine_->Forget("b", "third"));
  ASSERT_OK(engine_->Put("c", "value of c"));
  ASSERT_OK(engine_->Disable("c", "fourth"));
  ASSERT_OK(engine_->Put("a", "new value of a"));
  ASSERT_OK(engine_->Delete("a"));
  for (int round = 0; round < 4; ++round) {
    Fill(0, 130, static_cast<char>('a' + round));
    Seal();
    ASSERT_OK(engine_->Compact());
    EXPECT_EQ(FileCount(".val"), 1U);
    std::vector<std::string> reasons;
    ASSERT_OK_AND_ASSIGN(const auto masks, engine_->ScanMasks({}));
    while (masks->Next()) reasons.emplace_back(masks->mask().reason);
    ASSERT_OK(masks->status());
    EXPECT_THAT(reasons, ElementsAre("first", "second", "third", "fourth"));
    ASSERT_OK_AND_ASSIGN(const KeyState a, engine_->State("a"));
    ASSERT_OK_AND_ASSIGN(const KeyState b, engine_->State("b"));
    ASSERT_OK_AND_ASSIGN(const KeyState c, engine_->State("c"));
    EXPECT_EQ(a, KeyState::kAbsent);
    EXPECT_EQ(b, KeyState::kForgotten);
    EXPECT_EQ(c, KeyState::kDisabled);
    std::string revealed;
    ASSERT_OK(engine_->Reveal("b", &revealed));
    EXPECT_EQ(revealed, std::string(40'000, 'L'));
    if (round == 2) Open();
  }
  int audit_segments = 0;
  for (const SegmentStats& segment : TheStats().segments) {
    audit_segments += segment.kind == format::SegmentKind::kAudit ? 1 : 0;
  }
  EXPECT_GE(audit_segments, 1);
}

TEST_P(CompactorTest, WorksOnAFullDiskAndLetsWritesResume) {
  Fill(0, 400);
  Seal();
  disk_.SetCapacity(disk_.used_bytes());
  absl::Status status;
  int written = 0;
  while (status.ok()) {
    status = engine_->Put(Key(written % 200), std::string(1000, 'w'));
    if (status.ok()) ++written;
  }
  ASSERT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  Erase(200, 400);
  Seal();

  CompactUntilDone();
  ASSERT_OK(engine_->Compact());

  EXPECT_OK(engine_->Put("more", "value"));
  EXPECT_TRUE(TheStats().reserve_complete);
  for (int i = 0; i < 200; ++i) ASSERT_NE(Get(i), std::nullopt) << i;
  EXPECT_EQ(TheStats().key_count, 201U);
}

TEST_P(CompactorTest, AFailureLeavesNothingBehind) {
  Fill(0, 200);
  Fill(0, 190, 'w');
  Seal();
  const size_t segments = FileCount(".seg");
  disk_.FailNth({.op = SimOp::kWrite,
                 .nth = 1,
                 .status = absl::DataLossError("EIO"),
                 .name_part = ".seg"});

  EXPECT_THAT(engine_->Compact(), StatusIs(absl::StatusCode::kDataLoss));

  EXPECT_EQ(FileCount(".seg"), segments);
  EXPECT_OK(engine_->Compact());
  EXPECT_LT(FileCount(".seg"), segments);
  for (int i = 0; i < 190; ++i) ASSERT_EQ(Get(i), 'w') << i;
}

TEST_P(CompactorTest, APinnedValueKeepsItsSegmentAlone) {
  Fill(0, 200);
  Seal();
  const absl::StatusOr<Pinned> pinned = engine_->GetPinned(Key(10));
  ASSERT_OK(pinned);
  Fill(0, 200, 'w');
  Seal();
  CompactUntilDone();
  ASSERT_OK(engine_->Compact());
  EXPECT_LE(FileCount(".seg"), 6U);
  Fill(0, 60, 'x');
  engine_.reset();
  EXPECT_EQ(pinned->value, std::string(1000, 'v'));
}

TEST_P(CompactorTest, ACompactedStoreIsNotCompactedAgain) {
  Fill(0, 200);
  Fill(0, 190, 'w');
  Seal();
  ASSERT_OK(engine_->Compact());
  const uint64_t written = TheStats().compaction_written_bytes;
  ASSERT_OK(engine_->Compact());
  CompactUntilDone();
  EXPECT_EQ(TheStats().compaction_written_bytes, written);
}

TEST_P(CompactorTest, DoesNothingAfterClose) {
  Fill(0, 10);
  ASSERT_OK(engine_->Close());
  EXPECT_THAT(engine_->Compact(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace peat::engine
