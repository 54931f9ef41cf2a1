// Masks and audit stubs: every form is written and read, and nothing else is.

#include "format/mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace peat::format {
namespace {

constexpr Lsn kLsn = 9;

RecordHeader HeaderOf(RecordKind kind, const std::string& value,
                      uint8_t flags = 0) {
  return {.lsn = kLsn,
          .value_size = static_cast<uint32_t>(value.size()),
          .kind = kind,
          .flags = flags};
}

Record RecordOf(RecordKind kind, const std::string& value) {
  return {.header = HeaderOf(kind, value), .key = "key", .value = value};
}

bool HasForm(RecordKind kind, const std::string& value, uint8_t flags = 0) {
  return HasMaskForm(HeaderOf(kind, value, flags), value);
}

const std::string kDigest(kDigestSize, 'd');

TEST(MaskTest, ReadsWhatItWrites) {
  for (const RecordKind kind :
       {RecordKind::kDisable, RecordKind::kEnable, RecordKind::kForget}) {
    for (const std::string& bytes : {std::string(), std::string(300, 'b')}) {
      const bool is_forget = kind == RecordKind::kForget;
      const std::string value =
          EncodeMask(kind, {.time = 77,
                            .value_lsn = 5,
                            .reason = bytes,
                            .value_digest = is_forget ? kDigest : "",
                            .value = bytes});
      EXPECT_TRUE(HasForm(kind, value));
      const Record record = RecordOf(kind, value);
      const Mask mask = DecodeMask(record);
      EXPECT_EQ(mask.time, 77U);
      EXPECT_EQ(mask.value_lsn, 5U);
      EXPECT_EQ(mask.reason, bytes);
      EXPECT_EQ(mask.value, bytes);
      EXPECT_EQ(mask.value_digest, is_forget ? kDigest : "");
      EXPECT_EQ(StoredValue(record), bytes);
    }
  }
}

TEST(MaskTest, CountsBackToAValueOfTheSameBatch) {
  const std::string value =
      EncodeMask(RecordKind::kDisable,
                 {.value_lsn = 2, .value_lsn_counts_back = true, .value = "v"});
  const Mask mask = DecodeMask(RecordOf(RecordKind::kDisable, value));
  EXPECT_EQ(mask.value_lsn, kLsn - 2);
  EXPECT_FALSE(mask.value_lsn_counts_back);
}

TEST(MaskTest, ForgetsWhatNeverWas) {
  const std::string value =
      EncodeMask(RecordKind::kForget, {.time = 1, .reason = "r"});
  EXPECT_TRUE(HasForm(RecordKind::kForget, value));
  EXPECT_FALSE(DecodeMask(RecordOf(RecordKind::kForget, value)).has_value());
  EXPECT_FALSE(HasForm(RecordKind::kDisable, value));
  EXPECT_FALSE(HasForm(RecordKind::kEnable, value));
}

TEST(MaskTest, LeavesAStubThatSaysAllButTheValue) {
  const std::string value =
      EncodeMask(RecordKind::kEnable,
                 {.time = 77, .value_lsn = 5, .reason = "why", .value = "v"});
  const Record record = RecordOf(RecordKind::kEnable, value);
  const std::string stub = EncodeAuditStub(record);
  EXPECT_TRUE(HasForm(RecordKind::kAuditStub, stub));
  const Mask mask = DecodeMask(RecordOf(RecordKind::kAuditStub, stub));
  EXPECT_EQ(mask.stub_of, RecordKind::kEnable);
  EXPECT_EQ(mask.time, 77U);
  EXPECT_EQ(mask.value_lsn, 5U);
  EXPECT_EQ(mask.reason, "why");
  EXPECT_EQ(mask.value, "");
  EXPECT_EQ(LastingSize(RecordKind::kEnable, 3, value),
            RecordSize(3, stub.size()));
  EXPECT_EQ(LastingSize(RecordKind::kPut, 3, "v"), 0U);
}

TEST(MaskTest, IsRefusedWhenCutAnywhere) {
  const std::string value = EncodeMask(
      RecordKind::kForget,
      {.time = 1, .value_lsn = 5, .reason = "why", .value_digest = kDigest});
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(HasForm(RecordKind::kForget, value.substr(0, size))) << size;
  }
  const std::string reference =
      EncodeValueReference({.file = 1, .size = 2, .checksum = 3});
  EXPECT_TRUE(HasForm(RecordKind::kForget, value + reference, kFlagValueFile));
  for (size_t size = 0; size < reference.size(); ++size) {
    EXPECT_FALSE(HasForm(RecordKind::kForget, value + reference.substr(0, size),
                         kFlagValueFile));
  }
}

TEST(MaskTest, IsRefusedInAnyOtherForm) {
  const std::string good =
      EncodeMask(RecordKind::kDisable, {.time = 1, .value_lsn = 5});
  const auto with = [&good](size_t at, char byte) {
    std::string bad = good;
    bad[at] = byte;
    return bad;
  };
  EXPECT_TRUE(HasForm(RecordKind::kDisable, good));
  // The value is not older than the mask.
  EXPECT_FALSE(HasForm(RecordKind::kDisable, with(8, kLsn)));
  EXPECT_FALSE(HasForm(RecordKind::kDisable, with(16, 1)));  // reason's size
  EXPECT_FALSE(HasForm(RecordKind::kDisable, with(20, 3)));  // a stub's field
  EXPECT_FALSE(HasForm(RecordKind::kDisable, with(21, 2)));  // flags
  EXPECT_FALSE(HasForm(RecordKind::kDisable, with(22, 1)));  // zero
  EXPECT_FALSE(HasForm(RecordKind::kAuditStub, good));       // of what?
  EXPECT_TRUE(HasForm(RecordKind::kAuditStub, with(20, 3)));
  EXPECT_FALSE(HasForm(RecordKind::kAuditStub, with(20, 5)));  // no forgets
  EXPECT_FALSE(HasForm(RecordKind::kAuditStub, with(20, 3) + "v"));
  std::string long_reason = with(18, 1);  // 65,536
  long_reason.resize(good.size() + 65'536);
  EXPECT_TRUE(HasForm(RecordKind::kDisable, long_reason));
  long_reason[16] = 1;
  long_reason.resize(good.size() + 65'537);
  EXPECT_FALSE(HasForm(RecordKind::kDisable, long_reason));
}

}  // namespace
}  // namespace peat::format
