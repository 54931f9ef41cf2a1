// Stores beside stores of the same process whose disk does not answer.

#include "tests/support/hanging_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/engine.h"
#include "format/file_name.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace peat::engine {
namespace {

using peat::testing::HangingDisk;
using peat::testing::IsOk;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience{30};

class HangingDiskTest : public ::testing::Test {
 protected:
  std::unique_ptr<Engine> Open(FileSystem& system, const std::string& name,
                               const Config& config) {
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(system, dir_.path() / name, config);
    EXPECT_OK(engine.status());
    return *std::move(engine);
  }
  static Config Quiet() {
    return {.segment_size_max = format::kSegmentSizeMin,
            .background_threads = false};
  }

  // Segments of the store that have a name.
  size_t SegmentFileCount(const std::string& name) const {
    size_t count = 0;
    for (const auto& file :
         std::filesystem::directory_iterator(dir_.path() / name)) {
      if (file.path().extension() == ".seg") ++count;
    }
    return count;
  }

  // Writes some segments full, of keys that are written again each time.
  static void Overwrite(Engine& engine, const std::string& value) {
    for (int i = 0; i < 400; ++i) {
      ASSERT_OK(engine.Put(absl::StrFormat("key %d", i % 40), value));
    }
    ASSERT_OK(engine.Flush());
    engine.RunSync();
  }

  // What happens once the disk of a store hangs amid a checkpoint of it.
  void BeginCheckpoint(Engine& engine) {
    disk_.Hang();
    checkpoint_ = std::async(std::launch::async, [&engine, this] {
      return engine.Checkpoint(dir_.path() / "copy").status();
    });
    disk_.AwaitCalls(1);
  }

  testing::TempDir dir_;
  HangingDisk disk_{1};
  HangingDisk healthy_{2};
  std::future<absl::Status> checkpoint_;
  const std::string value_ = std::string(50'000, 'v');
};

TEST_F(HangingDiskTest, AnotherStoreIsFlushedAtItsIntervals) {
  const Config config{.sync = SyncPolicy::kInterval,
                      .sync_interval = milliseconds(5)};
  std::vector<std::unique_ptr<Engine>> stuck;
  for (int i = 0; i < 6; ++i) {
    stuck.push_back(Open(disk_.system(), std::to_string(i), config));
    ASSERT_OK(stuck.back()->Put("key", "takes a segment"));
    ASSERT_OK(stuck.back()->Flush());
  }
  const auto engine = Open(healthy_.system(), "healthy", config);
  disk_.Hang();
  for (const auto& other : stuck) ASSERT_OK(other->Put("key", "value"));
  disk_.AwaitCalls(2);

  for (int i = 1; i <= 3; ++i) {
    ASSERT_OK(engine->Put("key", "value"));
    const auto begin = std::chrono::steady_clock::now();
    while (engine->GetStats().durable_lsn < static_cast<uint64_t>(i) &&
           std::chrono::steady_clock::now() - begin < kPatience) {
      std::this_thread::yield();
    }
    EXPECT_EQ(engine->GetStats().durable_lsn, static_cast<uint64_t>(i));
  }
  EXPECT_EQ(disk_.waiting_count(), 2);
  disk_.Answer();
}

TEST_F(HangingDiskTest, StatisticsTellOfAFlushThatDoesNotCome) {
  const Config config{.sync = SyncPolicy::kInterval,
                      .sync_interval = milliseconds(1)};
  std::vector<std::unique_ptr<Engine>> stuck;
  for (int i = 0; i < 4; ++i) {
    stuck.push_back(Open(disk_.system(), std::to_string(i), config));
    ASSERT_OK(stuck.back()->Put("key", "takes a segment"));
    ASSERT_OK(stuck.back()->Flush());
    EXPECT_EQ(stuck.back()->GetStats().flush_overdue_milliseconds, 0u);
  }
  disk_.Hang();
  for (const auto& engine : stuck) ASSERT_OK(engine->Put("key", "value"));

  // Also of those that no worker has come to.
  for (const auto& engine : stuck) {
    const auto begin = std::chrono::steady_clock::now();
    while (engine->GetStats().flush_overdue_milliseconds < 50 &&
           std::chrono::steady_clock::now() - begin < kPatience) {
      std::this_thread::yield();
    }
    EXPECT_GE(engine->GetStats().flush_overdue_milliseconds, 50u);
  }
  disk_.Answer();
  for (const auto& engine : stuck) {
    ASSERT_OK(engine->Flush());
    EXPECT_EQ(engine->GetStats().flush_overdue_milliseconds, 0u);
  }
}

TEST_F(HangingDiskTest, AnotherStoreIsClosed) {
  const auto stuck = Open(disk_.system(), "stuck", Quiet());
  auto engine = Open(healthy_.system(), "healthy", Quiet());
  ASSERT_OK(stuck->Put("key", "value"));
  BeginCheckpoint(*stuck);
  std::future<absl::Status> flush =
      std::async(std::launch::async, [&] { return stuck->Flush().status(); });

  std::future<absl::Status> closed =
      std::async(std::launch::async, [&] { return engine->Close(); });

  EXPECT_EQ(closed.wait_for(kPatience), std::future_status::ready);
  disk_.Answer();
  EXPECT_OK(closed.get());
  EXPECT_OK(checkpoint_.get());
  EXPECT_OK(flush.get());
}

TEST_F(HangingDiskTest, AnotherStoreGivesSpaceBack) {
  const auto stuck = Open(disk_.system(), "stuck", Quiet());
  const auto engine = Open(healthy_.system(), "healthy", Quiet());
  ASSERT_OK(stuck->Put("key", "value"));
  BeginCheckpoint(*stuck);

  for (int i = 0; i < 10; ++i) {
    Overwrite(*engine, value_);
    ASSERT_OK(engine->Compact());
  }

  EXPECT_LE(SegmentFileCount("healthy"), 8u);
  disk_.Answer();
  EXPECT_OK(checkpoint_.get());
}

// And the files that the copy is to have keep their names.
TEST_F(HangingDiskTest, AStoreGivesSpaceBackAmidItsOwnCheckpoint) {
  const auto engine = Open(disk_.system(), "store", Quiet());
  Overwrite(*engine, "old" + value_);
  BeginCheckpoint(*engine);
  const size_t pinned = SegmentFileCount("store");
  disk_.AnswerOthers();

  for (int i = 0; i < 10; ++i) {
    Overwrite(*engine, value_);
    ASSERT_OK(engine->Compact());
  }

  EXPECT_LE(SegmentFileCount("store"), pinned + 8u);
  disk_.Answer();
  EXPECT_OK(checkpoint_.get());
  ASSERT_OK(engine->Compact());
  EXPECT_LE(SegmentFileCount("store"), 8u);
  std::string value;
  ASSERT_OK(Open(PosixFileSystem(), "copy", Quiet())->Get("key 7", &value));
  // The copy is of one moment, which may be any while the disk hung.
  EXPECT_TRUE(value == "old" + value_ || value == value_);
}

TEST_F(HangingDiskTest, CloseWaitsForTheStoresOwnCheckpoint) {
  auto engine = Open(disk_.system(), "stuck", Quiet());
  ASSERT_OK(engine->Put("key", "value"));
  BeginCheckpoint(*engine);

  std::future<absl::Status> closed =
      std::async(std::launch::async, [&] { return engine->Close(); });
  EXPECT_EQ(closed.wait_for(milliseconds(20)), std::future_status::timeout);
  disk_.Answer();

  EXPECT_OK(closed.get());
  EXPECT_OK(checkpoint_.get());
  const auto copy = Open(PosixFileSystem(), "copy", Quiet());
  std::string value;
  EXPECT_OK(copy->Get("key", &value));
}

TEST_F(HangingDiskTest, ARangeDoesNotWaitForTheIndexOfAnotherStore) {
  std::promise<void> begun;
  std::promise<void> end;
  std::shared_future<void> ended = end.get_future().share();
  std::once_flag once;
  Config config{.ordered = true};
  config.at_build_point = [&](BuildPoint) {
    std::call_once(once, [&] { begun.set_value(); });
    ended.wait();
  };
  for (const char* const name : {"large", "small"}) {
    ASSERT_OK(Open(healthy_.system(), name, Quiet())->Put("key", "value"));
  }
  const auto large = Open(healthy_.system(), "large", config);
  begun.get_future().wait();
  const auto small = Open(healthy_.system(), "small", {.ordered = true});

  std::future<bool> found = std::async(std::launch::async, [&] {
    Query query;
    query.range.begin = "k";
    return small->Scan(std::move(query))->is_valid();
  });

  EXPECT_EQ(found.wait_for(kPatience), std::future_status::ready);
  end.set_value();
  EXPECT_TRUE(found.get());
}

}  // namespace
}  // namespace peat::engine
