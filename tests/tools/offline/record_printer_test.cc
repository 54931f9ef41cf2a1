// Lines of the longest content that there may be, which no line's bound on its
// size may fall short of.

#include "tools/offline/record_printer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "format/mask.h"
#include "tests/support/status_matchers.h"
#include "tools/escape.h"

namespace peat::tools {
namespace {

using format::RecordKind;
using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr auto kLargest = std::numeric_limits<uint64_t>::max();

// Bytes of which each becomes as many as any does.
std::string Hostile(size_t size) { return std::string(size, '\xFF'); }

class RecordPrinterTest : public ::testing::Test {
 protected:
  // No header says more, and no key is longer.
  format::Record Record(RecordKind kind, std::string_view value = {}) const {
    format::Record record;
    record.header = {.lsn = kLargest,
                     .value_size = std::numeric_limits<uint32_t>::max(),
                     .key_size = std::numeric_limits<uint16_t>::max(),
                     .kind = kind,
                     .flags = format::kFlagInFrame | format::kFlagValueFile};
    record.key = key_;
    record.value = value;
    return record;
  }

  ShownRecord Shown(const format::Record& record, DumpForm form) {
    file_ = ShownName(Hostile(255), form);
    return {.record = record,
            .bytes = {},
            .file = file_,
            .offset = kLargest,
            .is_current = false,
            .is_unproven = true,
            .omits_value = true};
  }

  std::string key_ = Hostile(65'535);
  std::string file_;
};

TEST_F(RecordPrinterTest, TableLinesOfEveryKindTakeTheLongestContent) {
  for (const RecordKind kind :
       {RecordKind::kPut, RecordKind::kTombstone, RecordKind::kMark,
        RecordKind::kLink, RecordKind::kFrame}) {
    for (const char byte : {'\xFF', '"', 'k'}) {
      key_.assign(key_.size(), byte);
      const format::Record record = Record(kind);
      std::string line = "before ";
      AppendTableLine(Shown(record, DumpForm::kTable), kLargest, &line);
      EXPECT_EQ(line, absl::StrFormat("before %s %d %d %-9s %d %d -fv  %s\n",
                                      Escape(Hostile(255)), kLargest, kLargest,
                                      std::string(NameOf(kind)), 65'535,
                                      std::numeric_limits<uint32_t>::max(),
                                      Escape(key_)));
    }
  }
}

TEST_F(RecordPrinterTest, JsonLinesTakeTheLongestContent) {
  const std::string reference = format::EncodeValueReference(
      {.file = format::kSegmentIdMax, .size = format::kValueSizeMax});
  for (const char byte : {'\xFF', '"', '\x01', 'k'}) {
    key_.assign(key_.size(), byte);
    const format::Record record = Record(RecordKind::kPut, reference);
    std::string line;
    AppendJsonLine(Shown(record, DumpForm::kJson), &line);

    const json object = json::parse(line);
    EXPECT_EQ(object.at("file"), Escape(Hostile(255)));
    EXPECT_EQ(object.at("offset"), kLargest);
    EXPECT_EQ(object.at("lsn"), kLargest);
    EXPECT_EQ(object.at("value_size"), std::numeric_limits<uint32_t>::max());
    EXPECT_EQ(object.at("in_frame"), true);
    EXPECT_EQ(object.at("in_value_file"), true);
    EXPECT_EQ(object.at("current"), false);
    EXPECT_EQ(object.at("unproven"), true);
    EXPECT_EQ(object.at("value_file"), format::kSegmentIdMax);
    if (byte == '\xFF') {
      EXPECT_EQ(object.at("key64"),
                absl::Base64Escape({key_.data(), key_.size()}));
    } else {
      EXPECT_EQ(object.at("key"), key_);
    }
  }
}

TEST_F(RecordPrinterTest, MasksShowTheLongestReasonAndValue) {
  const std::string reason = Hostile(format::kReasonSizeMax);
  const std::string value_bytes = Hostile(100'000);
  const std::string value = format::EncodeMask(
      RecordKind::kDisable,
      {.value_lsn = kLargest - 1, .reason = reason, .value = value_bytes});
  format::Record record = Record(RecordKind::kDisable, value);
  record.header.flags = format::kFlagInFrame;
  ShownRecord shown = Shown(record, DumpForm::kTable);
  shown.omits_value = false;
  shown.shows_value = true;
  shown.shows_reason = true;

  std::string table;
  AppendTableLine(shown, kLargest, &table);
  EXPECT_THAT(table, EndsWith("  " + Escape(value_bytes) +
                              "  reason: " + Escape(reason) + "\n"));
  file_ = ShownName(Hostile(255), DumpForm::kJson);
  shown.file = file_;
  std::string line;
  AppendJsonLine(shown, &line);
  const json object = json::parse(line);
  EXPECT_EQ(object.at("reason64"),
            absl::Base64Escape({reason.data(), reason.size()}));
  EXPECT_EQ(object.at("value_lsn"), kLargest - 1);
}

TEST_F(RecordPrinterTest, GapsTakeTheLongestContent) {
  const Gap gap{.offset = kLargest,
                .size = kLargest,
                .what = "what",
                .header = Record(RecordKind::kTombstone).header};
  const std::string table_name = ShownName(Hostile(255), DumpForm::kTable);
  std::string table;
  AppendTableGap(table_name, gap, &table);
  EXPECT_EQ(table,
            absl::StrFormat("%s %d %d tombstone SKIPPED %d bytes: what\n",
                            table_name, kLargest, kLargest, kLargest));

  std::string line;
  AppendJsonGap(ShownName(Hostile(255), DumpForm::kJson), gap, &line);
  EXPECT_EQ(json::parse(line).at("size"), kLargest);
}

TEST_F(RecordPrinterTest, RawLinesTakeTheLongestContent) {
  const std::string bytes(format::kRecordHeaderSize + key_.size() + 9, '\xFF');
  format::Record record = Record(RecordKind::kPut);
  record.header.value_size = 8;
  ShownRecord shown = Shown(record, DumpForm::kRaw);
  shown.bytes = format::AsBytes(bytes);
  shown.is_current = true;
  std::string text;
  AppendRawLines(shown, &text);

  EXPECT_THAT(text, StartsWith(absl::StrFormat("%s offset %d, current\n", file_,
                                               kLargest)));
  EXPECT_THAT(text, HasSubstr(absl::StrFormat("| lsn %d\n", kLargest)));
}

TEST_F(RecordPrinterTest, NamesOfFilesAreSafeInEachForm) {
  const std::string name = "a\"b\\c\n\x1B[2J.seg";
  EXPECT_EQ(ShownName("000042.seg", DumpForm::kJson), "000042.seg");
  EXPECT_EQ(ShownName(name, DumpForm::kTable), "a\"b\\\\c\\n\\x1b[2J.seg");
  EXPECT_EQ(json::parse('"' + ShownName(name, DumpForm::kJson) + '"'),
            ShownName(name, DumpForm::kTable));
}

}  // namespace
}  // namespace peat::tools
