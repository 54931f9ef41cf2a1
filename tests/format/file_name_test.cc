// Tests of format/file_name.

#include "format/file_name.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace peat::format {
namespace {

constexpr SegmentId kIdMax = SegmentId{1} << 63;

FileKind KindOf(std::string_view name) {
  const std::optional<FileName> parsed = ParseFileName(name);
  EXPECT_TRUE(parsed.has_value()) << name;
  return parsed.value_or(FileName{.kind = FileKind::kLock}).kind;
}

TEST(FileNameTest, HasAtLeastSixDigits) {
  EXPECT_EQ(SegmentFileName(42), "000042.seg");
  EXPECT_EQ(SegmentFileName(999'999), "999999.seg");
  EXPECT_EQ(SegmentFileName(1'000'000), "1000000.seg");
  EXPECT_EQ(SegmentFileName(kIdMax), "9223372036854775808.seg");
  EXPECT_EQ(ValueFileName(42), "000042.val");
}

TEST(FileNameTest, NamesOneIdOnly) {
  std::vector<SegmentId> ids = {kIdMax, kIdMax - 1, 999'999, 1'000'000};
  for (SegmentId id = 1; id < kIdMax / 3; id = 3 * id + 1) ids.push_back(id);
  for (const SegmentId id : ids) {
    SCOPED_TRACE(id);
    const std::optional<FileName> segment = ParseFileName(SegmentFileName(id));
    const std::optional<FileName> value = ParseFileName(ValueFileName(id));
    ASSERT_TRUE(segment.has_value());
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(segment->kind, FileKind::kSegment);
    EXPECT_EQ(segment->id, id);
    EXPECT_EQ(value->kind, FileKind::kValue);
    EXPECT_EQ(value->id, id);
  }
}

TEST(FileNameTest, KnowsTheFixedNames) {
  EXPECT_EQ(KindOf("LOCK"), FileKind::kLock);
  EXPECT_EQ(KindOf("MANIFEST-0"), FileKind::kManifest);
  EXPECT_EQ(KindOf("MANIFEST-1"), FileKind::kManifest);
  EXPECT_EQ(KindOf("RESERVE-0"), FileKind::kReserve);
  EXPECT_EQ(KindOf("RESERVE-1"), FileKind::kReserve);
}

TEST(FileNameTest, KnowsDerivedFiles) {
  EXPECT_EQ(KindOf("000042.hint"), FileKind::kHint);
  EXPECT_EQ(KindOf("000042.snap"), FileKind::kSnapshot);
  EXPECT_EQ(KindOf("000042.seg.tmp"), FileKind::kTemporary);
  EXPECT_EQ(ParseFileName("000042.hint")->id, 42U);
}

TEST(FileNameTest, LeavesFilesOfOthersAlone) {
  for (const char* const name : {"",
                                 ".",
                                 "..",
                                 "lock",
                                 "LOCK.",
                                 "LOCK ",
                                 "MANIFEST",
                                 "MANIFEST-2",
                                 "RESERVE-00",
                                 "42.seg",
                                 "00042.seg",
                                 "0000042.seg",
                                 "000000.seg",
                                 "0000000.seg",
                                 "000042.SEG",
                                 "000042.seg ",
                                 " 000042.seg",
                                 "-00042.seg",
                                 "+00042.seg",
                                 "00004a.seg",
                                 "000042",
                                 "000042.",
                                 ".seg",
                                 ".tmp",
                                 "000042.sega",
                                 "000042.txt",
                                 "000042.seg.bak",
                                 "0x0042.seg",
                                 "9223372036854775809.seg",
                                 "18446744073709551616.seg",
                                 "18446744073709551658.seg",
                                 "99999999999999999999999999.seg",
                                 "a/000042.seg",
                                 "../x.tmp",
                                 "000042.seg.val"}) {
    EXPECT_FALSE(ParseFileName(name).has_value()) << name;
  }
}

TEST(FileNameTest, MayHoldAnyBytesWithoutBeingAccepted) {
  EXPECT_FALSE(ParseFileName(std::string("000042.seg\0", 11)).has_value());
  std::string many_digits(1 << 16, '9');
  many_digits.append(".seg");
  EXPECT_FALSE(ParseFileName(many_digits).has_value());
  EXPECT_FALSE(ParseFileName("\xff\xfe\xfd\xfc\xfb\xfa.seg").has_value());
}

}  // namespace
}  // namespace peat::format
