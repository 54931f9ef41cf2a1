// Tests of reading receipts and times.

#include "tools/receipt.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tools/receipt_check.h"
#include "tools/utc_time.h"

namespace peat::tools {
namespace {

using ::peat::testing::StatusIs;

ForgetReceipt Sample() {
  ForgetReceipt receipt{.lsn = UINT64_MAX};
  receipt.store_id.back() = std::byte{0xAB};
  receipt.key_digest.emplace().fill(std::byte{0x01});
  receipt.value_digest.emplace().fill(std::byte{0xF0});
  return receipt;
}

std::string Encode(const ForgetReceipt& receipt) {
  OrderedJson object;
  AddReceipt(object, receipt);
  return object.dump();
}

TEST(ReceiptTest, ReadsWhatItWrote) {
  ForgetReceipt receipt = Sample();
  EXPECT_EQ(ParseReceipt(Encode(receipt)), receipt);

  receipt.value_digest.reset();
  EXPECT_EQ(ParseReceipt(Encode(receipt)), receipt);

  receipt.key_digest.reset();
  EXPECT_EQ(ParseReceipt(Encode(receipt)), receipt);
}

TEST(ReceiptTest, LeavesOtherMembersAlone) {
  OrderedJson object;
  object["reason"] = "request 17";
  AddReceipt(object, Sample());

  EXPECT_EQ(ParseReceipt(object.dump()), Sample());
}

TEST(ReceiptTest, RefusesWhatIsNoReceipt) {
  const std::string whole = Encode(Sample());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(ParseReceipt(whole.substr(0, size)), std::nullopt) << size;
  }
  const std::string id = R"("store_id":"000000000000000000000000000000ab")";
  for (const std::string& line : std::vector<std::string>{
           "[]", "{}", "{" + id + "}", R"({"lsn":1})",
           "{" + id + R"(,"lsn":-1})", "{" + id + R"(,"lsn":"1"})",
           "{" + id + R"(,"lsn":1.5})", R"({"store_id":"ab","lsn":1})",
           R"({"store_id":7,"lsn":1})",
           "{" + id + R"(,"lsn":1,"key_digest":"ab"})",
           "{" + id + R"(,"lsn":1,"value_digest":[]})"}) {
    EXPECT_EQ(ParseReceipt(line), std::nullopt) << line;
  }
}

TEST(ReceiptTest, ReadsLinesAndNamesTheOneThatIsWrong) {
  const std::string line = Encode(Sample());
  std::istringstream two(line + "\n" + line);
  std::istringstream empty_line(line + "\n\n" + line + "\n");
  std::istringstream too_long(line + "\n" + std::string((1 << 20) + 1, ' '));

  ASSERT_OK_AND_ASSIGN(const std::vector<NumberedReceipt> receipts,
                       ReadReceipts(two));

  ASSERT_EQ(receipts.size(), 2U);
  EXPECT_EQ(receipts[1].line, 2U);
  EXPECT_EQ(receipts[1].receipt, Sample());
  EXPECT_THAT(ReadReceipts(empty_line),
              StatusIs(absl::StatusCode::kInvalidArgument, "line 2"));
  EXPECT_THAT(ReadReceipts(too_long),
              StatusIs(absl::StatusCode::kInvalidArgument, "line 2: longer"));
}

MaskTime Micros(int64_t count) {
  return MaskTime(std::chrono::microseconds(count));
}

TEST(UtcTimeTest, PrintsMicroseconds) {
  EXPECT_EQ(FormatUtc(Micros(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(FormatUtc(Micros(1'700'000'000'123'456)),
            "2023-11-14T22:13:20.123456Z");
}

TEST(UtcTimeTest, PrintsTimesThatNoClockHas) {
  EXPECT_EQ(FormatUtc(MaskTime::max()), "294247-01-10T04:00:54.775807Z");
  EXPECT_EQ(FormatUtc(MaskTime::min()), "-290308-12-21T19:59:05.224192Z");
}

TEST(UtcTimeTest, TakesAWholeDayAWholeSecondOrAMicrosecond) {
  struct Case {
    const char* text;
    int64_t first;
    int64_t last;
  };
  const std::vector<Case> cases = {
      {"1970-01-02", 86'400'000'000, 172'799'999'999},
      {"1970-01-01T00:00:01Z", 1'000'000, 1'999'999},
      {"1970-01-01T01:00:01+01:00", 1'000'000, 1'999'999},
      {"2023-11-14T22:13:20.123456Z", 1'700'000'000'123'456,
       1'700'000'000'123'456}};
  for (const Case& expected : cases) {
    SCOPED_TRACE(expected.text);
    ASSERT_OK_AND_ASSIGN(const MaskTimeSpan span, ParseUtc(expected.text));
    EXPECT_EQ(span.first, Micros(expected.first));
    EXPECT_EQ(span.last, Micros(expected.last));
  }
}

TEST(UtcTimeTest, RefusesWhatIsNoTimeOfThisEpoch) {
  for (const char* text :
       {"", "yesterday", "2026-13-01", "2026-11-22T20:22:13", "1969-12-31",
        "10000-01-01", "infinite-future", "infinite-past", "2026-11-22 x"}) {
    EXPECT_THAT(ParseUtc(text), StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

}  // namespace
}  // namespace peat::tools
