// Files whose checksums are right and whose contents no writer has made: each
// is refused with a status, when it is opened or when it is used.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "format/index_image.h"
#include "format/manifest.h"
#include "format/record.h"
#include "tests/support/reseal.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::StatusIs;

constexpr uint64_t kSegmentSize = uint64_t{64} << 10;
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

class ForgedStoreTest : public ::testing::Test {
 protected:
  static Config TheConfig() {
    Config config;
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.space_extra_min = 0;
    config.snapshot_bytes_min = 0;
    config.background_threads = false;
    config.recovery_threads = 1;
    return config;
  }

  absl::StatusOr<std::unique_ptr<Engine>> TryOpen() {
    return Engine::Open(disk_, "store", TheConfig());
  }
  std::unique_ptr<Engine> Open() {
    auto engine = TryOpen();
    EXPECT_OK(engine);
    return engine.ok() ? *std::move(engine) : nullptr;
  }

  static std::string Key(int i) { return "key" + std::to_string(i); }

  // Keys 0 to 199 of 1,000 bytes, the first of them overwritten; "large", whose
  // value has a file; closed, with an index image. A later life has sealed
  // "last" behind them, so that all of these may be compacted.
  void MakeStore() {
    std::unique_ptr<Engine> engine = Open();
    ASSERT_OK(engine->Put("large", std::string(kSegmentSize / 2, 'L')));
    for (int i = 0; i < 200; ++i) {
      ASSERT_OK(engine->Put(Key(i), std::string(1000, 'v')));
    }
    for (int i = 0; i < 30; ++i) ASSERT_OK(engine->Put(Key(i), "new"));
    ASSERT_OK(engine->Close());
    engine = Open();
    ASSERT_OK(engine->Put("last", "l"));
    ASSERT_OK(engine->Close());
  }

  std::vector<std::string> Files(const std::string& suffix) const {
    std::vector<std::string> files;
    for (const std::string& name : disk_.ListFiles("store")) {
      if (name.find(suffix) != std::string::npos) files.push_back(name);
    }
    return files;
  }

  void Change(const std::string& name,
              const std::function<void(std::string*)>& change) {
    std::string bytes = *disk_.ReadFile("store/" + name);
    change(&bytes);
    testing::Reseal(name, &bytes);
    disk_.WriteFile("store/" + name, bytes);
  }

  // Changes what the index image says of each segment.
  void ForgeImage(const std::function<void(format::SnapshotSegment&)>& change) {
    ASSERT_EQ(Files(".snap").size(), 1U);
    const std::string name = Files(".snap")[0];
    std::string bytes = *disk_.ReadFile("store/" + name);
    const uint64_t size =
        *format::DecodeSnapshotHeadSize(format::AsBytes(bytes));
    format::IndexImage head =
        *format::DecodeSnapshotHead(format::AsBytes(bytes).first(size));
    for (format::SnapshotSegment& segment : head.segments) change(segment);
    const std::string encoded = format::EncodeSnapshotHead(head);
    ASSERT_EQ(encoded.size(), size);
    disk_.WriteFile("store/" + name, bytes.replace(0, size, encoded));
  }

  void ForgeManifest(const std::function<void(format::Manifest&)>& change) {
    for (const std::string& name : Files("MANIFEST")) {
      const std::string bytes = *disk_.ReadFile("store/" + name);
      format::Manifest manifest =
          *format::DecodeManifest(format::AsBytes(bytes));
      change(manifest);
      std::string encoded = format::EncodeManifest(manifest);
      encoded.resize(std::max(encoded.size(), bytes.size()));
      disk_.WriteFile("store/" + name, encoded);
    }
  }

  // The reference of "large" becomes one to no file.
  void ForgeReference() {
    for (const std::string& name : Files(".seg")) {
      Change(name, [](std::string* bytes) {
        const size_t at = bytes->find("large");
        if (at == std::string::npos) return;
        format::Store<uint64_t>(testing::BytesOf(bytes) + at + 5, 0);
      });
    }
  }

  // Counts all that the keys that are not overwritten hold.
  static void ExpectAllIsThere(const Engine& engine) {
    for (int i = 0; i < 200; ++i) {
      std::string value;
      ASSERT_OK(engine.Get(Key(i), &value)) << i;
      ASSERT_EQ(value, i < 30 ? "new" : std::string(1000, 'v'));
    }
  }

  SimFileSystem disk_{1};
};

TEST_F(ForgedStoreTest, AnImpossibleReferenceIsADamagedRecord) {
  MakeStore();
  for (const std::string& name : Files(".snap")) {
    disk_.RemoveFile("store/" + name);
  }

  ForgeReference();

  EXPECT_THAT(TryOpen(), StatusIs(kDataLoss, ".seg offset"));
}

TEST_F(ForgedStoreTest, AnImpossibleReferenceCannotBeMasked) {
  MakeStore();

  ForgeReference();

  const std::unique_ptr<Engine> engine = Open();
  EXPECT_THAT(engine->Disable("large", "r"), StatusIs(kDataLoss));
  EXPECT_THAT(engine->Forget("large", "r"), StatusIs(kDataLoss));
  EXPECT_THAT(engine->Write(std::vector<BatchOperation>{
                  {.operation = Operation::kDisable, .key = "large"}}),
              StatusIs(kDataLoss));
}

TEST_F(ForgedStoreTest, CompactionGivesUpASegmentWithAnImpossibleReference) {
  MakeStore();
  ForgeReference();
  const std::unique_ptr<Engine> engine = Open();

  int failures = 0;
  for (int i = 0; i < 20; ++i) failures += engine->Compact().ok() ? 0 : 1;

  // The first says so; later ones have nothing to do.
  EXPECT_EQ(failures, 1);
  ExpectAllIsThere(*engine);
}

TEST_F(ForgedStoreTest, CompactionDropsAnImageThatCountsTooLittle) {
  MakeStore();
  ForgeImage([](format::SnapshotSegment& segment) {
    segment.live_bytes = segment.live_bytes / 16 * 8;
  });
  std::unique_ptr<Engine> engine = Open();
  ASSERT_GT(engine->GetStats().open.keys_loaded, 0U);

  EXPECT_THAT(engine->Compact(), StatusIs(kDataLoss, "counts"));

  EXPECT_THAT(Files(".snap"), ::testing::IsEmpty());
  ASSERT_OK(engine->Close());
  engine = Open();
  EXPECT_EQ(engine->GetStats().open.keys_loaded, 0U);
  EXPECT_OK(engine->Compact());
  ExpectAllIsThere(*engine);
}

TEST_F(ForgedStoreTest, CompactionDropsAnImageThatCountsTooMuch) {
  MakeStore();
  ForgeImage([](format::SnapshotSegment& segment) {
    segment.live_bytes = segment.end - format::kSegmentHeaderSize;
    segment.tombstone_bytes = 0;
  });
  std::unique_ptr<Engine> engine = Open();
  for (int i = 30; i < 190; ++i) ASSERT_OK(engine->Put(Key(i), "n"));

  EXPECT_OK(engine->Compact());

  EXPECT_THAT(Files(".snap"), ::testing::IsEmpty());
}

TEST_F(ForgedStoreTest, ALastReferenceThatTheImageDoesNotKnowIsNoMatter) {
  MakeStore();
  ForgeImage([](format::SnapshotSegment& segment) {
    for (format::SegmentId& file : segment.values) file += 1000;
  });
  const std::unique_ptr<Engine> engine = Open();
  ASSERT_OK(engine->Put("large", "small"));

  EXPECT_OK(engine->Compact());

  ExpectAllIsThere(*engine);
}

struct Forgery {
  const char* name;
  void (*change)(format::SnapshotSegment&);
};

class ForgedCountsTest : public ForgedStoreTest,
                         public ::testing::WithParamInterface<Forgery> {};

TEST_P(ForgedCountsTest, AnImageWithThemIsNotUsed) {
  MakeStore();

  ForgeImage(GetParam().change);

  const std::unique_ptr<Engine> engine = Open();
  EXPECT_EQ(engine->GetStats().open.keys_loaded, 0U);
  ExpectAllIsThere(*engine);
}

INSTANTIATE_TEST_SUITE_P(
    All, ForgedCountsTest,
    ::testing::Values(
        Forgery{"live", [](auto& s) { s.live_bytes = s.end; }},
        Forgery{"live_negative", [](auto& s) { s.live_bytes = ~uint64_t{7}; }},
        Forgery{"live_odd", [](auto& s) { s.live_bytes = 1; }},
        Forgery{"tombstones", [](auto& s) { s.tombstone_bytes = s.end; }},
        Forgery{"end_odd", [](auto& s) { s.end -= 1; }},
        Forgery{"end_early", [](auto& s) { s.end = 8; }},
        Forgery{"values", [](auto& s) { s.value_bytes = ~uint64_t{0}; }},
        Forgery{"live_values", [](auto& s) { s.live_value_bytes += 1 << 30; }},
        Forgery{"masks", [](auto& s) { s.disabled = s.end; }},
        Forgery{"lsn", [](auto& s) { s.last_lsn += 1000; }},
        Forgery{"file",
                [](auto& s) {
                  for (auto& file : s.values) file = 0;
                }}),
    [](const auto& param) { return std::string(param.param.name); });

TEST_F(ForgedStoreTest, AManifestThatHasCountedToItsEndIsRefused) {
  MakeStore();

  ForgeManifest([](format::Manifest& manifest) {
    manifest.next_id = format::SegmentId{1} << 63;
  });

  EXPECT_THAT(TryOpen(), StatusIs(kDataLoss, "no store can reach"));
}

TEST_F(ForgedStoreTest, ALsnThatHasNoSuccessorIsRefused) {
  MakeStore();

  ForgeManifest([](format::Manifest& manifest) {
    manifest.segments.back().last_lsn = ~uint64_t{0};
  });

  EXPECT_THAT(TryOpen(), StatusIs(kDataLoss, "no store can reach"));
}

TEST_F(ForgedStoreTest, ACompactedSegmentThatIsNewerThanTheLogIsRefused) {
  MakeStore();
  ASSERT_OK(Open()->Compact());

  ForgeManifest([](format::Manifest& manifest) {
    for (format::ManifestSegment& segment : manifest.segments) {
      if (segment.kind == format::SegmentKind::kCompacted) {
        segment.last_lsn = 100'000;
      }
    }
  });

  EXPECT_THAT(TryOpen(), StatusIs(kDataLoss, "the log ends at"));
}

TEST_F(ForgedStoreTest, ACheckpointFailsForAValueFileThatWasNeverMade) {
  MakeStore();
  ForgeImage([](format::SnapshotSegment& segment) {
    for (format::SegmentId& file : segment.values) file += uint64_t{1} << 40;
  });
  const std::unique_ptr<Engine> engine = Open();
  ASSERT_OK(disk_.CreateDirectory("copies"));

  EXPECT_THAT(engine->Checkpoint("copies/1"), StatusIs(kDataLoss, "missing"));
}

}  // namespace
}  // namespace peat::engine
