// Snapshots and cursors through the door: one moment, whatever happens
// meanwhile, what they cost, and what outlives what.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/api/query_fixture.h"
#include "tests/support/child_process.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::Drain;
using ::peat::testing::IsOk;
using ::peat::testing::Pairs;
using ::peat::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

using ViewTest = ::peat::testing::QueryTest;

INSTANTIATE_TEST_SUITE_P(Variants, ViewTest,
                         ::peat::testing::AllQueryVariants(),
                         ::peat::testing::NameOf);

// --- One lsn.

TEST_P(ViewTest, ShowsTheStoreAsItWas) {
  PutAll({"kept", "changed", "deleted", "again"});
  const std::unique_ptr<Snapshot> snapshot = store_->OpenSnapshot();

  Put("changed", "new");
  Delete("deleted");
  Delete("again");
  Put("again", "new");
  Put("added", "new");

  const auto old = [](const std::string& key) {
    return Pair(key, "value of " + key);
  };
  for (const bool reverse : {false, true}) {
    Pairs pairs = Drain(snapshot->Scan({.from = "", .reverse = reverse}));
    if (reverse) std::reverse(pairs.begin(), pairs.end());
    EXPECT_THAT(pairs, ElementsAre(old("again"), old("changed"), old("deleted"),
                                   old("kept")));
  }
  EXPECT_THAT(Drain(snapshot->Scan({})),
              UnorderedElementsAre(old("again"), old("changed"), old("deleted"),
                                   old("kept")));
  EXPECT_THAT(Drain(snapshot->Scan({.keys = {"added", "deleted"}})),
              ElementsAre(old("deleted")));
  std::string value;
  ASSERT_OK(snapshot->Get("deleted", &value));
  EXPECT_EQ(value, "value of deleted");
  EXPECT_THAT(snapshot->Get("added", &value), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(Keys({.from = ""}),
              ElementsAre("added", "again", "changed", "kept"));
}

TEST_P(ViewTest, KeepsWhatOlderSnapshotsNeedWhenNewerOnesClose) {
  Put("a", "1");
  Put("b", "1");
  const auto first = store_->OpenSnapshot();
  Put("a", "2");
  auto second = store_->OpenSnapshot();
  Put("a", "3");
  Put("b", "3");
  auto third = store_->OpenSnapshot();
  Delete("a");
  Delete("b");

  EXPECT_THAT(Drain(first->Scan({})),
              UnorderedElementsAre(Pair("a", "1"), Pair("b", "1")));
  EXPECT_THAT(Drain(second->Scan({.from = ""})),
              ElementsAre(Pair("a", "2"), Pair("b", "1")));
  EXPECT_THAT(Drain(third->Scan({.from = ""})),
              ElementsAre(Pair("a", "3"), Pair("b", "3")));
  second.reset();
  EXPECT_EQ(store_->GetStats().view_count, 2U);
  EXPECT_THAT(Drain(first->Scan({.from = ""})),
              ElementsAre(Pair("a", "1"), Pair("b", "1")));
  third.reset();
  EXPECT_THAT(Drain(first->Scan({.from = ""})),
              ElementsAre(Pair("a", "1"), Pair("b", "1")));
  EXPECT_EQ(store_->GetStats().view_saved_count, 2U);
}

TEST_P(ViewTest, CostsNothingOnceAllViewsAreClosed) {
  PutAll({"a", "b", "c"});
  {
    const auto snapshot = store_->OpenSnapshot();
    Cursor cursor = store_->Scan({.from = ""});
    Put("a", "new");
    Put("a", "newer");
    Delete("b");
    const Stats stats = store_->GetStats();
    EXPECT_EQ(stats.view_count, 2U);
    EXPECT_EQ(stats.view_saved_count, 2U);
    EXPECT_GT(stats.view_saved_bytes, 0U);
  }
  Put("c", "new");

  const Stats stats = store_->GetStats();
  EXPECT_EQ(stats.view_count, 0U);
  EXPECT_EQ(stats.view_saved_count, 0U);
  EXPECT_EQ(stats.view_saved_bytes, 0U);
}

TEST_P(ViewTest, LetsGoOfItsViewAtTheEnd) {
  PutAll({"a", "b"});

  Cursor cursor = store_->Scan({});
  EXPECT_EQ(store_->GetStats().view_count, 1U);
  Drain(cursor);

  EXPECT_EQ(store_->GetStats().view_count, 0U);
}

TEST_P(ViewTest, FindsManyKeysThatWereDeletedSince) {
  std::vector<std::string> keys;
  for (int i = 1000; i < 4000; ++i) keys.push_back("key" + std::to_string(i));
  PutAll(keys);
  const auto snapshot = store_->OpenSnapshot();
  for (const std::string& key : keys) {
    if (key.back() != '7') Delete(key);
  }

  Pairs up = Drain(snapshot->Scan({.from = "", .keys_only = true}));
  Pairs down = Drain(snapshot->Scan({.keys_only = true, .reverse = true}));
  ASSERT_EQ(up.size(), keys.size());
  for (size_t i = 0; i < up.size(); ++i) EXPECT_EQ(up[i].first, keys[i]);
  std::reverse(down.begin(), down.end());
  EXPECT_EQ(up, down);
  EXPECT_EQ(Keys({.from = ""}).size(), 300U);
}

TEST_P(ViewTest, DoesNotShowWhatIsForgottenMeanwhile) {
  std::vector<std::string> keys;
  for (int i = 100; i < 200; ++i) keys.push_back("key" + std::to_string(i));
  PutAll(keys);
  const auto snapshot = store_->OpenSnapshot();
  Cursor cursor = store_->Scan({.from = ""});
  Cursor log = store_->Scan({});
  ASSERT_EQ(cursor.key(), "key100");
  Put("key105", "overwritten first");
  Delete("key106");

  for (const char* key : {"key101", "key105", "key106", "key150"}) {
    ASSERT_OK(store_->Forget(key));
  }

  for (Cursor* one : {&cursor, &log}) {
    std::vector<std::string> seen;
    for (; one->Valid(); one->Next()) seen.emplace_back(one->key());
    EXPECT_OK(one->status());
    EXPECT_EQ(seen.size(), 96U);
    EXPECT_THAT(seen, ::testing::Not(::testing::Contains("key101")));
  }
  EXPECT_EQ(Drain(snapshot->Scan({.reverse = true})).size(), 96U);
  std::string value;
  EXPECT_THAT(snapshot->Get("key105", &value), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(Keys({.keys = {"key101", "key102"}}), ElementsAre("key102"));
}

TEST_P(ViewTest, ShowsDisabledKeysWithTheirValues) {
  const std::string large(size_t{3} << 20, 'l');
  Put("large", large);
  PutAll({"a", "b", "c"});
  const auto snapshot = store_->OpenSnapshot();
  for (const char* key : {"a", "b", "large"}) {
    ASSERT_OK(store_->Disable(key, {.reason = "test"}));
  }
  ASSERT_OK(store_->Enable("b"));

  const auto expected =
      ElementsAre(Pair("a", "value of a"), Pair("b", "value of b"),
                  Pair("c", "value of c"), Pair("large", large));
  EXPECT_THAT(Scan({.from = ""}), expected);
  EXPECT_THAT(Drain(snapshot->Scan({.from = ""})), expected);
  EXPECT_THAT(store_->DeletePrefix(""),
              StatusIs(StatusCode::kFailedPrecondition));
}

// --- What outlives what.

TEST_P(ViewTest, FailsOnAClosedStore) {
  PutAll({"a"});
  ASSERT_OK(store_->Close());

  Cursor cursor = store_->Scan({});
  EXPECT_FALSE(cursor.Valid());
  cursor.Next();
  EXPECT_THAT(cursor.status(), StatusIs(StatusCode::kFailedPrecondition));
  std::string value;
  EXPECT_THAT(store_->OpenSnapshot()->Get("a", &value),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_->DeletePrefix(""),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_P(ViewTest, OutlivesItsStore) {
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.push_back("key" + std::to_string(i));
  PutAll(keys);
  Cursor cursor = store_->Scan({});
  Cursor sorted = store_->Scan({.from = ""});
  const auto snapshot = store_->OpenSnapshot();
  Put("key1", "new");
  cursor.Next();
  const std::string key(cursor.key());

  store_.reset();

  ASSERT_TRUE(cursor.Valid());
  EXPECT_EQ(cursor.key(), key);  // what it shows stays
  EXPECT_EQ(cursor.value(), "value of " + key);
  for (Cursor* one : {&cursor, &sorted}) {
    one->Next();
    EXPECT_FALSE(one->Valid());
    EXPECT_THAT(one->status(), StatusIs(StatusCode::kFailedPrecondition));
  }
  std::string value;
  EXPECT_THAT(snapshot->Get("key1", &value),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_FALSE(snapshot->Scan({}).Valid());
}

TEST_P(ViewTest, FailsInAForkedChild) {
  PutAll({"a", "b"});
  auto cursor = store_->Scan({});
  auto snapshot = store_->OpenSnapshot();

  EXPECT_EQ(::peat::testing::RunInChild([&] {
              cursor.Next();
              const bool failed = !cursor.Valid() && !cursor.status().ok() &&
                                  !snapshot->Scan({}).status().ok();
              { const Cursor ended = std::move(cursor); }
              snapshot.reset();
              return failed ? 0 : 1;
            }),
            0);
  EXPECT_EQ(Drain(cursor).size(), 2U);
}

TEST_P(ViewTest, MovesCursors) {
  PutAll({"a", "b"});
  Cursor first = store_->Scan({.from = ""});
  Cursor second = std::move(first);

  EXPECT_FALSE(first.Valid());  // NOLINT(bugprone-use-after-move)
  EXPECT_THAT(first.status(), StatusIs(StatusCode::kFailedPrecondition));
  first = std::move(second);

  EXPECT_THAT(Drain(first),
              ElementsAre(Pair("a", "value of a"), Pair("b", "value of b")));
}

}  // namespace
}  // namespace peat
