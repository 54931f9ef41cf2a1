// Many threads on one store, through the public calls. What each test asserts
// holds in every interleaving; ThreadSanitizer watches the rest.
//
// PEAT_RACE_ROUNDS multiplies the work.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/sim_random.h"
#include "tests/support/store_fixture.h"
#include "tests/support/threads.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::IsOk;
using ::peat::testing::Read;
using ::peat::testing::Rounds;
using ::peat::testing::RunThreads;
using ::peat::testing::SimRandom;
using ::peat::testing::StatusIs;

struct Variant {
  const char* name;
  ReadMethod read_method;
  SyncPolicy sync;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

class StoreRaceTest : public ::peat::testing::StoreFixture,
                      public ::testing::WithParamInterface<Variant> {
 protected:
  StoreRaceTest() : store_(Open(TheOptions())) {}

  static Options TheOptions() {
    return {.sync = GetParam().sync,
            .sync_interval = std::chrono::milliseconds(1),
            .read_method = GetParam().read_method};
  }

  void SetSomeMask(SimRandom& random, const std::string& key);

  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(
    Variants, StoreRaceTest,
    ::testing::Values(
        Variant{"mapped", ReadMethod::kMapped, SyncPolicy::kExplicit},
        Variant{"positional", ReadMethod::kPositional, SyncPolicy::kInterval}),
    [](const auto& variant) { return std::string(variant.param.name); });

// Money moves between accounts in batches; all of them together always have as
// much as at the start.
class Bank final {
 public:
  static constexpr size_t kAccountCount = 12;
  static constexpr int kStart = 1000;

  explicit Bank(Store* store) : store_(*store) {
    WriteBatch batch;
    for (size_t i = 0; i < kAccountCount; ++i) {
      batch.Put(Name(i), std::to_string(kStart));
    }
    EXPECT_OK(store_.Write(batch));
  }

  // Between accounts in [low, high), which no other thread moves.
  void Transfer(SimRandom& random, size_t low, size_t high) {
    const size_t from = low + random.Below(high - low);
    const size_t to = low + random.Below(high - low);
    const int amount = static_cast<int>(random.Below(50));
    if (from == to) return;
    std::string a;
    std::string b;
    ASSERT_OK(store_.Get(Name(from), &a));
    ASSERT_OK(store_.Get(Name(to), &b));
    WriteBatch batch;
    batch.Put(Name(from), std::to_string(std::stoi(a) - amount));
    batch.Put(Name(to), std::to_string(std::stoi(b) + amount));
    ASSERT_OK(store_.Write(batch));
  }

  int Sum() const {
    std::vector<std::string> names;
    for (size_t i = 0; i < kAccountCount; ++i) names.push_back(Name(i));
    const std::vector<std::string_view> keys(names.begin(), names.end());
    std::vector<Lookup> results(kAccountCount);
    EXPECT_OK(store_.MultiGet(keys, results));
    int sum = 0;
    for (const Lookup& lookup : results) {
      EXPECT_OK(lookup.status);
      sum += std::stoi(std::string(std::string_view(lookup.value)));
    }
    return sum;
  }

  static std::string Name(size_t i) { return "account" + std::to_string(i); }

 private:
  Store& store_;
};

TEST_P(StoreRaceTest, TheSumOfAllAccountsIsConstant) {
  Bank bank(store_.get());
  constexpr size_t kHalf = Bank::kAccountCount / 2;
  std::atomic<int> writers = 2;

  RunThreads(4, [&](int thread) {
    SimRandom random(static_cast<uint64_t>(thread) + 1);
    if (thread < 2) {
      // Each writer has accounts of its own; readers see those of both.
      const size_t low = thread == 0 ? 0 : kHalf;
      for (int i = 0; i < Rounds(2000); ++i) {
        bank.Transfer(random, low, low + kHalf);
      }
      --writers;
      return;
    }
    while (writers > 0) {
      ASSERT_EQ(bank.Sum(), Bank::kStart * int{Bank::kAccountCount});
    }
  });

  EXPECT_EQ(bank.Sum(), Bank::kStart * int{Bank::kAccountCount});
}

TEST_P(StoreRaceTest, EachIncrementIsCountedOnce) {
  constexpr int kThreads = 4;
  constexpr int kCounters = 3;
  std::array<std::atomic<int>, kCounters> successes = {};

  RunThreads(kThreads, [&](int thread) {
    SimRandom random(static_cast<uint64_t>(thread) + 10);
    std::array<int, kCounters> last_seen = {};
    for (int i = 0; i < Rounds(1500); ++i) {
      const size_t counter = random.Below(kCounters);
      const std::string key = "counter" + std::to_string(counter);
      const std::optional<std::string> old = Read(*store_, key);
      const int value = old.has_value() ? std::stoi(*old) : 0;
      ASSERT_GE(value, last_seen[counter]) << "went back";
      last_seen[counter] = value;
      const auto done =
          store_->CompareAndSet(key, old, std::to_string(value + 1));
      ASSERT_OK(done);
      if (!*done) continue;
      ++successes[counter];
      last_seen[counter] = value + 1;
    }
  });

  for (size_t counter = 0; counter < kCounters; ++counter) {
    EXPECT_EQ(Read(*store_, "counter" + std::to_string(counter)),
              std::to_string(successes[counter]));
  }
}

// Update() is an exchange: each value that was put comes out exactly once, or
// is the last one.
TEST_P(StoreRaceTest, EachUpdateReturnsAnotherValue) {
  constexpr int kThreads = 4;
  const int rounds = Rounds(1000);
  std::vector<std::vector<std::string>> taken(kThreads);

  RunThreads(kThreads, [&](int thread) {
    for (int i = 0; i < rounds; ++i) {
      const auto old =
          store_->Update("k", std::to_string(thread) + "/" + std::to_string(i));
      ASSERT_OK(old);
      if (old->has_value()) taken[static_cast<size_t>(thread)].push_back(**old);
    }
  });

  std::map<std::string, int> counts;
  for (const auto& list : taken) {
    for (const std::string& value : list) ++counts[value];
  }
  ++counts[Read(*store_, "k").value()];
  EXPECT_EQ(counts.size(), static_cast<size_t>(kThreads * rounds));
}

TEST_P(StoreRaceTest, ExactlyOnePutIfAbsentWins) {
  const int key_count = Rounds(1500);
  std::vector<std::atomic<int>> wins(static_cast<size_t>(key_count));
  std::vector<std::atomic<int>> deaths(static_cast<size_t>(key_count));

  RunThreads(4, [&](int thread) {
    for (size_t i = 0; i < wins.size(); ++i) {
      const std::string key = std::to_string(i);
      const auto won = store_->PutIfAbsent(key, std::to_string(thread));
      ASSERT_OK(won);
      if (*won) ++wins[i];
      if (i % 2 == 1) continue;
      const auto died = store_->Delete(key);
      ASSERT_OK(died);
      if (*died) ++deaths[i];
    }
  });

  for (size_t i = 0; i < wins.size(); ++i) {
    if (i % 2 == 1) {
      ASSERT_EQ(wins[i], 1) << i;
    } else {
      ASSERT_EQ(wins[i], deaths[i]) << i;  // every life has one end
      ASSERT_EQ(Read(*store_, std::to_string(i)), std::nullopt) << i;
    }
  }
}

// Once Forget() has returned, no thread's write succeeds, and nobody reads.
TEST_P(StoreRaceTest, NothingIsWrittenBehindAForget) {
  constexpr int kKeys = 400;
  std::array<std::atomic<bool>, kKeys> is_forgotten = {};
  for (int i = 0; i < kKeys; ++i) {
    ASSERT_OK(store_->Put(std::to_string(i), "0"));
  }
  std::atomic<int> next = 0;
  RunThreads(3, [&](int thread) {
    if (thread == 0) {
      for (; next < kKeys; ++next) {
        const auto i = static_cast<size_t>(next.load());
        const std::string key = std::to_string(i);
        if (i % 3 == 0) {
          ASSERT_OK(store_->Disable(key));
        }
        if (i % 3 == 1) {
          WriteBatch batch;
          batch.Put(key, "last");
          batch.Forget(key);
          ASSERT_OK(store_->Write(batch));
        } else {
          ASSERT_OK(store_->Forget(key));
        }
        is_forgotten[i] = true;
      }
      return;
    }
    SimRandom random(static_cast<uint64_t>(thread));
    for (int now = next; now < kKeys; now = next) {
      const auto i = static_cast<size_t>(now);
      const std::string key = std::to_string(i);
      const bool was_forgotten = is_forgotten[i];
      absl::Status status;
      switch (random.Below(4)) {
        case 0:
          status = store_->Put(key, "x");
          break;
        case 1:
          status = store_->Update(key, "y").status();
          break;
        case 2: {
          WriteBatch batch;
          batch.Put(key, "z");
          batch.Delete(key);
          batch.Put(key, "w");
          status = store_->Write(batch);
          break;
        }
        default: {
          std::string value;
          const absl::Status got = store_->Get(key, &value);
          if (was_forgotten) {
            EXPECT_THAT(got, StatusIs(StatusCode::kNotFound));
          }
          continue;
        }
      }
      if (was_forgotten) {
        EXPECT_TRUE(IsForgotten(status)) << status;
      } else if (!status.ok()) {
        EXPECT_TRUE(IsDisabled(status) || IsForgotten(status)) << status;
      }
    }
  });
  for (int i = 0; i < kKeys; ++i) {
    EXPECT_EQ(store_->State(std::to_string(i)).value(), KeyState::kForgotten);
  }
  EXPECT_EQ(store_->GetStats().key_count, 0U);
}

// Some call that masks, or is refused because another one has.
void StoreRaceTest::SetSomeMask(SimRandom& random, const std::string& key) {
  absl::Status status;
  switch (random.Below(6)) {
    case 0:
      status = store_->Forget(key).status();
      break;
    case 1:
      status = store_->ForgetAll(key).status();
      break;
    case 2:
      status = store_->Disable(key);
      break;
    case 3:
      status = store_->Enable(key);
      break;
    default:
      status = store_->Put(key, "masked");
  }
  EXPECT_TRUE(status.ok() || absl::IsNotFound(status) || IsDisabled(status) ||
              IsForgotten(status))
      << status;
}

TEST_P(StoreRaceTest, EveryCallMayRaceWithEveryOther) {
  const std::string large(300'000, 'L');
  RunThreads(4, [&](int thread) {
    SimRandom random(static_cast<uint64_t>(thread) + 100);
    for (int i = 0; i < Rounds(600); ++i) {
      const std::string key = std::to_string(random.Below(50));
      const std::string value(random.Below(3000), 'v');
      switch (random.Below(10)) {
        case 6:
          SetSomeMask(random, "m" + key);
          break;
        case 0:
          EXPECT_OK(store_->Delete(key));
          break;
        case 1: {
          WriteBatch batch;
          batch.Delete(key);
          batch.Put(key + "+", value);
          EXPECT_OK(store_->Write(batch));
          break;
        }
        case 2:
          if (random.Below(8) == 0) {
            EXPECT_OK(store_->Flush());
          }
          break;
        case 3: {
          const auto pinned = store_->GetPinned(key);
          if (!pinned.ok()) break;
          const std::string_view bytes = *pinned;
          EXPECT_EQ(bytes.find_first_not_of(bytes.size() > 3000 ? 'L' : 'v'),
                    std::string_view::npos);
          break;
        }
        case 4:
          EXPECT_LE(store_->GetStats().key_count, 150);
          break;
        case 5:
          if (random.Below(10) == 0) {
            EXPECT_OK(store_->Put(key, large));
          }
          break;
        default:
          EXPECT_OK(store_->Put(key, value));
      }
    }
  });
  store_.reset();
  store_ = Open(TheOptions());
  EXPECT_LE(store_->GetStats().key_count, 150);
}

// Four values fill a segment: the background seals while others flush.
TEST_P(StoreRaceTest, SegmentsAreSealedBesideFlushes) {
  const std::string value(250'000, 'v');
  RunThreads(2, [&](int thread) {
    for (int i = 0; i < Rounds(100); ++i) {
      ASSERT_OK(
          store_->Put(std::to_string(thread) + std::to_string(i % 3), value));
      ASSERT_OK(store_->Flush());
    }
  });
  store_.reset();
  store_ = Open(TheOptions());
  EXPECT_EQ(store_->GetStats().key_count, 6);
}

TEST_P(StoreRaceTest, CloseWaitsForEveryCall) {
  std::vector<int> acknowledged(3, -1);  // the last value of each thread's key
  for (int round = 0; round < Rounds(8); ++round) {
    SCOPED_TRACE(round);
    std::atomic<int> started = 0;
    RunThreads(4, [&](int thread) {
      if (thread == 3) {
        while (started < 3) std::this_thread::yield();
        EXPECT_OK(store_->Close());
        return;
      }
      ++started;
      for (int i = 0;; ++i) {
        const std::string value = std::to_string(i);
        const absl::Status put = store_->Put(std::to_string(thread), value);
        if (!put.ok()) {
          EXPECT_THAT(put, StatusIs(StatusCode::kFailedPrecondition, "closed"));
          return;
        }
        acknowledged[static_cast<size_t>(thread)] = i;
        if (i % 16 == thread) (void)store_->Flush();
      }
    });

    store_ = Open(TheOptions());
    ASSERT_NE(store_, nullptr);
    EXPECT_TRUE(store_->GetStats().open.clean);
    for (size_t thread = 0; thread < 3; ++thread) {
      const std::optional<std::string> value =
          Read(*store_, std::to_string(thread));
      EXPECT_EQ(value.value_or("-1"), std::to_string(acknowledged[thread]));
    }
  }
}

// A store opened beside the writer shows a prefix of what was written: first
// one key is counted up, then the other.
TEST_P(StoreRaceTest, AReaderBesideAWriterSeesAPrefix) {
  std::atomic<bool> stop = false;
  std::atomic<int> opened = 0;  // so that the log does not outgrow the reader
  std::atomic<int> written = 0;
  RunThreads(2, [&](int thread) {
    if (thread == 0) {
      const std::string padding(1000, 'p');
      for (int i = 1; !stop; ++i) {
        while (i > 20 * (opened + 1) && !stop) std::this_thread::yield();
        ASSERT_OK(store_->Put("a", std::to_string(i) + padding));
        ASSERT_OK(store_->Put("b", std::to_string(i) + padding));
        WriteBatch batch;
        batch.Put("c", std::to_string(i));
        batch.Put("d", std::to_string(i));
        ASSERT_OK(store_->Write(batch));
        written = i;
        if (i % 50 == 0) {
          ASSERT_OK(store_->Flush());
        }
      }
      return;
    }
    int before = 0;
    for (int i = 0; i < Rounds(60); ++i) {
      const int low = written;
      const auto reader = TryOpen({.mode = OpenMode::kReadOnly});
      EXPECT_OK(reader);
      if (!reader.ok()) break;
      ++opened;
      const int a = std::stoi(Read(**reader, "a").value_or("0"));
      const int b = std::stoi(Read(**reader, "b").value_or("0"));
      const int c = std::stoi(Read(**reader, "c").value_or("0"));
      EXPECT_EQ(Read(**reader, "c"), Read(**reader, "d"));
      EXPECT_TRUE(a == b || a == b + 1) << a << " " << b;
      EXPECT_TRUE(b == c || b == c + 1) << b << " " << c;
      EXPECT_GE(c, low);
      EXPECT_GE(a, before);
      before = a;
    }
    stop = true;
  });
}

}  // namespace
}  // namespace peat
