// Cursors and snapshots beside threads that write: the bank under scans, keys
// that come and go, views that are opened and closed from many threads.
//
// PEAT_RACE_ROUNDS multiplies the work.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>

#include "tests/support/sim_random.h"
#include "tests/support/store_fixture.h"
#include "tests/support/threads.h"

namespace peat {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::Rounds;
using ::peat::testing::RunThreads;
using ::peat::testing::SimRandom;

class QueryRaceTest : public ::peat::testing::StoreFixture,
                      public ::testing::WithParamInterface<bool> {
 protected:
  QueryRaceTest() : store_(Open({.ordered = GetParam()})) {}

  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Order, QueryRaceTest, ::testing::Bool(),
                         [](const auto& ordered) {
                           return std::string(ordered.param ? "ordered"
                                                            : "unordered");
                         });

constexpr int kAccountCount = 40;
constexpr int kStart = 1000;

std::string Account(uint64_t i) { return "account/" + std::to_string(i); }

// The sum over what `query` lists, which is all accounts.
void ExpectWhole(const Snapshot& snapshot, const Query& query) {
  Cursor cursor = snapshot.Scan(query);
  int sum = 0;
  for (const auto [key, value] : cursor) {
    if (key.starts_with("account/")) sum += std::stoi(std::string(value));
  }
  ASSERT_OK(cursor.status());
  ASSERT_EQ(sum, kAccountCount * kStart);
}

// An account that has nothing is deleted, so accounts come and go, too.
void Transfer(Store& store, SimRandom& random, uint64_t low, uint64_t high) {
  const std::string from = Account(low + random.Below(high - low));
  const std::string to = Account(low + random.Below(high - low));
  if (from == to) return;
  const auto balance = [&store](const std::string& key) {
    const auto text = ::peat::testing::Read(store, key);
    return text.has_value() ? std::stoi(*text) : 0;
  };
  const int amount =
      random.Chance(2) ? balance(from) : static_cast<int>(random.Below(50));
  WriteBatch batch;
  const auto set = [&batch](const std::string& key, int value) {
    if (value == 0) {
      batch.Delete(key);
    } else {
      batch.Put(key, std::to_string(value));
    }
  };
  set(from, balance(from) - amount);
  set(to, balance(to) + amount);
  ASSERT_OK(store.Write(batch));
}

TEST_P(QueryRaceTest, EveryScanOfTheBankSumsToTheConstant) {
  WriteBatch batch;
  for (int i = 0; i < kAccountCount; ++i) {
    batch.Put(Account(static_cast<uint64_t>(i)), std::to_string(kStart));
  }
  ASSERT_OK(store_->Write(batch));
  std::atomic<int> writers = 2;

  RunThreads(4, [&](int thread) {
    SimRandom random(static_cast<uint64_t>(thread) + 1);
    if (thread < 2) {
      constexpr uint64_t kHalf = kAccountCount / 2;
      const uint64_t low = thread == 0 ? 0 : kHalf;
      for (int i = 0; i < Rounds(1500); ++i) {
        Transfer(*store_, random, low, low + kHalf);
      }
      --writers;
      return;
    }
    while (writers > 0) {
      const auto snapshot = store_->OpenSnapshot();
      ExpectWhole(*snapshot, {});
      ExpectWhole(*snapshot, {.prefix = "account/", .reverse = true});
      // Not through the snapshot: one of its own.
      Cursor cursor = store_->Scan({.from = "account/"});
      int sum = 0;
      for (const auto [key, value] : cursor) {
        sum += std::stoi(std::string(value));
      }
      ASSERT_OK(cursor.status());
      ASSERT_EQ(sum, kAccountCount * kStart);
    }
  });

  EXPECT_EQ(store_->GetStats().view_count, 0U);
  EXPECT_EQ(store_->GetStats().view_saved_count, 0U);
}

// Each thread has keys of its own, so it knows what a view of its making shows.
TEST_P(QueryRaceTest, AThreadsOwnViewShowsItsOwnWritesUpToItsOpening) {
  RunThreads(4, [&](int thread) {
    SimRandom random(static_cast<uint64_t>(thread) + 1);
    const std::string prefix = std::to_string(thread) + "/";
    std::array<int, 30> values = {};
    for (int i = 1; i <= Rounds(150); ++i) {
      for (int j = 0; j < 20; ++j) {
        const uint64_t key = random.Below(values.size());
        const bool is_put = random.Chance(5);
        values[key] = is_put ? i : 0;
        const std::string name = prefix + static_cast<char>('a' + key);
        if (is_put) {
          ASSERT_OK(store_->Put(name, std::to_string(i)));
        } else {
          ASSERT_OK(store_->Delete(name));
        }
      }
      const auto snapshot = store_->OpenSnapshot();
      for (size_t key = 0; key < values.size(); key += 2) {
        ASSERT_OK(store_->Put(prefix + static_cast<char>('a' + key), "later"));
      }
      std::array<int, 30> seen = {};
      Cursor cursor = snapshot->Scan({.prefix = prefix});
      for (const auto [key, value] : cursor) {
        seen[static_cast<size_t>(key[prefix.size()] - 'a')] =
            std::stoi(std::string(value));
      }
      ASSERT_OK(cursor.status());
      ASSERT_EQ(seen, values);
      for (size_t key = 0; key < values.size(); key += 2) {
        ASSERT_OK(store_->Delete(prefix + static_cast<char>('a' + key)));
        values[key] = 0;
      }
    }
  });
  EXPECT_EQ(store_->GetStats().view_saved_count, 0U);
}

TEST_P(QueryRaceTest, ClosesBesideCursors) {
  for (int i = 0; i < 500; ++i) {
    ASSERT_OK(store_->Put("key" + std::to_string(i), "value"));
  }
  std::atomic<int> ready = 0;

  RunThreads(4, [&](int thread) {
    if (thread == 0) {
      while (ready < 3) std::this_thread::yield();
      EXPECT_OK(store_->Close());
      return;
    }
    ++ready;
    for (bool is_open = true; is_open;) {
      Cursor cursor = store_->Scan({.from = "key"});
      int count = 0;
      for (; cursor.Valid(); cursor.Next()) ++count;
      is_open = cursor.status().ok();
      EXPECT_TRUE(count == 500 || !is_open) << count;
    }
  });
}

}  // namespace
}  // namespace peat
