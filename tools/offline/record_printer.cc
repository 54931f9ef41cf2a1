#include "tools/offline/record_printer.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "format/mask.h"
#include "tools/escape.h"
#include "tools/json_bytes.h"
#include "tools/offline/line_writer.h"
#include "tools/utc_time.h"

namespace peat::tools {
namespace {

using format::Record;
using format::RecordKind;

constexpr std::string_view kHidden = "(hidden)";

constexpr size_t kFileWidth = 10;
constexpr size_t kKindWidth = 9;

// The names of all kinds fit their column.
constexpr size_t kKindSizeMax = kKindWidth;

// Of a table's line all but the file's name and the key: the columns of file,
// offset, lsn, kind and both sizes, three flags, two blanks, and the line's
// end.
constexpr size_t kColumnsSizeMax = (kFileWidth + 1) + (kKindWidth + 1) +
                                   4 * LineWriter::kNumberColumnSizeMax + 6;

// Of a JSON line all that a LineWriter puts but the file's name and the key:
// the longest names of members and words there are, five numbers and a kind.
constexpr std::string_view kMembers =
    R"({"file":"","offset":,"size":,"lsn":,"kind":"","key_size":,)"
    R"("value_size":,"in_frame":true,"in_value_file":true,"checksum":"ok",)"
    R"("current":false,"unproven":true,"key":"")";
constexpr size_t kMembersSizeMax =
    kMembers.size() + 5 * LineWriter::kNumberSizeMax + kKindSizeMax;

void AppendNumber(uint64_t number, std::string* out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  out->append(digits, static_cast<size_t>(end - digits));
}

// Printable ASCII that neither a table nor JSON escapes; eight bytes at a time.
bool IsPlain(std::string_view bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighBits = kOnes << 7;
  const auto may_hold = [](uint64_t word, char byte) {
    const uint64_t other = word ^ (kOnes * static_cast<uint8_t>(byte));
    return (other - kOnes) & ~other;
  };
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    const uint64_t below_blank = word - kOnes * ' ';
    const uint64_t above_tilde = word | (word + kOnes);
    if (((below_blank | above_tilde | may_hold(word, '"') |
          may_hold(word, '\\')) &
         kHighBits) != 0) {
      return false;
    }
  }
  return std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                     bytes.end(), [](char byte) {
                       return byte >= ' ' && byte <= '~' && byte != '"' &&
                              byte != '\\';
                     });
}

bool ContinuesCharacter(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

bool IsStructured(RecordKind kind) {
  return format::IsMask(kind) || kind == RecordKind::kAuditStub;
}

// What a key's value is, as far as it lies in the record.
std::string_view ValueOf(const ShownRecord& shown) {
  if (shown.file_value.has_value()) return *shown.file_value;
  return format::StoredValue(shown.record);
}

bool HasValue(const Record& record) {
  if (record.header.kind == RecordKind::kPut) return true;
  return format::IsMask(record.header.kind) &&
         format::DecodeMask(record).has_value();
}

// --- Table.

[[gnu::always_inline]] inline void PutHeaderColumns(
    const format::RecordHeader& header, LineWriter* line) {
  line->PutColumn<12>(header.lsn);
  line->PutColumn<kKindWidth>(NameOf(header.kind));
}

// Whether anything stands behind the key.
bool HasTableValue(const ShownRecord& shown) {
  switch (shown.record.header.kind) {
    case RecordKind::kTombstone:
      return false;
    case RecordKind::kPut:
      return !shown.omits_value || !shown.value_damage.empty();
    default:
      return true;
  }
}

// What stands in the column of the value.
void AppendTableValue(const ShownRecord& shown, size_t size_max,
                      std::string* out) {
  const Record& record = shown.record;
  switch (record.header.kind) {
    case RecordKind::kMark: {
      const auto mark = format::DecodeMark(record.value);
      if (mark.ok()) {
        absl::StrAppendFormat(out, "durable up to %d:%d", mark->segment,
                              mark->end);
      }
      return;
    }
    case RecordKind::kLink: {
      const auto link = format::DecodeLink(record.value);
      if (link.ok()) {
        absl::StrAppendFormat(out, "follows %d:%d", link->predecessor,
                              link->end);
      }
      return;
    }
    case RecordKind::kFrame: {
      const auto frame = format::DecodeFrame(record.value);
      if (frame.ok()) {
        absl::StrAppendFormat(out, "%d records from lsn %d",
                              frame->member_count, frame->first_lsn);
      }
      return;
    }
    case RecordKind::kTime: {
      const auto seen = format::DecodeTime(record.value);
      if (seen.ok()) absl::StrAppendFormat(out, "seen %d ms", seen->time);
      return;
    }
    default:
      break;
  }
  if (HasValue(record)) {
    if (!shown.value_damage.empty()) {
      out->append("(damaged)");
    } else if (!shown.shows_value) {
      if (!shown.omits_value) out->append(kHidden);
    } else {
      AppendEscaped(ValueOf(shown).substr(0, size_max), out);
    }
  }
  if (!IsStructured(record.header.kind)) return;
  const format::Mask mask = format::DecodeMask(record);
  if (shown.shows_reason && !mask.reason.empty()) {
    out->append("  reason: ");
    AppendEscaped(mask.reason.substr(0, size_max), out);
  }
}

// The same, two blanks behind the key, or more behind a short one.
void AppendValueColumn(const ShownRecord& shown, size_t size_max,
                       size_t key_begin, std::string* out) {
  const size_t value_begin = out->size();
  AppendTableValue(shown, size_max, out);
  if (out->size() == value_begin) return;
  const size_t key_size = value_begin - key_begin;
  out->insert(value_begin, key_size < 16 ? 18 - key_size : 2, ' ');
}

// Cuts what was appended from `begin` on to so many characters.
void CutLine(size_t begin, size_t columns, std::string* out) {
  if (out->size() - begin <= columns) return;
  size_t characters = 0;
  for (size_t i = begin; i < out->size(); ++i) {
    if (ContinuesCharacter((*out)[i])) continue;
    if (characters++ == columns) {
      out->resize(i);
      return;
    }
  }
}

// --- JSON.

void AppendName(std::string_view name, std::string* out) {
  out->append(",\"");
  out->append(name);
  out->append("\":");
}

void AppendMember(std::string_view name, uint64_t number, std::string* out) {
  AppendName(name, out);
  AppendNumber(number, out);
}

// For text that needs no escapes.
void AppendPlain(std::string_view name, std::string_view text,
                 std::string* out) {
  AppendName(name, out);
  out->push_back('"');
  out->append(text);
  out->push_back('"');
}

// As AddBytes() does, without an object for each.
void AppendBytes(const std::string& name, std::string_view bytes,
                 std::string* out) {
  if (IsPlain(bytes)) {
    AppendPlain(name, bytes, out);
  } else if (IsUtf8(bytes)) {
    AppendName(name, out);
    out->append(OrderedJson(bytes).dump());
  } else {
    AppendPlain(name + "64", absl::Base64Escape({bytes.data(), bytes.size()}),
                out);
  }
}

void PutFileAndOffset(std::string_view file, uint64_t offset,
                      LineWriter* line) {
  line->Put("{\"file\":\"");
  line->PutBytes(file);
  line->Put("\",\"offset\":");
  line->PutNumber(offset);
}

void PutSize(uint64_t size, LineWriter* line) {
  line->Put(",\"size\":");
  line->PutNumber(size);
}

void PutHeaderMembers(const format::RecordHeader& header, LineWriter* line) {
  line->Put(",\"lsn\":");
  line->PutNumber(header.lsn);
  line->Put(",\"kind\":\"");
  line->PutBytes(NameOf(header.kind));
  line->Put("\",\"key_size\":");
  line->PutNumber(header.key_size);
  line->Put(",\"value_size\":");
  line->PutNumber(header.value_size);
  if ((header.flags & format::kFlagInFrame) != 0) {
    line->Put(",\"in_frame\":true");
  }
  if ((header.flags & format::kFlagValueFile) != 0) {
    line->Put(",\"in_value_file\":true");
  }
}

void AppendMaskMembers(const ShownRecord& shown, std::string* out) {
  const format::Mask mask = format::DecodeMask(shown.record);
  AppendPlain("time", FormatUtc(MaskTime(std::chrono::microseconds(mask.time))),
              out);
  AppendMember("value_lsn", mask.value_lsn, out);
  if (mask.stub_of != RecordKind::kNone) {
    AppendPlain("stub_of", NameOf(mask.stub_of), out);
  }
  if (shown.shows_reason) AppendBytes("reason", mask.reason, out);
}

// The members of the kinds that carry structure.
void AppendStructure(const Record& record, std::string* out) {
  switch (record.header.kind) {
    case RecordKind::kMark:
      if (const auto mark = format::DecodeMark(record.value); mark.ok()) {
        AppendMember("segment", mark->segment, out);
        AppendMember("end", mark->end, out);
      }
      return;
    case RecordKind::kLink:
      if (const auto link = format::DecodeLink(record.value); link.ok()) {
        AppendMember("predecessor", link->predecessor, out);
        AppendMember("end", link->end, out);
        AppendMember("generation", link->generation, out);
        AppendMember("last_checksum", link->last_checksum, out);
      }
      return;
    case RecordKind::kFrame:
      if (const auto frame = format::DecodeFrame(record.value); frame.ok()) {
        AppendMember("first_lsn", frame->first_lsn, out);
        AppendMember("members_size", frame->members_size, out);
        AppendMember("member_count", frame->member_count, out);
      }
      return;
    case RecordKind::kTime:
      if (const auto seen = format::DecodeTime(record.value); seen.ok()) {
        AppendMember("seen_ms", seen->time, out);
      }
      return;
    default:
      return;
  }
}

void AppendReference(const ShownRecord& shown, std::string* out) {
  const auto reference =
      format::DecodeValueReference(format::StoredValue(shown.record));
  if (!reference.ok()) return;
  AppendMember("value_file", reference->file, out);
  AppendMember("value_file_size", reference->size, out);
  if (!shown.value_damage.empty()) {
    AppendBytes("value_damage", shown.value_damage, out);
  }
}

// --- Raw.

void AppendHexLine(uint64_t offset, format::ByteView bytes,
                   std::string_view field, std::string* out) {
  std::string hex;
  for (const std::byte byte : bytes) {
    absl::StrAppendFormat(&hex, "%02x ", static_cast<unsigned>(byte));
  }
  absl::StrAppendFormat(out, "%08x: %-48s| %s\n", offset, hex, field);
}

// A field of any size, 16 bytes a line.
void AppendHexField(uint64_t offset, format::ByteView bytes,
                    std::string_view field, std::string* out) {
  for (size_t at = 0; at < bytes.size(); at += 16) {
    AppendHexLine(offset + at,
                  bytes.subspan(at, std::min<size_t>(16, bytes.size() - at)),
                  at == 0 ? field : "...", out);
  }
}

}  // namespace

std::string ShownName(std::string_view file, DumpForm form) {
  std::string name = Escape(file);
  if (form != DumpForm::kJson || IsPlain(name)) return name;
  const std::string quoted = OrderedJson(name).dump();
  return quoted.substr(1, quoted.size() - 2);
}

void AppendTableHeader(std::string* out) {
  absl::StrAppendFormat(out, "%-10s %10s %12s %-9s %5s %8s %-3s  %s\n", "FILE",
                        "OFFSET", "LSN", "KIND", "KEY", "VALUE", "FLG",
                        "KEY AND VALUE");
}

void AppendTableLine(const ShownRecord& shown, size_t columns,
                     std::string* out) {
  const size_t begin = out->size();
  const format::RecordHeader& header = shown.record.header;
  // Escaping makes nothing shorter, so more than a line is not needed.
  const std::string_view key = shown.record.key.substr(0, columns);
  const bool is_plain = IsPlain(key);
  LineWriter line(kColumnsSizeMax + shown.file.size() + key.size(), out);
  line.PutColumn<kFileWidth>(shown.file);
  line.PutColumn<10>(shown.offset);
  PutHeaderColumns(header, &line);
  line.PutColumn<5>(header.key_size);
  line.PutColumn<8>(header.value_size);
  line.Put(shown.is_current.value_or(false) ? '*' : '-');
  line.Put((header.flags & format::kFlagInFrame) != 0 ? 'f' : '-');
  line.Put((header.flags & format::kFlagValueFile) != 0 ? 'v' : '-');
  line.Put("  ");
  const size_t key_begin = line.size();
  if (is_plain) line.PutBytes(key);
  const bool ends_here = is_plain && !HasTableValue(shown);
  if (ends_here && line.size() <= columns) [[likely]] {
    line.TrimBlanks();
    line.Put('\n');
    line.Close();
    return;
  }
  line.Close();
  if (!is_plain) AppendEscaped(key, out);
  AppendValueColumn(shown, columns, begin + key_begin, out);
  CutLine(begin, columns, out);
  while (out->back() == ' ') out->pop_back();
  out->push_back('\n');
}

void AppendTableGap(std::string_view file, const Gap& gap, std::string* out) {
  LineWriter line(kColumnsSizeMax + file.size(), out);
  line.PutColumn<kFileWidth>(file);
  line.PutColumn<10>(gap.offset);
  if (gap.header.has_value()) {
    PutHeaderColumns(*gap.header, &line);
  } else {
    line.Put("             -         ");
  }
  line.Close();
  absl::StrAppendFormat(out, "SKIPPED %d bytes: %s\n", gap.size, gap.what);
}

void AppendJsonLine(const ShownRecord& shown, std::string* out) {
  const Record& record = shown.record;
  const RecordKind kind = record.header.kind;
  const bool has_key = TakesLsn(kind) || kind == RecordKind::kAuditStub;
  const bool is_plain = has_key && IsPlain(record.key);
  LineWriter line(
      kMembersSizeMax + shown.file.size() + (is_plain ? record.key.size() : 0),
      out);
  PutFileAndOffset(shown.file, shown.offset, &line);
  PutSize(RecordSize(record.header), &line);
  PutHeaderMembers(record.header, &line);
  line.Put(",\"checksum\":\"ok\"");
  if (shown.is_current.has_value()) {
    line.Put(",\"current\":");
    line.PutBytes(*shown.is_current ? "true" : "false");
  }
  if (shown.is_unproven) line.Put(",\"unproven\":true");
  if (is_plain) {
    line.Put(",\"key\":\"");
    line.PutBytes(record.key);
    line.Put('"');
  }
  line.Close();
  if (has_key && !is_plain) AppendBytes("key", record.key, out);
  AppendStructure(record, out);
  if (IsStructured(kind)) AppendMaskMembers(shown, out);
  if ((record.header.flags & format::kFlagValueFile) != 0) {
    AppendReference(shown, out);
  }
  if (shown.shows_value && HasValue(record) && shown.value_damage.empty()) {
    AppendBytes("value", ValueOf(shown), out);
  }
  out->append("}\n");
}

void AppendJsonGap(std::string_view file, const Gap& gap, std::string* out) {
  LineWriter line(kMembersSizeMax + file.size(), out);
  PutFileAndOffset(file, gap.offset, &line);
  PutSize(gap.size, &line);
  if (gap.header.has_value()) PutHeaderMembers(*gap.header, &line);
  line.Close();
  AppendPlain("checksum", gap.header.has_value() ? "payload" : "header", out);
  AppendPlain("skipped", gap.what, out);
  out->append("}\n");
}

void AppendRawLines(const ShownRecord& shown, std::string* out) {
  struct Field {
    size_t size;
    std::string name;
  };
  const format::RecordHeader& header = shown.record.header;
  absl::StrAppendFormat(out, "%s offset %d%s\n", shown.file, shown.offset,
                        shown.is_current.value_or(false) ? ", current" : "");
  const Field fields[] = {
      {4, "header_checksum"},
      {4, "payload_checksum"},
      {8, absl::StrFormat("lsn %d", header.lsn)},
      {4, absl::StrFormat("value_size %d", header.value_size)},
      {2, absl::StrFormat("key_size %d", header.key_size)},
      {1, absl::StrFormat("kind %d, %s", static_cast<int>(header.kind),
                          NameOf(header.kind))},
      {1, absl::StrFormat("flags %d", header.flags)}};
  uint64_t at = 0;
  for (const Field& field : fields) {
    AppendHexField(shown.offset + at, shown.bytes.subspan(at, field.size),
                   field.name, out);
    at += field.size;
  }
  AppendHexField(shown.offset + at, shown.bytes.subspan(at, header.key_size),
                 "key", out);
  at += header.key_size;
  // A value that is no key's is structure, and hides nothing.
  const bool is_hidden =
      !(shown.shows_value || header.kind == RecordKind::kMark ||
        header.kind == RecordKind::kLink || header.kind == RecordKind::kFrame ||
        header.kind == RecordKind::kTime) ||
      (IsStructured(header.kind) && !shown.shows_reason);
  if (is_hidden && header.value_size > 0) {
    absl::StrAppendFormat(out, "%08x: %-48s| value %s\n", shown.offset + at,
                          absl::StrFormat("%d bytes", header.value_size),
                          kHidden);
  } else {
    AppendHexField(shown.offset + at,
                   shown.bytes.subspan(at, header.value_size), "value", out);
  }
  at += header.value_size;
  AppendHexField(shown.offset + at, shown.bytes.subspan(at), "padding", out);
}

void AppendRawGap(std::string_view file, const Gap& gap, std::string* out) {
  absl::StrAppendFormat(out, "%s offset %d: SKIPPED %d bytes: %s\n", file,
                        gap.offset, gap.size, gap.what);
}

}  // namespace peat::tools
