// Disable, enable and forget through the public store: the whole table of
// peat/store.h, batches, limits, and what must never come back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "peat/audit.h"
#include "tests/support/child_process.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::FileImages;
using ::peat::testing::IsOk;
using ::peat::testing::Read;
using ::peat::testing::RunInChild;
using ::peat::testing::StatusIs;
using ::testing::Optional;

class MasksTest : public ::peat::testing::StoreFixture {
 protected:
  // Brings `key` into `state`; its value is "value", unless it is absent.
  static void Make(Store& store, const std::string& key, KeyState state) {
    if (state == KeyState::kAbsent) return;
    ASSERT_OK(store.Put(key, "value"));
    if (state == KeyState::kDisabled) {
      ASSERT_OK(store.Disable(key));
    }
    if (state == KeyState::kForgotten) {
      ASSERT_OK(store.Forget(key));
    }
  }

  static KeyState StateOf(const Store& store, const std::string& key) {
    return store.State(key).value();
  }
};

// What a call answered, in the words of the table.
template <typename T>
std::string InWords(const absl::StatusOr<T>& answer,
                    const std::function<std::string(const T&)>& words) {
  if (answer.ok()) return words(*answer);
  if (absl::IsNotFound(answer.status())) return "NotFound";
  if (IsDisabled(answer.status())) return "disabled";
  if (IsForgotten(answer.status())) return "forgotten";
  return answer.status().ToString();
}

std::string InWords(const absl::StatusOr<bool>& answer) {
  return InWords<bool>(answer, [](bool yes) { return yes ? "true" : "false"; });
}

std::string InWords(const absl::Status& status) {
  return InWords<bool>(status.ok() ? absl::StatusOr<bool>(true) : status,
                       [](bool) { return "OK"; });
}

struct Row {
  const char* call;
  std::function<std::string(Store&, const std::string& key)> make;
  // By state: the answer, and the state that it leaves.
  std::vector<std::pair<std::string, KeyState>> expected;
};

using enum KeyState;

const Row kTable[] = {
    {"Get",
     [](Store& store, const std::string& key) {
       return Read(store, key).value_or("NotFound");
     },
     {{"NotFound", kAbsent},
      {"value", kLive},
      {"value", kDisabled},
      {"NotFound", kForgotten}}},
    {"GetPinned",
     [](Store& store, const std::string& key) {
       return InWords<PinnedValue>(
           store.GetPinned(key),
           [](const PinnedValue& value) { return std::string(value); });
     },
     {{"NotFound", kAbsent},
      {"value", kLive},
      {"value", kDisabled},
      {"NotFound", kForgotten}}},
    {"MultiGet",
     [](Store& store, const std::string& key) {
       const std::string_view keys[] = {key};
       Lookup results[1];
       EXPECT_OK(store.MultiGet(keys, results));
       return results[0].status.ok() ? std::string(results[0].value)
                                     : InWords(results[0].status);
     },
     {{"NotFound", kAbsent},
      {"value", kLive},
      {"value", kDisabled},
      {"NotFound", kForgotten}}},
    {"Put",
     [](Store& store, const std::string& key) {
       return InWords(store.Put(key, "new"));
     },
     {{"OK", kLive},
      {"OK", kLive},
      {"disabled", kDisabled},
      {"forgotten", kForgotten}}},
    {"PutIfAbsent",
     [](Store& store, const std::string& key) {
       return InWords(store.PutIfAbsent(key, "new"));
     },
     {{"true", kLive},
      {"false", kLive},
      {"false", kDisabled},
      {"forgotten", kForgotten}}},
    {"Update",
     [](Store& store, const std::string& key) {
       return InWords<std::optional<std::string>>(
           store.Update(key, "new"), [](const std::optional<std::string>& old) {
             return old.value_or("nullopt");
           });
     },
     {{"nullopt", kLive},
      {"value", kLive},
      {"disabled", kDisabled},
      {"forgotten", kForgotten}}},
    {"CompareAndSet, expects nothing",
     [](Store& store, const std::string& key) {
       return InWords(store.CompareAndSet(key, std::nullopt, "new"));
     },
     {{"true", kLive},
      {"false", kLive},
      {"disabled", kDisabled},
      {"forgotten", kForgotten}}},
    {"CompareAndSet, expects the value",
     [](Store& store, const std::string& key) {
       return InWords(store.CompareAndSet(key, "value", "new"));
     },
     {{"false", kAbsent},
      {"true", kLive},
      {"disabled", kDisabled},
      {"forgotten", kForgotten}}},
    {"Delete",
     [](Store& store, const std::string& key) {
       return InWords(store.Delete(key));
     },
     {{"false", kAbsent},
      {"true", kAbsent},
      {"disabled", kDisabled},
      {"forgotten", kForgotten}}},
    {"Disable",
     [](Store& store, const std::string& key) {
       return InWords(store.Disable(key));
     },
     {{"NotFound", kAbsent},
      {"OK", kDisabled},
      {"OK", kDisabled},
      {"forgotten", kForgotten}}},
    {"Enable",
     [](Store& store, const std::string& key) {
       return InWords(store.Enable(key));
     },
     {{"NotFound", kAbsent},
      {"OK", kLive},
      {"OK", kLive},
      {"forgotten", kForgotten}}},
    {"Forget",
     [](Store& store, const std::string& key) {
       return InWords(store.Forget(key).status());
     },
     {{"OK", kForgotten},
      {"OK", kForgotten},
      {"OK", kForgotten},
      {"OK", kForgotten}}},
};

TEST_F(MasksTest, EachCallDoesInEachStateWhatTheTableSays) {
  std::unique_ptr<Store> store = Open();
  std::map<std::string, KeyState> states;
  for (const Row& row : kTable) {
    for (int i = 0; i < 4; ++i) {
      const auto before = static_cast<KeyState>(i);
      const std::string key = row.call + std::to_string(i);
      SCOPED_TRACE(key);
      Make(*store, key, before);
      const uint64_t lsn = store->GetStats().last_lsn;
      const auto& [answer, after] = row.expected[static_cast<size_t>(i)];
      EXPECT_EQ(row.make(*store, key), answer);
      EXPECT_EQ(StateOf(*store, key), after);
      if (after == before && answer != "OK" && answer != "true" &&
          row.call != std::string("Update")) {
        EXPECT_EQ(store->GetStats().last_lsn, lsn) << "it wrote something";
      }
      states[key] = after;
    }
  }
  ASSERT_OK(store->Close());
  store = Open();
  for (const auto& [key, state] : states) {
    EXPECT_EQ(StateOf(*store, key), state) << key;
  }
}

TEST_F(MasksTest, BatchesObeyTheTableAndSeeTheirOwnWrites) {
  const std::unique_ptr<Store> store = Open();
  Make(*store, "live", kLive);
  Make(*store, "disabled", kDisabled);
  Make(*store, "forgotten", kForgotten);

  WriteBatch refused;
  refused.Put("a", "1");
  refused.Put("disabled", "2");
  EXPECT_TRUE(IsDisabled(store->Write(refused)));
  refused.Clear();
  refused.Put("a", "1");
  refused.Delete("forgotten");
  EXPECT_TRUE(IsForgotten(store->Write(refused)));
  refused.Clear();
  refused.Put("a", "1");
  refused.Enable("absent");
  EXPECT_THAT(store->Write(refused), StatusIs(StatusCode::kNotFound));
  EXPECT_EQ(Read(*store, "a"), std::nullopt);

  WriteBatch batch;
  batch.Enable("disabled");
  batch.Put("disabled", "again");
  batch.Put("new", "born");
  batch.Disable("new", {.reason = "r"});
  batch.Disable("live");
  batch.Forget("live");
  batch.Put("brief", "lives shortly");
  batch.Forget("brief");
  batch.Forget("never");
  ASSERT_OK(store->Write(batch));
  EXPECT_THAT(Read(*store, "disabled"), Optional(std::string("again")));
  EXPECT_THAT(Read(*store, "new"), Optional(std::string("born")));
  EXPECT_EQ(StateOf(*store, "new"), kDisabled);
  EXPECT_EQ(StateOf(*store, "live"), kForgotten);
  EXPECT_EQ(StateOf(*store, "brief"), kForgotten);
  EXPECT_EQ(StateOf(*store, "never"), kForgotten);
  WriteBatch late;
  late.Forget("again");
  late.Put("again", "x");
  EXPECT_TRUE(IsForgotten(store->Write(late)));
  EXPECT_EQ(StateOf(*store, "again"), kAbsent);
}

TEST_F(MasksTest, CountsItsKeys) {
  std::unique_ptr<Store> store = Open();
  const auto expect = [&store](uint64_t keys, uint64_t disabled,
                               uint64_t forgotten) {
    const Stats stats = store->GetStats();
    EXPECT_EQ(stats.key_count, keys);
    EXPECT_EQ(stats.disabled_key_count, disabled);
    EXPECT_EQ(stats.forgotten_key_count, forgotten);
  };
  Make(*store, "a", kLive);
  Make(*store, "b", kDisabled);
  Make(*store, "c", kForgotten);
  ASSERT_OK(store->Forget("d"));
  expect(2, 1, 2);
  ASSERT_OK(store->Forget("b"));
  ASSERT_OK(store->Forget("c"));
  expect(1, 0, 3);
  const uint64_t live_bytes = store->GetStats().live_bytes;
  ASSERT_OK(store->Close());
  store = Open();
  expect(1, 0, 3);
  EXPECT_EQ(store->GetStats().live_bytes, live_bytes);
}

TEST_F(MasksTest, TheReceiptNamesWhatWasForgotten) {
  std::unique_ptr<Store> store = Open();
  ASSERT_OK(store->Put("key", "value"));
  ASSERT_OK_AND_ASSIGN(const ForgetReceipt receipt, store->Forget("key"));
  const auto hex = [](const Digest& digest) {
    std::string text;
    for (const std::byte byte : digest) {
      constexpr char kDigits[] = "0123456789abcdef";
      text += kDigits[static_cast<int>(byte) >> 4];
      text += kDigits[static_cast<int>(byte) & 15];
    }
    return text;
  };
  EXPECT_EQ(receipt.lsn, 2U);
  // BLAKE2b-256 of "key" and of "value", by another implementation.
  EXPECT_EQ(hex(receipt.key_digest.value()),
            "447f0b47ade868b5ba625ee132e0b70814231c780f362e883bb3fda138e1476f");
  EXPECT_EQ(hex(receipt.value_digest.value()),
            "d6307990a4bb5da3bfe0f273a54577dc871b7a6a34bfc9f080a5a83d320840c4");

  ASSERT_OK_AND_ASSIGN(const ForgetReceipt again, store->Forget("key"));
  EXPECT_EQ(again.lsn, receipt.lsn);
  EXPECT_EQ(again.store_id, receipt.store_id);
  EXPECT_EQ(again.key_digest, std::nullopt);
  EXPECT_EQ(again.value_digest, std::nullopt);

  ASSERT_OK_AND_ASSIGN(const ForgetReceipt absent, store->Forget("other"));
  EXPECT_NE(absent.key_digest, std::nullopt);
  EXPECT_EQ(absent.value_digest, std::nullopt);
}

TEST_F(MasksTest, ReasonsAreBytesWithALimit) {
  const std::unique_ptr<Store> store = Open();
  ASSERT_OK(store->Put("k", "v"));
  const std::string longest(65'536, '\xff');
  EXPECT_OK(store->Disable("k", {.reason = longest}));
  const MaskOptions too_long{.reason = longest + "x"};
  EXPECT_THAT(store->Enable("k", too_long),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(store->Forget("k", too_long).status(),
              StatusIs(StatusCode::kInvalidArgument));
  WriteBatch batch;
  batch.Forget("k", too_long);
  EXPECT_THAT(store->Write(batch), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(StateOf(*store, "k"), kDisabled);
  const std::string long_key(65'536, 'k');
  EXPECT_THAT(store->Disable(long_key), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(store->Forget(long_key).status(),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(MasksTest, LargeValuesAreMaskedWhereTheyLie) {
  const std::string large(3'000'000, 'L');
  std::unique_ptr<Store> store = Open();
  ASSERT_OK(store->Put("k", large));
  ASSERT_OK(store->Disable("k"));
  EXPECT_EQ(store->GetStats().value_file_count, 1U);
  EXPECT_LT(store->GetStats().used_bytes, 1'000'000U);
  ASSERT_OK(store->Close());
  store = Open();
  EXPECT_THAT(Read(*store, "k"), Optional(large));
  ASSERT_OK_AND_ASSIGN(const ForgetReceipt receipt, store->Forget("k"));
  EXPECT_NE(receipt.value_digest, std::nullopt);
  ASSERT_OK(store->Close());
  store = Open();
  EXPECT_EQ(store->GetStats().value_file_count, 1U);
  EXPECT_EQ(Read(*store, "k"), std::nullopt);
  ASSERT_OK(store->Close());
  ASSERT_OK_AND_ASSIGN(const auto reader, AuditReader::Open(path()));
  EXPECT_EQ(reader->Reveal("k").value(), large);
}

TEST_F(MasksTest, AStoreOpenToReadSetsNoMask) {
  ASSERT_OK(Open()->Put("k", "v"));
  const std::unique_ptr<Store> store = Open({.mode = OpenMode::kReadOnly});
  EXPECT_THAT(store->Disable("k"), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store->Enable("k"), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store->Forget("k").status(),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store->ForgetAll("k").status(),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_FALSE(IsForgotten(store->Forget("k").status()));
}

TEST_F(MasksTest, ForgetAllForgetsAPrefix) {
  const std::unique_ptr<Store> store = Open();
  uint64_t bytes = 0;
  for (int i = 0; i < 2500; ++i) {
    const std::string key = "user/" + std::to_string(i);
    ASSERT_OK(store->Put(key, "old"));
    ASSERT_OK(store->Put(key, "a value"));
    bytes += key.size() + 7;
  }
  ASSERT_OK(store->Disable("user/7"));
  ASSERT_OK(store->Forget("user/8"));
  ASSERT_OK(store->Delete("user/9"));
  bytes -= 2 * (6 + 7);
  ASSERT_OK(store->Put("usher", "stays"));

  const uint64_t lsn = store->GetStats().last_lsn;
  ASSERT_OK_AND_ASSIGN(const ForgetAllResult would,
                       store->ForgetAll("user/", {.dry_run = true}));
  EXPECT_EQ(would.key_count, 2498U);
  EXPECT_EQ(would.byte_count, bytes);
  EXPECT_EQ(store->GetStats().last_lsn, lsn);

  ASSERT_OK_AND_ASSIGN(const ForgetAllResult done,
                       store->ForgetAll("user/", {.reason = "all of them"}));
  EXPECT_EQ(done.key_count, 2498U);
  EXPECT_EQ(done.byte_count, bytes);
  EXPECT_EQ(store->GetStats().last_lsn, lsn + 2498);
  EXPECT_EQ(StateOf(*store, "user/7"), kForgotten);
  EXPECT_EQ(StateOf(*store, "user/9"), kAbsent);
  EXPECT_EQ(StateOf(*store, "usher"), kLive);

  ASSERT_OK_AND_ASSIGN(const ForgetAllResult again, store->ForgetAll("user/"));
  EXPECT_EQ(again.key_count, 0U);
  ASSERT_OK_AND_ASSIGN(const ForgetAllResult rest, store->ForgetAll(""));
  EXPECT_EQ(rest.key_count, 1U);
  EXPECT_EQ(store->GetStats().key_count, 0U);
}

// A flush that covers a forget says so in the manifest, so that an older copy
// of the segment that was being written is not taken for the store.
TEST_F(MasksTest, AnOlderCopyOfTheLogDoesNotUnforget) {
  PEAT_SKIP_UNDER_TSAN();
  ASSERT_OK(Open()->Close());
  EXPECT_EQ(RunInChild([&] {
              const auto store = TryOpen();
              if (!store.ok()) return 1;
              if (!(*store)->Put("k", "v").ok()) return 2;
              if (!(*store)->Flush().ok()) return 3;
              const FileImages before = ::peat::testing::ReadFiles(path());
              if (!(*store)->Forget("k").ok()) return 4;
              if (!(*store)->Flush().ok()) return 5;
              for (const auto& [name, bytes] : before) {
                if (name.find("MANIFEST") != std::string::npos) continue;
                if (name == "LOCK") continue;
                ::peat::testing::WriteWholeFile(path() / name, bytes);
              }
              return 0;  // without closing
            }),
            0);
  EXPECT_THAT(TryOpen().status(), StatusIs(StatusCode::kDataLoss));
  const std::unique_ptr<Store> rest =
      Open({.mode = OpenMode::kReadOnlyDespiteDamage});
  std::string value;
  EXPECT_THAT(rest->Get("k", &value), StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace peat
