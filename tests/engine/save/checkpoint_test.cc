// Checkpoints, step by step on the simulated disk: what is in them, when they
// are taken, and what may stand in their way.

#include "engine/save/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "engine/save/store_copy.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using absl::StatusCode;
using peat::testing::IsOk;
using peat::testing::SimFault;
using peat::testing::SimFileSystem;
using peat::testing::SimOp;
using peat::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Not;

constexpr uint64_t kSmallSegment = uint64_t{64} << 10;

using Content = std::map<std::string, std::string>;

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(disk_.CreateDirectory("top"));
    engine_ = Open("top/store");
    ASSERT_NE(engine_, nullptr);
  }

  std::unique_ptr<Engine> Open(const std::string& path,
                               Access access = Access::kReadWrite) {
    Config config;
    config.access = access;
    config.segment_size_min = kSmallSegment;
    config.segment_size_max = kSmallSegment;
    config.space_extra_min = 0;
    config.snapshot_bytes_min = 0;
    config.background_threads = false;
    config.recovery_threads = 1;
    config.at_compaction_point = [this](CompactionPoint point) {
      if (at_point_ != nullptr) at_point_(point);
    };
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(disk_, path, config);
    EXPECT_OK(engine);
    return engine.ok() ? *std::move(engine) : nullptr;
  }

  void Put(int i, size_t size = 1000, char fill = 'v') {
    ASSERT_OK(engine_->Put("key" + std::to_string(i), std::string(size, fill)));
  }
  // 63 of them fill a segment.
  void Fill(int begin, int end, char fill = 'v') {
    for (int i = begin; i < end; ++i) Put(i, 1000, fill);
  }

  static Content ContentOf(const Engine& engine) {
    Content content;
    const std::unique_ptr<Cursor> cursor = engine.Scan({});
    for (; cursor->is_valid(); cursor->Next()) {
      content[std::string(cursor->key())] = std::string(cursor->value());
    }
    EXPECT_OK(cursor->status());
    return content;
  }

  // What is in the copy, first read beside nobody and then recovered.
  Content ContentOf(const std::string& path) {
    const std::unique_ptr<Engine> reader = Open(path, Access::kReadOnly);
    const std::unique_ptr<Engine> writer = Open(path);
    if (reader == nullptr || writer == nullptr) return {};
    EXPECT_EQ(ContentOf(*reader), ContentOf(*writer));
    EXPECT_TRUE(reader->GetStats().open.clean);
    return ContentOf(*writer);
  }

  std::vector<std::string> Names(const std::string& path) {
    const auto directory = disk_.OpenDirectory(path);
    EXPECT_OK(directory);
    return directory.ok() ? *(*directory)->List() : std::vector<std::string>{};
  }

  SimFileSystem disk_{1};
  std::function<void(CompactionPoint)> at_point_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(CheckpointTest, HoldsTheStoreAsOfItsLsn) {
  Fill(0, 200);
  ASSERT_OK(engine_->Delete("key7"));
  const Content content = ContentOf(*engine_);

  ASSERT_OK_AND_ASSIGN(const CheckpointResult result,
                       engine_->Checkpoint("top/copy"));
  Fill(100, 300, 'w');

  EXPECT_EQ(result.lsn, 201U);
  EXPECT_GT(result.linked_bytes, 200'000U);
  EXPECT_EQ(result.copied_bytes, 0U);
  EXPECT_EQ(ContentOf("top/copy"), content);
  EXPECT_EQ(Open("top/copy", Access::kReadOnly)->GetStats().last_lsn, 201U);
  EXPECT_THAT(Names("top"), ElementsAre("copy", "store"));
}

// A snapshot that the store goes on to replace stays as it was in the copy.
TEST_F(CheckpointTest, TakesTheIndexImageAlong) {
  Fill(0, 100);
  ASSERT_OK(engine_->RunSnapshot());
  Fill(50, 110, 'w');
  const Content content = ContentOf(*engine_);
  ASSERT_OK(engine_->Checkpoint("top/copy"));
  Fill(0, 100, 'x');
  ASSERT_OK(engine_->RunSnapshot());

  // Before anybody closes the copy, and saves its index anew.
  const OpenStats open = Open("top/copy", Access::kReadOnly)->GetStats().open;
  EXPECT_EQ(open.keys_loaded, 100U);
  EXPECT_EQ(open.records_replayed, 60U);
  EXPECT_EQ(ContentOf("top/copy"), content);
}

TEST_F(CheckpointTest, HoldsNothingOfAnEmptyStore) {
  ASSERT_OK_AND_ASSIGN(const CheckpointResult result,
                       engine_->Checkpoint("top/copy"));

  EXPECT_EQ(result.lsn, 0U);
  EXPECT_EQ(ContentOf("top/copy"), Content());
  Put(1);
  EXPECT_EQ(ContentOf(*engine_).size(), 1U);
}

TEST_F(CheckpointTest, IsRepeatedWithoutNewSegments) {
  Fill(0, 10);
  ASSERT_OK(engine_->Checkpoint("top/one"));
  const uint64_t segments = engine_->GetStats().segment_count;
  ASSERT_OK(engine_->Checkpoint("top/two"));

  EXPECT_EQ(engine_->GetStats().segment_count, segments);
  EXPECT_EQ(ContentOf("top/one"), ContentOf("top/two"));
}

TEST_F(CheckpointTest, LeavesTheStoreAbleToGoOnAndRecover) {
  for (int round = 0; round < 5; ++round) {
    Fill(10 * round, 10 * round + 10);
    ASSERT_OK(engine_->Checkpoint("top/copy" + std::to_string(round)));
  }
  Put(50);
  const Content content = ContentOf(*engine_);
  ASSERT_OK(engine_->Close());

  engine_ = Open("top/store");
  EXPECT_EQ(ContentOf(*engine_), content);
  EXPECT_EQ(content.size(), 51U);
  EXPECT_EQ(ContentOf("top/copy2").size(), 30U);
}

TEST_F(CheckpointTest, IsWrittenToWithoutTouchingTheStore) {
  Fill(0, 100);
  ASSERT_OK(engine_->Checkpoint("top/copy"));
  const Content content = ContentOf(*engine_);
  {
    const std::unique_ptr<Engine> copy = Open("top/copy");
    for (int i = 0; i < 100; i += 2) {
      ASSERT_OK(copy->Delete("key" + std::to_string(i)));
    }
    ASSERT_OK(copy->Put("more", "value"));
    ASSERT_OK(copy->Compact());
  }

  EXPECT_EQ(ContentOf(*engine_), content);
  ASSERT_OK(engine_->Close());
  engine_ = Open("top/store");
  EXPECT_EQ(ContentOf(*engine_), content);
  EXPECT_EQ(ContentOf("top/copy").size(), 51U);
}

TEST_F(CheckpointTest, OutlivesWhatTheStoreCompactsAway) {
  Fill(0, 300);
  Put(0, 40'000);  // in a file of its own
  ASSERT_OK(engine_->Checkpoint("top/copy"));
  const Content content = ContentOf(*engine_);
  for (int i = 0; i < 300; ++i) {
    ASSERT_OK(engine_->Delete("key" + std::to_string(i)));
  }
  ASSERT_OK(engine_->Compact());
  ASSERT_OK(engine_->Compact());

  EXPECT_EQ(ContentOf(*engine_), Content());
  EXPECT_EQ(ContentOf("top/copy"), content);
}

TEST_F(CheckpointTest, HoldsLargeValuesAndMasks) {
  Put(1, 40'000, 'a');
  Put(2, 50'000, 'b');
  ASSERT_OK(engine_->Forget("key1", "why"));
  ASSERT_OK(engine_->Disable("key2", "why not"));
  ASSERT_OK(engine_->Checkpoint("top/copy"));

  const std::unique_ptr<Engine> copy = Open("top/copy");
  std::string value;
  EXPECT_THAT(copy->Get("key1", &value), StatusIs(StatusCode::kNotFound));
  EXPECT_EQ(*copy->State("key1"), KeyState::kForgotten);
  ASSERT_OK(copy->Reveal("key1", &value));
  EXPECT_EQ(value, std::string(40'000, 'a'));
  EXPECT_EQ(*copy->State("key2"), KeyState::kDisabled);
  ASSERT_OK(copy->Get("key2", &value));
  EXPECT_EQ(value, std::string(50'000, 'b'));
  EXPECT_EQ(copy->store_id(), engine_->store_id());
}

// What compaction drops must be superseded by what the copy holds, too.
TEST_F(CheckpointTest, IsOfOneLsnAtEachPointOfACompaction) {
  Fill(0, 200, 'a');
  ASSERT_OK(engine_->Checkpoint("top/before"));
  Fill(0, 100, 'b');  // supersedes, in the active segment too
  const Content content = ContentOf(*engine_);
  std::vector<std::string> copies;
  at_point_ = [&](CompactionPoint) {
    copies.push_back("top/copy" + std::to_string(copies.size()));
    ASSERT_OK(engine_->Checkpoint(copies.back()));
  };
  ASSERT_OK(engine_->Compact());
  at_point_ = nullptr;

  ASSERT_GE(copies.size(), 2U);
  for (const std::string& copy : copies) {
    SCOPED_TRACE(copy);
    EXPECT_EQ(ContentOf(copy), content);
  }
}

TEST_F(CheckpointTest, CopiesWhereNothingCanBeLinked) {
  Fill(0, 100);
  Put(1, 40'000);
  const Content content = ContentOf(*engine_);
  disk_.FailNth({.op = SimOp::kLink,
                 .status = absl::UnimplementedError("no links"),
                 .forever = true});
  ASSERT_OK_AND_ASSIGN(const CheckpointResult result,
                       engine_->Checkpoint("top/copy"));

  EXPECT_EQ(result.linked_bytes, 0U);
  EXPECT_GT(result.copied_bytes, 140'000U);
  EXPECT_EQ(ContentOf("top/copy"), content);
}

TEST_F(CheckpointTest, TakesHintFilesAlong) {
  Fill(0, 200);
  for (int i = 0; i < 200; i += 2) {
    ASSERT_OK(engine_->Delete("key" + std::to_string(i)));
  }
  ASSERT_OK(engine_->Compact());
  ASSERT_OK(engine_->Checkpoint("top/copy"));

  const std::vector<std::string> names = Names("top/copy");
  EXPECT_TRUE(std::ranges::any_of(
      names, [](const std::string& name) { return name.ends_with(".hint"); }));
}

TEST_F(CheckpointTest, RefusesATargetThatIsThere) {
  Put(1);
  ASSERT_OK(disk_.CreateDirectory("top/empty"));
  disk_.WriteFile("top/file", "bytes");

  for (const char* target :
       {"top/store", "top/empty", "top/empty/", "top/file"}) {
    SCOPED_TRACE(target);
    EXPECT_THAT(engine_->Checkpoint(target),
                StatusIs(StatusCode::kAlreadyExists));
  }
  EXPECT_THAT(Names("top"), ElementsAre("empty", "file", "store"));
}

TEST_F(CheckpointTest, RefusesATargetInTheStoreOrNowhere) {
  const auto refused = StatusIs(StatusCode::kInvalidArgument);
  EXPECT_THAT(engine_->Checkpoint("top/store/copy"), refused);
  EXPECT_THAT(engine_->Checkpoint("top/store/../store/copy"), refused);
  EXPECT_THAT(engine_->Checkpoint(""), refused);
  EXPECT_THAT(engine_->Checkpoint("top/.."), refused);
  EXPECT_THAT(engine_->Checkpoint("top/none/copy"),
              StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(Names("top"), ElementsAre("store"));
}

TEST_F(CheckpointTest, TakesOverACopyThatWasCutShort) {
  Fill(0, 10);
  ASSERT_OK(disk_.CreateDirectory("top/copy.tmp"));
  for (const char* name :
       {"copy.checkpoint", "000001.seg", "000077.val", "MANIFEST-0", "LOCK"}) {
    disk_.WriteFile(std::string("top/copy.tmp/") + name, "bytes");
  }
  ASSERT_OK(engine_->Checkpoint("top/copy"));

  EXPECT_EQ(ContentOf("top/copy").size(), 10U);
  EXPECT_THAT(Names("top"), ElementsAre("copy", "store"));
  EXPECT_THAT(Names("top/copy"), Not(::testing::Contains("copy.checkpoint")));
}

// It could be a store that somebody has given such a name.
TEST_F(CheckpointTest, LeavesADirectoryAloneThatIsNoCopyCutShort) {
  Fill(0, 10);
  ASSERT_OK(engine_->Checkpoint("top/copy.tmp"));

  EXPECT_THAT(engine_->Checkpoint("top/copy"),
              StatusIs(StatusCode::kAlreadyExists, "copy.tmp"));
  EXPECT_EQ(ContentOf("top/copy.tmp").size(), 10U);
}

TEST_F(CheckpointTest, IsTakenByOneAtATimeInOnePlace) {
  Fill(0, 10);
  ASSERT_OK_AND_ASSIGN(auto source, disk_.OpenDirectory("top/store"));
  {
    ASSERT_OK_AND_ASSIGN(const auto other,
                         StoreCopy::Begin(disk_, *source, "top/copy"));
    EXPECT_THAT(engine_->Checkpoint("top/copy"),
                StatusIs(StatusCode::kUnavailable));
    EXPECT_OK(engine_->Checkpoint("top/elsewhere"));
  }

  EXPECT_THAT(Names("top"), ElementsAre("elsewhere", "store"));
  EXPECT_OK(engine_->Checkpoint("top/copy"));
}

TEST_F(CheckpointTest, ReportsAMissingFile) {
  Put(1, 40'000);
  ASSERT_OK(engine_->Flush());
  for (const std::string& name : Names("top/store")) {
    if (name.ends_with(".val")) disk_.RemoveFile("top/store/" + name);
  }

  EXPECT_THAT(engine_->Checkpoint("top/copy"),
              StatusIs(StatusCode::kDataLoss, ".val is missing"));
  EXPECT_THAT(Names("top"), ElementsAre("store"));
}

TEST_F(CheckpointTest, NeedsAStoreThatIsOpenToWrite) {
  Put(1);
  ASSERT_OK(engine_->Flush());
  const auto refused = StatusIs(StatusCode::kFailedPrecondition);
  EXPECT_THAT(Open("top/store", Access::kReadOnly)->Checkpoint("top/copy"),
              refused);
  ASSERT_OK(engine_->Close());

  EXPECT_THAT(engine_->Checkpoint("top/copy"), refused);
  EXPECT_THAT(Names("top"), ElementsAre("store"));
}

TEST_F(CheckpointTest, FailsOnAFullDiskAndLeavesNothing) {
  Fill(0, 100);
  ASSERT_OK(engine_->Flush());
  const Content content = ContentOf(*engine_);
  for (uint64_t left = 0; left < 400'000; left += 4096) {
    SCOPED_TRACE(left);
    disk_.SetCapacity(disk_.used_bytes() + left);
    const auto result = engine_->Checkpoint("top/copy");
    if (result.ok()) break;
    EXPECT_THAT(result, StatusIs(StatusCode::kResourceExhausted));
    EXPECT_THAT(Names("top"), ElementsAre("store"));
  }
  disk_.SetCapacity(UINT64_MAX);
  EXPECT_EQ(ContentOf("top/copy"), content);
  Put(1, 1000, 'w');
  EXPECT_EQ(ContentOf(*engine_).size(), content.size());
}

TEST_F(CheckpointTest, IsOfAViewsStoreWithoutDisturbingTheView) {
  Fill(0, 50);
  const Content content = ContentOf(*engine_);
  const std::unique_ptr<Cursor> view = engine_->Scan({});
  ASSERT_OK(engine_->Checkpoint("top/copy"));
  Fill(0, 100, 'w');
  Content seen;
  for (; view->is_valid(); view->Next()) {
    seen[std::string(view->key())] = std::string(view->value());
  }

  EXPECT_OK(view->status());
  EXPECT_EQ(seen, content);
}

}  // namespace
}  // namespace peat::engine
