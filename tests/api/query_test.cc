// Queries through the door, with and without an ordered index, mapped and read
// by position: what they list, what bad input does, and what outlives what.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::IsOk;
using ::peat::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs Drain(Cursor& cursor) {
  Pairs pairs;
  for (const auto [key, value] : cursor) pairs.emplace_back(key, value);
  EXPECT_OK(cursor.status());
  return pairs;
}

struct Variant {
  const char* name;
  bool ordered;
  ReadMethod read_method;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

class QueryTest : public ::peat::testing::StoreFixture,
                  public ::testing::WithParamInterface<Variant> {
 protected:
  QueryTest() : store_(Open(TheOptions())) {}

  static Options TheOptions() {
    return {.read_method = GetParam().read_method,
            .ordered = GetParam().ordered};
  }

  void Put(std::string_view key, std::string_view value = "") {
    ASSERT_OK(store_->Put(key, value));
  }
  void Delete(std::string_view key) {
    ASSERT_OK_AND_ASSIGN(const bool existed, store_->Delete(key));
    ASSERT_TRUE(existed);
  }
  void PutAll(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) Put(key, "value of " + key);
  }

  Pairs Scan(const Query& query) { return Drain(*store_->Scan(query)); }
  std::vector<std::string> Keys(const Query& query) {
    std::vector<std::string> keys;
    for (auto& [key, value] : Scan(query)) keys.push_back(std::move(key));
    return keys;
  }

  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(
    Variants, QueryTest,
    ::testing::Values(
        Variant{"ordered", true, ReadMethod::kMapped},
        Variant{"unordered", false, ReadMethod::kMapped},
        Variant{"ordered_positional", true, ReadMethod::kPositional},
        Variant{"unordered_positional", false, ReadMethod::kPositional}),
    [](const auto& variant) { return std::string(variant.param.name); });

// --- What is listed.

TEST_P(QueryTest, ListsEverything) {
  EXPECT_THAT(Scan({}), IsEmpty());

  Put("b", "1");
  Put("a", "old");
  Put("c", "3");
  Put("a", "2");
  Delete("c");

  EXPECT_THAT(Scan({}), UnorderedElementsAre(Pair("a", "2"), Pair("b", "1")));
  EXPECT_THAT(Scan({.keys_only = true}),
              UnorderedElementsAre(Pair("a", ""), Pair("b", "")));
}

TEST_P(QueryTest, GivesTheOrderOfTheLogOnlyWithoutOrder) {
  PutAll({"c", "a", "b"});

  if (GetParam().ordered) {
    EXPECT_THAT(Keys({}), ElementsAre("a", "b", "c"));
  } else {
    EXPECT_THAT(Keys({}), ElementsAre("c", "a", "b"));
  }
  EXPECT_THAT(Keys({.limit = 10}), ElementsAre("a", "b", "c"));
}

TEST_P(QueryTest, ListsARangeInByteOrder) {
  PutAll({"b", "a", "d", "c", "\x80", "bb", ""});

  EXPECT_THAT(Keys({.from = "b", .to = "d"}), ElementsAre("b", "bb", "c"));
  EXPECT_THAT(Keys({.from = "c"}), ElementsAre("c", "d", "\x80"));
  EXPECT_THAT(Keys({.to = "b"}), ElementsAre("", "a"));
  EXPECT_THAT(Keys({.from = "a", .to = "d", .reverse = true}),
              ElementsAre("c", "bb", "b", "a"));
}

TEST_P(QueryTest, ListsAPrefix) {
  PutAll({"a", "ab", "abc", "ac", "b", "ab\xff", "ab\xff\xff"});

  EXPECT_THAT(Keys({.prefix = "ab"}),
              ElementsAre("ab", "abc", "ab\xff", "ab\xff\xff"));
  EXPECT_THAT(Keys({.from = "abc", .prefix = "ab"}),
              ElementsAre("abc", "ab\xff", "ab\xff\xff"));
  EXPECT_THAT(Keys({.prefix = "ab", .reverse = true, .limit = 2}),
              ElementsAre("ab\xff\xff", "ab\xff"));
  EXPECT_EQ(Keys({.prefix = ""}).size(), 7U);
}

TEST_P(QueryTest, ListsKeysThatAreNamed) {
  PutAll({"a", "b", "c"});

  EXPECT_THAT(Scan({.keys = {"c", "nothing", "a", "c"}}),
              ElementsAre(Pair("a", "value of a"), Pair("c", "value of c")));
  EXPECT_THAT(Keys({.from = "b", .keys = {"a", "b", "c"}}),
              ElementsAre("b", "c"));
  EXPECT_THAT(Keys({.keys = {"a", "b", "c"}, .reverse = true, .limit = 2}),
              ElementsAre("c", "b"));
}

TEST_P(QueryTest, ListsPageByPage) {
  std::vector<std::string> keys;
  for (int i = 100; i < 400; ++i) keys.push_back("key" + std::to_string(i));
  PutAll(keys);

  std::vector<std::string> seen;
  Query page{.limit = 7};
  for (;;) {
    const std::vector<std::string> got = Keys(page);
    seen.insert(seen.end(), got.begin(), got.end());
    if (got.size() < page.limit) break;
    page.after = got.back();
  }
  EXPECT_EQ(seen, keys);

  EXPECT_THAT(Keys({.after = "key102", .reverse = true}),
              ElementsAre("key101", "key100"));
}

TEST_P(QueryTest, ListsLargeValues) {
  const std::string large(size_t{3} << 20, 'l');
  Put("small", "s");
  Put("large", large);

  EXPECT_THAT(Scan({.from = ""}),
              ElementsAre(Pair("large", large), Pair("small", "s")));
  EXPECT_THAT(Scan({.keys_only = true}),
              UnorderedElementsAre(Pair("large", ""), Pair("small", "")));
}

TEST_P(QueryTest, ListsMoreThanSeveralSegments) {
  const std::string value(1000, 'v');
  std::map<std::string, std::string> model;
  for (int i = 0; i < 6000; ++i) {
    const std::string key = "key" + std::to_string(i * 7919 % 4001);
    Put(key, value + std::to_string(i));
    model[key] = value + std::to_string(i);
  }
  ASSERT_GE(store_->GetStats().segment_count, 4U);

  const Pairs expected(model.begin(), model.end());
  EXPECT_EQ(Scan({.from = ""}), expected);
  Pairs everything = Scan({});
  std::sort(everything.begin(), everything.end());
  EXPECT_EQ(everything, expected);
}

TEST_P(QueryTest, OpensAStoreInEitherWay) {
  PutAll({"c", "a", "b", "gone"});
  Delete("gone");
  ASSERT_OK(store_->Close());

  Options other = TheOptions();
  other.ordered = !other.ordered;
  store_ = Open(other);
  EXPECT_THAT(Keys({.from = "b"}), ElementsAre("b", "c"));
  Put("bb", "");
  Delete("c");
  store_.reset();
  store_ = Open(TheOptions());

  EXPECT_THAT(Keys({.from = ""}), ElementsAre("a", "b", "bb"));
  EXPECT_EQ(store_->GetStats().ordered_index_bytes > 0, GetParam().ordered);
}

TEST_P(QueryTest, ReadsBesideAWriter) {
  PutAll({"b", "a"});

  Options options = TheOptions();
  options.mode = OpenMode::kReadOnly;
  const std::unique_ptr<Store> reader = Open(options);
  Put("c", "");

  EXPECT_EQ(Drain(*reader->Scan({.from = "a", .keys_only = true})),
            (Pairs{{"a", ""}, {"b", ""}}));
  EXPECT_EQ(reader->GetStats().view_count, 0U);
}

// --- One lsn.

TEST_P(QueryTest, ShowsTheStoreAsItWas) {
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
    Pairs pairs = Drain(*snapshot->Scan({.from = "", .reverse = reverse}));
    if (reverse) std::reverse(pairs.begin(), pairs.end());
    EXPECT_THAT(pairs, ElementsAre(old("again"), old("changed"), old("deleted"),
                                   old("kept")));
  }
  EXPECT_THAT(Drain(*snapshot->Scan({})),
              UnorderedElementsAre(old("again"), old("changed"), old("deleted"),
                                   old("kept")));
  EXPECT_THAT(Drain(*snapshot->Scan({.keys = {"added", "deleted"}})),
              ElementsAre(old("deleted")));
  std::string value;
  ASSERT_OK(snapshot->Get("deleted", &value));
  EXPECT_EQ(value, "value of deleted");
  EXPECT_THAT(snapshot->Get("added", &value), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(Keys({.from = ""}),
              ElementsAre("added", "again", "changed", "kept"));
}

TEST_P(QueryTest, KeepsWhatOlderSnapshotsNeedWhenNewerOnesClose) {
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

  EXPECT_THAT(Drain(*first->Scan({})),
              UnorderedElementsAre(Pair("a", "1"), Pair("b", "1")));
  EXPECT_THAT(Drain(*second->Scan({.from = ""})),
              ElementsAre(Pair("a", "2"), Pair("b", "1")));
  EXPECT_THAT(Drain(*third->Scan({.from = ""})),
              ElementsAre(Pair("a", "3"), Pair("b", "3")));
  second.reset();
  EXPECT_EQ(store_->GetStats().view_count, 2U);
  EXPECT_THAT(Drain(*first->Scan({.from = ""})),
              ElementsAre(Pair("a", "1"), Pair("b", "1")));
  third.reset();
  EXPECT_THAT(Drain(*first->Scan({.from = ""})),
              ElementsAre(Pair("a", "1"), Pair("b", "1")));
  EXPECT_EQ(store_->GetStats().view_saved_count, 2U);
}

TEST_P(QueryTest, CostsNothingOnceAllViewsAreClosed) {
  PutAll({"a", "b", "c"});
  {
    const auto snapshot = store_->OpenSnapshot();
    const auto cursor = store_->Scan({.from = ""});
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

TEST_P(QueryTest, LetsGoOfItsViewAtTheEnd) {
  PutAll({"a", "b"});

  const auto cursor = store_->Scan({});
  EXPECT_EQ(store_->GetStats().view_count, 1U);
  Drain(*cursor);

  EXPECT_EQ(store_->GetStats().view_count, 0U);
}

TEST_P(QueryTest, FindsManyKeysThatWereDeletedSince) {
  std::vector<std::string> keys;
  for (int i = 1000; i < 4000; ++i) keys.push_back("key" + std::to_string(i));
  PutAll(keys);
  const auto snapshot = store_->OpenSnapshot();
  for (const std::string& key : keys) {
    if (key.back() != '7') Delete(key);
  }

  Pairs up = Drain(*snapshot->Scan({.from = "", .keys_only = true}));
  Pairs down = Drain(*snapshot->Scan({.keys_only = true, .reverse = true}));
  ASSERT_EQ(up.size(), keys.size());
  for (size_t i = 0; i < up.size(); ++i) EXPECT_EQ(up[i].first, keys[i]);
  std::reverse(down.begin(), down.end());
  EXPECT_EQ(up, down);
  EXPECT_EQ(Keys({.from = ""}).size(), 300U);
}

// --- Deleting.

TEST_P(QueryTest, DeletesARangeAndAPrefix) {
  std::vector<std::string> keys;
  for (int i = 1000; i < 4500; ++i) keys.push_back("key" + std::to_string(i));
  PutAll(keys);

  ASSERT_OK_AND_ASSIGN(const uint64_t range,
                       store_->DeleteRange("key1001", "key4000"));
  EXPECT_EQ(range, 2999U);
  ASSERT_OK_AND_ASSIGN(const uint64_t prefix, store_->DeletePrefix("key40"));
  EXPECT_EQ(prefix, 100U);
  ASSERT_OK_AND_ASSIGN(const uint64_t none, store_->DeleteRange("z", "a"));
  EXPECT_EQ(none, 0U);

  const std::vector<std::string> left = Keys({.from = ""});
  ASSERT_EQ(left.size(), 401U);
  EXPECT_EQ(left[0], "key1000");
  EXPECT_EQ(left[1], "key4100");
}

// --- Bad input.

TEST_P(QueryTest, ListsNothingOfARangeThatEndsBeforeItBegins) {
  PutAll({"a", "b", "c"});

  EXPECT_THAT(Keys({.from = "c", .to = "a"}), IsEmpty());
  EXPECT_THAT(Keys({.from = "b", .to = "b"}), IsEmpty());
  EXPECT_THAT(Keys({.from = "c", .to = "a", .reverse = true}), IsEmpty());
  EXPECT_THAT(Keys({.prefix = "b", .after = "z"}), IsEmpty());
}

TEST_P(QueryTest, TakesAPrefixLongerThanAnyKeyAndKeysOfHighBytes) {
  const std::string high(65'535, '\xff');
  PutAll({high, "\xff", "a"});

  EXPECT_THAT(Keys({.prefix = std::string(100'000, 'a')}), IsEmpty());
  EXPECT_THAT(Keys({.prefix = "\xff"}), ElementsAre("\xff", high));
  EXPECT_THAT(Keys({.from = std::string(100'000, '\xff')}), IsEmpty());
  EXPECT_THAT(Keys({.after = high}), IsEmpty());
  EXPECT_THAT(Keys({.after = high, .reverse = true}), ElementsAre("\xff", "a"));
}

TEST_P(QueryTest, TakesTheEmptyKey) {
  PutAll({"", "a"});

  EXPECT_THAT(Keys({.to = "a"}), ElementsAre(""));
  EXPECT_THAT(Keys({.after = ""}), ElementsAre("a"));
  EXPECT_THAT(Keys({.keys = {""}}), ElementsAre(""));
  EXPECT_THAT(Keys({.after = "", .reverse = true}), IsEmpty());
}

TEST_P(QueryTest, TakesAListOfAMillionKeys) {
  PutAll({"key1", "key999999"});
  Query query;
  for (int i = 0; i < 1'000'000; ++i) {
    query.keys.push_back("key" + std::to_string(i));
  }

  EXPECT_THAT(Keys(query), ElementsAre("key1", "key999999"));
}

TEST_P(QueryTest, FailsOnAClosedStore) {
  PutAll({"a"});
  ASSERT_OK(store_->Close());

  const auto cursor = store_->Scan({});
  EXPECT_FALSE(cursor->Valid());
  cursor->Next();
  EXPECT_THAT(cursor->status(), StatusIs(StatusCode::kFailedPrecondition));
  std::string value;
  EXPECT_THAT(store_->OpenSnapshot()->Get("a", &value),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_->DeletePrefix(""),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_P(QueryTest, OutlivesItsStore) {
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.push_back("key" + std::to_string(i));
  PutAll(keys);
  const auto cursor = store_->Scan({});
  const auto sorted = store_->Scan({.from = ""});
  const auto snapshot = store_->OpenSnapshot();
  Put("key1", "new");
  cursor->Next();
  const std::string key(cursor->key());

  store_.reset();

  ASSERT_TRUE(cursor->Valid());
  EXPECT_EQ(cursor->key(), key);  // what it shows stays
  EXPECT_EQ(cursor->value(), "value of " + key);
  for (Cursor* one : {cursor.get(), sorted.get()}) {
    one->Next();
    EXPECT_FALSE(one->Valid());
    EXPECT_THAT(one->status(), StatusIs(StatusCode::kFailedPrecondition));
  }
  std::string value;
  EXPECT_THAT(snapshot->Get("key1", &value),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_FALSE(snapshot->Scan({})->Valid());
}

TEST_P(QueryTest, FailsInAForkedChild) {
  PutAll({"a", "b"});
  auto cursor = store_->Scan({});
  auto snapshot = store_->OpenSnapshot();

  EXPECT_EQ(::peat::testing::RunInChild([&] {
              cursor->Next();
              const bool failed = !cursor->Valid() && !cursor->status().ok() &&
                                  !snapshot->Scan({})->status().ok();
              cursor.reset();
              snapshot.reset();
              return failed ? 0 : 1;
            }),
            0);
  EXPECT_EQ(Drain(*cursor).size(), 2U);
}

TEST_P(QueryTest, MovesCursors) {
  PutAll({"a", "b"});
  Cursor first = std::move(*store_->Scan({.from = ""}));
  Cursor second = std::move(first);

  EXPECT_FALSE(first.Valid());  // NOLINT(bugprone-use-after-move)
  EXPECT_THAT(first.status(), StatusIs(StatusCode::kFailedPrecondition));
  first = std::move(second);

  EXPECT_THAT(Drain(first),
              ElementsAre(Pair("a", "value of a"), Pair("b", "value of b")));
}

}  // namespace
}  // namespace peat
