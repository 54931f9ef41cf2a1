// Restore: the checkpoint again, and with --masks-from nothing that was
// forgotten since.

#include "tools/offline/restore.h"

#include <fstream>

#include "peat/audit.h"
#include "tests/tools/offline/offline_fixture.h"

namespace peat::tools {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using testing::FileImages;
using ::testing::HasSubstr;
using testing::StatusIs;

class RestoreTest : public OfflineFixture {
 protected:
  absl::StatusOr<RestoreResult> Restore(
      std::optional<std::filesystem::path> masks_from = {}) {
    return RestoreStore(
        engine::PosixFileSystem(),
        {.from = path("old"), .to = path("new"), .masks_from = masks_from});
  }

  void Checkpoint(Store& store) { ASSERT_OK(store.Checkpoint(path("old"))); }

  struct SeenMask {
    MaskKind kind;
    std::string key;
    std::string reason;
    MaskTime time;
    friend bool operator==(const SeenMask&, const SeenMask&) = default;
  };
  std::vector<SeenMask> MasksOf(const std::string& name) {
    const auto audit = AuditReader::Open(path(name));
    EXPECT_OK(audit);
    std::vector<SeenMask> seen;
    const std::unique_ptr<MaskCursor> masks = (*audit)->Masks();
    for (; masks->Valid(); masks->Next()) {
      const Mask& mask = masks->mask();
      seen.push_back({mask.kind, mask.key, mask.reason, mask.time});
    }
    EXPECT_OK(masks->status());
    return seen;
  }

  void ExpectSound(const std::string& name) {
    EXPECT_THAT(Describe(Verify(path(name)).findings), ::testing::IsEmpty());
  }
};

TEST_F(RestoreTest, MakesAStoreOfACheckpoint) {
  std::mt19937 random(1);
  KnownKeys known;
  WriteSessions(path("s"), 3, random, &known);
  const std::unique_ptr<Store> store = Open(path("s"));
  WriteAtRandom(*store, 300, random, &known);
  Checkpoint(*store);
  const FileImages before = testing::ReadFiles(path("old"));
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore());

  EXPECT_EQ(result.lsn, store->GetStats().last_lsn);
  EXPECT_GT(result.linked_bytes, 0U);
  EXPECT_EQ(result.copied_bytes, 0U);
  EXPECT_EQ(testing::ReadFiles(path("old")), before);
  ExpectSound("new");
  EXPECT_EQ(Show(*Open(path("new")), known), Present(known));
  EXPECT_EQ(testing::ReadFiles(path("old")), before);
  EXPECT_FALSE(std::filesystem::exists(path("new.tmp")));
}

TEST_F(RestoreTest, MakesAStoreOfAnyStoreThatWasClosed) {
  std::mt19937 random(2);
  KnownKeys known;
  WriteSessions(path("old"), 3, random, &known);
  ASSERT_OK(Restore());

  EXPECT_EQ(Show(*Open(path("new")), known), Present(known));
}

TEST_F(RestoreTest, BringsBackWhatWasForgottenSinceUnlessMasksAreTakenAlong) {
  std::unique_ptr<Store> store = Open(path("s"));
  ASSERT_OK(store->Put("secret", "value"));
  Checkpoint(*store);
  ASSERT_OK(store->Forget("secret", {.reason = "request 17"}));
  ASSERT_OK(store->Forget("never there", {.reason = "so that it stays so"}));
  ASSERT_OK(store->Close());

  ASSERT_OK(Restore());
  EXPECT_EQ(testing::Read(*Open(path("new")), "secret"), "value");
  std::filesystem::remove_all(path("new"));
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore(path("s")));
  const std::unique_ptr<Store> restored = Open(path("new"));

  EXPECT_EQ(result.forget_count, 2U);
  EXPECT_EQ(testing::Read(*restored, "secret"), std::nullopt);
  EXPECT_EQ(*restored->State("secret"), KeyState::kForgotten);
  EXPECT_EQ(*restored->State("never there"), KeyState::kForgotten);
  EXPECT_THAT(restored->Put("secret", "again"),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_EQ(MasksOf("new"), MasksOf("s"));
  ASSERT_OK_AND_ASSIGN(const auto audit, AuditReader::Open(path("new")));
  EXPECT_EQ(*audit->Reveal("secret"), "value");
}

TEST_F(RestoreTest, TakesDisablesAndEnablesAlong) {
  const std::unique_ptr<Store> store = Open(path("s"));
  for (const char* key : {"disabled", "enabled", "both", "neither"}) {
    ASSERT_OK(store->Put(key, "old"));
  }
  ASSERT_OK(store->Disable("enabled", {.reason = "before"}));
  ASSERT_OK(store->Disable("neither", {.reason = "before"}));
  Checkpoint(*store);
  ASSERT_OK(store->Enable("enabled", {.reason = "after"}));
  ASSERT_OK(store->Put("disabled", "new"));
  ASSERT_OK(store->Disable("disabled", {.reason = "after"}));
  ASSERT_OK(store->Disable("both", {.reason = "after"}));
  ASSERT_OK(store->Enable("both", {.reason = "after"}));
  ASSERT_OK(store->Put("later", "new"));
  ASSERT_OK(store->Disable("later", {.reason = "after"}));
  ASSERT_OK(store->Flush());
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore(path("s")));
  const std::unique_ptr<Store> restored = Open(path("new"));

  EXPECT_EQ(result.disable_count, 2U);
  EXPECT_EQ(result.enable_count, 2U);
  EXPECT_EQ(result.idle_count, 1U);  // of the key that came later
  EXPECT_EQ(*restored->State("disabled"), KeyState::kDisabled);
  EXPECT_EQ(*restored->State("enabled"), KeyState::kLive);
  EXPECT_EQ(*restored->State("both"), KeyState::kLive);
  EXPECT_EQ(*restored->State("neither"), KeyState::kDisabled);
  EXPECT_EQ(*restored->State("later"), KeyState::kAbsent);
  EXPECT_EQ(testing::Read(*restored, "disabled"), "old");
}

// Lsns of two stores that have gone different ways say nothing about each
// other.
TEST_F(RestoreTest, TakesMasksAlongOfAStoreThatHasGoneAnotherWay) {
  std::unique_ptr<Store> store = Open(path("s"));
  ASSERT_OK(store->Put("secret", "value"));
  ASSERT_OK(store->Checkpoint(path("twin")));
  ASSERT_OK(store->Forget("secret", {.reason = "at a low lsn"}));
  ASSERT_OK(store->Close());
  store = Open(path("twin"));
  for (int i = 0; i < 100; ++i) ASSERT_OK(store->Put("more", "value"));
  Checkpoint(*store);
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore(path("s")));

  EXPECT_EQ(result.forget_count, 1U);
  EXPECT_EQ(*Open(path("new"))->State("secret"), KeyState::kForgotten);
}

TEST_F(RestoreTest, TakesMasksAlongOnlyOnce) {
  std::unique_ptr<Store> store = Open(path("s"));
  ASSERT_OK(store->Put("key", "value"));
  Checkpoint(*store);
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(store->Disable("key", {.reason = "d" + std::to_string(i)}));
    ASSERT_OK(store->Enable("key", {.reason = "e" + std::to_string(i)}));
  }
  ASSERT_OK(store->Compact());  // which leaves stubs of some
  ASSERT_OK(store->Close());
  ASSERT_OK(Restore(path("s")));
  const auto masks = MasksOf("new");
  EXPECT_EQ(masks, MasksOf("s"));
  std::filesystem::remove_all(path("old"));
  std::filesystem::rename(path("new"), path("old"));

  ASSERT_OK_AND_ASSIGN(const RestoreResult again, Restore(path("s")));
  EXPECT_EQ(again.disable_count + again.enable_count + again.idle_count, 0U);
  EXPECT_EQ(MasksOf("new"), masks);
}

TEST_F(RestoreTest, MatchesTheNewerStoreAfterRandomMasks) {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    KnownKeys known;
    const std::unique_ptr<Store> store = Open(path("s"));
    WriteAtRandom(*store, 150, random, &known);
    Checkpoint(*store);
    WriteAtRandom(*store, 150, random, &known);
    if (seed % 2 == 0) {
      ASSERT_OK(store->Compact());
    }
    ASSERT_OK(Restore(path("s")));
    ExpectSound("new");
    const std::unique_ptr<Store> restored = Open(path("new"));
    for (const auto& [key, one] : known) {
      const KeyState state = *restored->State(key);
      if (one.state == KeyState::kForgotten) {
        EXPECT_EQ(state, KeyState::kForgotten);
      } else if (one.state == KeyState::kDisabled) {
        EXPECT_TRUE(state == KeyState::kDisabled || state == KeyState::kAbsent);
      } else {
        EXPECT_TRUE(state == KeyState::kLive || state == KeyState::kAbsent);
      }
    }
    for (const char* name : {"s", "old", "new"}) {
      std::filesystem::remove_all(path(name));
    }
  }
}

TEST_F(RestoreTest, RefusesMasksOfAnotherStore) {
  Checkpoint(*Open(path("s")));
  ASSERT_OK(Open(path("other"))->Put("key", "value"));

  EXPECT_THAT(Restore(path("other")), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Restore(path("none")), StatusIs(StatusCode::kNotFound));
  EXPECT_FALSE(std::filesystem::exists(path("new")));
  EXPECT_FALSE(std::filesystem::exists(path("new.tmp")));
}

TEST_F(RestoreTest, RefusesAStoreThatIsInUseOrWasNotClosed) {
  std::unique_ptr<Store> store = Open(path("old"));
  ASSERT_OK(store->Put("key", "value"));
  EXPECT_THAT(Restore(), StatusIs(StatusCode::kUnavailable));
  const FileImages open = testing::ReadFiles(path("old"));
  ASSERT_OK(store->Close());
  store = nullptr;
  testing::WriteFiles(path("old"), open);

  EXPECT_THAT(Restore(), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_FALSE(std::filesystem::exists(path("new")));
}

TEST_F(RestoreTest, RefusesDamageThatItMeets) {
  const std::unique_ptr<Store> store = Open(path("s"));
  ASSERT_OK(store->Put("key", "value"));
  Checkpoint(*store);
  std::filesystem::remove(path("old/000001.seg"));

  EXPECT_FALSE(Restore().ok());
  for (const char* name : {"MANIFEST-0", "MANIFEST-1"}) {
    std::ofstream(path("old") / name) << "nothing";
  }
  EXPECT_THAT(Restore(), StatusIs(StatusCode::kDataLoss));
  EXPECT_FALSE(std::filesystem::exists(path("new")));
  EXPECT_FALSE(std::filesystem::exists(path("new.tmp")));
}

TEST_F(RestoreTest, RefusesATargetThatIsThereOrInside) {
  Checkpoint(*Open(path("s")));
  std::filesystem::create_directory(path("new"));
  EXPECT_THAT(Restore(), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(RestoreStore(engine::PosixFileSystem(),
                           {.from = path("old"), .to = path("old/new")}),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(RestoreStore(engine::PosixFileSystem(),
                           {.from = path("none"), .to = path("other")}),
              StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace peat::tools
