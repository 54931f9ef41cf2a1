// Streams of changes: what they show, from where, and what they refuse.

#include "peat/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "peat/store.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using peat::testing::StatusIs;
using peat::testing::StoreFixture;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ChangesTest : public StoreFixture {
 protected:
  static ChangesOptions All(std::optional<Position> after = {}) {
    return {.after = std::move(after), .durable_only = false};
  }
  static Position Begin(const Store& store) {
    Position begin = store.position();
    begin.lsn = 0;
    return begin;
  }
  static std::unique_ptr<ChangeStream> Stream(Store& store,
                                              const ChangesOptions& options) {
    auto stream = store.OpenChanges(options);
    EXPECT_OK(stream);
    return stream.ok() ? *std::move(stream) : nullptr;
  }

  // "put k=v", with a point behind each unit.
  static std::string Text(const ChangeRecord& change) {
    const char* end = change.ends_unit ? "." : "";
    switch (change.kind) {
      case ChangeKind::kPut:
        return absl::StrFormat("%d put %s=%s%s", change.lsn, change.key,
                               change.value, end);
      case ChangeKind::kDelete:
        return absl::StrFormat("%d delete %s%s", change.lsn, change.key, end);
      case ChangeKind::kDisable:
        return absl::StrFormat("%d disable %s%s", change.lsn, change.key, end);
      case ChangeKind::kEnable:
        return absl::StrFormat("%d enable %s%s", change.lsn, change.key, end);
      case ChangeKind::kForget:
        return absl::StrFormat("%d forget %s%s", change.lsn, change.key, end);
    }
    return "";
  }
  // Everything that there is now.
  static std::vector<std::string> Drain(ChangeStream& stream) {
    std::vector<std::string> texts;
    for (;;) {
      const auto changes = stream.Next(milliseconds(0));
      EXPECT_OK(changes);
      if (!changes.ok() || changes->empty()) return texts;
      for (const ChangeRecord& change : *changes) {
        texts.push_back(Text(change));
      }
    }
  }
};

TEST_F(ChangesTest, APositionIsText) {
  const Position position{
      .store_id = "0123456789abcdef0123456789abcdef", .epoch = 3, .lsn = 17};
  EXPECT_EQ(position.ToString(), "0123456789abcdef0123456789abcdef:3:17");
  const auto parsed = Position::Parse(position.ToString());
  ASSERT_OK(parsed);
  EXPECT_EQ(*parsed, position);
  for (const char* const text :
       {"", ":1:2", "0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef:1",
        "0123456789abcdef0123456789abcdef:1:",
        "0123456789abcdef0123456789abcdef:01:2",
        "0123456789abcdef0123456789abcdef:1:2 ",
        "0123456789abcdef0123456789abcdef:1:-2",
        "0123456789abcdef0123456789abcdef:1:2:3",
        "0123456789ABCDEF0123456789abcdef:1:2",
        "0123456789abcdef0123456789abcde:1:2",
        "0123456789abcdef0123456789abcdef:1:18446744073709551616"}) {
    EXPECT_THAT(Position::Parse(text), StatusIs(StatusCode::kInvalidArgument))
        << text;
  }
}

TEST_F(ChangesTest, AllKindsOfWritesAreShownInTheirOrder) {
  const auto store = Open();
  const auto stream = Stream(*store, All());
  ASSERT_OK(store->Put("a", "1"));
  WriteBatch batch;
  batch.Put("b", "2");
  batch.Delete("a");
  ASSERT_OK(store->Write(batch));
  ASSERT_OK(store->Disable("b"));
  ASSERT_OK(store->Enable("b"));
  ASSERT_OK(store->Forget("b"));

  EXPECT_THAT(Drain(*stream),
              ElementsAre("1 put a=1.", "2 put b=2", "3 delete a.",
                          "4 disable b.", "5 enable b.", "6 forget b."));
  EXPECT_EQ(stream->position(), store->position());
  EXPECT_EQ(stream->position().lsn, 6U);
}

TEST_F(ChangesTest, WithoutAPositionItBeginsAtTheEnd) {
  const auto store = Open();
  ASSERT_OK(store->Put("a", "1"));
  const auto stream = Stream(*store, All());
  EXPECT_THAT(Drain(*stream), IsEmpty());
  ASSERT_OK(store->Put("b", "2"));
  EXPECT_THAT(Drain(*stream), ElementsAre("2 put b=2."));
}

TEST_F(ChangesTest, WhatIsNotDurableIsShownIfAskedFor) {
  const auto store = Open();
  const auto durable = Stream(*store, {.after = Begin(*store)});
  const auto all = Stream(*store, All(Begin(*store)));
  ASSERT_OK(store->Put("a", "1"));
  EXPECT_THAT(Drain(*durable), IsEmpty());
  EXPECT_THAT(Drain(*all), ElementsAre("1 put a=1."));
  ASSERT_OK(store->Flush());
  EXPECT_THAT(Drain(*durable), ElementsAre("1 put a=1."));
}

TEST_F(ChangesTest, ItGoesOnAfterReopening) {
  Position position;
  {
    const auto store = Open();
    ASSERT_OK(store->Put("a", "1"));
    const auto stream = Stream(*store, All(Begin(*store)));
    EXPECT_THAT(Drain(*stream), ElementsAre("1 put a=1."));
    position = stream->position();
    ASSERT_OK(store->Put("b", "2"));
    ASSERT_OK(store->Close());
    EXPECT_THAT(stream->Next(milliseconds(0)),
                StatusIs(StatusCode::kFailedPrecondition));
  }
  const auto store = Open();
  ASSERT_OK(store->Put("c", "3"));
  const auto stream = Stream(*store, All(position));
  EXPECT_THAT(Drain(*stream), ElementsAre("2 put b=2.", "3 put c=3."));
}

TEST_F(ChangesTest, LargeValuesAreWhole) {
  const auto store = Open();
  const std::string large(size_t{3} << 20, 'x');
  const auto stream = Stream(*store, All());
  ASSERT_OK(store->Put("a", large));
  const auto changes = stream->Next(milliseconds(0));
  ASSERT_OK(changes);
  ASSERT_EQ(changes->size(), 1U);
  EXPECT_EQ(changes->front().value, large);
}

TEST_F(ChangesTest, BatchesAreNeverParted) {
  const auto store = Open();
  const auto stream = Stream(*store, All());
  WriteBatch batch;
  for (int i = 0; i < 5000; ++i) batch.Put(absl::StrFormat("%d", i), "v");
  ASSERT_OK(store->Write(batch));
  const auto changes = stream->Next(milliseconds(0));
  ASSERT_OK(changes);
  EXPECT_EQ(changes->size(), 5000U);
  EXPECT_TRUE(changes->back().ends_unit);
  Position within = store->position();
  within.lsn = 77;
  EXPECT_THAT(Stream(*store, All(within))->Next(milliseconds(0)),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(ChangesTest, PositionsOfOtherStoresAndEpochsAreRefused) {
  const auto store = Open();
  Position position = store->position();
  position.epoch += 1;
  EXPECT_THAT(store->OpenChanges(All(position)),
              StatusIs(StatusCode::kFailedPrecondition));
  position = store->position();
  position.store_id[0] = position.store_id[0] == '0' ? '1' : '0';
  EXPECT_THAT(store->OpenChanges(All(position)),
              StatusIs(StatusCode::kFailedPrecondition));
  position = store->position();
  position.lsn += 1;
  EXPECT_THAT(store->OpenChanges(All(position)),
              StatusIs(StatusCode::kOutOfRange));
}

TEST_F(ChangesTest, BelowTheFloorItIsOutOfRange) {
  const auto store = Open();
  const auto slow = Stream(*store, All(Begin(*store)));
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) {
      ASSERT_OK(store->Put(absl::StrFormat("%d", i), "v"));
    }
    ASSERT_OK(store->Checkpoint(dir_.path() / absl::StrFormat("c%d", round)));
  }
  ASSERT_OK(store->Compact());
  const auto refused = store->OpenChanges(All(Begin(*store)));
  EXPECT_THAT(refused, StatusIs(StatusCode::kOutOfRange));
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("the log begins with lsn 201"));
  EXPECT_THAT(slow->Next(milliseconds(0)), StatusIs(StatusCode::kOutOfRange));
  Position floor = store->position();
  floor.lsn = 200;
  EXPECT_EQ(Drain(*Stream(*store, All(floor))).size(), 100U);
}

TEST_F(ChangesTest, ACheckpointAndWhatFollowsAreTheStore) {
  const auto store = Open();
  ASSERT_OK(store->Put("a", "1"));
  ASSERT_OK(store->Checkpoint(dir_.path() / "copy"));
  ASSERT_OK(store->Put("b", "2"));
  const auto copy =
      Store::Open(dir_.path() / "copy", {.mode = OpenMode::kReadOnly});
  ASSERT_OK(copy);
  EXPECT_THAT(Drain(*Stream(*store, All((*copy)->position()))),
              ElementsAre("2 put b=2."));
}

TEST_F(ChangesTest, AStoreThatIsReadBesideItsWriterIsFollowedByRefreshing) {
  const auto writer = Open();
  ASSERT_OK(writer->Put("a", "1"));
  const auto reader = Open({.mode = OpenMode::kReadOnly});
  const auto stream = Stream(*reader, All(Begin(*reader)));
  EXPECT_THAT(Drain(*stream), ElementsAre("1 put a=1."));
  EXPECT_THAT(Drain(*Stream(*reader, {.after = Begin(*reader)})), IsEmpty());
  ASSERT_OK(writer->Put("b", "2"));
  ASSERT_OK(reader->Refresh());
  EXPECT_THAT(stream->Next(milliseconds(0)),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(Drain(*Stream(*reader, All(stream->position()))),
              ElementsAre("2 put b=2."));
}

TEST_F(ChangesTest, WhoWaitsIsWokenByAWriteAFlushAndClose) {
  const auto store = Open();
  const auto all = Stream(*store, All());
  const auto durable = Stream(*store, {});
  const auto wait = [](ChangeStream* stream, StatusCode* code) {
    return std::thread([stream, code] {
      const auto changes = stream->Next(std::chrono::minutes(10));
      *code = changes.status().code();
      EXPECT_TRUE(!changes.ok() || changes->size() == 1);
    });
  };
  StatusCode code = StatusCode::kUnknown;
  std::thread waiter = wait(all.get(), &code);
  ASSERT_OK(store->Put("a", "1"));
  waiter.join();
  EXPECT_EQ(code, StatusCode::kOk);
  waiter = wait(durable.get(), &code);
  ASSERT_OK(store->Flush());
  waiter.join();
  EXPECT_EQ(code, StatusCode::kOk);
  waiter = wait(durable.get(), &code);
  ASSERT_OK(store->Close());
  waiter.join();
  EXPECT_EQ(code, StatusCode::kFailedPrecondition);
}

TEST_F(ChangesTest, BesideWritersNothingIsMissedOrShownTwice) {
  constexpr int kWriters = 3;
  constexpr int kCount = 4000;
  const auto store = Open();
  const auto stream = Stream(*store, All());
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&store, w] {
      const std::string value(200, 'v');
      for (int i = 0; i < kCount; i += 2) {
        WriteBatch batch;
        batch.Put(absl::StrFormat("%d/%d", w, i), value);
        batch.Put(absl::StrFormat("%d/%d", w, i + 1), value);
        ASSERT_OK(store->Write(batch));
      }
    });
  }
  std::vector<int> next(kWriters, 0);
  for (Lsn lsn = 0; lsn < Lsn{kWriters} * kCount;) {
    const auto changes = stream->Next(std::chrono::seconds(60));
    ASSERT_OK(changes);
    ASSERT_FALSE(changes->empty());
    for (const ChangeRecord& change : *changes) {
      ASSERT_EQ(change.lsn, ++lsn);
      const auto w = static_cast<size_t>(change.key[0] - '0');
      ASSERT_EQ(change.key, absl::StrFormat("%d/%d", w, next[w]++));
      ASSERT_EQ(change.ends_unit, next[w] % 2 == 0);
    }
  }
  for (std::thread& writer : writers) writer.join();
}

}  // namespace
}  // namespace peat
