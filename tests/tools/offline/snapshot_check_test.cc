// Index images that are damaged, of something else, or say what the log does
// not: verify names the file, and whether a store would open with it.

#include "tools/offline/snapshot_check.h"

#include <functional>

#include "index/shard_image.h"
#include "tests/tools/offline/offline_fixture.h"

namespace peat::tools {
namespace {

using format::IndexImage;
using format::SnapshotSegment;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Change = std::function<void(IndexImage&)>;

class SnapshotCheckTest : public OfflineFixture {
 protected:
  void SetUp() override {
    WriteStore("s");
    name_ = SnapshotOf("s");
    bytes_ = testing::ReadWholeFile(path("s") / name_);
    const uint64_t size = *format::DecodeSnapshotHeadSize(
        format::AsBytes(bytes_).first(format::kSnapshotPrefixSize));
    head_ = *format::DecodeSnapshotHead(format::AsBytes(bytes_).first(size));
    ASSERT_GE(head_.segments.size(), 2U);
  }

  // With a bit of everything that a snapshot counts. (Stores below some
  // megabytes have no snapshot.)
  void WriteStore(const std::string& name) {
    std::mt19937 random(7);
    KnownKeys known;
    WriteSessions(path(name), 3, random, &known);
    for (int session = 0; session < 2; ++session) {
      const std::unique_ptr<Store> store = Open(path(name));
      for (int i = 0; i < 20; ++i) {
        ASSERT_OK(
            store->Put("long" + std::to_string(i), std::string(200'000, 'v')));
      }
      ASSERT_OK(store->Put("large", std::string(300'000, 'l')));
      ASSERT_OK(store->Delete("long" + std::to_string(session)));
      const std::string key = "masked" + std::to_string(session);
      ASSERT_OK(store->Put(key, "value"));
      ASSERT_OK(store->Disable(key, {}));
      ASSERT_OK(store->Enable(key, {}));
      ASSERT_OK(store->Disable(key, {}));
      ASSERT_OK(store->Forget(key + " and gone", {}));
      ASSERT_OK(store->Put("last", "value"));
      ASSERT_OK(store->Close());
    }
  }

  std::string SnapshotOf(const std::string& name) const {
    for (const auto& file : std::filesystem::directory_iterator(path(name))) {
      if (file.path().extension() == ".snap") return file.path().filename();
    }
    ADD_FAILURE() << "no snapshot";
    return "";
  }

  // What verify finds when the snapshot's bytes are these.
  Findings FindingsWith(const std::string& bytes) const {
    testing::WriteWholeFile(path("s") / name_, bytes);
    return Verify(path("s")).findings;
  }
  // The same when its head is changed so, with a checksum that is right.
  Findings FindingsAfter(const Change& change) const {
    IndexImage head = head_;
    change(head);
    const std::string encoded = format::EncodeSnapshotHead(head);
    std::string bytes = bytes_;
    bytes.replace(0, encoded.size(), encoded);
    return FindingsWith(bytes);
  }

  // One finding of the snapshot and nothing else.
  void ExpectOne(const Findings& findings, Severity severity,
                 const std::string& what) const {
    EXPECT_THAT(findings,
                ElementsAre(AllOf(Field(&Finding::file, name_),
                                  Field(&Finding::severity, severity),
                                  Field(&Finding::what, HasSubstr(what)))))
        << Describe(findings);
  }

  // A row of a segment that is still there, but not of the one in which the
  // snapshot ends.
  SnapshotSegment& Earlier(
      IndexImage& head,
      const std::function<bool(const SnapshotSegment&)>& is_wanted) const {
    const StoreFiles files =
        *ReadStoreFiles(engine::PosixFileSystem(), path("s"));
    for (SnapshotSegment& row : head.segments) {
      for (const SourceSegment& segment : files.segments) {
        if (segment.entry.id == row.id && row.id != head.log_segment &&
            is_wanted(row)) {
          return row;
        }
      }
    }
    ADD_FAILURE() << "no such row";
    return head.segments.front();
  }
  SnapshotSegment& Earlier(IndexImage& head) const {
    return Earlier(head, [](const SnapshotSegment&) { return true; });
  }
  static SnapshotSegment& Last(IndexImage& head) {
    for (SnapshotSegment& row : head.segments) {
      if (row.id == head.log_segment) return row;
    }
    ADD_FAILURE();
    return head.segments.back();
  }

  std::string name_;
  std::string bytes_;
  IndexImage head_;
};

TEST_F(SnapshotCheckTest, FindsNothingInASoundSnapshot) {
  EXPECT_THAT(Verify(path("s")).findings, IsEmpty());
  EXPECT_THAT(FindingsAfter([](IndexImage&) {}), IsEmpty());
  // And it counts what the tests below change.
  uint64_t tombstone_bytes = 0;
  uint64_t value_bytes = 0;
  uint64_t masks = 0;
  for (const SnapshotSegment& row : head_.segments) {
    tombstone_bytes += row.tombstone_bytes;
    value_bytes += row.value_bytes;
    masks += row.disabled + row.forgotten;
  }
  EXPECT_GT(tombstone_bytes, 0U);
  EXPECT_GT(value_bytes, 0U);
  EXPECT_GT(masks, 0U);
}

TEST_F(SnapshotCheckTest, ReportsAHeadThatDoesNotDecode) {
  const std::string encoded = format::EncodeSnapshotHead(head_);
  for (size_t at = 0; at < encoded.size(); at += 61) {
    std::string damaged = bytes_;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    ExpectOne(FindingsWith(damaged), Severity::kFlaw, "index image: ");
  }
  for (const size_t size : {size_t{0}, size_t{15}, encoded.size() - 1}) {
    ExpectOne(FindingsWith(bytes_.substr(0, size)), Severity::kFlaw,
              "cut short");
  }
}

TEST_F(SnapshotCheckTest, ReportsEveryTableAndImageThatIsDamaged) {
  uint64_t table_count = 0;
  for (const format::SnapshotImage& image : head_.images) {
    std::string damaged = bytes_;
    damaged[image.offset + image.size - 1] ^= 1;
    Findings findings = FindingsWith(damaged);
    ExpectOne(findings, Severity::kFlaw, "checksum mismatch");
    ASSERT_THAT(findings, SizeIs(1));
    EXPECT_EQ(findings[0].offset, image.offset);
    EXPECT_EQ(findings[0].size, image.size);
    const auto tables = index::ParseImage(
        format::AsBytes(bytes_).subspan(image.offset, image.size),
        bytes_.size());
    ASSERT_TRUE(tables.has_value());
    for (const index::ImageTable& table : *tables) {
      if (table.width == 0) continue;
      ++table_count;
      damaged = bytes_;
      damaged[table.offset + index::SlotBytes(table.width) / 2] ^= 4;
      findings = FindingsWith(damaged);
      ExpectOne(findings, Severity::kFlaw, "checksum mismatch");
      ASSERT_THAT(findings, SizeIs(1));
      EXPECT_EQ(findings[0].offset, table.offset);
    }
  }
  EXPECT_GT(table_count, 20U);
  ExpectOne(FindingsWith(bytes_.substr(0, bytes_.size() / 2)), Severity::kFlaw,
            "ends within a shard");
}

TEST_F(SnapshotCheckTest, ReportsImagesThatCannotBe) {
  ExpectOne(FindingsAfter([](IndexImage& head) {
              head.images[3].size = uint64_t{1} << 40;
            }),
            Severity::kFlaw, "impossible size");
  ExpectOne(FindingsAfter([this](IndexImage& head) {
              head.images[3].offset = bytes_.size();
            }),
            Severity::kFlaw, "ends within");
  ExpectOne(FindingsAfter([this](IndexImage& head) {
              format::SnapshotImage& image = head.images[3];
              image.size -= 8;
              image.checksum = format::Checksum64(
                  format::AsBytes(bytes_).subspan(image.offset, image.size));
            }),
            Severity::kFlaw, "malformed");
}

TEST_F(SnapshotCheckTest, ReportsASnapshotOfAnotherStore) {
  WriteStore("other");
  ExpectOne(
      FindingsWith(testing::ReadWholeFile(path("other") / SnapshotOf("other"))),
      Severity::kFlaw, "another store");
  ExpectOne(FindingsAfter([](IndexImage& head) { ++head.hash_check; }),
            Severity::kFlaw, "another store");
  ExpectOne(FindingsAfter([](IndexImage& head) { head.generation += 1000; }),
            Severity::kFlaw, "generation");
  ExpectOne(FindingsAfter([](IndexImage& head) { ++Last(head).salt; }),
            Severity::kDamage, "its head says otherwise");
  ExpectOne(FindingsAfter(
                [](IndexImage& head) { head.log_salt = ++Last(head).salt; }),
            Severity::kFlaw, "is not the one");
  ExpectOne(FindingsAfter([this](IndexImage& head) { ++Earlier(head).salt; }),
            Severity::kFlaw, "is not the one");
  ExpectOne(FindingsAfter([](IndexImage& head) {
              head.segments.back().id += 1'000'000;
              head.segments.back().number = 999;
              head.log_segment = head.segments.back().id;
              head.log_salt = head.segments.back().salt;
              head.log_end = head.segments.back().end;
              head.last_lsn = head.segments.back().last_lsn;
            }),
            Severity::kNote, "that the store has not");
}

TEST_F(SnapshotCheckTest, NotesWhatACrashLeavesOfTheLog) {
  const Findings findings = FindingsAfter([](IndexImage& head) {
    head.log_end = Last(head).end += 64;
    head.last_lsn = Last(head).last_lsn += 1;
  });
  ExpectOne(findings, Severity::kNote, "as when a crash has cut the log");
}

TEST_F(SnapshotCheckTest, ReportsWhatTheLogSaysOtherwise) {
  using Row = SnapshotSegment;
  const auto earlier = [this](void (*change)(Row&),
                              bool (*is_wanted)(const Row&)) {
    return FindingsAfter([this, change, is_wanted](IndexImage& head) {
      change(Earlier(head, is_wanted));
    });
  };
  const auto any = [](const Row&) { return true; };
  const auto has_tombstones = [](const Row& row) {
    return row.tombstone_bytes > 0;
  };
  const auto has_values = [](const Row& row) { return !row.values.empty(); };
  const Findings findings = earlier([](Row& row) { row.last_lsn -= 1; }, any);
  ExpectOne(findings, Severity::kFlaw, "is another one");
  EXPECT_EQ((findings[0].offset - format::kSnapshotSegmentsOffset) %
                format::kSnapshotSegmentSize,
            0U);
  ExpectOne(earlier([](Row& row) { row.last_checksum ^= 1; }, any),
            Severity::kFlaw, "is another one");
  ExpectOne(earlier([](Row& row) { row.end -= 8; }, any), Severity::kDamage,
            "no record");
  ExpectOne(earlier([](Row& row) { row.live_bytes = row.end; }, any),
            Severity::kFlaw, "impossible counts");
  ExpectOne(earlier([](Row& row) { row.tombstone_bytes += 8; }, has_tombstones),
            Severity::kDamage, "bytes of tombstones");
  ExpectOne(earlier([](Row& row) { row.tombstone_bytes = 0; }, has_tombstones),
            Severity::kDamage, "bytes of tombstones");
  ExpectOne(earlier([](Row& row) { row.value_bytes -= 1; }, has_values),
            Severity::kDamage, "bytes of values");
  ExpectOne(
      earlier([](Row& row) { row.live_value_bytes = row.value_bytes + 1; },
              any),
      Severity::kFlaw, "impossible counts");
  ExpectOne(earlier([](Row& row) { row.disabled = 1'000'000; }, any),
            Severity::kFlaw, "impossible counts");
  ExpectOne(earlier([](Row& row) { row.forgotten = 1'000'000; }, any),
            Severity::kFlaw, "impossible counts");
  ExpectOne(earlier([](Row& row) { row.values[0] += 1; }, has_values),
            Severity::kDamage, "other value files");
}

// A snapshot that is older than the end of its segments.
TEST_F(SnapshotCheckTest, ComparesWhatItHasSeenOfASegmentThatWentOn) {
  const StoreFiles files =
      *ReadStoreFiles(engine::PosixFileSystem(), path("s"));
  IndexImage head = head_;
  const auto is_long = [](const SnapshotSegment& row) {
    return row.live_bytes > 500'000 && row.values.empty();
  };
  const format::SegmentId id = Earlier(head, is_long).id;
  const auto segment = std::find_if(
      files.segments.begin(), files.segments.end(),
      [id](const SourceSegment& one) { return one.entry.id == id; });
  RecordWalk walk = segment->Walk();
  SnapshotSegment seen{.id = id, .salt = segment->entry.salt};
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(*walk.Next(), RecordWalk::Step::kRecord);
    seen.end = walk.next_offset();
    seen.last_lsn = walk.record().header.lsn;
    seen.last_checksum = format::Load<uint32_t>(walk.record_bytes(), 0);
  }
  const auto with_seen = [&](void (*change)(SnapshotSegment&)) {
    IndexImage changed = head_;
    SnapshotSegment& row = Earlier(changed, is_long);
    seen.number = row.number;
    row = seen;
    change(row);
    const std::string encoded = format::EncodeSnapshotHead(changed);
    std::string bytes = bytes_;
    bytes.replace(0, encoded.size(), encoded);
    return FindingsWith(bytes);
  };

  EXPECT_THAT(with_seen([](SnapshotSegment&) {}), IsEmpty());
  ExpectOne(with_seen([](SnapshotSegment& row) { row.last_lsn -= 1; }),
            Severity::kDamage, "is another one");
  ExpectOne(with_seen([](SnapshotSegment& row) { row.tombstone_bytes = 32; }),
            Severity::kDamage, "bytes of tombstones");
}

// A snapshot that was written while the store was open, whose log is not
// sealed.
TEST_F(SnapshotCheckTest, FindsNothingInThatOfAProcessThatWrites) {
  const std::unique_ptr<Store> store = Open(path("live"), true);
  const auto has_snapshot = [this] {
    for (const auto& file : std::filesystem::directory_iterator(path("live"))) {
      if (file.path().extension() == ".snap") return true;
    }
    return false;
  };
  for (int i = 0; i < 2000 && !has_snapshot(); ++i) {
    ASSERT_OK(
        store->Put("long" + std::to_string(i % 50), std::string(200'000, 'v')));
    ASSERT_OK(store->Delete("long" + std::to_string(i % 7)));
  }
  ASSERT_TRUE(has_snapshot());
  ASSERT_OK(store->Put("behind", "it"));
  VerifyReport report = Verify(path("live"));
  EXPECT_FALSE(HasTrouble(report.findings)) << Describe(report.findings);
  ASSERT_OK(store->Close());
  report = Verify(path("live"));
  EXPECT_THAT(report.findings, IsEmpty()) << Describe(report.findings);
}

}  // namespace
}  // namespace peat::tools
