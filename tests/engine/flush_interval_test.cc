// SyncPolicy::kInterval: when the background is wakened, and when it flushes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/housekeeping.h"
#include "engine/log/appender.h"
#include "engine/log/core.h"
#include "engine/log/group_commit.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/log/sealer.h"
#include "engine/log/segment_allocator.h"
#include "engine/recover/recovery.h"
#include "engine/write/throttle.h"
#include "format/record.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace peat::engine {
namespace {

using peat::testing::IsOk;
using std::chrono::milliseconds;

// A log and its housekeeping, without a background: the test is that.
class FlushIntervalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    core_.appender = &appender_;
    core_.supply = &supply_;
    core_.syncer = &syncer_;
    core_.sealer = &sealer_;
    core_.throttle = &throttle_;
    core_.flush_later = [this](milliseconds delay) { asked_.push_back(delay); };
    ASSERT_OK(manifest_.Reserve(0));
    ASSERT_OK(manifest_.Edit([](format::Manifest&) {}));
    ASSERT_OK(supply_.PrepareFor(0, Need::kAddData));
  }

  // Appends a unit; whether the background is to be wakened for it.
  bool Append() {
    Appended appended;
    bool wake = false;
    EXPECT_TRUE(appender_.Append(
        {.key = "key", .payload_hash = format::PayloadHash("key", "")},
        &appended, &wake));
    if (wake) housekeeping_.NoteWrite();
    return wake;
  }
  int WakesOf(int units) {
    int wakes = 0;
    for (int i = 0; i < units; ++i) {
      if (!Append()) continue;
      ++wakes;
      housekeeping_.RunSync();
    }
    return wakes;
  }
  void PassTime(milliseconds time) { now_ += time; }

  std::unique_ptr<Directory> OpenDirectory() {
    return PosixFileSystem().OpenDirectory(dir_.path()).value();
  }

  testing::TempDir dir_{testing::TempDir::Place::kMemory};
  std::chrono::steady_clock::time_point now_{std::chrono::hours(1)};
  Config config_{.sync = SyncPolicy::kInterval,
                 .sync_interval = milliseconds(100),
                 .now = [this] { return now_; }};
  std::vector<milliseconds> asked_;
  const std::unique_ptr<Directory> directory_ = OpenDirectory();
  Poison poison_;
  ManifestStore manifest_{
      directory_.get(), {.manifest = NewManifest(PosixFileSystem())}, &poison_};
  SegmentSet segments_;
  index::HashIndex index_;
  Throttle throttle_;
  Core core_{.file_system = &PosixFileSystem(),
             .directory = directory_.get(),
             .config = &config_,
             .poison = &poison_,
             .manifest = &manifest_,
             .segments = &segments_,
             .index = &index_};
  Appender appender_{LogEnd{}, &manifest_};
  SegmentAllocator supply_{core_};
  GroupCommit syncer_{directory_.get(), &appender_, &manifest_, &poison_, 0};
  Sealer sealer_{core_};
  Housekeeping housekeeping_{core_};
};

TEST_F(FlushIntervalTest, WakesTheBackgroundOnceAnInterval) {
  housekeeping_.RunSync();

  EXPECT_EQ(WakesOf(1000), 1);
  EXPECT_THAT(asked_, ::testing::ElementsAre(milliseconds(100)));

  PassTime(milliseconds(100));
  housekeeping_.RunSync();
  EXPECT_EQ(WakesOf(1000), 1);
  EXPECT_THAT(asked_,
              ::testing::ElementsAre(milliseconds(100), milliseconds(100)));
}

TEST_F(FlushIntervalTest, FlushesNoLaterThanAnIntervalAfterTheFirstWrite) {
  housekeeping_.RunSync();
  Append();
  housekeeping_.RunSync();
  Append();

  PassTime(milliseconds(99));
  housekeeping_.RunSync();
  EXPECT_EQ(syncer_.durable_lsn(), 0u);
  PassTime(milliseconds(1));
  housekeeping_.RunSync();

  EXPECT_EQ(syncer_.durable_lsn(), 2u);
}

TEST_F(FlushIntervalTest, StartsTheClockThoughNoWorkerIsFree) {
  housekeeping_.RunSync();
  EXPECT_TRUE(Append());

  PassTime(milliseconds(350));
  EXPECT_EQ(housekeeping_.FlushOverdue(), milliseconds(250));

  housekeeping_.RunSync();
  EXPECT_EQ(syncer_.durable_lsn(), 1u);
  EXPECT_EQ(housekeeping_.FlushOverdue(), milliseconds(0));
}

TEST_F(FlushIntervalTest, AFlushThatIsAskedForEndsTheWait) {
  housekeeping_.RunSync();
  EXPECT_TRUE(Append());
  housekeeping_.RunSync();
  ASSERT_OK(syncer_.SyncUpTo(1));
  PassTime(milliseconds(500));
  EXPECT_EQ(housekeeping_.FlushOverdue(), milliseconds(0));

  housekeeping_.RunSync();
  EXPECT_EQ(syncer_.sync_count(), 1u);
  EXPECT_TRUE(Append());
  EXPECT_FALSE(Append());
  EXPECT_EQ(housekeeping_.FlushOverdue(), milliseconds(0));
}

}  // namespace
}  // namespace peat::engine
