// What is decided from what is there: batches with conditions, Modify(), and
// many insertions at once.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "peat/store.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::StatusIs;
using ::testing::HasSubstr;

class ConditionsTest : public ::peat::testing::StoreFixture {
 protected:
  // Four keys, one of each state; the value of all is "value".
  void SetUp() override {
    store_ = Open();
    ASSERT_NE(store_, nullptr);
    for (const char* key : {"live", "disabled", "forgotten"}) {
      ASSERT_OK(store_->Put(key, "value"));
    }
    ASSERT_OK(store_->Disable("disabled"));
    ASSERT_OK(store_->Forget("forgotten"));
  }

  uint64_t LsnOf(std::string_view key) const {
    return store_->Describe(key).value().lsn;
  }

  // What a batch with this condition answers. It holds if the batch has
  // written, and only then.
  absl::Status Ask(const std::function<void(WriteBatch&)>& require) {
    const std::string key = absl::StrFormat("effect/%d", ++asked_);
    WriteBatch batch;
    batch.Put(key, "1");
    require(batch);
    absl::Status status = store_->Write(batch);
    EXPECT_EQ(*store_->Contains(key), status.ok());
    return status;
  }

  std::unique_ptr<Store> store_;
  int asked_ = 0;
};

TEST_F(ConditionsTest, HoldByTheTableOfStates) {
  enum Outcome { kHolds, kFails, kRefused };
  const std::vector<const char*> keys = {"absent", "live", "disabled",
                                         "forgotten"};
  struct Row {
    const char* name;
    std::function<void(WriteBatch&, const char*)> require;
    std::array<Outcome, 4> outcomes;
  };
  const std::vector<Row> table = {
      {"absent",
       [](auto& batch, auto* key) { batch.RequireAbsent(key); },
       {kHolds, kFails, kFails, kRefused}},
      {"this value",
       [](auto& batch, auto* key) { batch.RequireValue(key, "value"); },
       {kFails, kHolds, kHolds, kRefused}},
      {"another value",
       [](auto& batch, auto* key) { batch.RequireValue(key, "other"); },
       {kFails, kFails, kFails, kRefused}},
      {"its lsn",
       [this](auto& batch, auto* key) { batch.RequireLsn(key, LsnOf(key)); },
       {kHolds, kHolds, kHolds, kHolds}},
      {"another lsn",
       [](auto& batch, auto* key) { batch.RequireLsn(key, 77); },
       {kFails, kFails, kFails, kFails}},
      {"no lsn",
       [](auto& batch, auto* key) { batch.RequireLsn(key, 0); },
       {kHolds, kFails, kFails, kFails}}};
  for (const Row& row : table) {
    for (size_t i = 0; i < keys.size(); ++i) {
      SCOPED_TRACE(absl::StrFormat("%s: %s", row.name, keys[i]));
      const absl::Status status =
          Ask([&](WriteBatch& batch) { row.require(batch, keys[i]); });
      switch (row.outcomes[i]) {
        case kHolds:
          EXPECT_OK(status);
          break;
        case kFails:
          EXPECT_THAT(status, StatusIs(StatusCode::kAborted));
          EXPECT_EQ(FailedCondition(status), std::optional<size_t>(0));
          break;
        case kRefused:
          EXPECT_TRUE(IsForgotten(status)) << status;
          EXPECT_EQ(FailedCondition(status), std::optional<size_t>(0));
          break;
      }
      EXPECT_EQ(FailedOperation(status), std::nullopt);
    }
  }
}

TEST_F(ConditionsTest, TellWhichOfThemFailed) {
  const absl::Status status = Ask([](WriteBatch& batch) {
    batch.RequireAbsent("absent");
    batch.RequireValue("live", "value");
    batch.RequireAbsent("live");
    batch.RequireAbsent("disabled");
  });

  EXPECT_THAT(status, StatusIs(StatusCode::kAborted));
  EXPECT_EQ(FailedCondition(status), std::optional<size_t>(2));
  EXPECT_THAT(std::string(status.message()), HasSubstr("condition 2 of"));
  EXPECT_EQ(FailedCondition(absl::AbortedError("of something else")),
            std::nullopt);
}

TEST_F(ConditionsTest, AreAskedOfTheStateBeforeTheBatch) {
  WriteBatch batch;
  batch.Put("key", "1");
  batch.RequireAbsent("key");
  batch.Put("key", "2");
  batch.RequireValue("live", "value");
  batch.Put("live", "2");

  ASSERT_OK(store_->Write(batch));
  EXPECT_EQ(*store_->Get("key"), "2");
  EXPECT_EQ(*store_->Get("live"), "2");
  EXPECT_THAT(store_->Write(batch), StatusIs(StatusCode::kAborted));
}

TEST_F(ConditionsTest, StandAlone) {
  WriteBatch batch;
  batch.RequireValue("live", "value");
  const uint64_t last_lsn = store_->GetStats().last_lsn;

  EXPECT_OK(store_->Write(batch));
  batch.RequireAbsent("live");
  EXPECT_THAT(store_->Write(batch), StatusIs(StatusCode::kAborted));
  EXPECT_EQ(store_->GetStats().last_lsn, last_lsn);
  batch.Clear();
  EXPECT_EQ(batch.condition_count(), 0U);
  EXPECT_OK(store_->Write(batch));
}

TEST_F(ConditionsTest, CompareLargeValues) {
  const std::string large(3'000'000, 'a');
  ASSERT_OK(store_->Put("large", large));
  std::string other = large;
  other.back() = 'b';
  const auto requires_value = [](const std::string& value) {
    return [&value](WriteBatch& batch) { batch.RequireValue("large", value); };
  };

  EXPECT_OK(Ask(requires_value(large)));
  EXPECT_THAT(Ask(requires_value(other)), StatusIs(StatusCode::kAborted));
  EXPECT_THAT(Ask(requires_value("a")), StatusIs(StatusCode::kAborted));
}

TEST_F(ConditionsTest, RefuseWhatIsNoKey) {
  const absl::Status status = Ask([](WriteBatch& batch) {
    batch.RequireAbsent("absent");
    batch.RequireAbsent(std::string(70'000, 'k'));
  });

  EXPECT_THAT(status, StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(FailedCondition(status), std::optional<size_t>(1));
}

// Of many who commit the same id, one has its effect.
TEST_F(ConditionsTest, LetOneOfManyThreadsThrough) {
  constexpr int kIds = 200;
  std::atomic<int> effects = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int id = 0; id < kIds; ++id) {
        WriteBatch batch;
        batch.RequireAbsent(absl::StrFormat("id/%d", id));
        batch.Put(absl::StrFormat("id/%d", id), "seen");
        batch.Put("offset", absl::StrFormat("%d/%d", id, i));
        const absl::Status status = store_->Write(batch);
        if (status.ok()) ++effects;
        EXPECT_TRUE(status.ok() || absl::IsAborted(status)) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(effects, kIds);
}

using Value = std::optional<std::string_view>;

TEST_F(ConditionsTest, ModifyDecidesFromTheValue) {
  const auto append = [](Value value) {
    return Change::Put(absl::StrFormat("%s+", value.value_or("")));
  };

  ASSERT_OK(store_->Modify("key", append));
  ASSERT_OK(store_->Modify("key", append));
  EXPECT_EQ(*store_->Get("key"), "++");

  const uint64_t last_lsn = store_->GetStats().last_lsn;
  ASSERT_OK(store_->Modify("key", [](Value) { return Change::Keep(); }));
  ASSERT_OK(store_->Modify("absent", [](Value value) {
    EXPECT_EQ(value, std::nullopt);
    return Change::Delete();
  }));
  EXPECT_EQ(store_->GetStats().last_lsn, last_lsn);

  ASSERT_OK(store_->Modify("key", [](Value) { return Change::Delete(); }));
  EXPECT_THAT(store_->Get("key"), StatusIs(StatusCode::kNotFound));
}

TEST_F(ConditionsTest, ModifySeesAndWritesLargeValues) {
  const std::string large(3'000'000, 'a');
  ASSERT_OK(store_->Put("key", large));

  ASSERT_OK(store_->Modify("key", [&](Value value) {
    EXPECT_EQ(value, large);
    return Change::Put(std::string(large.size(), 'b'));
  }));

  EXPECT_EQ(*store_->Get("key"), std::string(large.size(), 'b'));
}

TEST_F(ConditionsTest, ModifyWritesNothingAfterAnError) {
  const uint64_t last_lsn = store_->GetStats().last_lsn;

  EXPECT_THAT(store_->Modify("live",
                             [](Value) -> absl::StatusOr<Change> {
                               return absl::OutOfRangeError("no more");
                             }),
              StatusIs(StatusCode::kOutOfRange));
  for (const char* key : {"disabled", "forgotten"}) {
    EXPECT_THAT(store_->Modify(key,
                               [](Value) {
                                 ADD_FAILURE();
                                 return Change::Keep();
                               }),
                StatusIs(StatusCode::kFailedPrecondition));
  }
  EXPECT_THAT(store_->Modify(std::string(70'000, 'k'),
                             [](Value) { return Change::Keep(); }),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(store_->GetStats().last_lsn, last_lsn);
  ASSERT_OK(store_->Close());
  EXPECT_THAT(store_->Modify("live", [](Value) { return Change::Keep(); }),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(ConditionsTest, ModifyIsCalledAgainIfAnotherWriteWasQuicker) {
  int calls = 0;

  ASSERT_OK(store_->Modify("live", [&](Value value) {
    if (++calls == 1) {
      EXPECT_OK(store_->Put("live", "quicker"));
    }
    return Change::Put(absl::StrFormat("%s+", *value));
  }));

  EXPECT_EQ(calls, 2);
  EXPECT_EQ(*store_->Get("live"), "quicker+");
}

TEST_F(ConditionsTest, ModifyLosesNoIncrement) {
  constexpr int kRounds = 500;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        EXPECT_OK(store_->Modify("count", [](Value value) {
          return Change::Put(std::string(value.value_or("").size() + 1, 'x'));
        }));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(store_->Get("count")->size(), 4U * kRounds);
}

TEST_F(ConditionsTest, InsertsManyEachByItself) {
  const std::vector<KeyValue> pairs = {{"new", "1"},       {"live", "2"},
                                       {"new", "3"},       {"disabled", "4"},
                                       {"forgotten", "5"}, {"", "6"}};
  std::vector<Insertion> insertions(pairs.size());

  ASSERT_OK(store_->MultiPutIfAbsent(pairs, insertions));

  const std::vector<bool> inserted = {true, false, false, false, false, true};
  for (size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_EQ(insertions[i].inserted, inserted[i]) << i;
    EXPECT_EQ(insertions[i].status.ok(), i != 4) << insertions[i].status;
  }
  EXPECT_TRUE(IsForgotten(insertions[4].status));
  EXPECT_EQ(*store_->Get("new"), "1");
  EXPECT_EQ(*store_->Get("live"), "value");
  EXPECT_EQ(*store_->Get(""), "6");
}

TEST_F(ConditionsTest, InsertsNothingIfTheCallIsWrong) {
  const std::string long_key(70'000, 'k');
  const std::vector<KeyValue> pairs = {{"new", "1"}, {long_key, "2"}};
  std::vector<Insertion> insertions(2);

  EXPECT_THAT(store_->MultiPutIfAbsent(pairs, insertions),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(store_->MultiPutIfAbsent(std::span(pairs).first(1), insertions),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(*store_->State("new"), KeyState::kAbsent);
  ASSERT_OK(store_->MultiPutIfAbsent({}, {}));
  ASSERT_OK(store_->Close());
  EXPECT_THAT(store_->MultiPutIfAbsent(std::span(pairs).first(1),
                                       std::span(insertions).first(1)),
              StatusIs(StatusCode::kFailedPrecondition));
}

// More than a group, with all sizes of values; durable when the call returns.
TEST_F(ConditionsTest, InsertsManyGroupsAndSyncsThemOnce) {
  store_ = nullptr;
  store_ = Open({.sync = SyncPolicy::kEveryWrite});
  ASSERT_NE(store_, nullptr);
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.push_back(absl::StrFormat("%d", i % 700));
  const std::string large(2'000'000, 'v');
  std::vector<KeyValue> pairs;
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string_view value(large);
    pairs.push_back({keys[i], value.substr(0, i == 300 ? large.size() : i)});
  }
  std::vector<Insertion> insertions(pairs.size());
  const uint64_t flushes = store_->GetStats().flush_count;

  ASSERT_OK(store_->MultiPutIfAbsent(pairs, insertions));

  for (size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_OK(insertions[i].status);
    EXPECT_EQ(insertions[i].inserted, i < 700) << i;
  }
  const Stats stats = store_->GetStats();
  EXPECT_EQ(stats.durable_lsn, stats.last_lsn);
  EXPECT_LT(stats.flush_count - flushes, 20U);
  EXPECT_EQ(store_->Get("300")->size(), large.size());
  EXPECT_EQ(store_->Get("299")->size(), 299U);
}

}  // namespace
}  // namespace peat
