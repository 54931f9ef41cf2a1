// The small calls of the public store: what is asked of one key, what is
// counted, and what a refused batch answers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "peat/audit.h"
#include "peat/store.h"
#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

MATCHER_P(IsOkAndHolds, value, "is OK and holds the value") {
  *result_listener << arg.status().ToString();
  return arg.ok() && *arg == value;
}

class CallsTest : public ::peat::testing::StoreFixture {
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

  Lsn last_lsn() const { return store_->GetStats().last_lsn; }

  std::unique_ptr<Store> store_;
};

TEST_F(CallsTest, GetsACopyOfTheValue) {
  EXPECT_THAT(store_->Get("live"), IsOkAndHolds("value"));
  EXPECT_THAT(store_->Get("disabled"), IsOkAndHolds("value"));
  EXPECT_THAT(store_->Get("forgotten"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store_->Get("absent"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store_->OpenSnapshot()->Get("live"), IsOkAndHolds("value"));
  EXPECT_THAT(store_->OpenSnapshot()->Get("absent"),
              StatusIs(StatusCode::kNotFound));
}

TEST_F(CallsTest, ContainsWhatCanBeRead) {
  EXPECT_THAT(store_->Contains("live"), IsOkAndHolds(true));
  EXPECT_THAT(store_->Contains("disabled"), IsOkAndHolds(true));
  EXPECT_THAT(store_->Contains("forgotten"), IsOkAndHolds(false));
  EXPECT_THAT(store_->Contains("absent"), IsOkAndHolds(false));
  EXPECT_THAT(store_->Contains(std::string(70'000, 'k')),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(CallsTest, DescribesAKeyByStateAndSize) {
  ASSERT_OK(store_->Put("large", std::string(3 << 20, 'l')));
  const std::map<std::string, std::pair<KeyState, uint64_t>> cases = {
      {"live", {KeyState::kLive, 5}},
      {"large", {KeyState::kLive, 3 << 20}},
      {"disabled", {KeyState::kDisabled, 5}},
      {"forgotten", {KeyState::kForgotten, 0}},
      {"absent", {KeyState::kAbsent, 0}}};
  for (const auto& [key, expected] : cases) {
    SCOPED_TRACE(key);
    ASSERT_OK_AND_ASSIGN(const KeyInfo info, store_->Describe(key));
    EXPECT_EQ(info.state, expected.first);
    EXPECT_EQ(info.value_size, expected.second);
  }
}

TEST_F(CallsTest, DescribesAKeyByTheLsnOfItsNewestWrite) {
  ASSERT_OK(store_->Put("key", "1"));
  const Lsn put = last_lsn();
  EXPECT_EQ(store_->Describe("key").value().lsn, put);

  ASSERT_OK(store_->Put("other", "1"));
  EXPECT_EQ(store_->Describe("key").value().lsn, put);
  ASSERT_OK(store_->Disable("key"));
  EXPECT_EQ(store_->Describe("key").value().lsn, last_lsn());
  EXPECT_EQ(store_->Describe("absent").value().lsn, 0U);
}

TEST_F(CallsTest, CountsThePairsOfAQuery) {
  EXPECT_THAT(store_->Count({}), IsOkAndHolds(2U));
  EXPECT_THAT(store_->Count({.prefix = "l"}), IsOkAndHolds(1U));
  EXPECT_THAT(store_->Count({.prefix = "nothing"}), IsOkAndHolds(0U));
  EXPECT_THAT(store_->Count({.limit = 1}), IsOkAndHolds(1U));
  ASSERT_OK(store_->Close());
  EXPECT_THAT(store_->Count({}), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(CallsTest, CountsFullScansOfTheLogWithoutOrder) {
  EXPECT_THAT(store_->Count({}), IsOkAndHolds(2U));
  EXPECT_THAT(store_->Count({.keys = {"live"}}), IsOkAndHolds(1U));
  EXPECT_EQ(store_->GetStats().full_log_scans, 0U);

  EXPECT_THAT(store_->Count({.prefix = "l"}), IsOkAndHolds(1U));
  EXPECT_EQ(store_->GetStats().full_log_scans, 1U);
  EXPECT_THAT(store_->DeletePrefix("l"), IsOkAndHolds(1U));
  EXPECT_EQ(store_->GetStats().full_log_scans, 2U);

  store_ = nullptr;
  store_ = Open({.ordered = true});
  EXPECT_THAT(store_->Count({.prefix = "d"}), IsOkAndHolds(1U));
  EXPECT_EQ(store_->GetStats().full_log_scans, 0U);
}

TEST_F(CallsTest, TellsWhichOperationOfABatchWasRefused) {
  struct Case {
    const char* name;
    void (*add)(WriteBatch& batch);
    StatusCode code;
  };
  const std::vector<Case> cases = {
      {"disabled", [](WriteBatch& batch) { batch.Put("disabled", "2"); },
       StatusCode::kFailedPrecondition},
      {"forgotten", [](WriteBatch& batch) { batch.Delete("forgotten"); },
       StatusCode::kFailedPrecondition},
      {"absent", [](WriteBatch& batch) { batch.Enable("absent"); },
       StatusCode::kNotFound},
      {"long",
       [](WriteBatch& batch) { batch.Delete(std::string(70'000, 'k')); },
       StatusCode::kInvalidArgument}};
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    WriteBatch batch;
    batch.Put("first", "1");
    batch.Put("second", "1");
    one.add(batch);
    batch.Put("last", "1");
    const absl::Status status = store_->Write(batch);
    EXPECT_THAT(status, StatusIs(one.code));
    EXPECT_THAT(std::string(status.message()), HasSubstr("operation 2 of"));
    EXPECT_EQ(FailedOperation(status), std::optional<size_t>(2));
  }
}

TEST_F(CallsTest, KeepsTheReasonOfARefusedBatch) {
  WriteBatch batch;
  batch.Put("first", "1");
  batch.Put("forgotten", "1");

  const absl::Status status = store_->Write(batch);
  EXPECT_TRUE(IsForgotten(status));
  EXPECT_FALSE(IsDisabled(status));
  EXPECT_THAT(store_->Contains("first"), IsOkAndHolds(false));
}

TEST_F(CallsTest, NamesNoOperationWhereNoneWasRefused) {
  EXPECT_EQ(FailedOperation(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(FailedOperation(store_->Put("disabled", "1")), std::nullopt);
  ASSERT_OK(store_->Close());
  WriteBatch batch;
  batch.Put("key", "1");
  EXPECT_EQ(FailedOperation(store_->Write(batch)), std::nullopt);
}

TEST_F(CallsTest, HandsOutTheReceiptsThatTheAuditMakes) {
  std::map<std::string, ForgetReceipt> receipts;
  for (int i = 0; i < 2500; ++i) {
    ASSERT_OK(store_->Put("many/" + std::to_string(i), std::to_string(i)));
  }
  ASSERT_OK_AND_ASSIGN(
      const ForgetAllResult result,
      store_->ForgetAll("many/", {.reason = "request 17",
                                  .on_receipt = [&](std::string_view key,
                                                    const ForgetReceipt& one) {
                                    receipts[std::string(key)] = one;
                                  }}));
  EXPECT_EQ(result.key_count, 2500U);
  EXPECT_EQ(receipts.size(), 2500U);

  ASSERT_OK(store_->Close());
  ASSERT_OK_AND_ASSIGN(const auto reader, AuditReader::Open(path()));
  const auto masks = reader->Masks({.prefix = "many/"});
  for (; masks->Valid(); masks->Next()) {
    ASSERT_OK_AND_ASSIGN(const ForgetReceipt made, masks->receipt());
    EXPECT_EQ(receipts[masks->mask().key], made) << masks->mask().key;
    receipts.erase(masks->mask().key);
  }
  ASSERT_OK(masks->status());
  EXPECT_THAT(receipts, IsEmpty());
}

TEST_F(CallsTest, HandsOutNoReceiptsOfADryRun) {
  int count = 0;
  ASSERT_OK_AND_ASSIGN(
      const ForgetAllResult result,
      store_->ForgetAll(
          "live", {.dry_run = true,
                   .on_receipt = [&](std::string_view, const ForgetReceipt&) {
                     ++count;
                   }}));
  EXPECT_EQ(result.key_count, 1U);
  EXPECT_EQ(count, 0);
  EXPECT_THAT(store_->Contains("live"), IsOkAndHolds(true));
}

}  // namespace
}  // namespace peat
