// Queries through the door, with and without an ordered index, mapped and read
// by position: what they list, and what bad input does.

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

using ::peat::testing::Drain;
using ::peat::testing::IsOk;
using ::peat::testing::Pairs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

using ::peat::testing::QueryTest;

INSTANTIATE_TEST_SUITE_P(Variants, QueryTest,
                         ::peat::testing::AllQueryVariants(),
                         ::peat::testing::NameOf);

// --- What is listed.

TEST_P(QueryTest, IsReadByALoopOverTheCallItself) {
  PutAll({"a", "b"});
  Pairs pairs;

  for (const auto [key, value] : store_->Scan({.from = ""})) {
    pairs.emplace_back(key, value);
  }
  for (const auto [key, value] : store_->OpenSnapshot()->Scan({.from = "b"})) {
    pairs.emplace_back(key, value);
  }

  EXPECT_THAT(pairs,
              ElementsAre(Pair("a", "value of a"), Pair("b", "value of b"),
                          Pair("b", "value of b")));
}

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
  ASSERT_GE(store_->GetStats().segment_count, 2U);

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

  EXPECT_EQ(Drain(reader->Scan({.from = "a", .keys_only = true})),
            (Pairs{{"a", ""}, {"b", ""}}));
  EXPECT_EQ(reader->GetStats().view_count, 0U);
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

}  // namespace
}  // namespace peat
