// Salvage keeps what validates and is provably current, and never un-forgets:
// stores with known damage, and how much of them must be kept.

#include <algorithm>

#include "engine/compact/key_filters.h"
#include "format/file_name.h"
#include "format/key_filter.h"
#include "format/segment_header.h"
#include "tests/tools/offline/offline_fixture.h"
#include "tools/offline/repair.h"

namespace peat::tools {
namespace {

class SalvageTest : public OfflineFixture {
 protected:
  // Puts `count` keys from `first` on in one session, so in one more segment.
  void PutKeys(int first, int count, size_t value_size = 100) {
    const std::unique_ptr<Store> store = Open(path("s"));
    for (int i = first; i < first + count; ++i) {
      ASSERT_OK(store->Put(KeyOf(i), std::string(value_size, 'v')));
    }
    ASSERT_OK(store->Close());
  }
  static std::string KeyOf(int i) { return "key-" + std::to_string(i); }

  std::string SegmentName(size_t number) const {
    std::vector<std::string> names;
    for (const auto& one : std::filesystem::directory_iterator(path("s"))) {
      const std::string name = one.path().filename().string();
      if (name.ends_with(".seg") && one.file_size() > 0) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names.at(number);
  }
  void CutOff(const std::string& name, size_t size) const {
    const auto file = path("s") / name;
    std::filesystem::resize_file(file, std::filesystem::file_size(file) - size);
  }
  void Zero(const std::string& name, size_t offset, size_t size) const {
    std::string bytes = testing::ReadWholeFile(path("s") / name);
    bytes.replace(offset, size, size, '\0');
    testing::WriteWholeFile(path("s") / name, bytes);
  }
  void RemoveAll(const std::string& extension) const {
    for (const auto& one : std::filesystem::directory_iterator(path("s"))) {
      if (one.path().extension() == extension) {
        std::filesystem::remove(one.path());
      }
    }
  }

  // Makes the hint file of a segment that is sound.
  void MakeHint(const std::string& name) const {
    const auto files = ReadStoreFiles(engine::PosixFileSystem(), path("s"));
    ASSERT_OK(files);
    for (const SourceSegment& segment : files->segments) {
      if (segment.name() != name) continue;
      std::vector<uint64_t> hashes;
      RecordWalk walk = segment.Walk();
      for (;;) {
        const absl::StatusOr<RecordWalk::Step> step = walk.Next();
        if (!step.ok() || *step != RecordWalk::Step::kRecord) break;
        if (!engine::IsInKeyFilter(walk.record().header.kind)) continue;
        hashes.push_back(format::FilterHash(walk.record().key));
      }
      engine::SaveKeyFilter(*files->directory, files->store_id, segment.entry,
                            std::move(hashes));
    }
  }

  RepairResult Salvage(bool accept_unproven = false) {
    std::filesystem::remove_all(path("new"));
    absl::StatusOr<RepairResult> result =
        RepairStore(engine::PosixFileSystem(), {path("s"), path("new")},
                    {.salvage = true, .accept_unproven = accept_unproven}, {},
                    [](const Loss&) {});
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : RepairResult{};
  }

  std::optional<std::string> ReadNew(const std::string& key) const {
    return testing::Read(*Open(path("new")), key);
  }
};

TEST_F(SalvageTest, AByteCutOffTheLastSegmentCostsNothing) {
  PutKeys(0, 564);
  PutKeys(564, 4'436);
  CutOff(SegmentName(1), 1);  // of the last record's padding

  const RepairResult result = Salvage();

  EXPECT_EQ(result.kept_count, 5'000U);
  EXPECT_EQ(result.loss_count, 0U);
}

// Sixteen bytes less: the header of the record that was cut says that it is
// none that forgets.
TEST_F(SalvageTest, ARecordCutShortCostsNoMoreThanItselfIfThatIsAccepted) {
  PutKeys(0, 564);
  PutKeys(564, 4'436);
  CutOff(SegmentName(1), 16);

  const RepairResult result = Salvage(true);

  EXPECT_EQ(result.kept_count, 4'999U);
  EXPECT_EQ(result.loss_count, 1U);
  EXPECT_EQ(result.hidden_count, 1U);
  EXPECT_TRUE(result.is_exact);
  EXPECT_TRUE(ReadNew(KeyOf(4'998)).has_value());
}

TEST_F(SalvageTest, AZeroedPageCostsWhatLayInIt) {
  for (int i = 0; i < 13; ++i) PutKeys(i * 6'951, i < 12 ? 6'951 : 6'950);
  Zero(SegmentName(6), 40'960, 4'096);

  const RepairResult result = Salvage();

  // Records of 136 bytes: those that the page touches.
  EXPECT_LE(result.loss_count, 32U);
  EXPECT_GE(result.loss_count, 30U);
  EXPECT_GE(result.kept_count, 90'362U - 32U);
}

TEST_F(SalvageTest, ADamagedHeaderOfASegmentCostsNothing) {
  PutKeys(0, 100);
  PutKeys(100, 100);
  Zero(SegmentName(0), 0, format::kSegmentHeaderSize);

  const RepairResult result = Salvage();

  EXPECT_EQ(result.loss_count, 0U);
  EXPECT_EQ(result.kept_count, 200U);
}

// As if a compaction had asked whether a tombstone shadows anything in it.
TEST_F(SalvageTest, AHintFileProvesWhatWasNotForgotten) {
  PutKeys(0, 500);
  PutKeys(500, 500);
  MakeHint(SegmentName(1));
  Zero(SegmentName(1), 40'960, 4'096);

  Salvage(true);

  EXPECT_TRUE(ReadNew(KeyOf(0)).has_value());
  EXPECT_FALSE(ReadNew(KeyOf(500)).has_value());
  EXPECT_TRUE(ReadNew(KeyOf(999)).has_value());
  Salvage();
  EXPECT_FALSE(ReadNew(KeyOf(0)).has_value());
}

// The forget record is damaged, and the put of its key is not.
TEST_F(SalvageTest, NeverUnforgetsWhatIsBesideDamage) {
  for (const char* const lacking : {"", ".snap", ".hint"}) {
    SCOPED_TRACE(lacking);
    std::filesystem::remove_all(path("s"));
    PutKeys(0, 100);
    {
      const std::unique_ptr<Store> store = Open(path("s"));
      ASSERT_OK(store->Forget(KeyOf(7), {.reason = "asked to"}));
      ASSERT_OK(store->Put("other", "value"));
      ASSERT_OK(store->Close());
    }
    std::string bytes = testing::ReadWholeFile(path("s") / SegmentName(1));
    bytes[bytes.find("asked")] ^= 1;
    testing::WriteWholeFile(path("s") / SegmentName(1), bytes);
    if (*lacking != 0) RemoveAll(lacking);

    const RepairResult result = Salvage(true);

    EXPECT_GE(result.hidden_count, 1U);
    EXPECT_EQ(ReadNew(KeyOf(7)), std::nullopt);
    EXPECT_TRUE(ReadNew("other").has_value());
  }
}

// What a compaction has left behind still holds the forget that its output
// lost.
TEST_F(SalvageTest, TakesAForgetFromAFileThatTheManifestDoesNotName) {
  PutKeys(0, 100);
  {
    const std::unique_ptr<Store> store = Open(path("s"));
    ASSERT_OK(store->Put("dead", std::string(100'000, 'v')));
    ASSERT_OK(store->Forget(KeyOf(7)));
    ASSERT_OK(store->Delete("dead").status());
    ASSERT_OK(store->Close());
  }
  PutKeys(100, 1);
  const std::string name = SegmentName(1);
  const std::string left = testing::ReadWholeFile(path("s") / name);
  ASSERT_OK(Open(path("s"))->Compact());
  ASSERT_FALSE(std::filesystem::exists(path("s") / name));
  testing::WriteWholeFile(path("s") / name, left);
  // Whatever compaction has made of it is lost.
  const auto files = ReadStoreFiles(engine::PosixFileSystem(), path("s"));
  ASSERT_OK(files);
  for (const SourceSegment& segment : files->segments) {
    if (segment.entry.kind != format::SegmentKind::kAudit) continue;
    Zero(segment.name(), format::kSegmentHeaderSize,
         segment.end - format::kSegmentHeaderSize);
  }

  Salvage(true);

  const absl::StatusOr<KeyState> state = Open(path("new"))->State(KeyOf(7));
  ASSERT_OK(state);
  EXPECT_EQ(*state, KeyState::kForgotten);
}

TEST_F(SalvageTest, VerifySaysWhatOfAShortSegmentCanBeRead) {
  PutKeys(0, 50);
  PutKeys(50, 50, 400'000);
  CutOff(SegmentName(1), 16);

  const Findings findings = Verify(path("s")).findings;

  const std::string text = Describe(findings);
  EXPECT_THAT(text, ::testing::HasSubstr("sound records can be read"));
  EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("none of its")));
  EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("no record refers")));
  EXPECT_THAT(text, ::testing::HasSubstr("one that cannot be read may"));
}

}  // namespace
}  // namespace peat::tools
