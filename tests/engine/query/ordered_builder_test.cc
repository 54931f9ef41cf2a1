// The ordered index while it is built: who waits, what is shown, and that in
// the end it has exactly the keys that can be read.

#include "engine/query/ordered_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "index/epoch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::StatusIs;
using ::peat::testing::TempDir;
using ::testing::HasSubstr;

using Pairs = std::map<std::string, std::string>;

constexpr uint64_t kSegmentSize = uint64_t{32} << 10;

std::string Key(int i) { return "key" + std::to_string(i); }

Pairs PairsOf(Cursor& cursor) {
  Pairs pairs;
  for (; cursor.is_valid(); cursor.Next()) {
    pairs.emplace(cursor.key(), cursor.value());
  }
  EXPECT_OK(cursor.status());
  return pairs;
}

class OrderedBuilderTest : public ::testing::Test {
 protected:
  ~OrderedBuilderTest() override { Release(); }

  Config TheConfig() {
    Config config;
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.space_extra_min = 0;
    config.background_compaction = false;
    config.at_build_point = [this](BuildPoint point) { Pass(point); };
    return config;
  }

  absl::Status Open(const Config& config) {
    engine_.reset();
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(PosixFileSystem(), path(), config);
    if (engine.ok()) engine_ = *std::move(engine);
    return engine.status();
  }
  absl::Status OpenOrdered() {
    Config config = TheConfig();
    config.ordered = true;
    return Open(config);
  }

  void Put(int i, const std::string& value) {
    ASSERT_OK(engine_->Put(Key(i), value));
    model_[Key(i)] = value;
  }
  void Delete(int i) {
    ASSERT_OK(engine_->Delete(Key(i)));
    model_.erase(Key(i));
  }
  void Forget(int i) {
    ASSERT_OK(engine_->Forget(Key(i), "test"));
    model_.erase(Key(i));
  }

  // A closed store of keys 0 to `count` - 1.
  void Fill(int count, uint64_t snapshot_bytes_min = UINT64_MAX) {
    Config config = TheConfig();
    config.snapshot_bytes_min = snapshot_bytes_min;
    ASSERT_OK(Open(config));
    const std::string rest(200, '.');
    for (int i = 0; i < count; ++i) {
      Put(i, "value" + std::to_string(i) + rest);
    }
    ASSERT_OK(engine_->Close());
  }

  // The builder goes on, if it is held, and stops there, once.
  void HoldAt(std::optional<BuildPoint> point) {
    const index::MutexLock lock(&mutex_);
    held_at_ = point;
    is_held_ = false;
    changed_.SignalAll();
  }
  void AwaitHeld() {
    const index::MutexLock lock(&mutex_);
    while (!is_held_) changed_.Wait(&mutex_);
  }
  void Release() { HoldAt(std::nullopt); }
  void Pass(BuildPoint point) {
    const index::MutexLock lock(&mutex_);
    if (held_at_ != point) return;
    is_held_ = true;
    changed_.SignalAll();
    while (is_held_) changed_.Wait(&mutex_);
  }

  // What a query shows that another thread opens, and that waits.
  std::future<absl::StatusOr<Pairs>> ScanAside() {
    const uint64_t before = engine_->GetStats().view_count;
    auto pairs =
        std::async(std::launch::async,
                   [engine = engine_.get()]() -> absl::StatusOr<Pairs> {
                     const std::unique_ptr<Cursor> cursor = engine->Scan({});
                     if (!cursor->status().ok()) return cursor->status();
                     return PairsOf(*cursor);
                   });
    while (engine_->GetStats().view_count == before) std::this_thread::yield();
    return pairs;
  }

  Pairs Scan() const { return PairsOf(*engine_->Scan({})); }

  // The keys of the index, ghosts included.
  std::vector<std::string> ListedKeys() const {
    const index::EpochGuard guard;
    index::KeyGroup group;
    engine_->ordered()->List({}, 1'000'000, &group);
    std::vector<std::string> keys;
    for (size_t i = 0; i < group.size(); ++i) keys.emplace_back(group[i]);
    return keys;
  }
  std::vector<std::string> ModelKeys() const {
    std::vector<std::string> keys;
    for (const auto& [key, value] : model_) keys.push_back(key);
    return keys;
  }

  std::filesystem::path path() const { return dir_.path() / "store"; }

  TempDir dir_;
  Pairs model_;
  index::Mutex mutex_;
  index::CondVar changed_;
  std::optional<BuildPoint> held_at_ ABSL_GUARDED_BY(mutex_);
  bool is_held_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<Engine> engine_;
};

TEST_F(OrderedBuilderTest, OnlyQueriesForRangesWait) {
  Fill(500);
  HoldAt(BuildPoint::kListed);
  ASSERT_OK(OpenOrdered());
  AwaitHeld();

  std::string value;
  EXPECT_OK(engine_->Get(Key(7), &value));
  Put(1000, "new");
  Delete(8);
  Query list;
  list.keys = {Key(1000), Key(7), Key(8)};
  EXPECT_EQ(PairsOf(*engine_->Scan(list)).size(), 2U);
  EXPECT_FALSE(engine_->GetStats().ordered_index_complete);
  Release();

  EXPECT_EQ(Scan(), model_);
  EXPECT_TRUE(engine_->GetStats().ordered_index_complete);
}

TEST_F(OrderedBuilderTest, AQueryShowsTheMomentBeforeItWaited) {
  Fill(300);
  HoldAt(BuildPoint::kRead);
  ASSERT_OK(OpenOrdered());
  AwaitHeld();

  Put(1000, "before");
  const Pairs before = model_;
  const std::unique_ptr<Snapshot> snapshot = engine_->OpenSnapshot();
  auto pairs = ScanAside();
  Put(1001, "after");
  Put(3, "after");
  Delete(4);
  Delete(1000);
  Release();

  const absl::StatusOr<Pairs> shown = pairs.get();
  ASSERT_OK(shown);
  EXPECT_EQ(*shown, before);
  Query reverse;
  reverse.reverse = true;
  EXPECT_EQ(PairsOf(*snapshot->Scan(reverse)), before);
  EXPECT_EQ(Scan(), model_);
}

// Between the reading of a key and its insert, where it could be left over.
TEST_F(OrderedBuilderTest, NothingThatIsErasedMeanwhileIsLeft) {
  Fill(600);
  HoldAt(BuildPoint::kRead);
  ASSERT_OK(OpenOrdered());
  AwaitHeld();

  for (int i = 0; i < 100; ++i) Delete(i);
  for (int i = 100; i < 150; ++i) Forget(i);
  for (int i = 0; i < 30; ++i) Put(i, "again");
  for (int i = 150; i < 200; ++i) Put(i, "other");
  ASSERT_OK(engine_->Disable(Key(200), "test"));
  Release();
  Scan();

  EXPECT_EQ(ListedKeys(), ModelKeys());
  EXPECT_EQ(Scan(), model_);
}

TEST_F(OrderedBuilderTest, AKeyThatComesBackIsKept) {
  Fill(300);
  HoldAt(BuildPoint::kRead);
  ASSERT_OK(OpenOrdered());
  AwaitHeld();

  Delete(7);
  HoldAt(BuildPoint::kGone);
  AwaitHeld();
  Put(7, "again");
  Release();

  EXPECT_EQ(Scan(), model_);
  EXPECT_EQ(ListedKeys(), ModelKeys());
}

// Before it reads; what it has listed is moved, and its segments are gone.
TEST_F(OrderedBuilderTest, NothingThatIsCompactedMeanwhileIsMissing) {
  Fill(600);
  HoldAt(BuildPoint::kListed);
  ASSERT_OK(OpenOrdered());
  AwaitHeld();

  for (int i = 0; i < 600; i += 2) Delete(i);
  ASSERT_OK(engine_->Flush());
  for (int i = 0; i < 3; ++i) ASSERT_OK(engine_->Compact());
  EXPECT_FALSE(std::filesystem::exists(path() / "000001.seg"));
  Release();
  Scan();

  EXPECT_EQ(ListedKeys(), ModelKeys());
}

// With so many segments, some are opened by name at each read.
TEST_F(OrderedBuilderTest, FilesStayUntilTheyAreRead) {
  Config config = TheConfig();
  config.read_method = ReadMethod::kPositional;
  ASSERT_OK(Open(config));
  for (int i = 0; i < 1500; ++i) Put(i, std::string(6000, 'v'));
  ASSERT_OK(engine_->Close());
  HoldAt(BuildPoint::kListed);
  config.ordered = true;
  ASSERT_OK(Open(config));
  AwaitHeld();
  ASSERT_TRUE(std::filesystem::exists(path() / "000300.seg"));

  for (int i = 0; i < 1500; i += 2) Delete(i);
  ASSERT_OK(engine_->Flush());
  for (int i = 0; i < 3; ++i) ASSERT_OK(engine_->Compact());
  EXPECT_TRUE(std::filesystem::exists(path() / "000300.seg"));
  Release();
  Scan();

  EXPECT_EQ(ListedKeys(), ModelKeys());
  ASSERT_OK(engine_->RunCompaction());
  EXPECT_FALSE(std::filesystem::exists(path() / "000300.seg"));
}

TEST_F(OrderedBuilderTest, CloseEndsItAndThoseWhoWait) {
  Fill(500);
  HoldAt(BuildPoint::kRead);
  ASSERT_OK(OpenOrdered());
  AwaitHeld();
  const std::unique_ptr<Snapshot> snapshot = engine_->OpenSnapshot();
  auto pairs = ScanAside();

  auto closed =
      std::async(std::launch::async, [this] { return engine_->Close(); });
  // Before the builder goes on.
  EXPECT_THAT(pairs.get(), StatusIs(absl::StatusCode::kFailedPrecondition));
  Release();

  EXPECT_OK(closed.get());
  EXPECT_THAT(snapshot->Scan({})->status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(OrderedBuilderTest, AStoreIsClosedRightAfterItWasOpened) {
  Fill(500);
  for (int i = 0; i < 50; ++i) ASSERT_OK(OpenOrdered());
  EXPECT_EQ(Scan(), model_);
}

// Changes a byte of a value.
void Damage(const std::filesystem::path& directory) {
  for (const auto& found : std::filesystem::directory_iterator(directory)) {
    if (found.path().extension() != ".seg") continue;
    std::fstream file(found.path(),
                      std::ios::in | std::ios::out | std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    const size_t at = bytes.find("value5");
    if (at == std::string::npos) continue;
    file.seekp(static_cast<std::streamoff>(at));
    file.put('V');
    ASSERT_TRUE(file.good());
    return;
  }
  FAIL() << "no such value";
}

// With an index image, so that nobody else reads the record.
TEST_F(OrderedBuilderTest, ADamagedRecordFailsQueriesForRangesAlone) {
  Fill(500, 0);
  Damage(path());

  ASSERT_OK(OpenOrdered());
  for (int i = 0; i < 2; ++i) {
    const auto cursor = engine_->Scan({});
    EXPECT_THAT(cursor->status(), StatusIs(absl::StatusCode::kDataLoss));
    EXPECT_THAT(std::string(cursor->status().message()), HasSubstr(".seg"));
  }

  EXPECT_FALSE(engine_->GetStats().ordered_index_complete);
  std::string value;
  EXPECT_OK(engine_->Get(Key(6), &value));
  EXPECT_OK(engine_->Put(Key(6), "new"));
  Query list;
  list.keys = {Key(6)};
  EXPECT_EQ(PairsOf(*engine_->Scan(list)), (Pairs{{Key(6), "new"}}));
}

TEST_F(OrderedBuilderTest, OpeningToReadOnlyBuildsAndFailsAtOnce) {
  Fill(500, 0);
  Config config = TheConfig();
  config.ordered = true;
  config.access = Access::kReadOnly;
  ASSERT_OK(Open(config));
  EXPECT_TRUE(engine_->GetStats().ordered_index_complete);
  EXPECT_EQ(Scan(), model_);

  Damage(path());

  EXPECT_THAT(Open(config), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace peat::engine
