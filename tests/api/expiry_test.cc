// Keys that expire: a key whose time has come is absent to every call, with any
// clock, after any end of the process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/manifest.h"
#include "format/record.h"
#include "format/segment_header.h"
#include "peat/store.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::Eq;
using testing::FileImages;
using ::testing::IsEmpty;
using ::testing::Optional;
using testing::Read;
using testing::StatusIs;

Time At(int64_t millis) { return Time(milliseconds(millis)); }
PutOptions Until(int64_t millis) { return {.expires_at = At(millis)}; }

constexpr Options kCallerTime = {.time = TimeSource::kCaller};
constexpr int64_t kDue = 1'000;  // when the keys of a test expire

class ExpiryTest : public testing::StoreFixture {
 protected:
  std::unique_ptr<Store> OpenAt(int64_t millis, bool ordered = false) {
    std::unique_ptr<Store> store =
        Open({.ordered = ordered, .time = TimeSource::kCaller});
    if (store == nullptr) return nullptr;
    EXPECT_OK(store->AdvanceTime(At(millis)));
    return store;
  }

  // The time in the newest manifest.
  uint64_t engine_time() const {
    return format::DecodeManifest(
               format::AsBytes(testing::ReadWholeFile(path() / "MANIFEST-0")))
        ->time;
  }

  // The flags of all records of a key, in the order of the log.
  std::vector<int> FlagsOf(std::string_view key) const {
    std::vector<int> flags;
    for (const auto& [name, bytes] : testing::ReadFiles(path())) {
      if (!name.ends_with(".seg")) continue;
      const format::ByteView file = format::AsBytes(bytes);
      const auto salt = format::Load<uint64_t>(file, 32);
      uint64_t at = format::kSegmentHeaderSize;
      format::Record record;
      while (format::CheckRecord(file.subspan(at), {salt, at}, &record) ==
             format::RecordCheck::kValid) {
        if (record.key == key) flags.push_back(record.header.flags);
        at += format::RecordSize(record.header);
      }
    }
    return flags;
  }

  static std::vector<std::string> KeysOf(Cursor cursor) {
    std::vector<std::string> keys;
    for (; cursor.Valid(); cursor.Next()) keys.emplace_back(cursor.key());
    EXPECT_OK(cursor.status());
    return keys;
  }
};

// What each call says of the key "k", which held a value until a moment ago.
struct Call {
  std::string name;
  std::function<void(Store&)> expect_absent;
};

class ExpiredUnderCallTest : public ExpiryTest,
                             public ::testing::WithParamInterface<Call> {};

TEST_P(ExpiredUnderCallTest, FindsItAbsent) {
  // With an ordered index, and as a value that lies in a file of its own.
  for (const size_t size : {size_t{3}, size_t{300'000}}) {
    SCOPED_TRACE(size);
    std::filesystem::remove_all(path());
    const std::unique_ptr<Store> store = OpenAt(kDue - 1, size == 3);
    ASSERT_OK(store->Put("other", "v"));
    ASSERT_OK(store->Put("k", std::string(size, 'o'), Until(kDue)));
    ASSERT_TRUE(Read(*store, "k").has_value());
    ASSERT_OK(store->AdvanceTime(At(kDue)));
    GetParam().expect_absent(*store);
    // And for ever, whatever the call has done to it.
    ASSERT_OK(store->Put("k", "new"));
    EXPECT_THAT(Read(*store, "k"), Optional(Eq("new")));
  }
}

INSTANTIATE_TEST_SUITE_P(
    , ExpiredUnderCallTest,
    ::testing::Values(
        Call{"Get", [](Store& s) { EXPECT_EQ(Read(s, "k"), std::nullopt); }},
        Call{"GetPinned",
             [](Store& s) {
               EXPECT_THAT(s.GetPinned("k").status(),
                           StatusIs(absl::StatusCode::kNotFound));
             }},
        Call{"MultiGet",
             [](Store& s) {
               const std::vector<std::string_view> keys = {"k", "other"};
               std::vector<Lookup> found(2);
               ASSERT_OK(s.MultiGet(keys, found));
               EXPECT_THAT(found[0].status,
                           StatusIs(absl::StatusCode::kNotFound));
               EXPECT_OK(found[1].status);
             }},
        Call{"Contains", [](Store& s) { EXPECT_FALSE(*s.Contains("k")); }},
        Call{"State",
             [](Store& s) { EXPECT_EQ(*s.State("k"), KeyState::kAbsent); }},
        Call{"Describe",
             [](Store& s) {
               const KeyInfo described = *s.Describe("k");
               EXPECT_EQ(described.state, KeyState::kAbsent);
               EXPECT_EQ(described.lsn, 0U);
               EXPECT_EQ(described.expires_at, std::nullopt);
             }},
        Call{"Scan",
             [](Store& s) {
               int count = 0;
               Cursor cursor = s.Scan({});
               for (; cursor.Valid(); cursor.Next()) ++count;
               EXPECT_OK(cursor.status());
               EXPECT_EQ(count, 1);
             }},
        Call{"ScanOfAPrefix",
             [](Store& s) { EXPECT_FALSE(s.Scan({.prefix = "k"}).Valid()); }},
        Call{"ScanInReverse",
             [](Store& s) {
               EXPECT_EQ(s.Scan({.reverse = true}).key(), "other");
             }},
        Call{"ScanOfAList",
             [](Store& s) {
               Cursor cursor = s.Scan({.keys = {"k", "other"}});
               EXPECT_EQ(cursor.key(), "other");
               cursor.Next();
               EXPECT_FALSE(cursor.Valid());
             }},
        Call{"Count", [](Store& s) { EXPECT_EQ(*s.Count({}), 1U); }},
        Call{"Snapshot",
             [](Store& s) {
               std::string value;
               EXPECT_THAT(s.OpenSnapshot()->Get("k", &value),
                           StatusIs(absl::StatusCode::kNotFound));
             }},
        Call{"PutIfAbsent",
             [](Store& s) { EXPECT_TRUE(*s.PutIfAbsent("k", "v")); }},
        Call{"Update",
             [](Store& s) { EXPECT_EQ(*s.Update("k", "v"), std::nullopt); }},
        Call{"CompareAndSet",
             [](Store& s) {
               EXPECT_FALSE(*s.CompareAndSet("k", "ooo", "v"));
               EXPECT_TRUE(*s.CompareAndSet("k", std::nullopt, "v"));
             }},
        Call{"Modify",
             [](Store& s) {
               ASSERT_OK(
                   s.Modify("k", [](std::optional<std::string_view> value) {
                     EXPECT_EQ(value, std::nullopt);
                     return Change::Put("v", Until(kDue + 1));
                   }));
               EXPECT_EQ(s.Describe("k")->expires_at, At(kDue + 1));
             }},
        Call{"Conditions",
             [](Store& s) {
               WriteBatch batch;
               batch.RequireAbsent("k");
               batch.RequireLsn("k", 0);
               EXPECT_OK(s.Write(batch));
               batch.RequireValue("k", "ooo");
               EXPECT_THAT(s.Write(batch),
                           StatusIs(absl::StatusCode::kAborted));
             }},
        Call{"Delete", [](Store& s) { EXPECT_FALSE(*s.Delete("k")); }},
        Call{"Disable",
             [](Store& s) {
               EXPECT_THAT(s.Disable("k"),
                           StatusIs(absl::StatusCode::kNotFound));
             }},
        Call{"Enable",
             [](Store& s) {
               EXPECT_THAT(s.Enable("k"),
                           StatusIs(absl::StatusCode::kNotFound));
             }},
        Call{"BatchOfAMask",
             [](Store& s) {
               WriteBatch batch;
               batch.Put("z", "v");
               batch.Disable("k");
               const absl::Status status = s.Write(batch);
               EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
               EXPECT_THAT(FailedOperation(status), Optional(Eq(1U)));
             }},
        Call{"BatchOfADelete",
             [](Store& s) {
               WriteBatch batch;
               batch.Delete("k");
               EXPECT_OK(s.Write(batch));
             }},
        Call{"DeletePrefix",
             [](Store& s) { EXPECT_EQ(*s.DeletePrefix("k"), 0U); }},
        Call{"DeleteRange",
             [](Store& s) { EXPECT_EQ(*s.DeleteRange("a", "n"), 0U); }},
        Call{"ForgetAll",
             [](Store& s) {
               EXPECT_EQ(s.ForgetAll("k", {.dry_run = true})->key_count, 0U);
             }}),
    [](const auto& call) { return call.param.name; });

TEST_F(ExpiryTest, AForgottenKeyStaysSoAndItsReceiptHasNoValue) {
  const std::unique_ptr<Store> store = OpenAt(kDue);
  ASSERT_OK(store->Put("k", "v", Until(kDue)));
  ASSERT_OK_AND_ASSIGN(const ForgetReceipt receipt, store->Forget("k"));
  EXPECT_EQ(receipt.value_digest, std::nullopt);
  EXPECT_EQ(*store->State("k"), KeyState::kForgotten);
  ASSERT_OK(store->AdvanceTime(At(2 * kDue)));
  EXPECT_EQ(*store->State("k"), KeyState::kForgotten);
}

TEST_F(ExpiryTest, TellsWhenAKeyExpires) {
  const std::unique_ptr<Store> store = OpenAt(10);
  ASSERT_OK(store->Put("k", "four", {.expires_after = milliseconds(5)}));
  ASSERT_OK(store->Put("for ever", "v"));
  const KeyInfo info = *store->Describe("k");
  EXPECT_EQ(info.state, KeyState::kLive);
  EXPECT_EQ(info.value_size, 4U);
  EXPECT_THAT(info.expires_at, Optional(Eq(At(15))));
  EXPECT_EQ(store->Describe("for ever")->expires_at, std::nullopt);
  // A put has its own end, or none.
  ASSERT_OK(store->Put("k", "v"));
  ASSERT_OK(store->AdvanceTime(At(100)));
  EXPECT_THAT(Read(*store, "k"), Optional(Eq("v")));
}

TEST_F(ExpiryTest, WhatHasExpiredAlreadyIsAbsentAtOnce) {
  const std::unique_ptr<Store> store = OpenAt(kDue);
  EXPECT_TRUE(*store->PutIfAbsent("k", "v", Until(kDue)));
  EXPECT_TRUE(*store->PutIfAbsent("k", "v", Until(kDue)));
  EXPECT_EQ(*store->Update("k", "v", Until(kDue + 1)), std::nullopt);
  EXPECT_THAT(*store->Update("k", "w", Until(kDue - 1)), Optional(Eq("v")));
  EXPECT_TRUE(*store->CompareAndSet("k", std::nullopt, "x", Until(kDue + 1)));
  EXPECT_THAT(Read(*store, "k"), Optional(Eq("x")));
}

TEST_F(ExpiryTest, ABatchSeesWhatItsOwnPutsHaveLeft) {
  const std::unique_ptr<Store> store = OpenAt(kDue);
  WriteBatch batch;
  batch.Put("gone", "v", Until(kDue));
  batch.Delete("gone");
  batch.Put("stays", "v", {.expires_after = milliseconds(1)});
  batch.Disable("stays");
  ASSERT_OK(store->Write(batch));
  WriteBatch refused;
  refused.Put("gone", "v", Until(kDue));
  refused.Disable("gone");
  EXPECT_THAT(store->Write(refused), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(store->AdvanceTime(At(kDue + 1)));
  EXPECT_THAT(Read(*store, "stays"), Optional(Eq("v")));
  ASSERT_OK(store->Enable("stays"));
  EXPECT_EQ(Read(*store, "stays"), std::nullopt);
}

TEST_F(ExpiryTest, ADisabledKeyDoesNotExpireUntilItIsEnabled) {
  for (const size_t size : {size_t{3}, size_t{300'000}}) {
    std::filesystem::remove_all(path());
    std::unique_ptr<Store> store = OpenAt(1);
    const std::string value(size, 'v');
    ASSERT_OK(store->Put("a", value, Until(kDue)));
    ASSERT_OK(store->Put("b", value, Until(kDue)));
    ASSERT_OK(store->Disable("a"));
    ASSERT_OK(store->Disable("b"));
    ASSERT_OK(store->Enable("b"));
    EXPECT_THAT(Read(*store, "b"), Optional(Eq(value)));
    ASSERT_OK(store->AdvanceTime(At(2 * kDue)));
    EXPECT_THAT(Read(*store, "a"), Optional(Eq(value)));
    EXPECT_EQ(Read(*store, "b"), std::nullopt);
    EXPECT_THAT(store->Describe("a")->expires_at, Optional(Eq(At(kDue))));
    ASSERT_OK(store->Close());
    store = OpenAt(1);
    EXPECT_THAT(Read(*store, "a"), Optional(Eq(value)));
    ASSERT_OK(store->Enable("a"));
    EXPECT_EQ(Read(*store, "a"), std::nullopt);
    EXPECT_EQ(Read(*store, "b"), std::nullopt);
  }
}

TEST_F(ExpiryTest, SnapshotsAndCursorsHaveTheTimeOfTheirBeginning) {
  for (const bool ordered : {false, true}) {
    std::filesystem::remove_all(path());
    const std::unique_ptr<Store> store = OpenAt(kDue - 1, ordered);
    for (int i = 0; i < 200; ++i) {
      ASSERT_OK(store->Put(std::to_string(i), "v", Until(kDue)));
    }
    const std::unique_ptr<Snapshot> before = store->OpenSnapshot();
    Cursor cursor = store->Scan({});
    ASSERT_OK(store->AdvanceTime(At(kDue)));
    EXPECT_EQ(KeysOf(std::move(cursor)).size(), 200U);
    EXPECT_EQ(KeysOf(before->Scan({})).size(), 200U);
    EXPECT_EQ(KeysOf(before->Scan({.prefix = "1"})).size(), 111U);
    EXPECT_THAT(KeysOf(store->Scan({})), IsEmpty());
    // Also what is overwritten meanwhile.
    ASSERT_OK(store->Put("7", "new"));
    EXPECT_EQ(*before->Get("7"), "v");
    EXPECT_THAT(KeysOf(store->OpenSnapshot()->Scan({})), ElementsAre("7"));
  }
}

TEST_F(ExpiryTest, RefusesOptionsThatCannotBeAndNamesTheCall) {
  const std::unique_ptr<Store> store = OpenAt(kDue);
  const int64_t last = int64_t{1} << 53;
  const std::vector<PutOptions> bad = {
      {.expires_at = At(5), .expires_after = milliseconds(5)},
      Until(0),
      Until(-1),
      Until(last + 1),
      {.expires_at = Time::max()},
      {.expires_at = Time::min()},
      {.expires_after = milliseconds(0)},
      {.expires_after = milliseconds(-1)},
      {.expires_after = milliseconds(last - kDue + 1)},
      {.expires_after = milliseconds::max()},
      {.expires_after = milliseconds::min()}};
  for (const PutOptions& options : bad) {
    const auto refused = [](const std::string& name) {
      return StatusIs(absl::StatusCode::kInvalidArgument, name);
    };
    EXPECT_THAT(store->Put("k", "v", options), refused("Put has"));
    EXPECT_THAT(store->PutIfAbsent("k", "v", options).status(),
                refused("PutIfAbsent has"));
    EXPECT_THAT(store->Update("k", "v", options).status(),
                refused("Update has"));
    EXPECT_THAT(store->CompareAndSet("k", std::nullopt, "v", options).status(),
                refused("CompareAndSet has"));
    WriteBatch batch;
    batch.Put("fine", "v");
    batch.Put("k", "v", options);
    const absl::Status status = store->Write(batch);
    EXPECT_THAT(status, refused("Put has"));
    EXPECT_THAT(FailedOperation(status), Optional(Eq(1U)));
  }
  EXPECT_EQ(*store->Count({}), 0U);
  EXPECT_OK(store->Put("k", "v", Until(last)));
  EXPECT_OK(store->Put("k", "v", {.expires_after = milliseconds(last - kDue)}));
  ASSERT_OK(store->AdvanceTime(At(last)));
  EXPECT_EQ(Read(*store, "k"), std::nullopt);
  EXPECT_THAT(store->Put("k", "v", {.expires_after = milliseconds(1)}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ExpiryTest, TimeIsWhoeversTheOptionsSay) {
  std::unique_ptr<Store> store = Open();
  const Time now = store->Now();
  const Time machine = std::chrono::time_point_cast<milliseconds>(
      std::chrono::system_clock::now());
  EXPECT_LE(now, machine);
  EXPECT_GE(now, machine - hours(1));
  EXPECT_THAT(store->AdvanceTime(now + hours(1)),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(store->Put("k", "v", {.expires_after = hours(1)}));
  EXPECT_TRUE(Read(*store, "k").has_value());
  ASSERT_OK(store->Put("k", "v", {.expires_after = milliseconds(1)}));
  while (store->Now() <= now + milliseconds(100)) {
  }
  EXPECT_EQ(Read(*store, "k"), std::nullopt);
  ASSERT_OK(store->Close());
  std::filesystem::remove_all(path());
  store = Open(kCallerTime);
  EXPECT_EQ(store->Now(), Time());
  ASSERT_OK(store->AdvanceTime(At(7)));
  ASSERT_OK(store->AdvanceTime(At(5)));
  ASSERT_OK(store->AdvanceTime(At(-5)));
  EXPECT_EQ(store->Now(), At(7));
  EXPECT_THAT(store->AdvanceTime(Time::max()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(store->Now(), At(7));
}

TEST_F(ExpiryTest, TimeNeverGoesBackOverClose) {
  {
    const std::unique_ptr<Store> store = OpenAt(kDue);
    ASSERT_OK(store->Close());
  }
  EXPECT_EQ(Open(kCallerTime)->Now(), At(kDue));
  // Nor with the other source.
  const int64_t far = int64_t{1} << 50;
  EXPECT_OK(OpenAt(far)->Close());
  EXPECT_EQ(Open()->Now(), At(far));
  EXPECT_EQ(Open({.mode = OpenMode::kReadOnly})->Now(), At(far));
}

// Each end of the process is a copy of the files at that moment; each of them
// is opened with a clock that has gone back.
TEST_F(ExpiryTest, WhatHadExpiredBeforeAFlushStaysSoWithAnyClock) {
  struct Moment {
    FileImages files;
    bool is_flushed;
  };
  std::vector<Moment> moments;
  {
    const std::unique_ptr<Store> store = OpenAt(1);
    ASSERT_OK(store->Put("k", "v", Until(kDue)));
    ASSERT_OK(store->Put("stays", "v", Until(5 * kDue)));
    ASSERT_OK(store->Flush());
    ASSERT_OK(store->AdvanceTime(At(kDue)));
    moments.push_back({testing::ReadFiles(path()), false});
    ASSERT_OK(store->Flush());  // nothing was written since the last one
    moments.push_back({testing::ReadFiles(path()), true});
    ASSERT_OK(store->Put("other", "v"));
    moments.push_back({testing::ReadFiles(path()), true});
    ASSERT_OK(store->Compact());
    moments.push_back({testing::ReadFiles(path()), true});
    ASSERT_OK(store->Checkpoint(dir_.path() / "copy"));
    moments.push_back({testing::ReadFiles(dir_.path() / "copy"), true});
  }
  for (size_t i = 0; i < moments.size(); ++i) {
    SCOPED_TRACE(i);
    const bool may_be_there = !moments[i].is_flushed;
    for (const bool reads_only : {true, false}) {
      testing::WriteFiles(path(), moments[i].files);
      const std::unique_ptr<Store> store =
          Open({.mode = reads_only ? OpenMode::kReadOnly : OpenMode::kReadWrite,
                .time = TimeSource::kCaller});
      EXPECT_TRUE(Read(*store, "stays").has_value());
      if (may_be_there) continue;
      EXPECT_EQ(Read(*store, "k"), std::nullopt);
      EXPECT_GE(store->Now(), At(kDue));
    }
  }
}

// A segment without a put is not part of the log, so its time cannot be.
TEST_F(ExpiryTest, ATimeThatFindsNoLogIsKeptInTheManifest) {
  const std::unique_ptr<Store> store = OpenAt(5);
  ASSERT_OK(store->Flush());
  EXPECT_EQ(engine_time(), 5U);
  ASSERT_OK(store->AdvanceTime(At(9)));
  ASSERT_OK(store->Flush());
  EXPECT_EQ(engine_time(), 9U);
}

TEST_F(ExpiryTest, AStoreWithoutExpiryWritesNoTime) {
  std::unique_ptr<Store> store = Open();
  ASSERT_OK(store->Put("k", "v"));
  EXPECT_TRUE(Read(*store, "k").has_value());
  EXPECT_EQ(*store->Count({}), 1U);
  ASSERT_OK(store->Flush());
  ASSERT_OK(store->Close());
  EXPECT_EQ(engine_time(), 0U);
}

// A put that supersedes what lasts longer says so, and whoever follows it.
TEST_F(ExpiryTest, APutSaysThatItHidesWhatLastsLonger) {
  const std::unique_ptr<Store> store = OpenAt(1);
  ASSERT_OK(store->Put("never", "v"));
  ASSERT_OK(store->Put("never", "v", Until(5)));   // over one without end
  ASSERT_OK(store->Put("never", "v", Until(50)));  // inherits it
  ASSERT_OK(store->Put("grows", "v", Until(5)));
  ASSERT_OK(store->Put("grows", "v", Until(6)));
  ASSERT_OK(store->Put("shrinks", "v", Until(6)));
  ASSERT_OK(store->Put("shrinks", "v", Until(5)));
  WriteBatch batch;
  batch.Put("batch", "v", Until(5));
  batch.Put("batch", "v", Until(6));
  ASSERT_OK(store->Write(batch));
  ASSERT_OK(store->Put("enabled", "v", Until(5)));
  ASSERT_OK(store->Disable("enabled"));
  ASSERT_OK(store->Enable("enabled"));
  ASSERT_OK(store->Put("enabled", "v", Until(7)));
  EXPECT_THAT(FlagsOf("never"), ElementsAre(0, 12, 12));
  EXPECT_THAT(FlagsOf("grows"), ElementsAre(4, 4));
  EXPECT_THAT(FlagsOf("shrinks"), ElementsAre(4, 12));
  EXPECT_THAT(FlagsOf("batch"), ElementsAre(5, 13));
  EXPECT_THAT(FlagsOf("enabled"), ElementsAre(4, 4, 4, 12));
}

}  // namespace
}  // namespace peat
