// Readers and writers beside a compaction that never rests, on segments so
// small that every record moves all the time. What each test asserts holds in
// every interleaving; ThreadSanitizer watches the rest.
//
// PEAT_RACE_ROUNDS multiplies the work.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/concurrency/compaction_race_fixture.h"
#include "tests/support/sim_random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/threads.h"

namespace peat::engine {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::Rounds;
using ::peat::testing::SimRandom;
using ::peat::testing::StatusIs;

class CompactionRaceTest : public testing::CompactionRaceFixture {
 protected:
  CompactionRaceTest() {
    config_.at_write_point = [this] { WaitHere(); };
  }

  // The next write is held after its append, before it changes the index.
  void HoldNextWrite() { hold_next_ = true; }
  void AwaitHeldWrite() { held_.WaitForNotification(); }
  void LetItGo() { go_on_.Notify(); }

 private:
  void WaitHere() {
    if (!hold_next_.exchange(false)) return;
    held_.Notify();
    go_on_.WaitForNotification();
  }

  std::atomic<bool> hold_next_ = false;
  absl::Notification held_;
  absl::Notification go_on_;
};

INSTANTIATE_TEST_SUITE_P(Methods, CompactionRaceTest,
                         ::testing::Values(ReadMethod::kMapped,
                                           ReadMethod::kPositional));

// Each writer counts its own keys up, deletes some, and knows what they are.
TEST_P(CompactionRaceTest, EveryWriterFindsItsOwnWrites) {
  constexpr int kKeys = 40;
  constexpr int kWriters = 3;
  std::vector<std::vector<int>> values(kWriters, std::vector<int>(kKeys));
  const auto name = [](int writer, int i) {
    return std::to_string(writer) + "-" + std::to_string(i);
  };

  RunBesideCompaction(kWriters, [&](int writer) {
    SimRandom random(static_cast<uint64_t>(writer) + 1);
    std::vector<int>& mine = values[static_cast<size_t>(writer)];
    for (int round = 1; round <= Rounds(3000); ++round) {
      const int i = static_cast<int>(random.Below(kKeys));
      int& value = mine[static_cast<size_t>(i)];
      std::string found;
      const absl::Status get = engine_->Get(name(writer, i), &found);
      if (value == 0) {
        ASSERT_THAT(get, StatusIs(absl::StatusCode::kNotFound));
      } else {
        ASSERT_OK(get);
        ASSERT_EQ(found.substr(0, found.find(' ')), std::to_string(value));
      }
      if (random.Below(4) == 0) {
        ASSERT_OK_AND_ASSIGN(const bool existed,
                             engine_->Delete(name(writer, i)));
        ASSERT_EQ(existed, value != 0);
        value = 0;
      } else {
        const std::string padding(random.Below(900), 'p');
        ASSERT_OK(engine_->Put(name(writer, i),
                               std::to_string(round) + " " + padding));
        value = round;
      }
    }
  });

  for (int reopened = 0; reopened < 2; ++reopened) {
    for (int writer = 0; writer < kWriters; ++writer) {
      for (int i = 0; i < kKeys; ++i) {
        const int value =
            values[static_cast<size_t>(writer)][static_cast<size_t>(i)];
        std::string found;
        ASSERT_EQ(engine_->Get(name(writer, i), &found).ok(), value != 0);
        if (value != 0) {
          ASSERT_EQ(found.substr(0, found.find(' ')), std::to_string(value));
        }
      }
    }
    EXPECT_GT(engine_->GetStats().compaction_count + reopened, 0U);
    if (reopened == 0) Open();
  }
}

// Money moves between two halves of one key space in batches, while readers
// add up with multi-gets.
TEST_P(CompactionRaceTest, BatchesStayWholeForReaders) {
  constexpr int kAccounts = 8;
  const std::string padding(500, 'p');
  std::vector<std::string> keys;
  for (int i = 0; i < kAccounts; ++i) keys.push_back("acc" + std::to_string(i));
  for (const std::string& key : keys) {
    ASSERT_OK(engine_->Put(key, "100 " + padding));
  }
  std::atomic<int> writers = 1;

  RunBesideCompaction(3, [&](int thread) {
    SimRandom random(static_cast<uint64_t>(thread) + 1);
    if (thread == 0) {
      std::vector<int> amounts(kAccounts, 100);
      for (int round = 0; round < Rounds(3000); ++round) {
        const size_t from = random.Below(kAccounts);
        const size_t to = random.Below(kAccounts);
        if (from == to) continue;
        --amounts[from];
        ++amounts[to];
        const std::string a = std::to_string(amounts[from]) + " " + padding;
        const std::string b = std::to_string(amounts[to]) + " " + padding;
        ASSERT_OK(engine_->Write(std::vector<BatchOperation>{
            {.operation = Operation::kPut, .key = keys[from], .value = a},
            {.operation = Operation::kPut, .key = keys[to], .value = b}}));
      }
      --writers;
      return;
    }
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    while (writers > 0) {
      std::vector<int> amounts(kAccounts);
      ASSERT_OK(engine_->MultiGet(
          views, [&](size_t i, const absl::Status& status, Pinned value) {
            EXPECT_OK(status);
            amounts[i] = std::atoi(std::string(value.value).c_str());
          }));
      int sum = 0;
      for (const int amount : amounts) sum += amount;
      ASSERT_EQ(sum, 100 * kAccounts);
    }
  });
}

// A pinned value is what it was, whatever becomes of its segment and store.
TEST_P(CompactionRaceTest, PinnedValuesStay) {
  std::vector<Pinned> pinned;
  RunBesideCompaction(1, [&](int) {
    for (int round = 0; round < Rounds(1500); ++round) {
      const std::string value = std::to_string(round) + std::string(300, 'p');
      ASSERT_OK(engine_->Put("key" + std::to_string(round % 7), value));
      if (round % 50 != 0) continue;
      ASSERT_OK_AND_ASSIGN(
          Pinned one, engine_->GetPinned("key" + std::to_string(round % 7)));
      pinned.push_back(std::move(one));
    }
  });
  engine_.reset();
  for (size_t i = 0; i < pinned.size(); ++i) {
    EXPECT_EQ(pinned[i].value, std::to_string(50 * i) + std::string(300, 'p'));
  }
}

// A delete has logged its tombstone, and the index does not know yet, when a
// compaction comes to both the tombstone and what it shadows. To take the key's
// old record for what supersedes the tombstone would bring it back.
TEST_P(CompactionRaceTest, ADeleteThatIsUnderWayIsAwaited) {
  if (!kHasWritePoints) GTEST_SKIP() << "writes cannot be held in this build";
  const std::string filler(900, 'f');  // 17 to a segment
  ASSERT_OK(engine_->Put("key", "old"));
  HoldNextWrite();
  std::thread deleter([this] { EXPECT_OK(engine_->Delete("key")); });
  AwaitHeldWrite();
  // Those of the same shard of the index wait for the delete.
  std::atomic<int> filled = 0;
  std::vector<std::thread> fillers;
  for (int i = 0; filled < 60; ++i) {
    fillers.emplace_back([&, i] {
      EXPECT_OK(engine_->Put("filler" + std::to_string(i), filler));
      ++filled;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::atomic<bool> is_compacted = false;
  std::thread compactor([&] {
    EXPECT_OK(engine_->Compact());
    is_compacted = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_FALSE(is_compacted);

  LetItGo();
  for (std::thread& one : fillers) one.join();
  deleter.join();
  compactor.join();

  std::string value;
  for (int reopened = 0; reopened < 2; ++reopened) {
    EXPECT_THAT(engine_->Get("key", &value),
                StatusIs(absl::StatusCode::kNotFound));
    EXPECT_GT(engine_->GetStats().compaction_count + reopened, 0U);
    if (reopened == 0) Open();
  }
}

// Close() beside a compaction and a full pass.
TEST_P(CompactionRaceTest, CloseWaitsForACompaction) {
  for (int round = 0; round < Rounds(10); ++round) {
    for (int i = 0; i < 300; ++i) {
      ASSERT_OK(
          engine_->Put("key" + std::to_string(i % 60), std::string(200, 'v')));
    }
    std::thread compactor([this] {
      while (engine_->Compact().ok()) {
      }
    });
    ASSERT_OK(engine_->Close());
    compactor.join();
    Open();
    ASSERT_EQ(engine_->GetStats().key_count, 60U);
  }
}

}  // namespace
}  // namespace peat::engine
