// Index images: with one or without it, whole or damaged, the same store
// opens; only the time differs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/recover/index_image_reader.h"
#include "format/file_name.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/sim_random.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::CrashKind;
using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::SimOp;
using ::peat::testing::SimRandom;

constexpr uint64_t kSegmentSize = uint64_t{64} << 10;
constexpr uint64_t kKeyCount = 400;

Config TheConfig() {
  Config config;
  config.segment_size_min = kSegmentSize;
  config.segment_size_max = kSegmentSize;
  config.space_extra_min = 0;
  config.snapshot_bytes_min = 0;
  config.background_threads = false;
  config.recovery_threads = 2;
  return config;
}

std::unique_ptr<Engine> Open(SimFileSystem& disk,
                             const Config& config = TheConfig()) {
  auto engine = Engine::Open(disk, "store", config);
  EXPECT_OK(engine);
  return engine.ok() ? *std::move(engine) : nullptr;
}

std::string Key(uint64_t i) { return "key" + std::to_string(i); }

std::vector<std::string> Snapshots(const SimFileSystem& disk) {
  std::vector<std::string> names;
  for (const std::string& name : disk.ListFiles("store")) {
    if (name.ends_with(".snap")) names.push_back("store/" + name);
  }
  return names;
}

// The disk as it is when the process that has it open ends now.
std::unique_ptr<SimFileSystem> Killed(const SimFileSystem& disk) {
  return disk.CrashImage(CrashKind::kKill, 1);
}

// All that can be known of a store: each key, and what is counted.
std::map<std::string, std::string> Describe(const Engine& engine) {
  std::map<std::string, std::string> all;
  for (uint64_t i = 0; i < kKeyCount; ++i) {
    std::string value;
    const absl::Status got = engine.Get(Key(i), &value);
    all[Key(i)] = (got.ok() ? value : got.ToString()) + " " +
                  std::to_string(static_cast<int>(*engine.State(Key(i))));
  }
  const Stats stats = engine.GetStats();
  all["keys"] = std::to_string(stats.key_count);
  all["disabled"] = std::to_string(stats.disabled_key_count);
  all["forgotten"] = std::to_string(stats.forgotten_key_count);
  all["live"] = std::to_string(stats.live_bytes);
  all["tombstones"] = std::to_string(stats.tombstone_bytes);
  all["values"] = std::to_string(stats.value_file_bytes);
  all["value files"] = std::to_string(stats.value_file_count);
  for (const SegmentStats& segment : stats.segments) {
    all["segment " + std::to_string(segment.id)] =
        std::to_string(segment.used_bytes) + " live " +
        std::to_string(segment.live_bytes) + " tombstones " +
        std::to_string(segment.tombstone_bytes) + " dead " +
        std::to_string(segment.dead_bytes);
  }
  return all;
}

std::map<std::string, std::string> DescribeStore(SimFileSystem& disk) {
  const std::unique_ptr<Engine> engine = Open(disk);
  return Describe(*engine);
}

void Write(Engine& engine, SimRandom& random, bool with_snapshots = true) {
  const std::string key = Key(random.Below(kKeyCount));
  const uint64_t dice = random.Below(100);
  // What a key's state forbids is part of the story.
  if (dice < 55) {
    (void)engine.Put(key, std::string(random.Below(400), 'v'));
  } else if (dice < 60) {
    (void)engine.Put(key, std::string(30'000 + random.Below(9), 'L'));
  } else if (dice < 80) {
    (void)engine.Delete(key);
  } else if (dice < 84) {
    (void)engine.Disable(key, "why");
  } else if (dice < 88) {
    (void)engine.Enable(key, "why not");
  } else if (dice < 90) {
    (void)engine.Forget(key, "at last");
  } else if (dice < 96) {
    const std::string other = Key(random.Below(kKeyCount));
    (void)engine.Write(std::vector<BatchOperation>{
        {.operation = Operation::kPut, .key = key, .value = "batched"},
        {.operation = Operation::kDelete, .key = other}});
  } else if (dice < 98) {
    EXPECT_OK(engine.Flush());
    engine.RunSync();
  } else if (dice < 99 || !with_snapshots) {
    EXPECT_OK(engine.RunCompaction());
  } else {
    EXPECT_OK(engine.RunSnapshot());
  }
}

// What may be done while a snapshot is written: all but another snapshot.
void WriteAmidSnapshot(Engine& engine, SimRandom& random) {
  if (random.Below(20) == 0) {
    EXPECT_OK(engine.RunCompaction());
  } else {
    Write(engine, random, /*with_snapshots=*/false);
  }
}

TEST(IndexImageTest, ACleanOpenReplaysNothing) {
  SimFileSystem disk(1);
  {
    const std::unique_ptr<Engine> engine = Open(disk);
    for (uint64_t i = 0; i < kKeyCount; ++i) {
      ASSERT_OK(engine->Put(Key(i), std::string(300, 'v')));
    }
    ASSERT_OK(engine->Close());
  }
  ASSERT_EQ(Snapshots(disk).size(), 1U);
  const uint64_t creations = disk.call_count(SimOp::kRename);
  {
    const std::unique_ptr<Engine> engine = Open(disk);
    EXPECT_EQ(engine->GetStats().open.keys_loaded, kKeyCount);
    EXPECT_EQ(engine->GetStats().open.records_replayed, 0U);
    EXPECT_EQ(engine->GetStats().last_lsn, kKeyCount);
    ASSERT_OK(engine->Close());
  }
  // Nothing has changed, so nothing was saved.
  EXPECT_EQ(disk.call_count(SimOp::kRename), creations);
}

// The next open need not look whether anything is in them.
TEST(IndexImageTest, ACloseLeavesNoEmptySegments) {
  SimFileSystem disk(1);
  for (int session = 1; session < 4; ++session) {
    const std::unique_ptr<Engine> engine = Open(disk);
    for (uint64_t filled = 0; filled < kSegmentSize * 2 / 3; filled += 300) {
      ASSERT_OK(engine->Put(Key(filled % kKeyCount), std::string(300, 'v')));
    }
    engine->RunSupply();  // prepares one more
    // Sealed ones are cut to what is in them.
    const auto unsealed_count = [&disk] {
      return std::ranges::count_if(
          disk.ListFiles("store"), [&disk](const std::string& name) {
            return name.ends_with(".seg") &&
                   disk.ReadFile("store/" + name)->size() == kSegmentSize;
          });
    };
    ASSERT_GE(unsealed_count(), 2);
    ASSERT_OK(engine->Close());
    EXPECT_EQ(unsealed_count(), 0);
  }
}

TEST(IndexImageTest, OnlyWhatCameLaterIsReplayed) {
  SimFileSystem disk(1);
  {
    const std::unique_ptr<Engine> engine = Open(disk);
    for (uint64_t i = 0; i < kKeyCount; ++i) {
      ASSERT_OK(engine->Put(Key(i), std::string(300, 'v')));
    }
    ASSERT_OK(engine->Close());
  }
  const std::unique_ptr<Engine> engine = Open(disk);
  ASSERT_OK(engine->Put(Key(1), "new"));
  ASSERT_OK(engine->Delete(Key(2)));
  const std::unique_ptr<SimFileSystem> killed = Killed(disk);
  const std::unique_ptr<Engine> again = Open(*killed);
  EXPECT_EQ(again->GetStats().open.keys_loaded, kKeyCount);
  EXPECT_EQ(again->GetStats().open.records_replayed, 2U);
  EXPECT_EQ(Describe(*again), Describe(*engine));
}

class IndexImageDifferentialTest : public ::testing::TestWithParam<uint64_t> {};

INSTANTIATE_TEST_SUITE_P(Seeds, IndexImageDifferentialTest,
                         ::testing::Range<uint64_t>(1, 25));

// Sessions that end with a close or a kill. After each, the store that opens
// with its snapshot is the one that opens without.
TEST_P(IndexImageDifferentialTest, WithAndWithoutTheSameStoreOpens) {
  SimRandom random(GetParam());
  auto disk = std::make_unique<SimFileSystem>(GetParam());
  int loaded = 0;
  for (int session = 0; session < 8; ++session) {
    std::unique_ptr<Engine> engine;
    bool is_closing = false;
    Config config = TheConfig();
    config.at_snapshot_point = [&] {
      if (is_closing) return;
      for (uint64_t i = random.Below(60); i > 0; --i) {
        WriteAmidSnapshot(*engine, random);
      }
    };
    engine = Open(*disk, config);
    loaded += engine->GetStats().open.keys_loaded > 0 ? 1 : 0;
    const uint64_t count = random.Below(1200);
    for (uint64_t i = 0; i < count; ++i) Write(*engine, random);
    is_closing = true;
    if (random.Below(2) == 0) {
      ASSERT_OK(engine->Close());
    }
    std::unique_ptr<SimFileSystem> killed = Killed(*disk);
    const std::unique_ptr<SimFileSystem> with = Killed(*killed);
    const std::unique_ptr<SimFileSystem> without = Killed(*killed);
    for (const std::string& name : Snapshots(*without)) {
      without->RemoveFile(name);
    }
    ASSERT_EQ(DescribeStore(*with), DescribeStore(*without)) << session;
    engine.reset();
    disk = std::move(killed);
  }
  EXPECT_GT(loaded, 0);
}

// A store with a snapshot, some history behind it, and no process.
std::unique_ptr<SimFileSystem> AKilledStore() {
  auto disk = std::make_unique<SimFileSystem>(3);
  SimRandom random(3);
  {
    const std::unique_ptr<Engine> engine = Open(*disk);
    for (int i = 0; i < 1500; ++i) Write(*engine, random);
    EXPECT_OK(engine->Close());
  }
  const std::unique_ptr<Engine> engine = Open(*disk);
  for (int i = 0; i < 300; ++i) Write(*engine, random);
  return Killed(*disk);
}

TEST(IndexImageTest, ADamagedSnapshotCostsTimeAlone) {
  const std::unique_ptr<SimFileSystem> disk = AKilledStore();
  const auto expected = DescribeStore(*Killed(*disk));
  ASSERT_EQ(Snapshots(*disk).size(), 1U);
  const std::string name = Snapshots(*disk)[0];
  const std::string bytes = *disk->ReadFile(name);
  SimRandom random(5);
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE(round);
    const std::unique_ptr<SimFileSystem> damaged = Killed(*disk);
    std::string changed = bytes;
    switch (round % 4) {
      case 0:
        changed.resize(random.Below(bytes.size()));
        break;
      case 1: {
        const uint64_t bit = random.Below(8 * bytes.size());
        changed[bit / 8] =
            static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
        break;
      }
      case 2: {
        const uint64_t sector = random.Below(bytes.size() / 512) * 512;
        changed.replace(sector, 512, 512, '\0');
        break;
      }
      default:
        changed += "more";
        break;
    }
    damaged->WriteFile(name, changed);
    ASSERT_EQ(DescribeStore(*damaged), expected);
  }
}

TEST(IndexImageTest, ASnapshotOfAnotherStoreIsNotTaken) {
  const std::unique_ptr<SimFileSystem> disk = AKilledStore();
  const auto expected = DescribeStore(*Killed(*disk));
  SimFileSystem other(77);
  {
    const std::unique_ptr<Engine> engine = Open(other);
    for (uint64_t i = 0; i < kKeyCount; ++i) {
      ASSERT_OK(engine->Put(Key(i), std::string(300, 'o')));
    }
    ASSERT_OK(engine->Close());
  }
  disk->WriteFile(Snapshots(*disk)[0], *other.ReadFile(Snapshots(other)[0]));
  EXPECT_EQ(DescribeStore(*disk), expected);
}

// A copy of a store goes its own way; the snapshots of the two are exchanged.
TEST(IndexImageTest, ASnapshotOfAnotherHistoryIsNotTaken) {
  const std::unique_ptr<SimFileSystem> one = AKilledStore();
  const std::unique_ptr<SimFileSystem> two = Killed(*one);
  SimRandom random(9);
  for (SimFileSystem* disk : {one.get(), two.get()}) {
    const std::unique_ptr<Engine> engine = Open(*disk);
    const uint64_t count = 300 + random.Below(500);
    for (uint64_t i = 0; i < count; ++i) Write(*engine, random);
    ASSERT_OK(engine->Close());
  }
  const auto expected = DescribeStore(*Killed(*one));
  for (const std::string& name : Snapshots(*two)) {
    one->WriteFile(name, *two->ReadFile(name));
  }
  EXPECT_EQ(DescribeStore(*one), expected);
}

// A power loss leaves a snapshot whole and takes all of the segment in which it
// ends. That segment is empty then, and must not be written to again: it would
// reach the snapshot's end, and the snapshot would fit.
TEST(IndexImageTest, ASnapshotOfALostHistoryIsNotTaken) {
  SimFileSystem disk(1);
  {
    const std::unique_ptr<Engine> engine = Open(disk);
    ASSERT_OK(engine->Put(Key(0), "before"));
    ASSERT_OK(engine->Close());
  }
  const std::unique_ptr<Engine> first = Open(disk);
  ASSERT_OK(first->Put(Key(1), std::string(100, 'l')));
  ASSERT_OK(first->Put(Key(2), std::string(100, 'l')));
  ASSERT_OK(first->RunSnapshot());
  const std::unique_ptr<SimFileSystem> image = Killed(disk);
  const std::vector<std::string> kept = Snapshots(disk);
  ASSERT_EQ(kept.size(), 1);
  const std::string bytes = *disk.ReadFile(kept[0]);
  for (const std::string& name : image->ListFiles("store")) {
    // What has been written to since the store was opened is not sealed.
    const std::string path = "store/" + name;
    std::string content = *image->ReadFile(path);
    if (!name.ends_with(".seg") || content.size() != kSegmentSize) continue;
    std::fill(content.begin() + format::kSegmentHeaderSize, content.end(),
              '\0');
    image->WriteFile(path, content);
  }
  {
    const std::unique_ptr<Engine> engine = Open(*image);
    std::string value;
    ASSERT_FALSE(engine->Get(Key(1), &value).ok());
    for (uint64_t i = 3; i < 10; ++i) {
      ASSERT_OK(engine->Put(Key(i), std::string(77, 'n')));
    }
    ASSERT_OK(engine->Flush());
  }
  // That it was removed is forgotten by the next power loss.
  const std::unique_ptr<SimFileSystem> again = Killed(*image);
  again->WriteFile(kept[0], bytes);
  const std::unique_ptr<Engine> engine = Open(*again);
  for (uint64_t i = 0; i < 10; ++i) {
    std::string value;
    const absl::Status got = engine->Get(Key(i), &value);
    EXPECT_EQ(got.ok(), i == 0 || i > 2) << i << " " << got;
  }
}

// An old snapshot comes back, from a backup of that file alone.
TEST(IndexImageTest, AnOldSnapshotServesOrIsNotTaken) {
  SimRandom random(4);
  auto disk = std::make_unique<SimFileSystem>(4);
  std::map<std::string, std::string> old;
  for (int session = 0; session < 12; ++session) {
    {
      const std::unique_ptr<Engine> engine = Open(*disk);
      for (int i = 0; i < 300; ++i) Write(*engine, random);
      ASSERT_OK(engine->Close());
    }
    const auto expected = DescribeStore(*Killed(*disk));
    for (const auto& [name, bytes] : old) {
      const std::unique_ptr<SimFileSystem> image = Killed(*disk);
      for (const std::string& newer : Snapshots(*image)) {
        image->RemoveFile(newer);
      }
      image->WriteFile(name, bytes);
      ASSERT_EQ(DescribeStore(*image), expected) << session << " " << name;
    }
    for (const std::string& name : Snapshots(*disk)) {
      old[name] = *disk->ReadFile(name);
    }
  }
}

TEST(IndexImageTest, AFullDiskLeavesNone) {
  SimFileSystem disk(1);
  {
    const std::unique_ptr<Engine> engine = Open(disk);
    for (uint64_t i = 0; i < kKeyCount; ++i) {
      ASSERT_OK(engine->Put(Key(i), std::string(300, 'v')));
    }
    disk.SetCapacity(disk.used_bytes() + 4096);
    ASSERT_OK(engine->Close());
  }
  EXPECT_TRUE(Snapshots(disk).empty());
  for (const std::string& name : disk.ListFiles("store")) {
    EXPECT_FALSE(name.ends_with(".tmp")) << name;
  }
  const std::unique_ptr<Engine> engine = Open(disk);
  EXPECT_EQ(engine->GetStats().open.records_replayed, kKeyCount);
}

TEST(IndexImageTest, AStoreOpenedToReadUsesItToo) {
  const std::unique_ptr<SimFileSystem> disk = AKilledStore();
  Config config = TheConfig();
  config.access = Access::kReadOnly;
  const std::unique_ptr<Engine> reader = Open(*disk, config);
  EXPECT_GT(reader->GetStats().open.keys_loaded, 0U);
  const std::unique_ptr<SimFileSystem> copy = Killed(*disk);
  const std::unique_ptr<Engine> writer = Open(*copy);
  for (uint64_t i = 0; i < kKeyCount; ++i) {
    EXPECT_EQ(*reader->State(Key(i)), *writer->State(Key(i)));
  }
}

}  // namespace
}  // namespace peat::engine
