// Index images that are damaged while a store is open that has verified them:
// what has not been loaded by then is an error, and never an absent key.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/engine.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::StatusIs;

constexpr uint64_t kKeyCount = 400;

Config TheConfig() {
  Config config;
  config.segment_size_min = uint64_t{64} << 10;
  config.segment_size_max = uint64_t{64} << 10;
  config.space_extra_min = 0;
  config.snapshot_bytes_min = 0;
  config.small_image_bytes = 0;  // nothing is loaded before it is needed
  config.background_threads = false;
  config.recovery_threads = 2;
  return config;
}

std::unique_ptr<Engine> TheStore(SimFileSystem& disk,
                                 const Config& config = TheConfig()) {
  auto engine = Engine::Open(disk, "store", config);
  EXPECT_OK(engine);
  return engine.ok() ? *std::move(engine) : nullptr;
}

std::string Key(uint64_t i) { return "key" + std::to_string(i); }

// What becomes of an image's file after Open() has verified it.
struct ImageDamage {
  const char* name;
  Access access;
  bool is_cut;
};

class DamageWhileOpenTest : public ::testing::TestWithParam<ImageDamage> {
 protected:
  DamageWhileOpenTest() {
    const std::unique_ptr<Engine> engine = TheStore(disk_);
    for (uint64_t i = 0; i < kKeyCount; ++i) {
      EXPECT_OK(engine->Put(Key(i), "value" + Key(i)));
    }
    EXPECT_OK(engine->Close());
  }

  std::unique_ptr<Engine> OpenAndDamage() {
    Config config = TheConfig();
    config.access = GetParam().access;
    std::unique_ptr<Engine> engine = TheStore(disk_, config);
    EXPECT_EQ(engine->GetStats().open.keys_loaded, kKeyCount);
    const std::string name = ImageName();
    const uint64_t size = disk_.ReadFile(name)->size();
    if (GetParam().is_cut) {
      const auto directory = disk_.OpenDirectory("store");
      const auto file =
          (*directory)->Open(name.substr(6), OpenMode::kReadWrite);
      EXPECT_OK((*file)->Truncate(size / 2));
      return engine;
    }
    for (uint64_t at = size / 2; at < size; ++at) {
      disk_.CorruptByte(name, at, std::byte{0x55});
    }
    return engine;
  }

  // There is one.
  std::string ImageName() const {
    for (const std::string& name : disk_.ListFiles("store")) {
      if (name.ends_with(".snap")) return "store/" + name;
    }
    return "";
  }

  SimFileSystem disk_{1};
};

TEST_P(DamageWhileOpenTest, IsNeverTakenForAbsence) {
  const std::unique_ptr<Engine> engine = OpenAndDamage();

  int lost = 0;
  for (uint64_t i = 0; i < kKeyCount; ++i) {
    std::string value;
    const absl::Status status = engine->Get(Key(i), &value);
    if (status.ok()) {
      ASSERT_EQ(value, "value" + Key(i));
      continue;
    }
    ASSERT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, "index image"));
    ++lost;
  }
  EXPECT_GT(lost, 0);
}

TEST_P(DamageWhileOpenTest, EndsAScanWithAnError) {
  const std::unique_ptr<Engine> engine = OpenAndDamage();

  const std::unique_ptr<Cursor> cursor = engine->Scan({});
  while (cursor->is_valid()) cursor->Next();

  EXPECT_THAT(cursor->status(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_P(DamageWhileOpenTest, LosesNothing) {
  std::unique_ptr<Engine> engine = OpenAndDamage();
  if (GetParam().access == Access::kReadWrite) {
    // What can be overwritten leaves dead bytes for a compaction.
    for (uint64_t i = 0; i < kKeyCount; ++i) {
      (void)engine->Put(Key(i), "value" + Key(i));
    }
    // Whether there is anything to compact depends on what could be put.
    const absl::Status compacted = engine->Compact();
    EXPECT_TRUE(compacted.ok() || absl::IsDataLoss(compacted)) << compacted;
    EXPECT_THAT(engine->RunSnapshot(), StatusIs(absl::StatusCode::kDataLoss));
    EXPECT_OK(engine->Close());
  }
  engine.reset();

  engine = TheStore(disk_);

  for (uint64_t i = 0; i < kKeyCount; ++i) {
    std::string value;
    ASSERT_OK(engine->Get(Key(i), &value));
    ASSERT_EQ(value, "value" + Key(i));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, DamageWhileOpenTest,
    ::testing::Values(
        ImageDamage{"changed_under_a_writer", Access::kReadWrite, false},
        ImageDamage{"cut_under_a_writer", Access::kReadWrite, true},
        ImageDamage{"changed_under_a_reader", Access::kReadOnly, false},
        ImageDamage{"cut_under_a_reader", Access::kReadOnly, true}),
    [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace peat::engine
