// Tests of the values of marks, links, frames and value references.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "format/record.h"
#include "format/segment_header.h"
#include "tests/support/status_matchers.h"

namespace peat::format {
namespace {

using ::peat::testing::StatusIs;

constexpr Mark kMark = {.segment = 5, .end = 4136};
constexpr Link kLink = {5, 4136, 77, 0xfeedbeef};
constexpr Link kFirstLink = {.generation = 1};
constexpr Frame kFrame = {
    .first_lsn = 8, .members_size = 64, .member_count = 2};
constexpr ValueReference kReference = {
    .file = 6, .size = 1 << 20, .checksum = 3};

// `value` with one integer replaced.
std::string With(std::string value, size_t offset, uint64_t number,
                 size_t size = sizeof(uint64_t)) {
  for (size_t i = 0; i < size; ++i) {
    value[offset + i] = static_cast<char>(number >> (8 * i));
  }
  return value;
}

template <typename Decode>
void ExpectDataLossAtEveryOtherSize(const std::string& value, Decode decode) {
  for (size_t size = 0; size < value.size() + 16; ++size) {
    if (size == value.size()) continue;
    SCOPED_TRACE(size);
    std::string resized = value;
    resized.resize(size, '\0');
    EXPECT_THAT(decode(resized), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(RecordValueTest, ReturnsWhatWasEncoded) {
  EXPECT_EQ(*DecodeMark(EncodeMark(kMark)), kMark);
  EXPECT_EQ(*DecodeLink(EncodeLink(kLink)), kLink);
  EXPECT_EQ(*DecodeLink(EncodeLink(kFirstLink)), kFirstLink);
  EXPECT_EQ(*DecodeFrame(EncodeFrame(kFrame)), kFrame);
  EXPECT_EQ(*DecodeValueReference(EncodeValueReference(kReference)),
            kReference);
}

TEST(RecordValueTest, HasOneSize) {
  ExpectDataLossAtEveryOtherSize(EncodeMark(kMark), DecodeMark);
  ExpectDataLossAtEveryOtherSize(EncodeLink(kLink), DecodeLink);
  ExpectDataLossAtEveryOtherSize(EncodeFrame(kFrame), DecodeFrame);
  ExpectDataLossAtEveryOtherSize(EncodeValueReference(kReference),
                                 DecodeValueReference);
}

TEST(RecordValueTest, RejectsAMarkThatCannotBe) {
  const std::string mark = EncodeMark(kMark);
  for (const std::string& bad :
       {With(mark, 0, 0), With(mark, 8, 0),
        With(mark, 8, kSegmentHeaderSize - 8), With(mark, 8, 4137),
        With(mark, 8, kSegmentSizeMax + 8), With(mark, 8, ~uint64_t{7})}) {
    EXPECT_THAT(DecodeMark(bad), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(RecordValueTest, RejectsALinkThatCannotBe) {
  const std::string link = EncodeLink(kLink);
  for (const std::string& bad :
       {With(link, 0, 0), With(link, 8, 4137), With(link, 8, 0),
        With(link, 8, kSegmentSizeMax + 8), With(link, 16, 0),
        With(link, 28, 1, 4)}) {
    EXPECT_THAT(DecodeLink(bad), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(RecordValueTest, RejectsAFrameThatCannotBe) {
  const std::string frame = EncodeFrame(kFrame);
  for (const std::string& bad :
       {With(frame, 0, 0), With(frame, 0, ~uint64_t{0}), With(frame, 8, 40),
        With(frame, 8, 65), With(frame, 8, kSegmentSizeMax + 8),
        With(frame, 16, 0, 4), With(frame, 16, 3, 4), With(frame, 20, 1, 4)}) {
    EXPECT_THAT(DecodeFrame(bad), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(RecordValueTest, RejectsAReferenceThatCannotBe) {
  const std::string reference = EncodeValueReference(kReference);
  for (const std::string& bad :
       {With(reference, 0, 0), With(reference, 8, kValueSizeMax + 1)}) {
    EXPECT_THAT(DecodeValueReference(bad),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(RecordValueTest, IsNeverWrittenInAFormThatWouldNotBeRead) {
  EXPECT_DEATH(EncodeMark({}), "check failed");
  EXPECT_DEATH(EncodeLink({}), "check failed");
  EXPECT_DEATH(EncodeLink({.end = 8, .generation = 1}), "check failed");
  EXPECT_DEATH(EncodeFrame({}), "check failed");
  EXPECT_DEATH(EncodeValueReference({}), "check failed");
}

}  // namespace
}  // namespace peat::format
