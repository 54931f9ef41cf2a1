// Tests of format/segment_header.

#include "format/segment_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "format/checksum.h"
#include "format/record.h"
#include "tests/support/status_matchers.h"

namespace peat::format {
namespace {

using ::peat::testing::StatusIs;

SegmentHeader Sample() {
  SegmentHeader header = {.kind = SegmentKind::kLog,
                          .id = 42,
                          .salt = 0x1122334455667788,
                          .store_id = {},
                          .capacity = 1 << 20};
  for (size_t i = 0; i < header.store_id.size(); ++i) {
    header.store_id[i] = static_cast<std::byte>(i + 1);
  }
  return header;
}

// The sample with one integer replaced and its checksum made to match.
template <typename T>
std::string SampleWith(size_t offset, T number) {
  std::string encoded = EncodeSegmentHeader(Sample());
  auto* const to = reinterpret_cast<std::byte*>(encoded.data());
  Store<T>(to + offset, number);
  Store<uint64_t>(to + 64, Checksum64(AsBytes(encoded).first(64)));
  return encoded;
}

TEST(SegmentHeaderTest, ReturnsWhatWasEncoded) {
  for (const SegmentKind kind : {SegmentKind::kLog, SegmentKind::kCompacted,
                                 SegmentKind::kAudit, SegmentKind::kValue}) {
    SegmentHeader header = Sample();
    header.kind = kind;
    const std::string encoded = EncodeSegmentHeader(header);

    ASSERT_OK_AND_ASSIGN(const SegmentHeader decoded,
                         DecodeSegmentHeader(AsBytes(encoded)));

    EXPECT_EQ(decoded, header);
    EXPECT_EQ(encoded.size(), kSegmentHeaderUsedSize);
  }
}

TEST(SegmentHeaderTest, ReportsEveryTruncationAsOutOfRange) {
  const std::string encoded = EncodeSegmentHeader(Sample());
  for (size_t size = 0; size < encoded.size(); ++size) {
    SCOPED_TRACE(size);
    EXPECT_THAT(DecodeSegmentHeader(AsBytes(encoded).first(size)),
                StatusIs(absl::StatusCode::kOutOfRange));
  }
}

TEST(SegmentHeaderTest, ReportsEveryFlippedBitAsDataLoss) {
  std::string sound = EncodeSegmentHeader(Sample());
  sound.resize(kSegmentHeaderSize, '\0');
  for (size_t bit = 0; bit < 8 * sound.size(); ++bit) {
    SCOPED_TRACE(bit);
    std::string damaged = sound;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_THAT(DecodeSegmentHeader(AsBytes(damaged)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(SegmentHeaderTest, ReadsNothingBehindTheHeader) {
  std::string segment = EncodeSegmentHeader(Sample());
  segment.resize(kSegmentHeaderSize, '\0');
  segment += "records";

  EXPECT_OK(DecodeSegmentHeader(AsBytes(segment)));
}

TEST(SegmentHeaderTest, IsNeverAllZeros) {
  EXPECT_THAT(DecodeSegmentHeader(AsBytes(std::string(4096, '\0'))),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(SegmentHeaderTest, IsUnimplementedWhenNewer) {
  for (const std::string& newer :
       {SampleWith<uint32_t>(8, kFormatVersion + 1),
        SampleWith<uint32_t>(8, ~uint32_t{0}), SampleWith<uint32_t>(12, 1),
        SampleWith<uint32_t>(12, 1U << 31)}) {
    EXPECT_THAT(DecodeSegmentHeader(AsBytes(newer)),
                StatusIs(absl::StatusCode::kUnimplemented));
  }
}

TEST(SegmentHeaderTest, IgnoresCompatibleFeatures) {
  std::string encoded = SampleWith<uint32_t>(16, ~uint32_t{0});
  encoded += "something new";

  ASSERT_OK_AND_ASSIGN(const SegmentHeader decoded,
                       DecodeSegmentHeader(AsBytes(encoded)));

  EXPECT_EQ(decoded, Sample());
}

TEST(SegmentHeaderTest, RejectsWhatCannotBeDespiteItsChecksum) {
  for (const std::string& bad :
       {SampleWith<uint32_t>(8, 0), SampleWith<uint32_t>(20, 0),
        SampleWith<uint32_t>(20, 5), SampleWith<uint64_t>(24, 0),
        SampleWith<uint64_t>(32, 0), SampleWith<uint64_t>(56, 0),
        SampleWith<uint64_t>(56, kSegmentHeaderSize - 8),
        SampleWith<uint64_t>(56, (1 << 20) + 4),
        SampleWith<uint64_t>(56, kSegmentSizeMax + 8),
        SampleWith<uint64_t>(56, ~uint64_t{7})}) {
    EXPECT_THAT(DecodeSegmentHeader(AsBytes(bad)),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(SegmentHeaderTest, LimitsCapacityByKind) {
  const uint64_t value_file_max = kSegmentHeaderSize + kValueSizeMax;

  EXPECT_TRUE(IsValidCapacity(SegmentKind::kLog, kSegmentSizeMax));
  EXPECT_FALSE(IsValidCapacity(SegmentKind::kLog, value_file_max));
  EXPECT_TRUE(IsValidCapacity(SegmentKind::kValue, value_file_max));
  EXPECT_TRUE(IsValidCapacity(SegmentKind::kValue, kSegmentHeaderSize + 1));
  EXPECT_FALSE(IsValidCapacity(SegmentKind::kValue, value_file_max + 1));
  EXPECT_FALSE(IsValidCapacity(SegmentKind{9}, 1 << 20));
}

TEST(SegmentHeaderTest, IsNeverWrittenInAFormThatWouldNotBeRead) {
  EXPECT_DEATH(EncodeSegmentHeader({}), "check failed");
}

}  // namespace
}  // namespace peat::format
