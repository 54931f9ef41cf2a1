// Tests of format/record: what is valid, torn, wrong.

#include "format/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "format/mask.h"
#include "tests/support/status_matchers.h"

namespace peat::format {
namespace {

using ::peat::testing::StatusIs;

constexpr Place kPlace = {.salt = 0x1122334455667788, .offset = 4096};

struct Sample {
  RecordKind kind = RecordKind::kPut;
  Lsn lsn = 0;
  uint8_t flags = 0;
  std::string key;
  std::string value;
};

RecordHeader HeaderOf(const Sample& sample) {
  return {.lsn = sample.lsn,
          .value_size = static_cast<uint32_t>(sample.value.size()),
          .key_size = static_cast<uint16_t>(sample.key.size()),
          .kind = sample.kind,
          .flags = sample.flags};
}

std::string Encode(const Sample& sample, Place place = kPlace) {
  std::string encoded;
  AppendRecord(HeaderOf(sample), sample.key, sample.value, place, &encoded);
  return encoded;
}

const Sample kPut = {RecordKind::kPut, 7, 0, "key", "a value"};

// One of each kind, and paddings of every size from 0 to 7.
std::vector<Sample> Samples() {
  std::vector<Sample> samples = {
      {RecordKind::kTombstone, 1, 0, "key", ""},
      {RecordKind::kTombstone, 2, kFlagInFrame, "", ""},
      {RecordKind::kPut, 3, kFlagInFrame, "", ""},
      {RecordKind::kPut, 4, kFlagValueFile, "key",
       EncodeValueReference({.file = 9, .size = 1 << 20, .checksum = 5})},
      {RecordKind::kDisable, 5, 0, "key",
       EncodeMask(RecordKind::kDisable,
                  {.time = 1, .value_lsn = 3, .value = "v"})},
      {RecordKind::kEnable, 6, 0, "key",
       EncodeMask(RecordKind::kEnable,
                  {.time = 2, .value_lsn = 3, .reason = "r", .value = "v"})},
      {RecordKind::kForget, 7, kFlagInFrame, "key",
       EncodeMask(RecordKind::kForget, {.time = 3, .reason = "never was"})},
      {RecordKind::kAuditStub, 8, 0, "key",
       EncodeMask(RecordKind::kAuditStub, {.time = 4,
                                           .value_lsn = 3,
                                           .stub_of = RecordKind::kDisable,
                                           .reason = "r"})},
      {RecordKind::kMark, 9, 0, "", EncodeMark({.segment = 1, .end = 4104})},
      {RecordKind::kLink, 0, 0, "", EncodeLink({.generation = 1})},
      {RecordKind::kLink, 9, 0, "", EncodeLink({1, 8192, 12, 0xabcd})},
      {RecordKind::kFrame, 11, 0, "", EncodeFrame({10, 64, 2})},
      {RecordKind::kTime, 0, 0, "", EncodeTime({.time = kMillisMax})},
      {RecordKind::kPut, 12, kFlagExpires, "key", EncodeExpiry(1)},
      {RecordKind::kPut, 13, kFlagExpires | kFlagShadowsLonger, "key",
       EncodeExpiry(kMillisMax) + "v"},
      {RecordKind::kPut, 14, kFlagExpires | kFlagValueFile | kFlagInFrame,
       "key", EncodeExpiry(9) + EncodeValueReference({.file = 9})},
      {RecordKind::kDisable, 15, kFlagExpires, "key",
       EncodeMask(RecordKind::kDisable,
                  {.value_lsn = 3, .value = EncodeExpiry(9) + "v"})},
      {RecordKind::kEnable, 16, kFlagExpires | kFlagValueFile, "key",
       EncodeMask(
           RecordKind::kEnable,
           {.value_lsn = 3,
            .value = EncodeExpiry(9) + EncodeValueReference({.file = 9})})},
  };
  for (size_t size = 0; size < 8; ++size) {
    samples.push_back({RecordKind::kPut, (Lsn{1} << 62) - size, 0, "key",
                       std::string(size, '\xff')});
  }
  return samples;
}

// Bytes of a header that no encoder would write, with a checksum that matches.
std::string Forge(const RecordHeader& header, std::string_view key = {},
                  std::string_view value = {}) {
  std::string encoded(RecordSize(key.size(), value.size()), '\0');
  auto* const to = reinterpret_cast<std::byte*>(encoded.data());
  Store<uint32_t>(to + 4, PayloadChecksum(PayloadHash(key, value), kPlace));
  Store<uint64_t>(to + 8, header.lsn);
  Store<uint32_t>(to + 16, header.value_size);
  Store<uint16_t>(to + 20, header.key_size);
  Store<uint8_t>(to + 22, static_cast<uint8_t>(header.kind));
  Store<uint8_t>(to + 23, header.flags);
  Store<uint32_t>(to, HeaderChecksum(AsBytes(encoded).subspan(4, 20), kPlace));
  encoded.replace(kRecordHeaderSize, key.size(), key);
  encoded.replace(kRecordHeaderSize + key.size(), value.size(), value);
  return encoded;
}

RecordCheck CheckHeader(const std::string& encoded) {
  RecordHeader header;
  return CheckRecordHeader(AsBytes(encoded), kPlace, &header);
}

TEST(RecordTest, ReturnsWhatWasEncoded) {
  for (const Sample& sample : Samples()) {
    SCOPED_TRACE(sample.lsn);
    const std::string encoded = Encode(sample);

    ASSERT_OK_AND_ASSIGN(const Record record,
                         DecodeRecord(AsBytes(encoded), kPlace));

    EXPECT_EQ(record.header.kind, sample.kind);
    EXPECT_EQ(record.header.lsn, sample.lsn);
    EXPECT_EQ(record.header.flags, sample.flags);
    EXPECT_EQ(record.key, sample.key);
    EXPECT_EQ(record.value, sample.value);
    EXPECT_EQ(RecordSize(record.header), encoded.size());
    EXPECT_EQ(encoded.size() % kRecordAlignment, 0U);
  }
}

TEST(RecordTest, IgnoresWhatFollowsTheRecord) {
  const std::string encoded = Encode(kPut) + "\xff\xff\xff";

  ASSERT_OK_AND_ASSIGN(const Record record,
                       DecodeRecord(AsBytes(encoded), kPlace));

  EXPECT_EQ(record.value, kPut.value);
}

TEST(RecordTest, ReportsEveryTruncationAsOutOfRange) {
  for (const Sample& sample : Samples()) {
    const std::string encoded = Encode(sample);
    for (size_t size = 0; size < encoded.size(); ++size) {
      SCOPED_TRACE(size);
      EXPECT_THAT(DecodeRecord(AsBytes(encoded).first(size), kPlace),
                  StatusIs(absl::StatusCode::kOutOfRange));
    }
  }
}

TEST(RecordTest, ReportsEveryFlippedBitAsDataLoss) {
  for (const Sample& sample : Samples()) {
    for (size_t bit = 0; bit < 8 * Encode(sample).size(); ++bit) {
      SCOPED_TRACE(bit);
      std::string damaged = Encode(sample);
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_THAT(DecodeRecord(AsBytes(damaged), kPlace),
                  StatusIs(absl::StatusCode::kDataLoss));
    }
  }
}

TEST(RecordTest, ReportsEveryTwoFlippedBitsOfAHeaderAsDamage) {
  const std::string encoded = Encode(kPut);
  for (size_t first = 0; first < 8 * kRecordHeaderSize; ++first) {
    for (size_t second = 0; second < first; ++second) {
      std::string damaged = encoded;
      for (const size_t bit : {first, second}) {
        damaged[bit / 8] =
            static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      }
      Record record;
      ASSERT_EQ(CheckRecord(AsBytes(damaged), kPlace, &record),
                RecordCheck::kHeaderDamaged);
    }
  }
}

TEST(RecordTest, IsDamagedAtEveryOtherOffset) {
  const std::string encoded = Encode(kPut);
  for (uint64_t offset = 0; offset < 1 << 16; offset += 8) {
    if (offset == kPlace.offset) continue;
    Record record;
    EXPECT_EQ(CheckRecord(AsBytes(encoded), {kPlace.salt, offset}, &record),
              RecordCheck::kHeaderDamaged);
  }
}

TEST(RecordTest, IsDamagedInASegmentOfAnotherSalt) {
  const std::string encoded = Encode(kPut);
  for (uint64_t salt = 0; salt < 1 << 12; ++salt) {
    Record record;
    EXPECT_EQ(CheckRecord(AsBytes(encoded), {salt, kPlace.offset}, &record),
              RecordCheck::kHeaderDamaged);
  }
}

TEST(RecordTest, DoesNotFindACopyOfARecordInsideAValue) {
  const std::string inner = Encode(kPut);
  const std::string outer = Encode({RecordKind::kPut, 8, 0, "8 bytes!", inner});

  for (size_t at = 0; at + kRecordHeaderSize <= outer.size(); at += 8) {
    SCOPED_TRACE(at);
    Record record;
    const RecordCheck found = CheckRecord(
        AsBytes(outer).subspan(at), {kPlace.salt, kPlace.offset + at}, &record);
    EXPECT_EQ(found,
              at == 0 ? RecordCheck::kValid : RecordCheck::kHeaderDamaged);
  }
}

TEST(RecordTest, IsNeverAllZeros) {
  const std::string zeros(4096, '\0');
  for (uint64_t offset = 0; offset < 1 << 16; offset += 8) {
    Record record;
    EXPECT_EQ(CheckRecord(AsBytes(zeros), {kPlace.salt, offset}, &record),
              RecordCheck::kHeaderDamaged);
  }
  EXPECT_EQ(CheckHeader(Forge({.kind = RecordKind{0}})),
            RecordCheck::kHeaderDamaged);
}

TEST(RecordTest, BelievesTheSizesWhenOnlyThePayloadIsDamaged) {
  std::string damaged = Encode(kPut);
  damaged[kRecordHeaderSize] = '\0';

  Record record;
  ASSERT_EQ(CheckRecord(AsBytes(damaged), kPlace, &record),
            RecordCheck::kPayloadDamaged);

  EXPECT_EQ(RecordSize(record.header), damaged.size());
  EXPECT_EQ(CheckHeader(damaged), RecordCheck::kValid);
}

TEST(RecordTest, LeavesTheHeaderAloneWhenItIsDamaged) {
  std::string damaged = Encode(kPut);
  damaged[8] = '\x55';
  RecordHeader header = {.lsn = 99};

  ASSERT_EQ(CheckRecordHeader(AsBytes(damaged), kPlace, &header),
            RecordCheck::kHeaderDamaged);

  EXPECT_EQ(header.lsn, 99U);
}

TEST(RecordTest, ReportsPaddingThatIsNotZeroAsDamage) {
  for (size_t size = 0; size < 8; ++size) {
    const Sample sample = {RecordKind::kPut, 1, 0, "", std::string(size, 'v')};
    for (size_t at = kRecordHeaderSize + size; at < Encode(sample).size();
         ++at) {
      SCOPED_TRACE(at);
      std::string damaged = Encode(sample);
      damaged[at] = '\x01';
      Record record;
      EXPECT_EQ(CheckRecord(AsBytes(damaged), kPlace, &record),
                RecordCheck::kPayloadDamaged);
    }
  }
}

TEST(RecordTest, HoldsTheLongestKeyAndALongValue) {
  const Sample sample = {RecordKind::kPut, 1, 0, std::string(kKeySizeMax, 'k'),
                         std::string(3 << 20, 'v')};
  const std::string encoded = Encode(sample);

  ASSERT_OK_AND_ASSIGN(const Record record,
                       DecodeRecord(AsBytes(encoded), kPlace));

  EXPECT_EQ(record.key, sample.key);
  EXPECT_EQ(record.value, sample.value);
}

TEST(RecordTest, TakesAValueOfTheLargestSizeAndNoMore) {
  const auto size_max = static_cast<uint32_t>(kValueSizeMax);

  EXPECT_EQ(CheckHeader(Forge({.lsn = 1, .value_size = size_max})),
            RecordCheck::kValid);
  EXPECT_EQ(CheckHeader(Forge({.lsn = 1, .value_size = size_max + 1})),
            RecordCheck::kHeaderDamaged);
  EXPECT_EQ(CheckHeader(Forge({.lsn = 1, .value_size = ~uint32_t{0}})),
            RecordCheck::kHeaderDamaged);
}

TEST(RecordTest, IsCutShortWhenASoundHeaderPromisesMoreThanThereIs) {
  Record record;
  const std::string encoded =
      Forge({.lsn = 1,
             .value_size = static_cast<uint32_t>(kValueSizeMax),
             .key_size = kKeySizeMax});

  EXPECT_EQ(CheckRecord(AsBytes(encoded), kPlace, &record),
            RecordCheck::kCutShort);
}

TEST(RecordTest, KnowsTenKinds) {
  int known = 0;
  for (int kind = 0; kind < 256; ++kind) {
    const auto record_kind = static_cast<RecordKind>(kind);
    for (const uint32_t value_size : {0U, 8U, 16U, 24U, 32U}) {
      if (CheckHeader(
              Forge({.lsn = record_kind == RecordKind::kTime ? Lsn{0} : Lsn{1},
                     .value_size = value_size,
                     .kind = record_kind})) == RecordCheck::kValid) {
        ++known;
        break;
      }
    }
  }
  EXPECT_EQ(known, 10);
}

TEST(RecordTest, RejectsEveryUnknownFlag) {
  for (int flags = kKnownFlags + 1; flags < 256; ++flags) {
    SCOPED_TRACE(flags);
    EXPECT_EQ(CheckHeader(Forge({.lsn = 1,
                                 .value_size = kValueReferenceSize,
                                 .flags = static_cast<uint8_t>(flags)})),
              RecordCheck::kHeaderDamaged);
  }
}

struct BadHeader {
  std::string name;
  RecordHeader header;
};

class RecordHeaderTest : public ::testing::TestWithParam<BadHeader> {};

TEST_P(RecordHeaderTest, IsDamagedDespiteItsChecksum) {
  EXPECT_EQ(CheckHeader(Forge(GetParam().header)), RecordCheck::kHeaderDamaged);
}

TEST_P(RecordHeaderTest, IsNeverWritten) {
  std::byte to[kRecordHeaderSize];
  EXPECT_DEATH(EncodeRecordHeader(GetParam().header, 0, kPlace, to),
               "check failed");
}

INSTANTIATE_TEST_SUITE_P(
    , RecordHeaderTest,
    ::testing::Values(
        BadHeader{"PutWithoutLsn", {.kind = RecordKind::kPut}},
        BadHeader{"TombstoneWithoutLsn", {.kind = RecordKind::kTombstone}},
        BadHeader{"ForgetWithoutLsn",
                  {.value_size = kMaskHeaderSize, .kind = RecordKind::kForget}},
        BadHeader{"TombstoneWithValue",
                  {.lsn = 1, .value_size = 1, .kind = RecordKind::kTombstone}},
        BadHeader{"TombstoneInValueFile",
                  {.lsn = 1,
                   .value_size = kValueReferenceSize,
                   .kind = RecordKind::kTombstone,
                   .flags = kFlagValueFile}},
        BadHeader{"ValueFileOfWrongSize",
                  {.lsn = 1,
                   .value_size = kValueReferenceSize + 1,
                   .flags = kFlagValueFile}},
        BadHeader{"PutWithoutRoomForItsExpiry",
                  {.lsn = 1, .value_size = 7, .flags = kFlagExpires}},
        BadHeader{"PutThatShadowsLongerAndDoesNotExpire",
                  {.lsn = 1, .value_size = 8, .flags = kFlagShadowsLonger}},
        BadHeader{"ReferenceWithoutRoomForAnExpiry",
                  {.lsn = 1,
                   .value_size = kValueReferenceSize,
                   .flags = kFlagValueFile | kFlagExpires}},
        BadHeader{"MaskThatShadowsLonger",
                  {.lsn = 1,
                   .value_size = kMaskHeaderSize + kExpirySize,
                   .kind = RecordKind::kEnable,
                   .flags = kFlagExpires | kFlagShadowsLonger}},
        BadHeader{
            "TombstoneThatExpires",
            {.lsn = 1, .kind = RecordKind::kTombstone, .flags = kFlagExpires}},
        BadHeader{"StubThatExpires",
                  {.lsn = 1,
                   .value_size = kMaskHeaderSize + kExpirySize,
                   .kind = RecordKind::kAuditStub,
                   .flags = kFlagExpires}},
        BadHeader{"TimeWithAnLsn",
                  {.lsn = 1,
                   .value_size = kTimeValueSize,
                   .kind = RecordKind::kTime}},
        BadHeader{
            "TimeTooShort",
            {.value_size = kTimeValueSize - 1, .kind = RecordKind::kTime}},
        BadHeader{"MaskTooShort",
                  {.lsn = 1,
                   .value_size = kMaskHeaderSize - 1,
                   .kind = RecordKind::kForget,
                   .flags = kFlagValueFile}},
        BadHeader{"AuditStubInFrame",
                  {.lsn = 1,
                   .value_size = kMaskHeaderSize,
                   .kind = RecordKind::kAuditStub,
                   .flags = kFlagInFrame}},
        BadHeader{"MarkWithKey",
                  {.lsn = 1,
                   .value_size = kMarkValueSize,
                   .key_size = 1,
                   .kind = RecordKind::kMark}},
        BadHeader{"MarkInFrame",
                  {.lsn = 1,
                   .value_size = kMarkValueSize,
                   .kind = RecordKind::kMark,
                   .flags = kFlagInFrame}},
        BadHeader{"MarkTooShort",
                  {.lsn = 1,
                   .value_size = kMarkValueSize - 1,
                   .kind = RecordKind::kMark}},
        BadHeader{"LinkTooLong",
                  {.lsn = 1,
                   .value_size = kLinkValueSize + 1,
                   .kind = RecordKind::kLink}},
        BadHeader{"FrameInValueFile",
                  {.lsn = 1,
                   .value_size = kFrameValueSize,
                   .kind = RecordKind::kFrame,
                   .flags = kFlagValueFile}}),
    [](const auto& bad) { return bad.param.name; });

TEST(RecordTest, ReportsAnImpossibleReferenceAsDamage) {
  const std::string reference = EncodeValueReference({.file = 9, .size = 1});
  for (const size_t field : {0, 8}) {
    SCOPED_TRACE(field);
    std::string impossible = reference;
    impossible.replace(field, 8, 8, field == 0 ? '\0' : '\xff');
    for (const Sample& sample :
         {Sample{RecordKind::kPut, 4, kFlagValueFile, "key", impossible},
          Sample{RecordKind::kDisable, 4, kFlagValueFile, "key",
                 EncodeMask(RecordKind::kDisable,
                            {.value_lsn = 1, .value = impossible})}}) {
      Record record;
      const std::string encoded = Encode(sample);
      EXPECT_EQ(CheckRecord(AsBytes(encoded), kPlace, &record),
                RecordCheck::kPayloadDamaged);
    }
  }
}

TEST(RecordTest, GivesLsnsToPutsTombstonesAndMasksOnly) {
  for (const Sample& sample : Samples()) {
    SCOPED_TRACE(static_cast<int>(sample.kind));
    EXPECT_EQ(TakesLsn(sample.kind), static_cast<int>(sample.kind) >= 1 &&
                                         static_cast<int>(sample.kind) <= 5);
  }
  EXPECT_FALSE(TakesLsn(RecordKind{0}));
  EXPECT_FALSE(TakesLsn(RecordKind{255}));
}

}  // namespace
}  // namespace peat::format
