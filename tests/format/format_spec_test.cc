// FORMAT.md, executed: each of its ```hex blocks is decoded, encoded again and
// compared, and each of its checksums computed, so that the specification
// cannot drift from the code.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "format/checksum.h"
#include "format/hint_file.h"
#include "format/key_filter.h"
#include "format/manifest.h"
#include "format/mask.h"
#include "format/record.h"
#include "format/segment_header.h"
#include "tests/support/status_matchers.h"

namespace peat::format {
namespace {

// The lines of each block that is fenced as `language`.
std::vector<std::vector<std::string>> Blocks(const std::string& language) {
  std::ifstream file(PEAT_FORMAT_SPEC);
  std::vector<std::vector<std::string>> blocks;
  bool is_inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "```" + language) {
      is_inside = true;
      blocks.emplace_back();
    } else if (line == "```") {
      is_inside = false;
    } else if (is_inside) {
      blocks.back().push_back(line);
    }
  }
  return blocks;
}

// The words of a line and its `name=value` pairs; quotes are taken off.
struct Line {
  std::vector<std::string> words;
  std::map<std::string, std::string> fields;

  uint64_t Number(const std::string& name) const {
    return std::strtoull(fields.at(name).c_str(), nullptr, 0);
  }
};

Line Parse(const std::string& text) {
  Line line;
  const std::vector<std::string> words =
      absl::StrSplit(text, ' ', absl::SkipEmpty());
  for (const std::string& word : words) {
    const std::vector<std::string> parts =
        absl::StrSplit(word, absl::MaxSplits('=', 1));
    if (parts.size() == 1 || parts[0].empty()) {
      line.words.push_back(word);
    } else {
      std::string value = parts[1];
      std::erase(value, '"');
      line.fields[parts[0]] = value;
    }
  }
  return line;
}

// The bytes of a dump whose lines are "offset: bytes | what they are".
std::string DumpedBytes(const std::vector<std::string>& lines) {
  std::string bytes;
  uint64_t start = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string dump = lines[i].substr(0, lines[i].find('|'));
    const size_t colon = dump.find(':');
    const uint64_t offset =
        std::strtoull(dump.substr(0, colon).c_str(), nullptr, 16);
    if (i == 1) start = offset;
    EXPECT_EQ(offset, start + bytes.size()) << lines[i];
    std::string hex;
    for (const char digit : dump.substr(colon + 1)) {
      if (digit != ' ') hex += digit;
    }
    bytes += absl::HexStringToBytes(hex);
  }
  return bytes;
}

std::string NameOf(RecordKind kind) {
  switch (kind) {
    case RecordKind::kPut:
      return "put";
    case RecordKind::kTombstone:
      return "tombstone";
    case RecordKind::kMark:
      return "mark";
    case RecordKind::kLink:
      return "link";
    case RecordKind::kFrame:
      return "frame";
    case RecordKind::kTime:
      return "time";
    case RecordKind::kDisable:
      return "disable";
    case RecordKind::kForget:
      return "forget";
    case RecordKind::kAuditStub:
      return "audit_stub";
    default:
      return "without a dump";
  }
}

// The value decoded as its kind demands and encoded again.
std::string EncodeValueAgain(const Record& record) {
  switch (record.header.kind) {
    case RecordKind::kMark:
      return EncodeMark(*DecodeMark(record.value));
    case RecordKind::kLink:
      return EncodeLink(*DecodeLink(record.value));
    case RecordKind::kFrame:
      return EncodeFrame(*DecodeFrame(record.value));
    case RecordKind::kTime:
      return EncodeTime(*DecodeTime(record.value));
    case RecordKind::kDisable:
    case RecordKind::kForget:
    case RecordKind::kAuditStub:
      return EncodeMask(record.header.kind, DecodeMask(record));
    default:
      break;
  }
  if (Expires(record.header)) {
    return absl::StrFormat("%s%s", EncodeExpiry(ExpiryOf(record)),
                           StoredValue(record));
  }
  if ((record.header.flags & kFlagValueFile) != 0) {
    return EncodeValueReference(*DecodeValueReference(record.value));
  }
  return std::string(record.value);
}

void ExpectSameRecords(const Line& title, const std::string& bytes) {
  const Place start = {title.Number("salt"), title.Number("offset")};
  std::string again;
  std::vector<std::string> kinds;
  while (again.size() < bytes.size()) {
    const Place place = {start.salt, start.offset + again.size()};
    ASSERT_OK_AND_ASSIGN(
        const Record record,
        DecodeRecord(AsBytes(bytes).subspan(again.size()), place));
    kinds.push_back(NameOf(record.header.kind));
    AppendRecord(record.header, record.key, EncodeValueAgain(record), place,
                 &again);
  }
  EXPECT_EQ(absl::BytesToHexString(again), absl::BytesToHexString(bytes));
  const std::vector<std::string> expected =
      absl::StrSplit(title.words.at(2), ',');
  EXPECT_EQ(kinds, expected);
}

// Of the segment that the title describes, with the keys "apple" and "pear".
void ExpectSameHintFile(const Line& title, const std::string& bytes) {
  StoreId store_id;
  for (size_t i = 0; i < store_id.size(); ++i) store_id[i] = std::byte(i);
  const ManifestSegment entry = {
      .id = title.Number("id"),
      .salt = title.Number("salt"),
      .end = title.Number("end"),
      .last_lsn = title.Number("last_lsn"),
      .last_checksum = static_cast<uint32_t>(title.Number("last_checksum")),
      .state = SegmentState::kSealed};
  ASSERT_OK_AND_ASSIGN(const ByteView section,
                       FindHintSection(AsBytes(bytes), store_id, entry,
                                       HintSectionKind::kKeyFilter));
  ASSERT_OK_AND_ASSIGN(const KeyFilter filter, KeyFilter::Decode(section));
  EXPECT_EQ(EncodeHintFile(store_id, entry,
                           {{.kind = HintSectionKind::kKeyFilter,
                             .bytes = filter.Encode()}}),
            bytes);
  const std::vector<uint64_t> hashes = {FilterHash("apple"),
                                        FilterHash("pear")};
  const std::optional<KeyFilter> built = KeyFilter::Build(hashes);
  ASSERT_TRUE(built.has_value());
  EXPECT_EQ(built->Encode(), AsString(section));
}

TEST(FormatSpecTest, HasAHexDumpOfEachStructure) {
  std::map<std::string, int> dumps;
  for (const std::vector<std::string>& block : Blocks("hex")) {
    const Line title = Parse(block.at(0));
    ++dumps[title.words.at(1)];
    if (title.words.size() > 2) ++dumps[title.words.at(2)];
  }
  for (const char* const name :
       {"segment_header", "manifest", "put", "tombstone", "mark", "link",
        "frame,put,tombstone", "disable", "forget", "audit_stub", "time",
        "hint_file"}) {
    EXPECT_GE(dumps[name], 1) << name;
  }
}

TEST(FormatSpecTest, DumpsWhatTheCodeReadsAndWrites) {
  for (const std::vector<std::string>& block : Blocks("hex")) {
    SCOPED_TRACE(block.at(0));
    const Line title = Parse(block.at(0));
    const std::string bytes = DumpedBytes(block);
    ASSERT_EQ(title.words.at(0), "#");
    if (title.words.at(1) == "record") {
      ExpectSameRecords(title, bytes);
    } else if (title.words.at(1) == "segment_header") {
      ASSERT_OK_AND_ASSIGN(const SegmentHeader header,
                           DecodeSegmentHeader(AsBytes(bytes)));
      EXPECT_EQ(EncodeSegmentHeader(header), bytes);
    } else if (title.words.at(1) == "hint_file") {
      ExpectSameHintFile(title, bytes);
    } else {
      ASSERT_EQ(title.words.at(1), "manifest");
      ASSERT_OK_AND_ASSIGN(const Manifest manifest,
                           DecodeManifest(AsBytes(bytes)));
      EXPECT_EQ(EncodeManifest(manifest), bytes);
    }
  }
}

uint64_t Compute(const Line& line) {
  const std::string& function = line.words.at(0);
  if (function == "payload_hash") {
    return PayloadHash(line.fields.at("key"), line.fields.at("value"));
  }
  if (function == "payload_checksum") {
    return PayloadChecksum(line.Number("hash"),
                           {line.Number("salt"), line.Number("offset")});
  }
  if (function == "header_checksum") {
    const std::string checked =
        absl::HexStringToBytes(line.fields.at("checked").substr(2));
    return HeaderChecksum(AsBytes(checked),
                          {line.Number("salt"), line.Number("offset")});
  }
  EXPECT_EQ(function, "checksum64");
  return Checksum64(AsBytes(line.fields.at("bytes")));
}

TEST(FormatSpecTest, ListsTheChecksumsThatTheCodeComputes) {
  const std::vector<std::vector<std::string>> blocks = Blocks("checksums");
  ASSERT_EQ(blocks.size(), 1U);
  for (const std::string& text : blocks.front()) {
    SCOPED_TRACE(text);
    const Line line = Parse(text);
    EXPECT_EQ(Compute(line),
              std::strtoull(line.words.back().c_str(), nullptr, 0));
  }
}

}  // namespace
}  // namespace peat::format
