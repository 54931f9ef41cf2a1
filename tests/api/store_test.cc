// The public store's calls, each in each state of a key, under each way to read
// and to sync.

#include "peat/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using ::peat::testing::IsOk;
using ::peat::testing::Read;
using ::peat::testing::StatusIs;
using ::testing::Optional;

struct Variant {
  const char* name;
  ReadMethod read_method;
  SyncPolicy sync;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

class StoreTest : public ::peat::testing::StoreFixture,
                  public ::testing::WithParamInterface<Variant> {
 protected:
  StoreTest() : store_(Open(TheOptions())) {}

  static Options TheOptions() {
    return {.sync = GetParam().sync,
            .sync_interval = std::chrono::milliseconds(1),
            .read_method = GetParam().read_method};
  }

  void Reopen() {
    store_.reset();
    store_ = Open(TheOptions());
  }

  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(
    Variants, StoreTest,
    ::testing::Values(
        Variant{"mapped", ReadMethod::kMapped, SyncPolicy::kExplicit},
        Variant{"positional", ReadMethod::kPositional, SyncPolicy::kExplicit},
        Variant{"every_write", ReadMethod::kMapped, SyncPolicy::kEveryWrite},
        Variant{"interval", ReadMethod::kMapped, SyncPolicy::kInterval}),
    [](const auto& variant) { return std::string(variant.param.name); });

TEST_P(StoreTest, ReadsOfAnAbsentKeyAreNotFound) {
  std::string value;
  EXPECT_THAT(store_->Get("k", &value), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->GetPinned("k"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(store_->State("k").value(), KeyState::kAbsent);

  const std::vector<std::string_view> keys = {"k"};
  std::vector<Lookup> results(1);
  EXPECT_OK(store_->MultiGet(keys, results));
  EXPECT_THAT(results[0].status, StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(StoreTest, ReadsOfALiveKeyReturnItsValue) {
  ASSERT_OK(store_->Put("k", "v"));

  EXPECT_THAT(Read(*store_, "k"), Optional(std::string("v")));
  EXPECT_EQ(std::string_view(store_->GetPinned("k").value()), "v");
  EXPECT_EQ(store_->State("k").value(), KeyState::kLive);

  const std::vector<std::string_view> keys = {"k"};
  std::vector<Lookup> results(1);
  EXPECT_OK(store_->MultiGet(keys, results));
  ASSERT_OK(results[0].status);
  EXPECT_EQ(std::string_view(results[0].value), "v");
}

TEST_P(StoreTest, PutInsertsAndOverwrites) {
  ASSERT_OK(store_->Put("k", "first"));
  EXPECT_THAT(Read(*store_, "k"), Optional(std::string("first")));

  ASSERT_OK(store_->Put("k", "second and longer"));
  EXPECT_THAT(Read(*store_, "k"), Optional(std::string("second and longer")));
  EXPECT_EQ(store_->GetStats().key_count, 1);
}

TEST_P(StoreTest, PutIfAbsentLeavesALiveKeyAlone) {
  EXPECT_TRUE(store_->PutIfAbsent("k", "first").value());
  EXPECT_FALSE(store_->PutIfAbsent("k", "second").value());
  EXPECT_THAT(Read(*store_, "k"), Optional(std::string("first")));

  ASSERT_TRUE(store_->Delete("k").value());
  EXPECT_TRUE(store_->PutIfAbsent("k", "third").value());
  EXPECT_THAT(Read(*store_, "k"), Optional(std::string("third")));
}

TEST_P(StoreTest, UpdateReturnsThePreviousValue) {
  EXPECT_EQ(store_->Update("k", "first").value(), std::nullopt);
  EXPECT_THAT(store_->Update("k", "").value(), Optional(std::string("first")));
  EXPECT_THAT(store_->Update("k", "third").value(), Optional(std::string()));

  ASSERT_TRUE(store_->Delete("k").value());
  EXPECT_EQ(store_->Update("k", "fourth").value(), std::nullopt);
}

TEST_P(StoreTest, CompareAndSetComparesALiveKey) {
  EXPECT_FALSE(store_->CompareAndSet("k", "v", "w").value());
  EXPECT_EQ(Read(*store_, "k"), std::nullopt);
  EXPECT_TRUE(store_->CompareAndSet("k", std::nullopt, "v").value());

  EXPECT_FALSE(store_->CompareAndSet("k", std::nullopt, "w").value());
  EXPECT_FALSE(store_->CompareAndSet("k", "v ", "w").value());
  EXPECT_FALSE(store_->CompareAndSet("k", "", "w").value());
  EXPECT_THAT(Read(*store_, "k"), Optional(std::string("v")));

  EXPECT_TRUE(store_->CompareAndSet("k", "v", "").value());
  EXPECT_TRUE(store_->CompareAndSet("k", "", "w").value());
  EXPECT_THAT(Read(*store_, "k"), Optional(std::string("w")));
}

TEST_P(StoreTest, DeleteTellsWhetherTheKeyWasThere) {
  EXPECT_FALSE(store_->Delete("k").value());
  ASSERT_OK(store_->Put("k", "v"));

  EXPECT_TRUE(store_->Delete("k").value());
  EXPECT_FALSE(store_->Delete("k").value());

  EXPECT_EQ(Read(*store_, "k"), std::nullopt);
  EXPECT_EQ(store_->State("k").value(), KeyState::kAbsent);
  EXPECT_EQ(store_->GetStats().key_count, 0);
}

TEST_P(StoreTest, AbsenceWritesNothing) {
  ASSERT_OK(store_->Put("there", "v"));
  const uint64_t lsn = store_->GetStats().last_lsn;

  EXPECT_FALSE(store_->Delete("absent").value());
  EXPECT_FALSE(store_->PutIfAbsent("there", "w").value());
  EXPECT_FALSE(store_->CompareAndSet("there", "u", "w").value());

  EXPECT_EQ(store_->GetStats().last_lsn, lsn);
}

TEST_P(StoreTest, TakesKeysAndValuesOfEverySortOfBytes) {
  std::string all(256, '\0');
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i);
  const std::vector<std::string> keys = {
      "",  std::string(1, '\0'),    std::string(2, '\0'), "a", "a\n\t\"\\",
      all, std::string(65'535, 'k')};

  for (const std::string& key : keys) ASSERT_OK(store_->Put(key, key));
  ASSERT_OK(store_->Put("empty value", ""));
  Reopen();

  for (const std::string& key : keys) {
    EXPECT_THAT(Read(*store_, key), Optional(key)) << key.size();
  }
  EXPECT_THAT(Read(*store_, "empty value"), Optional(std::string()));
  EXPECT_EQ(store_->GetStats().key_count, keys.size() + 1);
}

TEST_P(StoreTest, KeepsEverythingOverReopening) {
  const int kCount = GetParam().sync == SyncPolicy::kEveryWrite ? 90 : 3000;
  const std::string padding(500, 'p');
  for (int i = 0; i < kCount; ++i) {
    ASSERT_OK(store_->Put(std::to_string(i), std::to_string(i) + padding));
  }
  for (int i = 0; i < kCount; i += 3) {
    ASSERT_TRUE(store_->Delete(std::to_string(i)).value());
  }
  for (int i = 1; i < kCount; i += 3) {
    ASSERT_OK(store_->Put(std::to_string(i), "new"));
  }

  for (int round = 0; round < 2; ++round) {
    Reopen();
    EXPECT_TRUE(store_->GetStats().open.clean);
    EXPECT_EQ(store_->GetStats().key_count,
              static_cast<uint64_t>(kCount) * 2 / 3);
    for (int i = 0; i < kCount; ++i) {
      const std::optional<std::string> expected =
          i % 3 == 0   ? std::nullopt
          : i % 3 == 1 ? std::optional("new")
                       : std::optional(std::to_string(i) + padding);
      EXPECT_EQ(Read(*store_, std::to_string(i)), expected) << i;
    }
  }
}

TEST_P(StoreTest, FlushReturnsAGrowingLsn) {
  const Lsn empty = store_->Flush().value();
  ASSERT_OK(store_->Put("a", "1"));
  const Lsn one = store_->Flush().value();
  const Lsn again = store_->Flush().value();
  ASSERT_OK(store_->Put("b", "2"));
  ASSERT_OK(store_->Put("c", "3"));
  const Lsn three = store_->Flush().value();

  EXPECT_EQ(empty, 0);
  EXPECT_EQ(one, 1);
  EXPECT_EQ(again, 1);
  EXPECT_EQ(three, 3);
  EXPECT_EQ(store_->GetStats().durable_lsn, 3);

  Reopen();
  EXPECT_EQ(store_->Flush().value(), 3);
  EXPECT_EQ(store_->GetStats().last_lsn, 3);
}

TEST_P(StoreTest, MultiGetAnswersEachKeyInItsPlace) {
  constexpr size_t kCount = 300;
  std::vector<std::string> names;
  for (size_t i = 0; i < kCount; ++i) {
    names.push_back(std::to_string(i % 200));  // duplicates
    if (i % 2 == 1) continue;
    ASSERT_OK(store_->Put(names.back(), "v" + names.back()));
  }
  const std::vector<std::string_view> keys(names.begin(), names.end());
  std::vector<Lookup> results(kCount);

  ASSERT_OK(store_->MultiGet(keys, results));

  for (size_t i = 0; i < kCount; ++i) {
    SCOPED_TRACE(i);
    if (i % 2 == 1) {
      EXPECT_THAT(results[i].status, StatusIs(absl::StatusCode::kNotFound));
      continue;
    }
    ASSERT_OK(results[i].status);
    EXPECT_EQ(std::string_view(results[i].value), "v" + names[i]);
  }
}

TEST_P(StoreTest, MultiGetOfNothingIsOk) {
  EXPECT_OK(store_->MultiGet({}, {}));
}

TEST_P(StoreTest, MultiGetWithSpansOfTwoSizesIsInvalid) {
  const std::vector<std::string_view> keys = {"a", "b"};
  std::vector<Lookup> results(1);
  EXPECT_THAT(store_->MultiGet(keys, results),
              StatusIs(absl::StatusCode::kInvalidArgument, "2 keys"));
}

TEST_P(StoreTest, APinnedValueOutlivesEverything) {
  ASSERT_OK(store_->Put("small", "pinned"));
  const std::string large(300'000, 'L');
  ASSERT_OK(store_->Put("large", large));
  const PinnedValue small = store_->GetPinned("small").value();
  const PinnedValue big = store_->GetPinned("large").value();

  ASSERT_OK(store_->Put("small", "other"));
  ASSERT_TRUE(store_->Delete("large").value());
  EXPECT_EQ(std::string_view(small), "pinned");
  ASSERT_OK(store_->Close());
  EXPECT_EQ(std::string_view(small), "pinned");
  store_.reset();
  std::filesystem::remove_all(path());

  EXPECT_EQ(std::string_view(small), "pinned");
  EXPECT_EQ(std::string_view(big), large);
}

TEST_P(StoreTest, EveryCallAfterCloseIsAFailedPrecondition) {
  ASSERT_OK(store_->Put("k", "v"));
  ASSERT_OK(store_->Close());

  constexpr auto kCode = absl::StatusCode::kFailedPrecondition;
  std::string value;
  WriteBatch batch;
  batch.Put("k", "v");
  EXPECT_THAT(store_->Close(), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->Get("k", &value), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->GetPinned("k"), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->MultiGet({}, {}), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->State("k"), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->Put("k", "v"), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->PutIfAbsent("k", "v"), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->Update("k", "v"), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->CompareAndSet("k", "v", "w"), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->Delete("k"), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->Write(batch), StatusIs(kCode, "closed"));
  EXPECT_THAT(store_->Flush(), StatusIs(kCode, "closed"));
  EXPECT_EQ(store_->GetStats().key_count, 0);
}

TEST_P(StoreTest, CloseReleasesTheDirectory) {
  ASSERT_OK(store_->Close());
  EXPECT_OK(TryOpen());
}

TEST_P(StoreTest, SyncsAsItsPolicySays) {
  ASSERT_OK(store_->Put("k", "v"));

  switch (GetParam().sync) {
    case SyncPolicy::kExplicit:
      EXPECT_EQ(store_->GetStats().durable_lsn, 0);
      break;
    case SyncPolicy::kEveryWrite:
      EXPECT_EQ(store_->GetStats().durable_lsn, 1);
      break;
    case SyncPolicy::kInterval:
      // The test's own time limit ends a wait in vain.
      while (store_->GetStats().durable_lsn < 1) std::this_thread::yield();
      ASSERT_OK(store_->Put("k", "w"));
      while (store_->GetStats().durable_lsn < 2) std::this_thread::yield();
      break;
  }
}

TEST_P(StoreTest, TheValueMayComeFromTheStoreItself) {
  ASSERT_OK(store_->Put("a", "from a"));
  const PinnedValue pinned = store_->GetPinned("a").value();

  ASSERT_OK(store_->Put("a", pinned));
  ASSERT_OK(store_->Put(pinned, pinned));
  std::string buffer = "a";
  ASSERT_OK(store_->Get(buffer, &buffer));

  EXPECT_EQ(buffer, "from a");
  EXPECT_THAT(Read(*store_, "from a"), Optional(std::string("from a")));
}

}  // namespace
}  // namespace peat
