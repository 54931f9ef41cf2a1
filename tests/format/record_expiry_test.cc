// When records expire: what is written and read of it, and what is damage.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "format/bytes.h"
#include "format/mask.h"
#include "format/record.h"
#include "tests/support/status_matchers.h"

namespace peat::format {
namespace {

constexpr Place kPlace = {.salt = 0x1122334455667788, .offset = 4096};

struct Sample {
  RecordKind kind;
  Lsn lsn;
  uint8_t flags;
  std::string key;
  std::string value;
};

std::string Encode(const Sample& sample) {
  std::string encoded;
  AppendRecord({.lsn = sample.lsn,
                .value_size = static_cast<uint32_t>(sample.value.size()),
                .key_size = static_cast<uint16_t>(sample.key.size()),
                .kind = sample.kind,
                .flags = sample.flags},
               sample.key, sample.value, kPlace, &encoded);
  return encoded;
}

// With checksums that match: nobody but a forger writes these.
TEST(RecordExpiryTest, ReportsAnImpossibleExpiryAsDamage) {
  for (const uint64_t time : {uint64_t{0}, kMillisMax + 1, kNever}) {
    SCOPED_TRACE(time);
    std::string expiry(kExpirySize, '\0');
    Store<uint64_t>(reinterpret_cast<std::byte*>(expiry.data()), time);
    const std::string reference = EncodeValueReference({.file = 9});
    for (const Sample& sample :
         {Sample{RecordKind::kPut, 4, kFlagExpires, "key", expiry + "v"},
          Sample{RecordKind::kPut, 4, kFlagExpires | kFlagValueFile, "key",
                 expiry + reference},
          Sample{RecordKind::kDisable, 4, kFlagExpires, "key",
                 EncodeMask(RecordKind::kDisable,
                            {.value_lsn = 1, .value = expiry + "v"})},
          Sample{RecordKind::kTime, 0, 0, "", expiry}}) {
      Record record;
      EXPECT_EQ(CheckRecord(AsBytes(Encode(sample)), kPlace, &record),
                RecordCheck::kPayloadDamaged);
    }
  }
}

TEST(RecordExpiryTest, TellsTheExpiryFromTheValue) {
  const std::string value = EncodeExpiry(77) + "v";
  const std::string mask = EncodeMask(
      RecordKind::kDisable, {.value_lsn = 3, .reason = "r", .value = value});
  for (const Sample& sample :
       {Sample{RecordKind::kPut, 4, kFlagExpires, "key", value},
        Sample{RecordKind::kDisable, 4, kFlagExpires, "key", mask}}) {
    const std::string encoded = Encode(sample);
    ASSERT_OK_AND_ASSIGN(const Record record,
                         DecodeRecord(AsBytes(encoded), kPlace));
    EXPECT_EQ(ExpiryOf(record), 77U);
    EXPECT_EQ(StoredValue(record), "v");
    EXPECT_EQ(PreservedValue(record), value);
  }
  const std::string encoded = Encode({RecordKind::kPut, 4, 0, "key", "v"});
  ASSERT_OK_AND_ASSIGN(const Record record,
                       DecodeRecord(AsBytes(encoded), kPlace));
  EXPECT_EQ(ExpiryOf(record), kNever);
  EXPECT_EQ(StoredValue(record), "v");
}

TEST(RecordExpiryTest, RefusesAMaskWhoseFlagHasNoExpiryBehindIt) {
  // Room for it in the value as a whole, but not behind the reason.
  const Sample sample = {
      RecordKind::kDisable, 4, kFlagExpires, "key",
      EncodeMask(RecordKind::kDisable,
                 {.value_lsn = 3, .reason = "a long one", .value = "7 bytes"})};
  Record record;
  EXPECT_EQ(CheckRecord(AsBytes(Encode(sample)), kPlace, &record),
            RecordCheck::kPayloadDamaged);
}

}  // namespace
}  // namespace peat::format
