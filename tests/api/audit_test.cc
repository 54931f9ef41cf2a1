// The audit reader: what it lists and reveals, and to whom.

#include "peat/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "tests/support/store_fixture.h"

namespace peat {
namespace {

using absl::StatusCode;
using ::peat::testing::IsOk;
using ::peat::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string InWords(const Mask& mask) {
  const char* const kinds[] = {"disable", "enable", "forget"};
  return std::string(kinds[static_cast<int>(mask.kind)]) + " " + mask.key +
         " " + mask.reason;
}

std::vector<std::string> List(const AuditReader& reader,
                              const MaskQuery& query = {}) {
  std::vector<std::string> all;
  const std::unique_ptr<MaskCursor> cursor = reader.Masks(query);
  for (; cursor->Valid(); cursor->Next()) {
    all.push_back(InWords(cursor->mask()));
  }
  EXPECT_OK(cursor->status());
  return all;
}

class AuditTest : public ::peat::testing::StoreFixture {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(auto both, OpenWithAudit(path()));
    store_ = std::move(both.first);
    ASSERT_OK_AND_ASSIGN(reader_, AuditReader::Attach(*store_, both.second));
  }

  void SetSomeMasks() {
    ASSERT_OK(store_->Put("a", "1"));
    ASSERT_OK(store_->Put("ab", "22"));
    ASSERT_OK(store_->Disable("a", {.reason = "lent"}));
    ASSERT_OK(store_->Enable("a", {.reason = "back"}));
    ASSERT_OK(store_->Disable("ab", {.reason = "lost"}));
    ASSERT_OK(store_->Forget("ab", {.reason = "gone"}));
    ASSERT_OK(store_->Forget("c", {.reason = "never"}));
  }

  std::unique_ptr<Store> store_;
  std::unique_ptr<AuditReader> reader_;
};

TEST_F(AuditTest, ListsEveryMaskThatWasSet) {
  EXPECT_THAT(List(*reader_), IsEmpty());
  SetSomeMasks();
  EXPECT_THAT(List(*reader_),
              ElementsAre("disable a lent", "enable a back", "disable ab lost",
                          "forget ab gone", "forget c never"));
  EXPECT_THAT(List(*reader_, {.newest_first = true}),
              ElementsAre("forget c never", "forget ab gone", "disable ab lost",
                          "enable a back", "disable a lent"));
  ASSERT_OK(store_->Close());
  ASSERT_OK_AND_ASSIGN(const auto reader, AuditReader::Open(path()));
  EXPECT_THAT(List(*reader),
              ElementsAre("disable a lent", "enable a back", "disable ab lost",
                          "forget ab gone", "forget c never"));
}

TEST_F(AuditTest, ListsWhatTheQueryAsksFor) {
  SetSomeMasks();
  EXPECT_THAT(List(*reader_, {.key = "a"}),
              ElementsAre("disable a lent", "enable a back"));
  EXPECT_THAT(List(*reader_, {.prefix = "ab"}),
              ElementsAre("disable ab lost", "forget ab gone"));
  EXPECT_THAT(List(*reader_, {.first_lsn = 4, .last_lsn = 5}),
              ElementsAre("enable a back", "disable ab lost"));
  EXPECT_THAT(List(*reader_, {.enables = false, .forgets = false}),
              ElementsAre("disable a lent", "disable ab lost"));
  EXPECT_THAT(List(*reader_, {.first_lsn = 8}), IsEmpty());
  const MaskTime now = std::chrono::time_point_cast<std::chrono::microseconds>(
      std::chrono::system_clock::now());
  const auto hour = std::chrono::hours(1);
  EXPECT_EQ(List(*reader_, {.first_time = now - hour, .last_time = now + hour})
                .size(),
            5U);
  EXPECT_THAT(List(*reader_, {.last_time = now - hour}), IsEmpty());
  EXPECT_THAT(List(*reader_, {.first_time = now + hour}), IsEmpty());
}

TEST_F(AuditTest, CountsByKind) {
  SetSomeMasks();
  ASSERT_OK_AND_ASSIGN(const MaskTally all, reader_->Count());
  EXPECT_EQ(all.disables, 2U);
  EXPECT_EQ(all.enables, 1U);
  EXPECT_EQ(all.forgets, 2U);
  ASSERT_OK_AND_ASSIGN(const MaskTally one, reader_->Count({.key = "c"}));
  EXPECT_EQ(one.disables + one.enables, 0U);
  EXPECT_EQ(one.forgets, 1U);
}

TEST_F(AuditTest, RevealsWhatWasPreserved) {
  SetSomeMasks();
  ASSERT_OK(store_->Put("d", "live"));
  ASSERT_OK(store_->Put("e", "4"));
  ASSERT_OK(store_->Disable("e"));
  EXPECT_EQ(reader_->Reveal("ab").value(), "22");
  EXPECT_EQ(reader_->Reveal("e").value(), "4");
  for (const char* const key : {"a", "c", "d", "absent"}) {
    EXPECT_THAT(reader_->Reveal(key).status(), StatusIs(StatusCode::kNotFound))
        << key;
  }
  EXPECT_THAT(reader_->Reveal(std::string(65'536, 'k')).status(),
              StatusIs(StatusCode::kInvalidArgument));

  const auto cursor = reader_->Masks({.forgets = false});
  ASSERT_TRUE(cursor->Valid());
  EXPECT_EQ(cursor->mask().value_lsn, 1U);
  EXPECT_EQ(cursor->value().value(), "1");
}

TEST_F(AuditTest, MakesReceiptsAgain) {
  ASSERT_OK(store_->Put("k", "v"));
  ASSERT_OK(store_->Disable("k"));
  ASSERT_OK_AND_ASSIGN(const ForgetReceipt receipt, store_->Forget("k"));
  ASSERT_OK_AND_ASSIGN(const ForgetReceipt absent, store_->Forget("absent"));
  WriteBatch batch;
  batch.Put("b", std::string(400'000, 'b'));  // in a file of its own
  batch.Forget("b");
  ASSERT_OK(store_->Write(batch));
  const auto cursor = reader_->Masks();
  EXPECT_THAT(cursor->receipt().status(),
              StatusIs(StatusCode::kFailedPrecondition));
  cursor->Next();
  EXPECT_EQ(cursor->mask().value_lsn, 1U);
  EXPECT_EQ(cursor->receipt().value(), receipt);
  cursor->Next();
  EXPECT_EQ(cursor->receipt().value(), absent);
  EXPECT_THAT(cursor->value().status(), StatusIs(StatusCode::kNotFound));
  cursor->Next();
  ASSERT_TRUE(cursor->Valid());
  EXPECT_EQ(cursor->mask().value_lsn, cursor->mask().lsn - 1);
  EXPECT_EQ(cursor->value().value(), std::string(400'000, 'b'));
  EXPECT_OK(cursor->receipt());
  cursor->Next();
  EXPECT_FALSE(cursor->Valid());
  EXPECT_OK(cursor->status());
}

TEST_F(AuditTest, AsksForTheTokenOfThisStore) {
  ASSERT_OK_AND_ASSIGN(const auto other,
                       OpenWithAudit(dir_.path() / "other store"));
  EXPECT_THAT(AuditReader::Attach(*store_, other.second).status(),
              StatusIs(StatusCode::kPermissionDenied));
  EXPECT_OK(AuditReader::Attach(*other.first, other.second));
  EXPECT_THAT(AuditReader::Open(dir_.path() / "nowhere").status(),
              StatusIs(StatusCode::kNotFound));
}

TEST_F(AuditTest, ShowsAnOpenStoreAsItIs) {
  SetSomeMasks();
  // Beside the process that writes, and attached to it.
  ASSERT_OK_AND_ASSIGN(const auto beside, AuditReader::Open(path()));
  ASSERT_OK(store_->Forget("new"));
  EXPECT_EQ(List(*beside).size(), 5U);
  EXPECT_EQ(List(*reader_).size(), 6U);
}

TEST_F(AuditTest, OutlivesItsStoreWithAStatus) {
  SetSomeMasks();
  const auto cursor = reader_->Masks();
  ASSERT_TRUE(cursor->Valid());
  store_.reset();
  EXPECT_THAT(cursor->value().status(),
              StatusIs(StatusCode::kFailedPrecondition));
  cursor->Next();
  EXPECT_FALSE(cursor->Valid());
  EXPECT_THAT(cursor->status(), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(reader_->Masks()->status(),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(reader_->Count().status(),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(reader_->Reveal("ab").status(),
              StatusIs(StatusCode::kFailedPrecondition));
  // The directory is free again.
  EXPECT_NE(Open(), nullptr);
}

// Many segments, and masks at both ends of them.
TEST_F(AuditTest, ReadsSegmentAfterSegment) {
  const std::string value(20'000, 'v');
  std::vector<std::string> expected;
  for (int i = 0; i < 500; ++i) {
    const std::string key = "k" + std::to_string(i);
    ASSERT_OK(store_->Put(key, value));
    if (i % 7 != 0) continue;
    ASSERT_OK(store_->Forget(key, {.reason = "r"}));
    expected.push_back("forget " + key + " r");
  }
  EXPECT_GT(store_->GetStats().segment_count, 2U);
  EXPECT_EQ(List(*reader_), expected);
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(List(*reader_, {.newest_first = true}), expected);
}

}  // namespace
}  // namespace peat
