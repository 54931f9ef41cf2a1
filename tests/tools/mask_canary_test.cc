// Canaries: values that occur nowhere else are stored and forgotten; then
// whatever calls and commands say is searched for them, in plain, in
// hexadecimal and in base64. Only an audit that is asked to may sing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "peat/audit.h"
#include "peat/cursor.h"
#include "peat/snapshot.h"
#include "peat/store.h"
#include "tests/support/status_matchers.h"
#include "tests/tools/command_fixture.h"
#include "tools/escape.h"

namespace peat::tools {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

// What no value but this one holds.
std::string Canary(size_t number) {
  return absl::StrFormat("canary-%d-kqzxjvwpyf", number);
}

constexpr size_t kCanaryCount = 5;

// `canary` in each form that it could be printed in.
std::vector<std::string> FormsOf(const std::string& canary) {
  std::vector<std::string> forms = {canary, ToHex(canary),
                                    absl::AsciiStrToUpper(ToHex(canary))};
  // In base64 it depends on what stands before; ends that mix with neighbours
  // are left out.
  for (const char* before : {"", "x", "xx"}) {
    const std::string encoded = absl::Base64Escape(before + canary);
    const size_t begin = *before == '\0' ? 0 : 4;
    forms.push_back(encoded.substr(begin, encoded.size() - begin - 4));
  }
  return forms;
}

// The numbers of the canaries that sing in `bytes`.
std::vector<size_t> CanariesIn(const std::string& bytes) {
  std::vector<size_t> found;
  for (size_t number = 0; number < kCanaryCount; ++number) {
    for (const std::string& form : FormsOf(Canary(number))) {
      if (bytes.find(form) == bytes.npos) continue;
      found.push_back(number);
      break;
    }
  }
  return found;
}

std::string KeyOf(size_t number) { return absl::StrFormat("key/%d", number); }

// A short one, one among bytes that are no text, one in a file of its own, one
// that is disabled first, and one that is forgotten by its prefix.
std::string ValueOf(size_t number) {
  if (number == 1) return std::string("\xFF\0", 2) + Canary(number) + "\xFE";
  std::string value = Canary(number);
  while (number == 2 && value.size() < 2'000'000) value += value;
  return value;
}

TEST(CanaryTest, AreHeardInEveryForm) {
  const std::string canary = Canary(3);

  EXPECT_THAT(CanariesIn("a" + canary + "b"), Contains(3U));
  EXPECT_THAT(CanariesIn(ToHex("ab" + canary)), Contains(3U));
  for (const char* before : {"a", "ab", "abc"}) {
    EXPECT_THAT(CanariesIn(absl::Base64Escape(before + canary + "z")),
                Contains(3U));
  }
  EXPECT_THAT(CanariesIn(Escape("\n\xFF" + canary)), Contains(3U));
  EXPECT_THAT(CanariesIn("canary"), IsEmpty());
}

// --- Commands.

class CanaryCommandTest : public CommandFixture {
 protected:
  void SetUp() override {
    std::string pairs;
    for (size_t number = 0; number < kCanaryCount; ++number) {
      Write(absl::StrFormat("value%d", number), ValueOf(number));
      pairs += KeyOf(number) + "\t" + Escape(ValueOf(number)) + "\n";
    }
    Write("pairs", pairs);
    MustRun("peat load s pairs");
  }

  // Forgets all of them and keeps the receipts; returns what was said.
  std::string ForgetAll() const {
    return Say("peat disable s key/3 --reason closed") +
           Say("peat forget s key/0 key/1 key/2 --json --reason r > receipts; "
               "cat receipts") +
           Say("peat forget s key/3") +
           Say("peat forget s --prefix key/ --dry-run") +
           Say("peat forget s --prefix key/");
  }

  // Everything that a script prints.
  std::string Say(const std::string& script) const {
    const Outcome outcome = Run(script);
    return outcome.output + outcome.complaints;
  }

  void ExpectSilence(const std::vector<std::string>& scripts) const {
    for (const std::string& script : scripts) {
      EXPECT_THAT(CanariesIn(Say(script)), IsEmpty()) << script;
    }
  }
};

TEST_F(CanaryCommandTest, AreHeardBeforeTheyAreForgotten) {
  for (size_t number = 0; number < kCanaryCount; ++number) {
    for (const char* form : {"", " --hex", " --escaped"}) {
      EXPECT_THAT(CanariesIn(Say("peat get s " + KeyOf(number) + form)),
                  Contains(number));
    }
  }
}

TEST_F(CanaryCommandTest, NoCommandSaysWhatWasForgotten) {
  EXPECT_THAT(CanariesIn(ForgetAll()), IsEmpty());

  for (size_t number = 0; number < kCanaryCount; ++number) {
    const std::string key = " s " + KeyOf(number);
    const std::string value = absl::StrFormat("value%d", number);
    ExpectSilence({"peat get" + key, "peat get --hex" + key,
                   "peat get --escaped" + key, "peat delete" + key,
                   "peat put" + key + " --value-file " + value,
                   "peat put" + key + " --if-absent --value-file " + value,
                   "peat disable" + key, "peat enable" + key,
                   "peat forget" + key, "peat forget --json" + key});
  }
  ExpectSilence(
      {"peat stats s", "peat stats s --json", "peat stats s --recover",
       "peat load s pairs", "peat load s pairs --if-absent --acknowledge 1",
       "peat load s pairs --check", "peat load s pairs --format jsonl",
       "peat load s pairs --format nul --check", "peat forget s --prefix key/",
       "peat --help", "peat scan s", "peat scan s --prefix key/ --reverse",
       "peat export s", "peat export s --format jsonl",
       "peat compact s --progress", "peat get s key/2", "peat export s",
       "peat stats s"});
}

TEST_F(CanaryCommandTest, AnAuditSaysItOnlyIfItIsAskedTo) {
  (void)ForgetAll();

  ExpectSilence({"peat audit s", "peat audit s --json", "peat audit s --verify",
                 "peat audit s --json --verify", "peat audit s --count",
                 "peat audit s --newest-first --key key/0",
                 "peat audit s --receipts receipts",
                 "sed 's/_digest\":\".../&0/' receipts | peat audit s "
                 "--receipts -",
                 "sed 's/_digest\":\"../_digest\":\"00/' receipts | peat audit "
                 "s --receipts -"});

  for (const char* options : {"--reveal", "--reveal --json"}) {
    EXPECT_EQ(CanariesIn(Say("peat audit s " + std::string(options))).size(),
              kCanaryCount);
  }
  MustRun("peat compact s");
  EXPECT_EQ(CanariesIn(Say("peat audit s --reveal")).size(), kCanaryCount);
}

TEST_F(CanaryCommandTest, NorIsItInWhatIsSaidOfDamage) {
  (void)ForgetAll();
  // Ruins one kind of file after the other, each within or behind the values.
  for (const char* ruin :
       {"sed -i s/canary-2/canary-7/ t/*.val", "truncate -s 5000 t/*.val",
        "rm t/*.val", "sed -i s/canary-0/canary-7/ t/*.seg",
        "for f in t/*.seg; do truncate -s 4200 $f; done",
        "rm $(ls t/*.seg | head -1)", "sed -i 's/./?/40' t/MANIFEST-*"}) {
    SCOPED_TRACE(ruin);
    MustRun(std::string("rm -rf t && cp -r s t && ") + ruin);

    ExpectSilence({"peat get t key/0", "peat get t key/2", "peat stats t",
                   "peat stats t --recover", "peat audit t",
                   "peat audit t --verify --json",
                   "peat audit t --receipts receipts", "peat export t",
                   "peat compact t", "peat forget t --prefix k",
                   "peat put t key/2 v", "peat load t pairs --check"});
  }
}

// --- Public calls.

class CanaryCallTest : public ::testing::Test {
 protected:
  std::filesystem::path path() const { return directory_.path() / "store"; }

  void Hear(std::string_view bytes) { said_.append(bytes).append("\n"); }
  void Hear(const absl::Status& status) {
    Hear(status.ToString(absl::StatusToStringMode::kWithEverything));
  }
  template <typename T>
  void Hear(const absl::StatusOr<T>& result) {
    Hear(result.status());
    if (!result.ok()) return;
    if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      Hear(std::string_view(*result));
    }
  }

  void HearAll(Cursor cursor) {
    for (; cursor.Valid(); cursor.Next()) {
      Hear(cursor.key());
      Hear(cursor.value());
    }
    Hear(cursor.status());
  }

  // Puts and forgets all, each in another way.
  void PutAndForget(Store& store) {
    for (size_t number = 0; number < kCanaryCount; ++number) {
      ASSERT_OK(store.Put(KeyOf(number), ValueOf(number)));
    }
    ASSERT_OK(store.Disable(KeyOf(3), {.reason = "closed"}));
    Hear(store.Forget(KeyOf(3)));
    WriteBatch batch;
    batch.Put(KeyOf(0), ValueOf(0));
    batch.Forget(KeyOf(0), {.reason = "r"});
    batch.Forget(KeyOf(2));
    Hear(store.Write(batch));
    Hear(store.Forget(KeyOf(1)));
    Hear(store.ForgetAll(KeyOf(4)));
    Hear(store.Flush().status());
  }

  void CallReads(const Store& store, const std::string& key) {
    std::string value;
    Hear(store.Get(key, &value));
    Hear(value);
    Hear(store.GetPinned(key));
    const std::array<std::string_view, 2> keys = {key, "other"};
    std::array<Lookup, 2> results;
    Hear(store.MultiGet(keys, results));
    for (const Lookup& result : results) {
      Hear(result.status);
      Hear(std::string_view(result.value));
    }
    Hear(store.State(key).status());
    for (const Query& query :
         {Query{}, Query{.prefix = key}, Query{.keys = {key, "other"}},
          Query{.from = key, .keys_only = true},
          Query{.reverse = true, .limit = 3}}) {
      HearAll(store.Scan(query));
      HearAll(store.OpenSnapshot()->Scan(query));
    }
    Hear(store.OpenSnapshot()->Get(key, &value));
    Hear(value);
  }

  // Each answers the same whether the value is guessed or not.
  void CallWrites(Store& store, const std::string& key,
                  const std::string& guess) {
    Hear(store.Put(key, "new"));
    Hear(store.PutIfAbsent(key, "new").status());
    Hear(store.Delete(key).status());
    const absl::StatusOr<std::optional<std::string>> previous =
        store.Update(key, "new");
    Hear(previous.status());
    if (previous.ok()) Hear(previous->value_or(""));
    const absl::Status right = store.CompareAndSet(key, guess, "new").status();
    EXPECT_EQ(right, store.CompareAndSet(key, "wrong", "new").status());
    Hear(right);
    Hear(store.Disable(key));
    Hear(store.Enable(key));
    Hear(store.Forget(key).status());
    Hear(store.ForgetAll(key).status());
    Hear(store.DeletePrefix(key).status());
    Hear(store.DeleteRange(key, key + "0").status());
    WriteBatch batch;
    batch.Put("live", "1");
    batch.Delete(key);
    Hear(store.Write(batch));
  }

  void CallAll(Store& store) {
    for (size_t number = 0; number < kCanaryCount; ++number) {
      CallReads(store, KeyOf(number));
      CallWrites(store, KeyOf(number), ValueOf(number));
    }
    const Stats stats = store.GetStats();
    for (const auto& ranges : {stats.open.cut, stats.open.damaged}) {
      for (const CutRange& range : ranges) Hear(range.file);
    }
  }

  void CallAudit(const AuditReader& reader) {
    for (const auto masks = reader.Masks(); masks->Valid(); masks->Next()) {
      Hear(masks->mask().key);
      Hear(masks->mask().reason);
      Hear(masks->receipt().status());
    }
    Hear(reader.Count().status());
  }

  const std::string& said() const { return said_; }

 private:
  testing::TempDir directory_;
  std::string said_;
};

TEST_F(CanaryCallTest, AreHeardBeforeTheyAreForgotten) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store, Store::Open(path()));
  for (size_t number = 0; number < kCanaryCount; ++number) {
    ASSERT_OK(store->Put(KeyOf(number), ValueOf(number)));
    CallReads(*store, KeyOf(number));
  }

  EXPECT_EQ(CanariesIn(said()).size(), kCanaryCount);
}

TEST_F(CanaryCallTest, NoCallSaysWhatWasForgotten) {
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store,
                         Store::Open(path()));
    PutAndForget(*store);
    CallAll(*store);
    Hear(store->Compact());
    CallAll(*store);
    Hear(store->Close());
    CallAll(*store);
  }
  for (const OpenMode mode : {OpenMode::kReadWrite, OpenMode::kReadOnly,
                              OpenMode::kReadOnlyDespiteDamage}) {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store,
                         Store::Open(path(), {.mode = mode}));
    CallAll(*store);
  }

  EXPECT_THAT(CanariesIn(said()), IsEmpty());
}

TEST_F(CanaryCallTest, ViewsOfTheTimeBeforeDoNotSayIt) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store, Store::Open(path()));
  ASSERT_OK(store->Put("before them all", "1"));
  for (size_t number = 0; number < kCanaryCount; ++number) {
    ASSERT_OK(store->Put(KeyOf(number), ValueOf(number)));
  }
  const std::unique_ptr<Snapshot> snapshot = store->OpenSnapshot();
  Cursor forward = store->Scan({.from = ""});
  Cursor all = store->Scan({});
  ASSERT_OK(store->ForgetAll("key/"));

  // A pair that a cursor stands at stays until it is moved on.
  for (Cursor* cursor : {&forward, &all}) {
    ASSERT_EQ(cursor->key(), "before them all");
    HearAll(std::move(*cursor));
  }
  for (size_t number = 0; number < kCanaryCount; ++number) {
    std::string value;
    Hear(snapshot->Get(KeyOf(number), &value));
    Hear(value);
  }
  HearAll(snapshot->Scan({}));
  HearAll(snapshot->Scan({.reverse = true}));

  EXPECT_THAT(CanariesIn(said()), IsEmpty());
}

TEST_F(CanaryCallTest, AnAuditReaderSaysItOnlyIfItIsAskedTo) {
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store,
                         Store::Open(path()));
    PutAndForget(*store);
  }
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<AuditReader> reader,
                       AuditReader::Open(path()));

  CallAudit(*reader);

  EXPECT_THAT(CanariesIn(said()), IsEmpty());
  for (size_t number = 0; number < kCanaryCount; ++number) {
    Hear(reader->Reveal(KeyOf(number)));
  }
  EXPECT_EQ(CanariesIn(said()).size(), kCanaryCount);
}

}  // namespace
}  // namespace peat::tools
