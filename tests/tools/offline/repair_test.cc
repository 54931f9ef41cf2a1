// Repair: the new store is what the old one was, or what is surely still true
// of it. Random stores with random damage: nothing comes back.

#include "tools/offline/repair.h"

#include <algorithm>

#include "format/file_name.h"
#include "peat/audit.h"
#include "tests/tools/offline/offline_fixture.h"

namespace peat::tools {
namespace {

using testing::FileImages;

class RepairTest : public OfflineFixture {
 protected:
  RepairResult Repair(const RepairOptions& options = {}) {
    absl::StatusOr<RepairResult> result = RepairStore(
        engine::PosixFileSystem(), {path("s"), path("new")}, options, {},
        [this](const Loss& loss) { losses_.push_back(loss); });
    EXPECT_OK(result);
    EXPECT_FALSE(std::filesystem::exists(path("new.unfinished")));
    return result.ok() ? *std::move(result) : RepairResult{};
  }

  // A store that was written to at random, and is closed.
  KnownKeys MakeStore(uint32_t seed, bool compacts) {
    std::mt19937 random(seed);
    KnownKeys known;
    if (compacts) WriteSessions(path("s"), 4, random, &known);
    const std::unique_ptr<Store> store = Open(path("s"));
    WriteAtRandom(*store, 200, random, &known);
    EXPECT_OK(store->Close());
    return known;
  }

  std::vector<Loss> losses_;
};

TEST_F(RepairTest, CopiesASoundStore) {
  const KnownKeys known = MakeStore(3, true);
  const FileImages before = testing::ReadFiles(path("s"));

  const RepairResult result = Repair();

  EXPECT_TRUE(result.is_written);
  EXPECT_EQ(result.loss_count, 0U);
  EXPECT_EQ(testing::ReadFiles(path("s")), before);
  EXPECT_EQ(Show(*Open(path("new")), known), Present(known));
}

TEST_F(RepairTest, KeepsLsnsMasksAndReceipts) {
  std::unique_ptr<Store> store = Open(path("s"));
  ASSERT_OK(store->Put("gone", "value"));
  const absl::StatusOr<ForgetReceipt> receipt =
      store->Forget("gone", {.reason = "why"});
  ASSERT_OK(receipt);
  ASSERT_OK(store->Put("kept", "value"));
  ASSERT_OK(store->Disable("kept", {.reason = "closed"}));
  ASSERT_OK(store->Enable("kept"));
  const uint64_t last_lsn = store->GetStats().last_lsn;
  ASSERT_OK(store->Close());

  Repair();

  const auto audit = AuditReader::Open(path("new"));
  ASSERT_OK(audit);
  const std::unique_ptr<MaskCursor> masks = (*audit)->Masks();
  std::vector<std::string> reasons;
  for (; masks->Valid(); masks->Next()) {
    reasons.push_back(masks->mask().reason);
    if (masks->mask().kind != MaskKind::kForget) continue;
    EXPECT_EQ(*masks->receipt(), *receipt);
  }
  EXPECT_THAT(reasons, ::testing::ElementsAre("why", "closed", ""));
  store = Open(path("new"));
  ASSERT_OK(store->Put("next", "value"));
  EXPECT_EQ(store->GetStats().last_lsn, last_lsn + 1);
}

TEST_F(RepairTest, CutsATornTail) {
  {
    const std::unique_ptr<Store> store = Open(path("s"));
    ASSERT_OK(store->Put("kept", "value"));
    ASSERT_OK(store->Put("torn", "value"));
    FileImages images = testing::ReadFiles(path("s"));
    ASSERT_OK(store->Close());
    std::string& log = images.at("000001.seg");
    log[log.find("torn") + 1] ^= 1;
    testing::WriteFiles(path("s"), images);
  }

  const RepairResult result = Repair();

  EXPECT_TRUE(result.is_written);
  const std::unique_ptr<Store> store = Open(path("new"));
  EXPECT_EQ(testing::Read(*store, "kept"), "value");
  EXPECT_EQ(testing::Read(*store, "torn"), std::nullopt);
}

TEST_F(RepairTest, WritesNothingDespiteDamageUnlessAskedTo) {
  MakeStore(4, false);
  std::string log = testing::ReadWholeFile(path("s") / "000001.seg");
  log[5000] ^= 1;
  testing::WriteWholeFile(path("s") / "000001.seg", log);

  const RepairResult result = Repair();

  EXPECT_FALSE(result.is_written);
  EXPECT_GT(CountOf(result.findings, Severity::kDamage), 0U);
  EXPECT_FALSE(std::filesystem::exists(path("new")));
}

TEST_F(RepairTest, WithholdsWhatATombstoneMayHaveDeleted) {
  {
    const std::unique_ptr<Store> store = Open(path("s"));
    ASSERT_OK(store->Put("old", "value"));
    ASSERT_OK(store->Put("deleted", "value"));
    ASSERT_OK(store->Delete("deleted"));
    ASSERT_OK(store->Put("young", "value"));
    ASSERT_OK(store->Close());
  }
  std::string log = testing::ReadWholeFile(path("s") / "000001.seg");
  log[log.rfind("deleted")] ^= 1;
  testing::WriteWholeFile(path("s") / "000001.seg", log);

  const RepairResult result = Repair({.salvage = true});

  EXPECT_TRUE(result.is_written);
  EXPECT_EQ(losses_.size(), 2U);
  EXPECT_EQ(result.hidden_up_to, 3U);
  std::unique_ptr<Store> store = Open(path("new"));
  EXPECT_EQ(testing::Read(*store, "old"), std::nullopt);
  EXPECT_EQ(testing::Read(*store, "deleted"), std::nullopt);
  EXPECT_EQ(testing::Read(*store, "young"), "value");
  store = nullptr;

  std::filesystem::remove_all(path("new"));
  Repair({.salvage = true, .accept_unproven = true});
  EXPECT_EQ(testing::Read(*Open(path("new")), "old"), "value");
}

TEST_F(RepairTest, WithholdsEverythingWithoutAManifest) {
  const KnownKeys known = MakeStore(5, true);
  std::filesystem::remove(path("s") / "MANIFEST-0");
  std::filesystem::remove(path("s") / "MANIFEST-1");

  const RepairResult result = Repair({.salvage = true});

  EXPECT_TRUE(result.is_written);
  EXPECT_EQ(result.hidden_up_to, UINT64_MAX);
  for (const auto& [key, one] : Show(*Open(path("new")), known)) {
    EXPECT_EQ(one.state, KeyState::kForgotten);
    EXPECT_EQ(known.at(key).state, KeyState::kForgotten);
  }
  std::filesystem::remove_all(path("new"));
  Repair({.salvage = true, .accept_unproven = true});
  EXPECT_EQ(Show(*Open(path("new")), known), Present(known));
}

TEST_F(RepairTest, RefusesATargetThatIsThereAndAStoreThatIsWrittenTo) {
  const std::unique_ptr<Store> store = Open(path("s"));
  ASSERT_OK(store->Put("key", "value"));
  const auto ignore = [](const Loss&) {};

  EXPECT_THAT(RepairStore(engine::PosixFileSystem(), {path("s"), path("new")},
                          {}, {}, ignore),
              testing::StatusIs(absl::StatusCode::kUnavailable));
  std::filesystem::create_directory(path("new"));
  EXPECT_THAT(RepairStore(engine::PosixFileSystem(), {path("s"), path("new")},
                          {}, {}, ignore),
              testing::StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(RepairStore(engine::PosixFileSystem(),
                          {path("s"), path("s") / "new"}, {}, {}, ignore),
              testing::StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(RepairTest, LeavesNoTraceWhenItIsInterrupted) {
  MakeStore(6, false);
  int calls = 0;

  const absl::StatusOr<RepairResult> result = RepairStore(
      engine::PosixFileSystem(), {path("s"), path("new")}, {},
      [&calls](uint64_t, uint64_t) { return ++calls < 1; }, [](const Loss&) {});

  EXPECT_THAT(result, testing::StatusIs(absl::StatusCode::kCancelled));
  EXPECT_FALSE(std::filesystem::exists(path("new")));
  EXPECT_FALSE(std::filesystem::exists(path("new.unfinished")));
}

// A seed each, for store and damage.
class SalvagePropertyTest : public RepairTest,
                            public ::testing::WithParamInterface<uint32_t> {
 protected:
  // Damages some file of the store.
  void Damage(std::mt19937& random) {
    FileImages images = testing::ReadFiles(path("s"));
    std::vector<std::string> names;
    for (const auto& [name, bytes] : images) {
      const format::FileKind kind = format::ParseFileName(name)->kind;
      if (kind == format::FileKind::kSegment ||
          kind == format::FileKind::kValue ||
          (kind == format::FileKind::kManifest && random() % 4 == 0)) {
        names.push_back(name);
      }
    }
    for (uint32_t count = 1 + random() % 3; count > 0; --count) {
      const std::string& name = names[random() % names.size()];
      std::string& bytes = images[name];
      if (bytes.empty()) continue;
      const size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes.resize(at);
          break;
        case 1:
          bytes.replace(at, std::min<size_t>(512, bytes.size() - at),
                        std::min<size_t>(512, bytes.size() - at), '\0');
          break;
        default:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      }
    }
    if (random() % 5 == 0) images.erase(names[random() % names.size()]);
    testing::WriteFiles(path("s"), images);
  }
};

TEST_P(SalvagePropertyTest, NothingComesBackAndTheRestIsListed) {
  std::mt19937 random(1000 + GetParam());
  const KnownKeys known = MakeStore(GetParam(), GetParam() % 2 == 0);
  Damage(random);

  const RepairResult result = Repair({.salvage = true});

  ASSERT_TRUE(result.is_written) << Describe(result.findings);
  EXPECT_FALSE(HasTrouble(Verify(path("new")).findings));
  const KnownKeys shown = Show(*Open(path("new")), known);
  for (const auto& [key, one] : shown) {
    // What is there is the newest there was, never an older state.
    EXPECT_EQ(one, known.at(key)) << key;
  }
  // What is not there was hidden in what is reported, or is listed.
  if (shown != Present(known)) {
    EXPECT_TRUE(HasTrouble(result.findings));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SalvagePropertyTest,
                         ::testing::Range<uint32_t>(1, 41));

}  // namespace
}  // namespace peat::tools
