// Stores by hand, each of which breaks one rule of FORMAT.md, and who notices:
// an open for writing, one to read only, and verify.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "format/checksum.h"
#include "format/file_name.h"
#include "format/manifest.h"
#include "format/record.h"
#include "format/segment_header.h"
#include "tests/tools/offline/offline_fixture.h"

namespace peat::tools {
namespace {

using absl::StatusCode;
using format::Manifest;
using format::ManifestSegment;
using format::RecordKind;
using format::SegmentKind;
using peat::testing::WriteWholeFile;

struct Piece {
  RecordKind kind = RecordKind::kPut;
  format::Lsn lsn = 0;
  std::string key = {};
  std::string value = {};
  uint8_t flags = 0;
};
using Pieces = std::vector<Piece>;

constexpr uint8_t kInFrame = format::kFlagInFrame;

Piece Link(format::Lsn lsn = 0) {
  return {RecordKind::kLink, lsn, "", format::EncodeLink({.generation = 1})};
}
Piece Put(format::Lsn lsn, uint8_t flags = 0) {
  return {RecordKind::kPut, lsn, "k", "v", flags};
}
Piece Mark(format::Lsn lsn) {
  return {RecordKind::kMark, lsn, "",
          format::EncodeMark({.segment = 1, .end = 4152})};
}
Piece Frame(format::Lsn first, uint32_t count) {
  return {RecordKind::kFrame, first + count - 1, "",
          format::EncodeFrame({.first_lsn = first,
                               .members_size = count * format::RecordSize(1, 1),
                               .member_count = count})};
}
// A frame with that value, or a member of 48 bytes.
Piece Wide(RecordKind kind, format::Lsn lsn, const std::string& value = "") {
  if (kind == RecordKind::kFrame) return {kind, lsn, "", value};
  return {kind, lsn, "k", std::string(16, 'v'), kInFrame};
}
// `piece` with one byte of its value replaced.
Piece With(Piece piece, size_t offset, char byte) {
  piece.value[offset] = byte;
  return piece;
}

// A store of one sealed segment with `pieces`.
struct Forged {
  std::string name;
  Pieces pieces;
  SegmentKind kind = SegmentKind::kLog;
  std::function<void(ManifestSegment&)> change = [](ManifestSegment&) {};
};

class BrokenRulesTest : public OfflineFixture {
 protected:
  static constexpr format::StoreId kStoreId = {std::byte{7}};

  // Returns the entry of a sealed segment with `pieces`, which it has written.
  static ManifestSegment WriteSegment(const std::filesystem::path& path,
                                      format::SegmentId id, SegmentKind kind,
                                      const Pieces& pieces) {
    ManifestSegment entry{.id = id,
                          .salt = 99,
                          .capacity = uint64_t{1} << 16,
                          .kind = kind,
                          .state = format::SegmentState::kSealed};
    std::string bytes =
        format::EncodeSegmentHeader({.kind = kind,
                                     .id = entry.id,
                                     .salt = entry.salt,
                                     .store_id = kStoreId,
                                     .capacity = entry.capacity});
    bytes.resize(format::kSegmentHeaderSize, '\0');
    for (const Piece& piece : pieces) {
      const size_t begin = bytes.size();
      format::AppendRecord(
          {.lsn = piece.lsn,
           .value_size = static_cast<uint32_t>(piece.value.size()),
           .key_size = static_cast<uint16_t>(piece.key.size()),
           .kind = piece.kind,
           .flags = piece.flags},
          piece.key, piece.value, {entry.salt, begin}, &bytes);
      entry.last_checksum =
          format::Load<uint32_t>(format::AsBytes(bytes), begin);
      if (!TakesLsn(piece.kind)) continue;
      if (entry.first_lsn == 0) entry.first_lsn = piece.lsn;
      entry.last_lsn = std::max(entry.last_lsn, piece.lsn);
    }
    entry.end = bytes.size();
    WriteWholeFile(path / format::SegmentFileName(id), bytes);
    return entry;
  }

  // What MANIFEST-0 and MANIFEST-1 then hold. Outside of the log there is no
  // lsn that the log has not reached.
  static Manifest Write(const std::filesystem::path& path,
                        const Forged& forged) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directory(path);
    Manifest manifest{.generation = 5, .store_id = kStoreId, .next_id = 9};
    ManifestSegment entry = WriteSegment(path, 1, forged.kind, forged.pieces);
    forged.change(entry);
    AddSegment(manifest, entry);
    if (forged.kind != SegmentKind::kLog) {
      const Piece link{RecordKind::kLink, 8, "",
                       format::EncodeLink({.predecessor = 5,
                                           .end = 4152,
                                           .generation = 1,
                                           .last_checksum = 1})};
      AddSegment(manifest,
                 WriteSegment(path, 2, SegmentKind::kLog, {link, Put(9)}));
    }
    WriteManifests(path, EncodeManifest(manifest), EncodeManifest(manifest));
    return manifest;
  }

  static void WriteManifests(const std::filesystem::path& path,
                             const std::string& first,
                             const std::string& second) {
    WriteWholeFile(path / "MANIFEST-0", first);
    WriteWholeFile(path / "MANIFEST-1", second);
  }

  // `encoded` with another byte, and the checksum that goes with it.
  static std::string Patched(std::string encoded, size_t offset, char byte) {
    encoded[offset] = byte;
    const size_t checked = encoded.size() - sizeof(uint64_t);
    format::Store<uint64_t>(
        reinterpret_cast<std::byte*>(encoded.data()) + checked,
        format::Checksum64(format::AsBytes(encoded).first(checked)));
    return encoded;
  }

  static StatusCode OpenCode(const std::filesystem::path& path, OpenMode mode) {
    return Store::Open(path, {.mode = mode}).status().code();
  }

  void ExpectOpens(StatusCode code) const {
    EXPECT_EQ(OpenCode(path("s"), OpenMode::kReadOnly), code);
    EXPECT_EQ(OpenCode(path("s"), OpenMode::kReadWrite), code);
  }

  void ExpectVerifyFindsDamage(bool expected) const {
    const VerifyReport report = Verify(path("s"));
    bool found = false;
    for (const Finding& finding : report.findings) {
      found |= finding.severity == Severity::kDamage;
    }
    EXPECT_EQ(found, expected) << Describe(report.findings);
  }
};

TEST_F(BrokenRulesTest, NobodyComplainsWhereNoneIsBroken) {
  Write(path("s"), {"",
                    {Link(), Put(1), Mark(1), Frame(2, 2), Put(2, kInFrame),
                     Put(3, kInFrame)}});
  ExpectVerifyFindsDamage(false);
  ExpectOpens(StatusCode::kOk);
}

// Of one record, or of what the manifest says of all of them.
TEST_F(BrokenRulesTest, EverybodyNoticesARecordThatIsNotValid) {
  const auto manifest_says = [](auto change) {
    return Forged{
        "manifest", {Link(), Put(1), Put(2)}, SegmentKind::kLog, change};
  };
  const std::string reference =
      format::EncodeValueReference({.file = 3, .size = 1, .checksum = 1});
  const Piece referring{RecordKind::kPut, 1, "k", reference,
                        format::kFlagValueFile};
  const std::vector<Forged> cases = {
      {"a link without a generation", {With(Link(), 16, 0), Put(1)}},
      {"a link with an end and no predecessor", {With(Link(), 9, 1), Put(1)}},
      {"a link with bytes behind it", {With(Link(), 31, 1), Put(1)}},
      {"a first link with an lsn", {Link(7), Put(8)}},
      {"a mark of no segment", {Link(), Put(1), With(Mark(1), 0, 0)}},
      {"a mark of no end", {Link(), Put(1), With(Mark(1), 8, 1)}},
      {"a frame of no members", {Link(), With(Frame(1, 1), 16, 0)}},
      {"a reference to no file", {Link(), With(referring, 0, 0)}},
      manifest_says([](ManifestSegment& entry) { ++entry.last_checksum; }),
      manifest_says([](ManifestSegment& entry) { ++entry.last_lsn; }),
      manifest_says([](ManifestSegment& entry) { --entry.last_lsn; }),
      manifest_says([](ManifestSegment& entry) { entry.end -= 32; }),
  };
  for (const Forged& forged : cases) {
    SCOPED_TRACE(forged.name);
    Write(path("s"), forged);
    ExpectVerifyFindsDamage(true);
    ExpectOpens(StatusCode::kDataLoss);
  }
}

// Each record of them is valid, and counts.
TEST_F(BrokenRulesTest, VerifyNoticesRecordsThatStandWhereTheyMustNot) {
  const Piece stub{RecordKind::kAuditStub, 2, "k",
                   std::string("\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"
                               "\0\0\0\0\3\0\0\0",
                               24)};
  const std::vector<Forged> cases = {
      {"no link", {Put(1)}},
      {"a link amid the records", {Link(), Put(1), Link(), Put(2)}},
      {"a mark of what comes later", {Link(), Put(1), Mark(2), Put(2)}},
      {"a gap in the lsns", {Link(), Put(1), Put(3)}},
      {"a member without a frame", {Link(), Put(1, kInFrame)}},
      {"a batch without its last member",
       {Link(), Frame(1, 2), Put(1, kInFrame)}},
      {"a batch with one that is no member",
       {Link(), Frame(1, 2), Put(1, kInFrame), Put(2)}},
      {"a batch that is cut by a mark",
       {Link(), Frame(1, 2), Put(1, kInFrame), Mark(1), Put(2, kInFrame)}},
      {"a batch with fewer members than its frame says",
       {Link(), With(Frame(1, 2), 16, 1), Put(1, kInFrame), Put(2, kInFrame)}},
      {"a batch with too few members",
       {Link(),
        Wide(RecordKind::kFrame, 3,
             format::EncodeFrame(
                 {.first_lsn = 1, .members_size = 96, .member_count = 3})),
        Wide(RecordKind::kPut, 1), Wide(RecordKind::kPut, 2), Put(3)}},
      {"a stub in the log", {Link(), Put(1), Put(2), stub}},
      {"a link outside of the log", {Link(), Put(1)}, SegmentKind::kCompacted},
      {"a frame outside of the log",
       {Frame(1, 1), Put(1, kInFrame)},
       SegmentKind::kCompacted},
      {"a put for the audit", {Put(1)}, SegmentKind::kAudit},
  };
  for (const Forged& forged : cases) {
    SCOPED_TRACE(forged.name);
    Write(path("s"), forged);
    ExpectVerifyFindsDamage(true);
    ExpectOpens(StatusCode::kOk);
  }
}

TEST_F(BrokenRulesTest, ASegmentOfStubsTakesNoLsn) {
  Piece stub{
      RecordKind::kAuditStub, 2, "k",
      std::string("\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\3\0\0\0", 24)};
  Write(path("s"), {"", {stub}, SegmentKind::kAudit});
  ExpectOpens(StatusCode::kOk);
  Write(path("s"),
        {"", {stub}, SegmentKind::kAudit, [](ManifestSegment& entry) {
           entry.last_lsn = 2;
         }});
  ExpectOpens(StatusCode::kDataLoss);
  ExpectVerifyFindsDamage(true);
}

// Fields of the manifest's only entry, and its version.
TEST_F(BrokenRulesTest, EverybodyNoticesAManifestThatIsNotValid) {
  const Forged forged{"", {Link(), Put(1)}};
  const std::string sound = EncodeManifest(Write(path("s"), forged));
  constexpr size_t kEntry = format::kManifestHeaderSize;
  const std::vector<std::pair<size_t, char>> changes = {
      {8, 0},           {kEntry + 52, 4}, {kEntry + 52, 0}, {kEntry + 53, 0},
      {kEntry + 53, 3}, {kEntry + 54, 1}, {kEntry + 32, 2}};
  for (const auto& [offset, byte] : changes) {
    SCOPED_TRACE(offset);
    const std::string bad = Patched(sound, offset, byte);
    WriteManifests(path("s"), bad, bad);
    ExpectVerifyFindsDamage(true);
    ExpectOpens(StatusCode::kDataLoss);
  }
}

TEST_F(BrokenRulesTest, TwoManifestsMustBeOfOneStoreAndAgree) {
  const Forged forged{"", {Link(), Put(1)}};
  const std::string sound = EncodeManifest(Write(path("s"), forged));
  // Another generation of another store; the same generation, another lsn.
  const std::string newer = Patched(sound, 24, 6);
  for (const std::string& other :
       {Patched(newer, 32, 8), Patched(sound, 72, 1)}) {
    WriteManifests(path("s"), sound, other);
    ExpectVerifyFindsDamage(true);
    ExpectOpens(StatusCode::kDataLoss);
  }
  // A feature that a reader must not know is no difference; one that it must
  // know refuses the store, whichever copy has it.
  WriteManifests(path("s"), sound, Patched(sound, 16, 1));
  ExpectVerifyFindsDamage(false);
  EXPECT_EQ(OpenCode(path("s"), OpenMode::kReadOnly), StatusCode::kOk);
  WriteManifests(path("s"), sound, Patched(sound, 12, 1));
  ExpectOpens(StatusCode::kUnimplemented);
}

// A power loss in the first edit leaves anything in both files.
TEST_F(BrokenRulesTest, DamagedManifestsWithoutAFileAreNoStoreYet) {
  const std::string sound =
      EncodeManifest(Write(path("s"), {"", {Link(), Put(1)}}));
  for (const std::string& bytes :
       {std::string(), std::string(500, '\0'), sound.substr(0, 100),
        Patched(sound, 24, 6).substr(8)}) {
    std::filesystem::remove_all(path("s"));
    std::filesystem::create_directory(path("s"));
    WriteManifests(path("s"), bytes, bytes);
    EXPECT_EQ(OpenCode(path("s"), OpenMode::kReadOnly), StatusCode::kNotFound);
    EXPECT_EQ(OpenCode(path("s"), OpenMode::kReadWrite), StatusCode::kOk);
  }
  // With a value file alone it is one.
  Write(path("s"), {"", {Link(), Put(1)}});
  std::filesystem::rename(path("s") / "000001.seg", path("s") / "000001.val");
  WriteManifests(path("s"), "", "");
  ExpectOpens(StatusCode::kDataLoss);
}

}  // namespace
}  // namespace peat::tools
