#include "tools/offline/record_printer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/mask.h"
#include "tools/escape.h"
#include "tools/json_bytes.h"
#include "tools/offline/dump.h"
#include "tools/utc_time.h"

namespace peat::tools {
namespace {

using format::Record;
using format::RecordKind;

constexpr std::string_view kHidden = "(hidden)";

void AppendNumber(uint64_t number, std::string* out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  out->append(digits, static_cast<size_t>(end - digits));
}

// To the right of a column of `width`, at most 16, and a blank.
void AppendColumn(uint64_t number, size_t width, std::string* out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  const auto size = static_cast<size_t>(end - digits);
  if (size < width) out->append("                ", width - size);
  out->append(digits, size);
  out->push_back(' ');
}

// To the left of a column of `width`, and a blank.
void AppendColumn(std::string_view text, size_t width, std::string* out) {
  out->append(text);
  out->append(text.size() < width ? width - text.size() + 1 : 1, ' ');
}

bool IsPlain(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) {
    return byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
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
    default:
      break;
  }
  if (HasValue(record)) {
    if (!shown.value_damage.empty()) {
      out->append("(damaged)");
    } else if (!shown.shows_value) {
      if (!shown.omits_value) out->append(kHidden);
    } else {
      out->append(Escape(ValueOf(shown).substr(0, size_max)));
    }
  }
  if (!IsStructured(record.header.kind)) return;
  const format::Mask mask = format::DecodeMask(record);
  if (shown.shows_reason && !mask.reason.empty()) {
    out->append("  reason: ");
    out->append(Escape(mask.reason.substr(0, size_max)));
  }
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

void AppendBytes(const std::string& name, std::string_view bytes,
                 std::string* out) {
  if (IsPlain(bytes)) {
    AppendPlain(name, bytes, out);
    return;
  }
  OrderedJson object;
  AddBytes(object, name, bytes);
  const std::string text = object.dump();
  out->push_back(',');
  out->append(text, 1, text.size() - 2);  // without its braces
}

void AppendFileAndOffset(std::string_view file, uint64_t offset,
                         std::string* out) {
  out->append("{\"file\":\"");
  out->append(file);
  out->push_back('"');
  AppendMember("offset", offset, out);
}

void AppendHeaderMembers(const format::RecordHeader& header, std::string* out) {
  AppendMember("lsn", header.lsn, out);
  AppendPlain("kind", NameOf(header.kind), out);
  AppendMember("key_size", header.key_size, out);
  AppendMember("value_size", header.value_size, out);
  if ((header.flags & format::kFlagInFrame) != 0) {
    out->append(",\"in_frame\":true");
  }
  if ((header.flags & format::kFlagValueFile) != 0) {
    out->append(",\"in_value_file\":true");
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
        AppendMember("last_lsn", link->last_lsn, out);
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

void AppendTableHeader(std::string* out) {
  absl::StrAppendFormat(out, "%-10s %10s %12s %-9s %5s %8s %-3s  %s\n", "FILE",
                        "OFFSET", "LSN", "KIND", "KEY", "VALUE", "FLG",
                        "KEY AND VALUE");
}

void AppendTableLine(const ShownRecord& shown, size_t columns,
                     std::string* out) {
  const size_t begin = out->size();
  const format::RecordHeader& header = shown.record.header;
  AppendColumn(shown.file, 10, out);
  AppendColumn(shown.offset, 10, out);
  AppendColumn(header.lsn, 12, out);
  AppendColumn(NameOf(header.kind), 9, out);
  AppendColumn(header.key_size, 5, out);
  AppendColumn(header.value_size, 8, out);
  out->push_back(shown.is_current.value_or(false) ? '*' : '-');
  out->push_back((header.flags & format::kFlagInFrame) != 0 ? 'f' : '-');
  out->push_back((header.flags & format::kFlagValueFile) != 0 ? 'v' : '-');
  out->append("  ");
  // Escaping makes nothing shorter, so more than a line is not needed.
  const std::string_view key = shown.record.key.substr(0, columns);
  const size_t key_begin = out->size();
  if (IsPlain(key)) {
    out->append(key);
  } else {
    out->append(Escape(key));
  }
  const size_t value_begin = out->size();
  AppendTableValue(shown, columns, out);
  if (out->size() > value_begin) {
    const size_t key_size = value_begin - key_begin;
    out->insert(value_begin, key_size < 16 ? 18 - key_size : 2, ' ');
  }
  CutLine(begin, columns, out);
  while (out->back() == ' ') out->pop_back();
  out->push_back('\n');
}

void AppendTableGap(std::string_view file, const Gap& gap, std::string* out) {
  AppendColumn(file, 10, out);
  AppendColumn(gap.offset, 10, out);
  if (gap.header.has_value()) {
    AppendColumn(gap.header->lsn, 12, out);
    AppendColumn(NameOf(gap.header->kind), 9, out);
  } else {
    out->append(12, ' ');
    out->append(" -         ");
  }
  absl::StrAppendFormat(out, "SKIPPED %d bytes: %s\n", gap.size, gap.what);
}

void AppendJsonLine(const ShownRecord& shown, std::string* out) {
  const Record& record = shown.record;
  AppendFileAndOffset(shown.file, shown.offset, out);
  AppendMember("size", RecordSize(record.header), out);
  AppendHeaderMembers(record.header, out);
  out->append(",\"checksum\":\"ok\"");
  if (shown.is_current.has_value()) {
    out->append(*shown.is_current ? ",\"current\":true" : ",\"current\":false");
  }
  if (shown.is_unproven) out->append(",\"unproven\":true");
  if (TakesLsn(record.header.kind) ||
      record.header.kind == RecordKind::kAuditStub) {
    AppendBytes("key", record.key, out);
  }
  AppendStructure(record, out);
  if (IsStructured(record.header.kind)) AppendMaskMembers(shown, out);
  if ((record.header.flags & format::kFlagValueFile) != 0) {
    AppendReference(shown, out);
  }
  if (shown.shows_value && HasValue(record) && shown.value_damage.empty()) {
    AppendBytes("value", ValueOf(shown), out);
  }
  out->append("}\n");
}

void AppendJsonGap(std::string_view file, const Gap& gap, std::string* out) {
  AppendFileAndOffset(file, gap.offset, out);
  AppendMember("size", gap.size, out);
  if (gap.header.has_value()) AppendHeaderMembers(*gap.header, out);
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
        header.kind == RecordKind::kLink ||
        header.kind == RecordKind::kFrame) ||
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
