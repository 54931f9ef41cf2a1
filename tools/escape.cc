#include "tools/escape.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"

namespace peat::tools {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr size_t kUtf8SizeMax = 4;

std::optional<unsigned> HexDigit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

// The byte that `\` and `name` stand for.
std::optional<char> NamedByte(char name) {
  switch (name) {
    case 't':
      return '\t';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case '\\':
      return '\\';
    case '0':
      return '\0';
    default:
      return std::nullopt;
  }
}

constexpr std::optional<char> NameOfByte(char byte) {
  switch (byte) {
    case '\t':
      return 't';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\\':
      return '\\';
    case '\0':
      return '0';
    default:
      return std::nullopt;
  }
}

// How many bytes a UTF-8 sequence that begins with `lead` has, and the range
// that its second byte must be in; nullopt if no sequence begins so.
struct Utf8Lead {
  size_t size;
  uint8_t second_min;
  uint8_t second_max;
};
std::optional<Utf8Lead> ParseUtf8Lead(uint8_t lead) {
  if (lead < 0xC2 || lead > 0xF4) return std::nullopt;
  if (lead < 0xE0) return Utf8Lead{2, 0x80, 0xBF};
  if (lead == 0xE0) return Utf8Lead{3, 0xA0, 0xBF};
  if (lead == 0xED) return Utf8Lead{3, 0x80, 0x9F};
  if (lead < 0xF0) return Utf8Lead{3, 0x80, 0xBF};
  if (lead == 0xF0) return Utf8Lead{4, 0x90, 0xBF};
  if (lead < 0xF4) return Utf8Lead{4, 0x80, 0xBF};
  return Utf8Lead{4, 0x80, 0x8F};
}

// The size of the well-formed UTF-8 sequence of two or more bytes that `bytes`
// begins with, or 0.
size_t Utf8SequenceSize(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const std::optional<Utf8Lead> lead = ParseUtf8Lead(byte(0));
  if (!lead || bytes.size() < lead->size) return 0;
  if (byte(1) < lead->second_min || byte(1) > lead->second_max) return 0;
  for (size_t i = 2; i < lead->size; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  return lead->size;
}

constexpr bool IsPrintableAscii(char c) { return c >= 0x20 && c < 0x7F; }

// U+0080 to U+009F, some of which terminals obey.
bool IsControlSequence(std::string_view bytes) {
  return bytes.size() == 2 && bytes[0] == '\xC2' &&
         static_cast<uint8_t>(bytes[1]) < 0xA0;
}

// What a byte becomes that is part of no character of several bytes.
struct Form {
  char bytes[kEscapeFactor] = {};
  size_t size = 0;
};

constexpr std::array<Form, 256> MakeForms() {
  std::array<Form, 256> forms = {};
  for (size_t i = 0; i < forms.size(); ++i) {
    const auto c = static_cast<char>(i);
    if (const std::optional<char> name = NameOfByte(c)) {
      forms[i] = {{'\\', *name}, 2};
    } else if (IsPrintableAscii(c)) {
      forms[i] = {{c}, 1};
    } else {
      forms[i] = {{'\\', 'x', kHexDigits[i >> 4U], kHexDigits[i & 15U]}, 4};
    }
  }
  return forms;
}
constexpr std::array<Form, 256> kForms = MakeForms();

// The size of the character of several bytes that `bytes` begins with, if it
// stands for itself; or 0.
size_t ReadableSize(std::string_view bytes) {
  // Nearly all that is no text is found out by its second byte.
  const bool goes_on =
      bytes.size() > 1 && (static_cast<uint8_t>(bytes[1]) & 0xC0U) == 0x80U;
  if (!goes_on) return 0;
  const size_t size = Utf8SequenceSize(bytes);
  return IsControlSequence(bytes.substr(0, size)) ? 0 : size;
}

absl::Status Malformed(size_t offset) {
  return absl::InvalidArgumentError(
      absl::StrFormat("unknown escape at byte %d of the field", offset));
}

}  // namespace

std::string Escape(std::string_view bytes) {
  std::string field;
  AppendEscaped(bytes, &field);
  return field;
}

void AppendEscaped(std::string_view bytes, std::string* out) {
  // Room for a piece at a time: large values need not four times their size.
  constexpr size_t kPieceSize = 4096;
  for (size_t i = 0; i < bytes.size();) {
    const size_t piece_end = std::min(bytes.size(), i + kPieceSize);
    const size_t begin = out->size();
    // A character may go on behind the piece.
    out->resize(begin + kEscapeFactor * (piece_end - i) + kUtf8SizeMax);
    char* to = out->data() + begin;
    while (i < piece_end) {
      const auto byte = static_cast<uint8_t>(bytes[i]);
      const size_t size = byte < 0xC2 ? 0 : ReadableSize(bytes.substr(i));
      if (size > 0) {
        to = std::copy_n(bytes.data() + i, size, to);
        i += size;
        continue;
      }
      std::memcpy(to, kForms[byte].bytes, kEscapeFactor);
      to += kForms[byte].size;
      ++i;
    }
    out->resize(static_cast<size_t>(to - out->data()));
  }
}

bool IsUtf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const bool is_ascii = static_cast<unsigned char>(bytes[i]) < 0x80;
    const size_t size = is_ascii ? 1 : Utf8SequenceSize(bytes.substr(i));
    if (size == 0) return false;
    i += size;
  }
  return true;
}

absl::Status Unescape(std::string_view field, std::string* bytes) {
  bytes->clear();
  size_t begin = 0;
  for (size_t at = field.find('\\'); at != field.npos;
       at = field.find('\\', begin)) {
    bytes->append(field.substr(begin, at - begin));
    const std::string_view escape = field.substr(at + 1);
    if (escape.empty()) return Malformed(at);
    if (const std::optional<char> byte = NamedByte(escape[0])) {
      bytes->push_back(*byte);
      begin = at + 2;
      continue;
    }
    if (escape[0] != 'x' || escape.size() < 3) return Malformed(at);
    const std::optional<unsigned> high = HexDigit(escape[1]);
    const std::optional<unsigned> low = HexDigit(escape[2]);
    if (!high || !low) return Malformed(at);
    bytes->push_back(static_cast<char>(*high * 16 + *low));
    begin = at + 4;
  }
  bytes->append(field.substr(begin));
  return absl::OkStatus();
}

absl::Status UnescapePiece(std::string_view piece, std::string* bytes,
                           std::string* rest) {
  std::string_view whole = piece;
  // An escape that is cut begins with one of the last three bytes. Whether a
  // backslash begins one depends on how many stand before it.
  for (size_t back = std::min<size_t>(3, piece.size()); back > 0; --back) {
    const size_t at = piece.size() - back;
    if (piece[at] != '\\') continue;
    size_t count = 1;
    while (count <= at && piece[at - count] == '\\') ++count;
    if (count % 2 == 0) continue;
    const bool is_hex = back > 1 && piece[at + 1] == 'x';
    if (back == 1 || (is_hex && back < 4)) {
      whole = piece.substr(0, at);
      break;
    }
  }
  std::string part;
  PEAT_RETURN_IF_ERROR(Unescape(whole, &part));
  bytes->append(part);
  rest->assign(piece.substr(whole.size()));
  return absl::OkStatus();
}

std::string Printable(std::string_view message) {
  std::string text;
  size_t begin = 0;
  for (size_t at = 0; at <= message.size(); ++at) {
    if (at < message.size() && message[at] != '\\') continue;
    AppendEscaped(message.substr(begin, at - begin), &text);
    if (at < message.size()) text.push_back('\\');
    begin = at + 1;
  }
  return text;
}

std::string ToHex(std::string_view bytes) {
  std::string digits;
  digits.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    digits.push_back(kHexDigits[byte >> 4U]);
    digits.push_back(kHexDigits[byte & 15U]);
  }
  return digits;
}

std::optional<std::string> FromHex(std::string_view digits) {
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2) {
    const std::optional<unsigned> high = HexDigit(digits[i]);
    const std::optional<unsigned> low = HexDigit(digits[i + 1]);
    if (!high || !low) return std::nullopt;
    bytes.push_back(static_cast<char>(*high * 16 + *low));
  }
  return bytes;
}

}  // namespace peat::tools
