// Records with the same lsn: copies are fine, all else verify reports.

#include "tools/offline/lsn_check.h"

#include <array>
#include <functional>

#include "format/file_name.h"
#include "format/manifest.h"
#include "format/mask.h"
#include "tests/tools/offline/offline_fixture.h"
#include "tools/offline/repair.h"

namespace peat::tools {
namespace {

using format::RecordKind;
using format::SegmentKind;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(SeenLsnsTest, TellsWhenAnLsnWasSeenTwice) {
  SeenLsns seen(1000);
  SeenLsns::Walk first(&seen);
  for (const format::Lsn lsn : {1, 63, 64, 65, 2, 1000}) first.Add(lsn);
  {
    SeenLsns::Walk second(&seen);
    for (const format::Lsn lsn : {3, 66, 999, 4}) second.Add(lsn);
  }
  EXPECT_FALSE(seen.has_twice());
  {
    SeenLsns::Walk third(&seen);
    third.Add(66);
  }
  EXPECT_TRUE(seen.has_twice());
}

TEST(SeenLsnsTest, TellsWhenOneWalkSeesAnLsnTwiceInARow) {
  SeenLsns seen(10);
  {
    SeenLsns::Walk walk(&seen);
    walk.Add(7);
    walk.Add(7);
    walk.Add(8);
  }
  EXPECT_TRUE(seen.has_twice());
}

TEST(SeenLsnsTest, TakesLsnsFarApartForTheSame) {
  SeenLsns seen(UINT64_MAX);
  {
    SeenLsns::Walk walk(&seen);
    walk.Add(1);
    walk.Add(UINT64_MAX);
  }
  EXPECT_FALSE(seen.has_twice());
  {
    SeenLsns::Walk walk(&seen);
    walk.Add(1 + SeenLsns::kBitsMax);
  }
  EXPECT_TRUE(seen.has_twice());
}

struct OwnedRecord {
  format::RecordHeader header;
  std::string key;
  std::string value;
  uint64_t offset = 0;  // in the log
};

class LsnCheckTest : public OfflineFixture {
 protected:
  // Lsns 1 and 2 are a batch, 3 a put, 4 and 5 a put and its disable.
  void SetUp() override {
    const std::unique_ptr<Store> store = Open(path("s"));
    WriteBatch batch;
    batch.Put("apple", "red");
    batch.Put("banana", "yellow");
    ASSERT_OK(store->Write(batch));
    ASSERT_OK(store->Put("cherry", "dark"));
    ASSERT_OK(store->Put("date", "brown"));
    ASSERT_OK(store->Disable("date", {.reason = "eaten"}));
    ASSERT_OK(store->Close());
    const StoreFiles files =
        *ReadStoreFiles(engine::PosixFileSystem(), path("s"));
    ASSERT_THAT(files.segments, SizeIs(1));
    manifest_ = *files.manifest;
    RecordWalk walk = files.segments[0].Walk();
    while (*walk.Next() == RecordWalk::Step::kRecord) {
      if (!TakesLsn(walk.record().header.kind)) continue;
      log_.push_back({.header = walk.record().header,
                      .key = std::string(walk.record().key),
                      .value = std::string(walk.record().value),
                      .offset = walk.offset()});
    }
    ASSERT_THAT(log_, SizeIs(5));
  }

  // Adds a sealed segment that holds these.
  void AddSegment(SegmentKind kind, const std::vector<OwnedRecord>& records) {
    format::ManifestSegment entry{.id = manifest_.next_id++,
                                  .salt = 77 + manifest_.next_id,
                                  .capacity = 16 << 20,
                                  .first_lsn = UINT64_MAX,
                                  .kind = kind,
                                  .state = format::SegmentState::kSealed};
    std::string bytes =
        format::EncodeSegmentHeader({.kind = kind,
                                     .id = entry.id,
                                     .salt = entry.salt,
                                     .store_id = manifest_.store_id,
                                     .capacity = entry.capacity});
    bytes.resize(format::kSegmentHeaderSize);
    for (const OwnedRecord& one : records) {
      format::RecordHeader header = one.header;
      header.key_size = static_cast<uint16_t>(one.key.size());
      header.value_size = static_cast<uint32_t>(one.value.size());
      header.flags = 0;
      const size_t offset = bytes.size();
      AppendRecord(header, one.key, one.value, {entry.salt, offset}, &bytes);
      entry.last_checksum =
          format::Load<uint32_t>(format::AsBytes(bytes), offset);
      if (!TakesLsn(header.kind)) continue;
      entry.first_lsn = std::min(entry.first_lsn, header.lsn);
      entry.last_lsn = std::max(entry.last_lsn, header.lsn);
    }
    if (entry.last_lsn == 0) entry.first_lsn = 0;
    entry.end = bytes.size();
    testing::WriteWholeFile(path("s") / format::SegmentFileName(entry.id),
                            bytes);
    format::AddSegment(manifest_, entry);
    for (const char* copy : format::kManifestFileNames) {
      testing::WriteWholeFile(path("s") / copy,
                              format::EncodeManifest(manifest_));
    }
    last_file_ = format::SegmentFileName(entry.id);
  }

  format::Manifest manifest_;
  std::vector<OwnedRecord> log_;
  std::string last_file_;
};

TEST_F(LsnCheckTest, CopiesAreFine) {
  AddSegment(SegmentKind::kCompacted, {log_[0], log_[2], log_[4]});
  AddSegment(SegmentKind::kCompacted, {log_[2]});

  const VerifyReport report = Verify(path("s"));

  EXPECT_THAT(report.findings, IsEmpty()) << Describe(report.findings);
}

TEST_F(LsnCheckTest, AMaskAndItsStubAreFine) {
  const format::Record mask{
      .header = log_[4].header, .key = log_[4].key, .value = log_[4].value};
  OwnedRecord stub = log_[4];
  stub.header.kind = RecordKind::kAuditStub;
  stub.value = format::EncodeAuditStub(mask);
  AddSegment(SegmentKind::kAudit, {stub});
  EXPECT_THAT(Verify(path("s")).findings, IsEmpty());

  stub.value.back() = '!';  // of the reason
  AddSegment(SegmentKind::kAudit, {stub});
  const VerifyReport report = Verify(path("s"));
  ASSERT_THAT(report.findings, SizeIs(1)) << Describe(report.findings);
  EXPECT_EQ(report.findings[0].file, last_file_);
}

TEST_F(LsnCheckTest, WhatDiffersInAnyPartIsReported) {
  const format::Manifest manifest = manifest_;
  const std::array<std::function<void(OwnedRecord&)>, 5> changes = {
      [](OwnedRecord& one) { one.key = "Cherry"; },
      [](OwnedRecord& one) { one.value = "dArk"; },
      [](OwnedRecord& one) { one.value += " red"; },
      [](OwnedRecord& one) {
        one.key = "cherryd";
        one.value = "ark";
      },
      [](OwnedRecord& one) {
        one.header.kind = RecordKind::kTombstone;
        one.value = "";
      }};
  for (const auto& change : changes) {
    manifest_ = manifest;
    OwnedRecord other = log_[2];
    change(other);
    AddSegment(SegmentKind::kCompacted, {log_[1], other});

    const VerifyReport report = Verify(path("s"));

    ASSERT_THAT(report.findings, SizeIs(1)) << Describe(report.findings);
    const Finding& finding = report.findings[0];
    EXPECT_EQ(finding.severity, Severity::kDamage);
    EXPECT_EQ(finding.file, last_file_);
    EXPECT_EQ(finding.offset,
              format::kSegmentHeaderSize +
                  format::RecordSize(log_[1].key.size(), log_[1].value.size()));
    EXPECT_THAT(finding.what, HasSubstr("lsn 3 lies in 000001.seg offset " +
                                        std::to_string(log_[2].offset)));
  }
}

// Whatever else claims its lsn: what was forgotten stays so.
TEST_F(LsnCheckTest, ARepairKeepsTheForget) {
  OwnedRecord forget{
      .header = {.lsn = log_[2].header.lsn, .kind = RecordKind::kForget},
      .key = "banana",
      .value = format::EncodeMask(RecordKind::kForget,
                                  {.time = 1, .reason = "why"})};
  AddSegment(SegmentKind::kAudit, {forget});
  std::vector<Loss> losses;

  ASSERT_OK_AND_ASSIGN(
      const RepairResult result,
      RepairStore(engine::PosixFileSystem(), {path("s"), path("new")},
                  {.salvage = true}, {},
                  [&losses](const Loss& loss) { losses.push_back(loss); }));

  EXPECT_TRUE(result.is_written);
  ASSERT_THAT(losses, SizeIs(1));
  EXPECT_EQ(losses[0].kind, Loss::Kind::kMisplaced);
  EXPECT_EQ(losses[0].key, "cherry");
  const std::unique_ptr<Store> store = Open(path("new"));
  EXPECT_EQ(*store->State("banana"), KeyState::kForgotten);
  EXPECT_EQ(*store->State("cherry"), KeyState::kAbsent);
  EXPECT_EQ(*store->State("apple"), KeyState::kLive);
}

TEST_F(LsnCheckTest, ManyAreReportedInPart) {
  std::vector<OwnedRecord> records(1000, log_[2]);
  for (size_t i = 0; i < records.size(); ++i) {
    records[i].value = std::to_string(i);
  }
  AddSegment(SegmentKind::kCompacted, records);

  EXPECT_THAT(Verify(path("s")).findings, SizeIs(100));
}

TEST_F(LsnCheckTest, IsInterrupted) {
  OwnedRecord large = log_[2];
  large.value = std::string(4 << 20, 'v');
  large.header.lsn = 4;
  for (int i = 0; i < 2; ++i) AddSegment(SegmentKind::kCompacted, {large});
  const StoreFiles files =
      *ReadStoreFiles(engine::PosixFileSystem(), path("s"));

  EXPECT_THAT(CheckLsns(files, 1, [](uint64_t, uint64_t) { return false; }),
              testing::StatusIs(absl::StatusCode::kCancelled));
}

}  // namespace
}  // namespace peat::tools
