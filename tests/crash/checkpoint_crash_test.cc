// Crashes and failures at every call of a checkpoint: the copy is absent or
// complete, complete if the call returned OK, and the store loses nothing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/engine.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::testing {
namespace {

using engine::Access;
using engine::Config;
using engine::Cursor;
using engine::Engine;

using Content = std::map<std::string, std::string>;

constexpr char kStore[] = "top/store";
constexpr char kCopy[] = "top/copy";
constexpr uint64_t kSeed = 7;

Config TestConfig(Access access) {
  Config config;
  config.access = access;
  config.segment_size_min = uint64_t{4} << 10;
  config.segment_size_max = uint64_t{16} << 10;
  config.space_extra_min = 0;
  config.background_threads = false;
  config.recovery_threads = 1;
  return config;
}

absl::StatusOr<std::unique_ptr<Engine>> Open(SimFileSystem& disk,
                                             const std::string& path,
                                             Access access) {
  return Engine::Open(disk, path, TestConfig(access));
}

// A store of several segments of each kind, a large value and a mask. What
// comes last is not flushed.
std::unique_ptr<Engine> MakeStore(SimFileSystem& disk) {
  EXPECT_OK(disk.CreateDirectory("top"));
  absl::StatusOr<std::unique_ptr<Engine>> store =
      Open(disk, kStore, Access::kReadWrite);
  EXPECT_OK(store);
  for (int i = 0; i < 60; ++i) {
    EXPECT_OK((*store)->Put(absl::StrFormat("key%d", i % 20),
                            std::string(400, static_cast<char>('a' + i % 26))));
  }
  EXPECT_OK((*store)->Put("large", std::string(9'000, 'l')));
  EXPECT_OK((*store)->Forget("key3", "why"));
  EXPECT_OK((*store)->Compact());
  for (int i = 0; i < 5; ++i) {
    EXPECT_OK((*store)->Put(absl::StrFormat("key%d", 10 + i), "late"));
  }
  return *std::move(store);
}

Content ContentOf(const Engine& store) {
  Content content;
  const std::unique_ptr<Cursor> cursor = store.Scan({});
  for (; cursor->is_valid(); cursor->Next()) {
    content[std::string(cursor->key())] = std::string(cursor->value());
  }
  EXPECT_OK(cursor->status());
  content["(masked)"] =
      absl::StrFormat("%d", static_cast<int>(*store.State("key3")));
  return content;
}

bool Exists(SimFileSystem& disk, const std::string& path) {
  return disk.OpenDirectory(path).ok();
}

void ExpectComplete(SimFileSystem& disk, const Content& content) {
  for (const Access access : {Access::kReadOnly, Access::kReadWrite}) {
    const auto copy = Open(disk, kCopy, access);
    ASSERT_OK(copy);
    EXPECT_EQ(ContentOf(**copy), content);
    EXPECT_TRUE((*copy)->GetStats().open.clean);
  }
}

// The store has everything; or, if power was lost before the checkpoint had
// flushed, perhaps not the last puts.
void ExpectStore(SimFileSystem& disk, const Content& content, bool whole) {
  const auto store = Open(disk, kStore, Access::kReadWrite);
  ASSERT_OK(store);
  const Content now = ContentOf(**store);
  if (whole) {
    EXPECT_EQ(now, content);
  } else {
    EXPECT_EQ(now.size(), content.size());
  }
  if (!Exists(disk, kCopy)) {
    EXPECT_OK((*store)->Checkpoint(kCopy));
    ExpectComplete(disk, now);
    EXPECT_FALSE(Exists(disk, "top/copy.tmp"));
  }
  EXPECT_OK((*store)->Put("more", "value"));
}

struct Scene {
  SimFileSystem disk{kSeed};
  std::unique_ptr<Engine> store = MakeStore(disk);
  Content content = ContentOf(*store);
};

// Every image of a crash after `event`; false: the checkpoint was over by then.
bool CrashAfter(uint64_t event) {
  Scene scene;
  scene.disk.CrashAfter(event);
  const bool is_over = scene.store->Checkpoint(kCopy).ok();
  scene.disk.CrashAfter(scene.disk.event_count());
  constexpr std::pair<CrashKind, int> kKinds[] = {
      {CrashKind::kKill, 1},
      {CrashKind::kPowerLossNothing, 1},
      {CrashKind::kPowerLossEverything, 1},
      {CrashKind::kPowerLossPrefix, 3},
      {CrashKind::kPowerLossRandomSubset, 6}};
  for (const auto& [kind, count] : kKinds) {
    for (int seed = 0; seed < count; ++seed) {
      SCOPED_TRACE(absl::StrFormat("event %d, kind %d, seed %d", event,
                                   static_cast<int>(kind), seed));
      const std::unique_ptr<SimFileSystem> image =
          scene.disk.CrashImage(kind, static_cast<uint64_t>(seed));
      const bool has_copy = Exists(*image, kCopy);
      if (is_over) {
        EXPECT_TRUE(has_copy);
      }
      if (has_copy) ExpectComplete(*image, scene.content);
      ExpectStore(*image, scene.content, has_copy || kind == CrashKind::kKill);
      if (::testing::Test::HasFailure()) return false;
    }
  }
  return !is_over;
}

TEST(CheckpointCrashTest, LeavesACopyOrNoneWheneverItCrashes) {
  uint64_t before = 0;
  {
    Scene scene;
    before = scene.disk.event_count();
  }
  uint64_t event = before;
  while (CrashAfter(event)) ++event;

  EXPECT_GT(event - before, 30U);  // guards against looking at nothing
}

// The `nth` call of a checkpoint fails; false: there are fewer.
bool FailCall(uint64_t nth, const absl::Status& failure) {
  Scene scene;
  scene.disk.FailNth({.op = SimOp::kAny, .nth = nth, .status = failure});
  const uint64_t calls = scene.disk.call_count(SimOp::kAny);
  const auto result = scene.store->Checkpoint(kCopy);
  const bool has_failed = scene.disk.call_count(SimOp::kAny) - calls >= nth;
  scene.disk.ClearFaults();
  SCOPED_TRACE(absl::StrFormat("call %d\n%s", nth, scene.disk.OperationLog()));
  if (result.ok()) ExpectComplete(scene.disk, scene.content);
  // A failed sync of the log poisons the store, as in a flush.
  const absl::Status put = scene.store->Put("key1", "new");
  if (!put.ok()) {
    EXPECT_THAT(put, StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_FALSE(result.ok());
  }
  scene.store.reset();
  if (put.ok()) scene.content["key1"] = "new";
  ExpectStore(scene.disk, scene.content, true);
  return has_failed && !::testing::Test::HasFailure();
}

TEST(CheckpointCrashTest, LeavesTheStoreWholeWhicheverCallFails) {
  for (const absl::Status& failure :
       {absl::ResourceExhaustedError("full"), absl::DataLossError("broken")}) {
    uint64_t nth = 1;
    while (FailCall(nth, failure)) ++nth;
    EXPECT_GT(nth, 40U);  // guards against looking at nothing
  }
}

}  // namespace
}  // namespace peat::testing
