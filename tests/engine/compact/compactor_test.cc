// Compaction through the engine, step by step, on the simulated file system.

#include "engine/compact/compactor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "format/file_name.h"
#include "tests/engine/compact/compactor_fixture.h"

namespace peat::engine {
namespace {

using ::peat::testing::SimOp;
using ::testing::ElementsAre;

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
    audit_segments += segment.kind == SegmentStats::Kind::kAudit ? 1 : 0;
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

// For want of an inode, say; the reserve has one already.
TEST_P(CompactorTest, TakesTheReserveWhenNoFileCanBeCreated) {
  Fill(0, 200);
  Fill(0, 200, 'w');
  Erase(10, 200);
  Fill(500, 563);
  Seal();
  disk_.FailNth({.op = SimOp::kCreate,
                 .status = absl::ResourceExhaustedError("no inode"),
                 .forever = true,
                 .name_part = ".seg"});

  ASSERT_OK(engine_->Compact());

  EXPECT_EQ(TheStats().compaction_count, 1U);
  EXPECT_FALSE(TheStats().reserve_complete);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(Get(i), 'w');
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
