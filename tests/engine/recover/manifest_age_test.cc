// Old copies of the manifest, put back beside the files of a store that has
// gone on: at every open they are noticed, or make no difference.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "format/file_name.h"
#include "format/manifest.h"
#include "format/segment_header.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using absl::StatusCode;
using peat::testing::CrashKind;
using peat::testing::SimFileSystem;
using peat::testing::StatusIs;

constexpr uint64_t kSmallSegment = uint64_t{64} << 10;

std::string KeyOf(int number) { return "key-" + std::to_string(number); }
std::string ValueOf(int number) {
  return std::string(4000, static_cast<char>('a' + number % 26));
}

class ManifestAgeTest : public ::testing::Test {
 protected:
  using Copies = std::vector<std::string>;

  void SetUp() override { engine_ = Reopen(disk_); }

  static absl::StatusOr<std::unique_ptr<Engine>> Open(
      SimFileSystem& disk, Access access = Access::kReadWrite) {
    Config config;
    config.access = access;
    config.segment_size_min = kSmallSegment;
    config.segment_size_max = kSmallSegment;
    config.space_extra_min = 0;
    config.background_threads = false;
    config.recovery_threads = 1;
    return Engine::Open(disk, "store", config);
  }

  static std::unique_ptr<Engine> Reopen(SimFileSystem& disk) {
    absl::StatusOr<std::unique_ptr<Engine>> engine = Open(disk);
    EXPECT_OK(engine);
    return engine.ok() ? *std::move(engine) : nullptr;
  }

  // Puts the keys from `first` on, and makes them durable now and then.
  void Put(int first, int count) {
    for (int i = first; i < first + count; ++i) {
      ASSERT_OK(engine_->Put(KeyOf(i), ValueOf(i)));
      if (i % 5 == 4) {
        ASSERT_OK(engine_->Flush());
      }
    }
  }

  // What the manifests were after each of many steps.
  std::vector<Copies> WriteHistory() {
    std::vector<Copies> copies;
    for (int round = 0; round < 6; ++round) {
      for (int i = 0; i < 5; ++i) {
        Put(round * 10 + i * 2, 12);
        copies.push_back(Manifests());
      }
      engine_->RunSync();
      copies.push_back(Manifests());
      if (round % 2 == 1) {
        EXPECT_OK(engine_->Compact());
      }
      copies.push_back(Manifests());
    }
    return copies;
  }

  Copies Manifests() const {
    Copies copies;
    for (const char* const name : format::kManifestFileNames) {
      copies.push_back(*disk_.ReadFile(std::string("store/") + name));
    }
    return copies;
  }

  // What is left when the process is killed now, with both copies put back.
  std::unique_ptr<SimFileSystem> WithManifests(const Copies& copies) const {
    auto image = disk_.CrashImage(CrashKind::kKill, 1);
    for (size_t i = 0; i < copies.size(); ++i) {
      image->WriteFile(std::string("store/") + format::kManifestFileNames[i],
                       copies[i]);
    }
    return image;
  }

  static void ExpectOlder(SimFileSystem& disk) {
    const std::vector<std::string> files = disk.ListFiles("store");
    for (const Access access : {Access::kReadWrite, Access::kReadOnly}) {
      EXPECT_THAT(Open(disk, access),
                  StatusIs(StatusCode::kDataLoss, "older cop"));
    }
    EXPECT_EQ(disk.ListFiles("store"), files);
  }

  SimFileSystem disk_{1};
  std::unique_ptr<Engine> engine_;
};

TEST_F(ManifestAgeTest, BothOldCopiesAreNoticedAtEveryOpen) {
  Put(0, 20);
  const Copies old = Manifests();
  Put(20, 40);
  const auto image = WithManifests(old);

  ExpectOlder(*image);

  // Any key may have a later record where the manifest does not point.
  const auto rest = Open(*image, Access::kReadOnlyDespiteDamage);
  ASSERT_OK(rest);
  std::string value;
  EXPECT_THAT((*rest)->Get(KeyOf(3), &value), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT((*rest)->Get(KeyOf(50), &value), StatusIs(StatusCode::kDataLoss));
  EXPECT_FALSE((*rest)->GetStats().open.damaged.empty());
}

TEST_F(ManifestAgeTest, AnOldCopyBesideADamagedOneIsNoticed) {
  Put(0, 20);
  const Copies old = Manifests();
  Put(20, 40);
  for (const size_t damaged : {0, 1}) {
    Copies copies = old;
    copies[damaged][40] = static_cast<char>(copies[damaged][40] ^ 1);

    ExpectOlder(*WithManifests(copies));
  }
}

TEST_F(ManifestAgeTest, AnOldCopyBesideTheNewestMakesNoDifference) {
  Put(0, 20);
  const Copies old = Manifests();
  Put(20, 40);
  for (const size_t which : {0, 1}) {
    Copies copies = Manifests();
    copies[which] = old[which];
    const auto image = WithManifests(copies);

    const auto engine = Reopen(*image);

    EXPECT_EQ(engine->GetStats().key_count, 60U);
  }
}

TEST_F(ManifestAgeTest, AForgottenKeyStaysForgotten) {
  Put(0, 20);
  const Copies old = Manifests();
  Put(20, 20);
  ASSERT_OK(engine_->Forget(KeyOf(7), "asked to"));
  ASSERT_OK(engine_->Flush());
  Copies copies = old;
  copies[1].clear();
  const auto image = WithManifests(copies);

  ExpectOlder(*image);

  const auto rest = Open(*image, Access::kReadOnlyDespiteDamage);
  ASSERT_OK(rest);
  std::string value;
  EXPECT_FALSE((*rest)->Get(KeyOf(7), &value).ok());
}

TEST_F(ManifestAgeTest, AMarkTellsWhereALinkCannotBeRead) {
  Put(0, 20);
  const Copies old = Manifests();
  const std::vector<std::string> before = disk_.ListFiles("store");
  Put(20, 40);
  const auto image = WithManifests(old);
  int damaged = 0;
  for (const std::string& name : image->ListFiles("store")) {
    if (!name.ends_with(".seg")) continue;
    if (std::ranges::count(before, name) > 0) continue;
    image->CorruptByte("store/" + name, format::kSegmentHeaderSize + 9,
                       std::byte{0x5a});
    ++damaged;
  }
  ASSERT_GT(damaged, 0);

  ExpectOlder(*image);
}

// Each manifest that there ever was, after each step of a history with
// compaction: noticed, or everything is there.
TEST_F(ManifestAgeTest, EachOldCopyOfAHistoryIsNoticedOrHarmless) {
  const std::vector<Copies> copies = WriteHistory();
  const uint64_t key_count = engine_->GetStats().key_count;
  int harmless = 0;
  for (const Copies& old : copies) {
    const auto image = WithManifests(old);
    const auto engine = Open(*image);
    if (!engine.ok()) {
      EXPECT_THAT(engine, StatusIs(StatusCode::kDataLoss));
      continue;
    }
    ++harmless;
    EXPECT_EQ((*engine)->GetStats().key_count, key_count);
  }
  EXPECT_GT(harmless, 0);
  EXPECT_LT(harmless, static_cast<int>(copies.size()));
}

TEST_F(ManifestAgeTest, StraysProveNothing) {
  Put(0, 20);
  engine_.reset();
  for (const std::string name : {"seg", "val", "hint", "snap"}) {
    disk_.WriteFile("store/099999." + name, "");
    disk_.WriteFile("store/099998." + name, std::string(5000, 'x'));
  }

  const auto engine = Reopen(disk_);

  EXPECT_EQ(engine->GetStats().key_count, 20U);
}

}  // namespace
}  // namespace peat::engine
