// StalePlaces: what was added is there; what lies far from it is not. And the
// engine keeps its promise: each put that the index does not point to is stale.

#include "engine/segment/stale_places.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/segment/segment_scanner.h"
#include "index/epoch.h"
#include "tests/support/sim_file_system.h"
#include "tests/support/sim_random.h"
#include "tests/support/status_matchers.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::SimFileSystem;
using ::peat::testing::SimRandom;

constexpr uint64_t kSize = uint64_t{1} << 20;

TEST(StalePlacesTest, BeginsEmpty) {
  const StalePlaces places(kSize);

  for (uint64_t offset = 0; offset < kSize; offset += 8) {
    ASSERT_FALSE(places.MayHave(offset));
  }
}

TEST(StalePlacesTest, HasEachPlaceAndAtMostItsNeighbours) {
  for (const uint64_t added :
       {uint64_t{0}, uint64_t{4096}, kSize / 2 + 8, kSize - 8, kSize}) {
    SCOPED_TRACE(added);
    StalePlaces places(kSize);

    places.Add(added);

    EXPECT_TRUE(places.MayHave(added));
    for (uint64_t offset = 0; offset < kSize; offset += 8) {
      const uint64_t distance =
          offset > added ? offset - added : added - offset;
      ASSERT_FALSE(distance >= 256 && places.MayHave(offset)) << offset;
    }
  }
}

TEST(StalePlacesTest, LosesNothingWhenTwoThreadsAddTheFirstPlaces) {
  for (int round = 0; round < 200; ++round) {
    StalePlaces places(kSize);

    // Side by side in the same words.
    std::thread other([&places] {
      for (uint64_t i = 0; i < 64; ++i) places.Add((2 * i + 1) * 256);
    });
    for (uint64_t i = 0; i < 64; ++i) places.Add(2 * i * 256);
    other.join();

    for (uint64_t i = 0; i < 128; ++i) ASSERT_TRUE(places.MayHave(i * 256));
  }
}

// Puts, deletes, masks and batches that write a key more than once, also amid
// compactions, whose moves they then forestall.
class StalePutsTest : public ::testing::Test {
 protected:
  static constexpr size_t kKeyCount = 300;

  StalePutsTest() : disk_(1), random_(1) { Open(); }

  void Open() {
    Config config;
    config.ordered = true;
    config.segment_size_min = kSegmentSize;
    config.segment_size_max = kSegmentSize;
    config.space_extra_min = 0;
    config.background_threads = false;
    config.recovery_threads = 1;
    config.at_compaction_point = [this](CompactionPoint) {
      for (int i = 0; i < writes_amid_compaction_; ++i) Write();
    };
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(disk_, "store", config);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  void CompactAll() {
    ASSERT_OK(engine_->Flush());
    engine_->RunSync();
    ASSERT_OK(engine_->Compact());
    ASSERT_OK(engine_->RunCompaction());
  }

  // Of a random key: a value of its own, a delete, or a mask.
  BatchOperation RandomOperation() {
    keys_.push_back("key" + std::to_string(random_.Below(kKeyCount)));
    values_.push_back(std::to_string(++version_) + std::string(300, '.'));
    BatchOperation operation{.operation = Operation::kPut,
                             .key = keys_.back(),
                             .value = values_.back()};
    switch (random_.Below(40)) {
      case 0:
        operation.operation = Operation::kDisable;
        break;
      case 1:
        operation.operation = Operation::kEnable;
        break;
      case 2:
      case 3:
      case 4:
        operation.operation = Operation::kDelete;
        break;
      default:
        break;
    }
    return operation;
  }

  // What the state of a key does not allow is refused, and changes nothing.
  void Write() {
    keys_.clear();
    values_.clear();
    std::vector<BatchOperation> batch;
    const size_t count = random_.Chance(3) ? 6 : 1;
    keys_.reserve(count + 1);
    values_.reserve(count + 1);
    for (size_t i = 0; i < count; ++i) batch.push_back(RandomOperation());
    if (count > 1) {  // one key twice at least
      batch.push_back(RandomOperation());
      batch.back().key = batch.front().key;
    }
    (void)engine_->Write(batch);
  }

  void ExpectStaleWherePutsAreNotCurrent() {
    const index::EpochGuard guard;
    for (const auto& segment : engine_->segments().All()) {
      std::vector<std::byte> buffer;
      const auto bytes = segment->ReadAll(&buffer);
      ASSERT_OK(bytes);
      SegmentScanner scanner(*bytes, segment->identity().salt,
                             format::kSegmentHeaderSize, bytes->size());
      while (scanner.Next() == SegmentScanner::Step::kRecord) {
        const format::Record& record = scanner.record();
        if (record.header.kind != format::RecordKind::kPut) continue;
        std::string value;
        const bool is_current = engine_->Get(record.key, &value).ok() &&
                                value == record.value &&
                                *engine_->State(record.key) == KeyState::kLive;
        const bool may_be_stale = segment->stale().MayHave(scanner.offset());
        ASSERT_TRUE(is_current || may_be_stale)
            << segment->file_name() << " " << scanner.offset();
        fresh_count_ += !may_be_stale;
        stale_count_ += may_be_stale;
      }
    }
  }

  static constexpr uint64_t kSegmentSize = uint64_t{64} << 10;

  SimFileSystem disk_;
  SimRandom random_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::string> keys_;
  std::vector<std::string> values_;
  int writes_amid_compaction_ = 0;
  uint64_t version_ = 0;
  uint64_t fresh_count_ = 0;
  uint64_t stale_count_ = 0;
};

TEST_F(StalePutsTest, APutThatTheIndexDoesNotPointToIsStale) {
  writes_amid_compaction_ = 10;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 300; ++i) Write();
    ExpectStaleWherePutsAreNotCurrent();
    CompactAll();
    ExpectStaleWherePutsAreNotCurrent();
  }

  EXPECT_GT(fresh_count_, 1000U);
  EXPECT_GT(stale_count_, 1000U);
}

// Records of one size lie at the same places of all segments, and a segment's
// number is given to the next: what was superseded before the store was opened
// lies where a view that is older than a key looks for the key's new record.
TEST_F(StalePutsTest, AViewDoesNotTakeARetiredSegmentForTheNextOfItsNumber) {
  constexpr size_t kCount = 1000;
  std::vector<std::string> keys;
  for (size_t i = 0; i < kCount; ++i) {
    keys.push_back("key" + std::to_string(10'000 + i));
  }
  const auto put_all = [&](char version) {
    std::vector<std::string> shuffled = keys;
    for (size_t i = kCount; i > 1; --i) {
      std::swap(shuffled[i - 1], shuffled[random_.Below(i)]);
    }
    for (const std::string& key : shuffled) {
      ASSERT_OK(engine_->Put(key, std::string(300, version)));
    }
  };
  put_all('a');
  put_all('b');
  ASSERT_OK(engine_->Close());
  Open();
  const std::unique_ptr<Snapshot> snapshot = engine_->OpenSnapshot();

  for (int round = 0; round < 50; ++round) {
    CompactAll();
    for (const std::string& key : keys) ASSERT_OK(engine_->Delete(key));
    put_all('c');
    SCOPED_TRACE(round);
    const std::unique_ptr<Cursor> cursor = snapshot->Scan({});
    size_t count = 0;
    for (; cursor->is_valid(); cursor->Next(), ++count) {
      ASSERT_EQ(cursor->key(), keys[count]);
      ASSERT_EQ(cursor->value(), std::string(300, 'b'));
    }
    ASSERT_OK(cursor->status());
    EXPECT_EQ(count, kCount);
  }
}

}  // namespace
}  // namespace peat::engine
