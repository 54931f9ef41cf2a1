// The ordered index against a set, with keys that share much, little, or all of
// their first bytes.

#include "index/ordered_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace peat::index {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Keys = std::vector<std::string>;

Keys ToKeys(const KeyGroup& group) {
  Keys keys;
  for (size_t i = 0; i < group.size(); ++i) keys.emplace_back(group[i]);
  return keys;
}

Keys List(const OrderedIndex& index, const KeyRange& range = {},
          size_t count = SIZE_MAX / 2) {
  const EpochGuard guard;
  KeyGroup group;
  index.List(range, count, &group);
  return ToKeys(group);
}

Keys ListDown(const OrderedIndex& index, const KeyRange& range = {},
              size_t count = SIZE_MAX / 2) {
  const EpochGuard guard;
  KeyGroup group;
  index.ListDown(range, count, &group);
  return ToKeys(group);
}

void Insert(OrderedIndex& index, std::string_view key) {
  const EpochGuard guard;
  index.Insert(key, Location(1, 4096));
}

void Erase(OrderedIndex& index, std::string_view key) {
  const EpochGuard guard;
  index.Erase(key);
}

std::string Number(uint64_t number) {
  std::string key(8, '\0');
  for (int i = 7; i >= 0; --i, number >>= 8) {
    key[static_cast<size_t>(i)] = static_cast<char>(number & 255);
  }
  return key;
}

struct KeyKind {
  const char* name;
  std::string (*make)(uint64_t random);
};

const KeyKind kKinds[] = {
    {"short",
     [](uint64_t random) { return Number(random).substr(8 - random % 3); }},
    {"binary",
     [](uint64_t random) { return Number(random * 0x9e3779b97f4a7c15); }},
    {"composite",
     [](uint64_t random) {
       return "window/" + std::to_string(random % 7) + "/user" +
              std::to_string(random % 3001);
     }},
    // Each begins with the ones before.
    {"nested", [](uint64_t random) { return std::string(random % 700, 'a'); }},
    {"zeros", [](uint64_t random) { return std::string(random % 40, '\0'); }},
    {"high",
     [](uint64_t random) {
       return std::string(random % 30, '\xff') + Number(random % 50);
     }},
    {"long",
     [](uint64_t random) {
       return std::string(5000, 'x') + std::to_string(random % 500);
     }},
};

class OrderedIndexKeysTest : public ::testing::TestWithParam<KeyKind> {};

INSTANTIATE_TEST_SUITE_P(Kinds, OrderedIndexKeysTest,
                         ::testing::ValuesIn(kKinds), [](const auto& kind) {
                           return std::string(kind.param.name);
                         });

std::optional<std::string> RandomEnd(std::mt19937_64& random,
                                     const KeyKind& kind) {
  if (random() % 4 == 0) return std::nullopt;
  return kind.make(random());
}

void ExpectSameRange(const OrderedIndex& index,
                     const std::set<std::string>& model, const KeyRange& range,
                     size_t count) {
  Keys expected;
  for (const std::string& key : model) {
    if (range.Contains(key)) expected.push_back(key);
  }
  Keys reversed(expected.rbegin(), expected.rend());
  expected.resize(std::min(expected.size(), count));
  reversed.resize(std::min(reversed.size(), count));
  ASSERT_EQ(List(index, range, count), expected);
  ASSERT_EQ(ListDown(index, range, count), reversed);
}

TEST_P(OrderedIndexKeysTest, AgreesWithASet) {
  std::mt19937_64 random(7);
  OrderedIndex index;
  std::set<std::string> model;
  for (int i = 0; i < 20'000; ++i) {
    // Grows, then shrinks to nothing, twice.
    const bool grows = i / 5000 % 2 == 0;
    const std::string key = GetParam().make(random() % 4000);
    if (random() % 5 == 0 ? !grows : grows) {
      Insert(index, key);
      model.insert(key);
    } else {
      Erase(index, key);
      model.erase(key);
    }
    ASSERT_EQ(index.size(), model.size());
    if (i % 250 != 0) continue;
    ExpectSameRange(
        index, model,
        {GetParam().make(random() % 4000), RandomEnd(random, GetParam())},
        random() % 300);
  }
  EXPECT_EQ(List(index), Keys(model.begin(), model.end()));
  for (const std::string& key : Keys(model.begin(), model.end())) {
    Erase(index, key);
  }
  EXPECT_THAT(List(index), IsEmpty());
  EXPECT_EQ(index.size(), 0U);
}

TEST(OrderedIndexTest, HasTheEmptyKey) {
  OrderedIndex index;

  Insert(index, "a");
  Insert(index, "");
  Insert(index, "");

  EXPECT_THAT(List(index), ElementsAre("", "a"));
  EXPECT_THAT(List(index, {.begin = std::string(1, '\0'), .end = {}}),
              ElementsAre("a"));
}

TEST(OrderedIndexTest, ListsNothingOfARangeThatEndsBeforeItBegins) {
  OrderedIndex index;
  for (int i = 0; i < 1000; ++i)
    Insert(index, Number(static_cast<uint64_t>(i)));

  EXPECT_THAT(List(index, {.begin = Number(700), .end = Number(300)}),
              IsEmpty());
  EXPECT_THAT(ListDown(index, {.begin = Number(700), .end = Number(300)}),
              IsEmpty());
}

TEST(OrderedIndexTest, GivesHintsOfWhereRecordsLay) {
  OrderedIndex index;
  const EpochGuard guard;
  const Location last(32'767, (uint64_t{1} << 28) - 8);
  index.Insert("0123456789", Location(3, 8192));
  index.Insert("x", last);
  KeyGroup group;

  index.List({}, 2, &group);

  EXPECT_EQ(group.hint(0), Location(3, 8192));
  EXPECT_EQ(group.hint(1), last);
}

enum class Arrival { kRandom, kAscending };

// What a key costs beyond its length; the bound is the one in peat/options.h.
double Overhead(size_t key_size, Arrival arrival) {
  std::mt19937_64 random(9);
  OrderedIndex index;
  constexpr int kCount = 40'000;
  Keys keys;
  for (int i = 0; i < kCount; ++i) {
    std::string key;
    while (key.size() < key_size) key += Number(random());
    keys.push_back(key.substr(0, key_size));
  }
  if (arrival == Arrival::kAscending) std::sort(keys.begin(), keys.end());
  for (const std::string& key : keys) Insert(index, key);
  return static_cast<double>(index.memory_bytes()) /
             static_cast<double>(index.size()) -
         static_cast<double>(key_size);
}

TEST(OrderedIndexTest, TakesAtMost16BytesAKeyBesideIt) {
  for (const size_t key_size : {8, 16, 32, 64, 100, 200, 500}) {
    SCOPED_TRACE(key_size);
    EXPECT_LE(Overhead(key_size, Arrival::kRandom), 16);
    EXPECT_LE(Overhead(key_size, Arrival::kAscending), 16);
  }
}

TEST(OrderedIndexTest, GivesMemoryBackWhenKeysLeave) {
  OrderedIndex index;
  for (uint64_t i = 0; i < 50'000; ++i) Insert(index, Number(i));
  const uint64_t full = index.memory_bytes();

  for (uint64_t i = 0; i < 50'000; ++i) Erase(index, Number(i));

  EXPECT_LT(index.memory_bytes(), full / 100);
}

TEST(OrderedIndexConcurrencyTest, ListsWhatStaysWhileOthersComeAndGo) {
  constexpr uint64_t kStaying = 2000;
  OrderedIndex index;
  for (uint64_t i = 0; i < kStaying; ++i) Insert(index, Number(10 * i));
  std::atomic<int> writers = 2;
  const auto come_and_go = [&](uint64_t offset) {
    for (int round = 0; round < 3; ++round) {
      for (uint64_t i = 0; i < kStaying; ++i)
        Insert(index, Number(10 * i + offset));
      for (uint64_t i = 0; i < kStaying; ++i)
        Erase(index, Number(10 * i + offset));
    }
    --writers;
  };
  const auto count_staying = [](const Keys& keys) {
    return std::count_if(keys.begin(), keys.end(), [](const std::string& key) {
      uint64_t number = 0;
      for (const char c : key) number = number << 8 | static_cast<uint8_t>(c);
      return number % 10 == 0;
    });
  };
  std::thread first(come_and_go, 3);
  std::thread second(come_and_go, 7);
  int looks = 0;
  while (writers > 0 || looks < 2) {
    const Keys up = List(index);
    const Keys down = ListDown(index);
    ++looks;
    ASSERT_TRUE(std::is_sorted(up.begin(), up.end()));
    ASSERT_TRUE(std::is_sorted(down.rbegin(), down.rend()));
    ASSERT_EQ(std::adjacent_find(up.begin(), up.end()), up.end());
    ASSERT_EQ(std::adjacent_find(down.begin(), down.end()), down.end());
    ASSERT_EQ(count_staying(up), static_cast<int64_t>(kStaying));
    ASSERT_EQ(count_staying(down), static_cast<int64_t>(kStaying));
  }
  first.join();
  second.join();

  EXPECT_EQ(index.size(), kStaying);
  EXPECT_EQ(List(index).size(), kStaying);
}

}  // namespace
}  // namespace peat::index
