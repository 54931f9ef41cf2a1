// What replay counts, also when it passes over damage or cannot read.

#include "engine/recover/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "format/file_name.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::CrashKind;
using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::SimOp;

constexpr uint64_t kSegmentSize = uint64_t{16} << 10;

class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() : disk_(1) {
    Open(disk_, {});
    for (int i = 0; i < 20; ++i) Put(i, 100);
    EXPECT_OK(store_->Disable("key1", "why"));
    EXPECT_OK(store_->Enable("key1", "why"));
    EXPECT_OK(store_->Forget("key2", "why"));
    Put(3, 10'000);  // in a file of its own
    for (int i = 4; i < 8; ++i) {
      EXPECT_OK(store_->Delete("key" + std::to_string(i)));
    }
    Put(4, 50);
    Put(19, 100);
    before_ = store_->GetStats();
    EXPECT_OK(store_->Close());
    store_.reset();
  }

  absl::Status TryOpen(SimFileSystem& disk, Config config) {
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.background_threads = false;
    config.recovery_threads = 1;
    auto store = Engine::Open(disk, "store", config);
    if (store.ok()) store_ = *std::move(store);
    return store.status();
  }
  void Open(SimFileSystem& disk, const Config& config) {
    ASSERT_OK(TryOpen(disk, config));
  }

  void Put(int i, size_t size) {
    EXPECT_OK(store_->Put("key" + std::to_string(i), std::string(size, 'v')));
  }

  // The first record of the log: key 0, which no other record is about.
  void DamageFirstPut() {
    disk_.CorruptByte("store/" + format::SegmentFileName(1),
                      format::kSegmentHeaderSize + 120, std::byte{'x'});
  }

  SimFileSystem disk_;
  std::unique_ptr<Engine> store_;
  Stats before_;
};

// What came before the damage was counted once more behind it.
TEST_F(ReplayTest, CountsEachRecordOnceDespiteDamage) {
  DamageFirstPut();

  Open(disk_, {.access = Access::kReadOnlyDespiteDamage});

  const Stats stats = store_->GetStats();
  EXPECT_FALSE(stats.open.damaged.empty());
  EXPECT_EQ(stats.tombstone_bytes, before_.tombstone_bytes);
  EXPECT_EQ(stats.forgotten_key_count, before_.forgotten_key_count);
  EXPECT_LT(stats.live_bytes, before_.live_bytes);
  EXPECT_GE(stats.live_bytes + 200, before_.live_bytes);
  EXPECT_EQ(stats.open.records_replayed, 20U + 3 + 1 + 4 + 2 - 1);
}

TEST_F(ReplayTest, FindsNoDamageWhereThereIsNone) {
  Open(disk_, {.access = Access::kReadOnlyDespiteDamage});

  const Stats stats = store_->GetStats();
  EXPECT_TRUE(stats.open.damaged.empty());
  EXPECT_EQ(stats.live_bytes, before_.live_bytes);
  EXPECT_EQ(stats.tombstone_bytes, before_.tombstone_bytes);
  EXPECT_EQ(stats.open.records_replayed, 20U + 3 + 1 + 4 + 2);
}

// It had been counted as live until all was replayed.
TEST_F(ReplayTest, TakesTombstonesOutThatItCannotReadAgain) {
  const Config config{.access = Access::kReadOnly,
                      .read_method = ReadMethod::kPositional};
  uint64_t opened = 0;
  for (uint64_t nth = 1; nth < 1000; ++nth) {
    const auto disk = disk_.CrashImage(CrashKind::kKill, 1);
    disk->FailNth({.op = SimOp::kRead,
                   .nth = nth,
                   .status = absl::ResourceExhaustedError("no handle")});
    const uint64_t calls_before = disk->call_count(SimOp::kRead);
    if (!TryOpen(*disk, config).ok()) continue;
    ++opened;
    ASSERT_EQ(store_->GetStats().live_bytes, before_.live_bytes) << nth;
    if (disk->call_count(SimOp::kRead) - calls_before < nth) break;
  }
  EXPECT_GE(opened, 1U);
}

}  // namespace
}  // namespace peat::engine
