// Every kind of damage at rest that docs/testing.md names, done to every file
// of a store: verify reports it with the right file and offset, and does not
// call a sound store damaged.

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "format/file_name.h"
#include "format/manifest.h"
#include "tests/tools/offline/offline_fixture.h"

namespace peat::tools {
namespace {

using testing::FileImages;

class VerifyTest : public OfflineFixture {
 protected:
  // A store with log, compacted and audit segments, value files, hint files
  // and masks; closed.
  FileImages MakeImages() {
    std::mt19937 random(11);
    KnownKeys known;
    WriteSessions(path("s"), 6, random, &known);
    return testing::ReadFiles(path("s"));
  }

  // Of segments, what counts; of others all.
  static size_t MeaningfulSize(const std::string& name,
                               const FileImages& images) {
    const format::FileName parsed = *format::ParseFileName(name);
    const format::Manifest manifest =
        *format::DecodeManifest(format::AsBytes(images.at("MANIFEST-0")));
    if (parsed.kind == format::FileKind::kManifest) {
      return format::ManifestSize(manifest);
    }
    for (const format::ManifestSegment& entry : manifest.segments) {
      if (parsed.kind == format::FileKind::kSegment && entry.id == parsed.id) {
        return entry.end;
      }
    }
    return images.at(name).size();
  }

  static bool IsChecked(const std::string& name) {
    const format::FileKind kind = format::ParseFileName(name)->kind;
    return kind != format::FileKind::kLock &&
           kind != format::FileKind::kReserve;
  }

  // Whether a finding is of that file, and of the place if it is of records.
  static bool Tells(const Findings& findings, const std::string& file,
                    std::optional<uint64_t> offset) {
    return std::any_of(
        findings.begin(), findings.end(), [&](const Finding& finding) {
          if (finding.file != file || finding.severity == Severity::kNote) {
            return false;
          }
          if (!offset.has_value() || finding.size == 0) return true;
          return finding.offset <= *offset &&
                 *offset < finding.offset + finding.size;
        });
  }

  void ExpectFinding(const std::string& file, std::optional<uint64_t> offset) {
    const VerifyReport report = Verify(path("s"));
    EXPECT_TRUE(Tells(report.findings, file, offset))
        << file << " offset " << offset.value_or(0) << '\n'
        << Describe(report.findings);
  }
};

TEST_F(VerifyTest, FindsNothingInASoundStore) {
  const FileImages images = MakeImages();

  const VerifyReport report = Verify(path("s"));

  EXPECT_TRUE(report.findings.empty()) << Describe(report.findings);
  EXPECT_GT(report.record_count, 60U);
  EXPECT_GT(report.mask_count, 0U);
  EXPECT_GT(report.value_file_count, 0U);
  EXPECT_TRUE(std::any_of(images.begin(), images.end(), [](const auto& one) {
    return one.first.ends_with(".hint");
  }));
}

TEST_F(VerifyTest, ReportsEveryFlippedBitWhereItIs) {
  const FileImages images = MakeImages();
  uint64_t flips = 0;

  for (const auto& [name, bytes] : images) {
    if (!IsChecked(name)) continue;
    const size_t size = MeaningfulSize(name, images);
    // All of a record, some of a long value and of the headers' zeros.
    const size_t step = size > 100'000 ? 9973 : 61;
    for (size_t at = 0; at < size; at += step) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
      testing::WriteWholeFile(path("s") / name, damaged);
      const bool is_record =
          name.ends_with(".seg") && at >= format::kSegmentHeaderSize;
      ExpectFinding(name,
                    is_record ? std::optional<uint64_t>(at) : std::nullopt);
      ++flips;
    }
    testing::WriteWholeFile(path("s") / name, bytes);
  }
  EXPECT_GT(flips, 500U);
}

TEST_F(VerifyTest, ReportsEveryFileThatIsMissingCutZeroedOrForeign) {
  const FileImages images = MakeImages();

  for (const auto& [name, bytes] : images) {
    if (!IsChecked(name)) continue;
    SCOPED_TRACE(name);
    const size_t size = MeaningfulSize(name, images);
    for (const size_t cut : {size_t{0}, size / 2, size - 1}) {
      SCOPED_TRACE(cut);
      testing::WriteWholeFile(path("s") / name, bytes.substr(0, cut));
      ExpectFinding(name, std::nullopt);
    }
    std::string zeroed = bytes;
    std::fill(zeroed.begin() + static_cast<std::ptrdiff_t>(size / 2),
              zeroed.begin() + static_cast<std::ptrdiff_t>(size), '\0');
    testing::WriteWholeFile(path("s") / name, zeroed);
    // What was zero is no damage.
    if (zeroed != bytes) ExpectFinding(name, std::nullopt);
    testing::WriteWholeFile(path("s") / name, std::string(size, '?'));
    ExpectFinding(name, std::nullopt);
    std::filesystem::remove(path("s") / name);
    if (!name.ends_with(".hint")) ExpectFinding(name, std::nullopt);
    testing::WriteWholeFile(path("s") / name, bytes);
  }
}

TEST_F(VerifyTest, ReportsFilesThatAreExchanged) {
  const FileImages images = MakeImages();

  for (const auto& [a, bytes_a] : images) {
    for (const auto& [b, bytes_b] : images) {
      if (a >= b || !IsChecked(a) || bytes_a == bytes_b) continue;
      if (a.substr(a.find('.') + 1) != b.substr(b.find('.') + 1)) continue;
      if (a.starts_with("MANIFEST")) continue;
      SCOPED_TRACE(a + " and " + b);
      testing::WriteWholeFile(path("s") / a, bytes_b);
      testing::WriteWholeFile(path("s") / b, bytes_a);
      ExpectFinding(a, std::nullopt);
      ExpectFinding(b, std::nullopt);
      testing::WriteWholeFile(path("s") / a, bytes_a);
      testing::WriteWholeFile(path("s") / b, bytes_b);
    }
  }
}

TEST_F(VerifyTest, ReportsAManifestFromAnOlderDay) {
  const FileImages before = MakeImages();
  for (int i = 0; i < 3; ++i) {
    const std::unique_ptr<Store> store = Open(path("s"));
    ASSERT_OK(store->Put("later", "value"));
    ASSERT_OK(store->Close());
  }
  const FileImages after = testing::ReadFiles(path("s"));

  testing::WriteWholeFile(path("s") / "MANIFEST-1", before.at("MANIFEST-1"));
  ExpectFinding("MANIFEST-1", std::nullopt);
  testing::WriteWholeFile(path("s") / "MANIFEST-0", before.at("MANIFEST-0"));
  ExpectFinding("MANIFEST-0", std::nullopt);

  EXPECT_NE(before.at("MANIFEST-0"), after.at("MANIFEST-0"));
}

// A batch that fits none of the segments that are prepared already has one made
// for it, and goes there first.
TEST_F(VerifyTest, FindsNothingWhereIdsDoNotAscendAlongTheLog) {
  {
    engine::Config config;
    config.segment_size_min = uint64_t{64} << 10;
    config.segment_size_max = config.segment_size_min;
    config.background_threads = false;
    ASSERT_OK_AND_ASSIGN(
        const std::unique_ptr<engine::Engine> store,
        engine::Engine::Open(engine::PosixFileSystem(), path("s"), config));
    const std::string value(2000, 'v');
    std::vector<std::string> keys;
    for (int i = 0; i < 60; ++i) keys.push_back("key" + std::to_string(i));
    // One is prepared ahead when half of the first is full.
    for (int i = 0; i < 20; ++i) ASSERT_OK(store->Put("first", value));
    store->RunSupply();
    std::vector<engine::BatchOperation> batch;
    for (const std::string& key : keys) {
      batch.push_back(
          {.operation = engine::Operation::kPut, .key = key, .value = value});
    }
    ASSERT_OK(store->Write(batch));
    for (const std::string& key : keys) ASSERT_OK(store->Put(key, value));
    ASSERT_OK(store->Close());
  }
  const StoreFiles files =
      *ReadStoreFiles(engine::PosixFileSystem(), path("s"));
  bool ascend = true;
  format::Lsn last = 0;
  for (const format::ManifestSegment& entry : files.manifest->segments) {
    if (entry.first_lsn == 0) continue;
    ascend &= entry.first_lsn > last;
    last = entry.last_lsn;
  }
  ASSERT_FALSE(ascend);

  const VerifyReport report = Verify(path("s"));

  EXPECT_TRUE(report.findings.empty()) << Describe(report.findings);
}

TEST_F(VerifyTest, ReportsSealedSegmentsOfTheLogThatOverlap) {
  {
    engine::Config config;
    config.segment_size_min = uint64_t{64} << 10;
    config.segment_size_max = config.segment_size_min;
    config.background_threads = false;
    ASSERT_OK_AND_ASSIGN(
        const std::unique_ptr<engine::Engine> store,
        engine::Engine::Open(engine::PosixFileSystem(), path("s"), config));
    for (int i = 0; i < 100; ++i) {
      ASSERT_OK(store->Put(std::to_string(i), std::string(2000, 'v')));
    }
    ASSERT_OK(store->Close());
  }
  const FileImages images = testing::ReadFiles(path("s"));
  format::Manifest manifest =
      *format::DecodeManifest(format::AsBytes(images.at("MANIFEST-0")));
  format::ManifestSegment* last = nullptr;
  for (format::ManifestSegment& entry : manifest.segments) {
    if (entry.kind != format::SegmentKind::kLog || entry.first_lsn == 0) {
      continue;
    }
    if (last != nullptr) entry.first_lsn = last->last_lsn;
    last = &entry;
  }
  for (const char* copy : format::kManifestFileNames) {
    testing::WriteWholeFile(path("s") / copy, format::EncodeManifest(manifest));
  }
  ExpectFinding("MANIFEST-0",
                format::kManifestHeaderSize +
                    format::kManifestSegmentSize *
                        static_cast<uint64_t>(last - manifest.segments.data()));
}

TEST_F(VerifyTest, ReportsASegmentFromAnOlderDay) {
  std::unique_ptr<Store> store = Open(path("s"));
  ASSERT_OK(store->Put("a", "1"));
  ASSERT_OK(store->Flush());
  const FileImages before = testing::ReadFiles(path("s"));
  ASSERT_OK(store->Put("b", "2"));
  ASSERT_OK(store->Close());

  testing::WriteWholeFile(path("s") / "000001.seg", before.at("000001.seg"));

  ExpectFinding("000001.seg", std::nullopt);
}

// A store whose process was killed: nothing is sealed.
class VerifyTailTest : public VerifyTest {
 protected:
  // Where the record with the key lies, and how long it is.
  static std::pair<uint64_t, uint64_t> PlaceOf(const std::string& bytes,
                                               const std::string& key) {
    const auto header = *format::DecodeSegmentHeader(format::AsBytes(bytes));
    RecordWalk walk(format::AsBytes(bytes),
                    {.salt = header.salt,
                     .begin = format::kSegmentHeaderSize,
                     .end = bytes.size()});
    while (*walk.Next() == RecordWalk::Step::kRecord) {
      if (walk.record().key == key) {
        return {walk.offset(), walk.record_bytes().size()};
      }
    }
    ADD_FAILURE() << key;
    return {};
  }

  void MakeKilledStore() {
    store_ = Open(path("s"));
    EXPECT_OK(store_->Put("first", std::string(100, 'a')));
    EXPECT_OK(store_->Put("second", std::string(100, 'b')));
    EXPECT_OK(store_->Flush());
    EXPECT_OK(store_->Put("third", "behind a mark"));
    EXPECT_OK(store_->Put("fourth", "behind a mark, too"));
    images_ = testing::ReadFiles(path("s"));
    EXPECT_OK(store_->Close());
    testing::WriteFiles(path("s"), images_);
  }

  void FlipIn(const std::string& key) {
    std::string bytes = images_.at("000001.seg");
    const auto [offset, size] = PlaceOf(bytes, key);
    offset_ = offset;
    bytes[offset + size - 1] ^= 1;
    testing::WriteWholeFile(path("s") / "000001.seg", bytes);
  }

  std::unique_ptr<Store> store_;
  FileImages images_;
  uint64_t offset_ = 0;
};

TEST_F(VerifyTailTest, NotesATornTailAndCallsItNoDamage) {
  MakeKilledStore();
  FlipIn("third");

  const VerifyReport report = Verify(path("s"));

  EXPECT_FALSE(HasTrouble(report.findings)) << Describe(report.findings);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].file, "000001.seg");
  EXPECT_EQ(report.findings[0].offset, offset_);
}

TEST_F(VerifyTailTest, ReportsDamageBelowAMark) {
  MakeKilledStore();
  FlipIn("second");

  const VerifyReport report = Verify(path("s"));

  EXPECT_GT(CountOf(report.findings, Severity::kDamage), 0U);
  EXPECT_TRUE(Tells(report.findings, "000001.seg", offset_))
      << Describe(report.findings);
}

TEST_F(VerifyTailTest, ReportsALinkThatDoesNotHold) {
  MakeKilledStore();
  std::string bytes = images_.at("000001.seg");
  bytes[format::kSegmentHeaderSize + 3] ^= 1;
  testing::WriteWholeFile(path("s") / "000001.seg", bytes);

  const VerifyReport report = Verify(path("s"));

  EXPECT_GT(CountOf(report.findings, Severity::kDamage), 0U);
  EXPECT_TRUE(Tells(report.findings, "000001.seg", format::kSegmentHeaderSize))
      << Describe(report.findings);
}

TEST_F(VerifyTailTest, NotesWhatIsLeftOver) {
  MakeKilledStore();
  testing::WriteWholeFile(path("s") / "000077.seg", "x");
  testing::WriteWholeFile(path("s") / "some.tmp", "x");
  testing::WriteWholeFile(path("s") / "README", "x");

  const VerifyReport report = Verify(path("s"));

  EXPECT_EQ(CountOf(report.findings, Severity::kNote), 3U)
      << Describe(report.findings);
  EXPECT_FALSE(HasTrouble(report.findings));
}

}  // namespace
}  // namespace peat::tools
