#include "tools/json_line.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "format/status_macros.h"
#include "tools/escape.h"

namespace peat::tools {
namespace {

constexpr size_t kNameSizeMax = 64;
constexpr size_t kScalarSizeMax = 64;
constexpr size_t kDepthMax = 16;
constexpr size_t kMembersMax = 1024;

absl::Status BadJson(const char* why) {
  return absl::InvalidArgumentError(why);
}

constexpr char kNoJsonObject[] = "not a JSON object of a key and a value";

// Bytes that end a run of a string's bytes that stand for themselves.
constexpr std::array<bool, 256> MakeStringEnds() {
  std::array<bool, 256> ends = {};
  for (size_t i = 0; i < 0x20; ++i) ends[i] = true;
  ends['"'] = true;
  ends['\\'] = true;
  return ends;
}
constexpr std::array<bool, 256> kStringEnds = MakeStringEnds();

size_t StringRunSize(std::string_view bytes) {
  size_t size = 0;
  while (size < bytes.size() &&
         !kStringEnds[static_cast<uint8_t>(bytes[size])]) {
    ++size;
  }
  return size;
}

bool IsScalarByte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' ||
         c == '+' || c == '-' || c == '.';
}

bool IsScalar(std::string_view text) {
  if (text == "true" || text == "false" || text == "null") return true;
  return !text.empty() &&
         (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'));
}

void AppendUtf8(unsigned code, std::string* text) {
  const auto push = [text](unsigned byte) {
    text->push_back(static_cast<char>(byte));
  };
  if (code < 0x80) return push(code);
  if (code < 0x800) {
    push(0xC0U | code >> 6U);
  } else if (code < 0x10000) {
    push(0xE0U | code >> 12U);
    push(0x80U | (code >> 6U & 0x3FU));
  } else {
    push(0xF0U | code >> 18U);
    push(0x80U | (code >> 12U & 0x3FU));
    push(0x80U | (code >> 6U & 0x3FU));
  }
  push(0x80U | (code & 0x3FU));
}

std::optional<char> ByteOfEscape(char name) {
  switch (name) {
    case '"':
    case '\\':
    case '/':
      return name;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return std::nullopt;
  }
}

bool IsOneOf(std::optional<char> byte, std::string_view bytes) {
  return byte.has_value() && bytes.find(*byte) != bytes.npos;
}

}  // namespace

void JsonLine::Take(size_t size) {
  if (copy_ != nullptr) copy_->append(input_.unread().substr(0, size));
  input_.Take(size);
}

absl::StatusOr<std::optional<char>> JsonLine::Peek() {
  if (IsTooLong()) return BadJson("value is too long");
  PEAT_ASSIGN_OR_RETURN(const bool has_more, input_.HasMore());
  if (!has_more) return std::nullopt;
  return std::optional<char>(input_.unread().front());
}

absl::StatusOr<std::optional<char>> JsonLine::PeekBehindBlanks() {
  for (;;) {
    PEAT_ASSIGN_OR_RETURN(const std::optional<char> byte, Peek());
    if (!IsOneOf(byte, " \t\r")) return byte;
    Take(1);
  }
}

absl::Status JsonLine::Expect(char byte) {
  PEAT_ASSIGN_OR_RETURN(const std::optional<char> next, PeekBehindBlanks());
  if (next != byte) return BadJson(kNoJsonObject);
  Take(1);
  return absl::OkStatus();
}

absl::StatusOr<bool> JsonLine::Next(Rules rules) {
  count_ = 0;
  PEAT_ASSIGN_OR_RETURN(const std::optional<char> first, PeekBehindBlanks());
  if (!first.has_value()) return false;
  PEAT_RETURN_IF_ERROR(Expect('{'));
  PEAT_ASSIGN_OR_RETURN(std::optional<char> next, PeekBehindBlanks());
  if (next == '}') {
    Take(1);
    return EndLine();
  }
  for (;;) {
    PEAT_RETURN_IF_ERROR(ReadMember(rules));
    PEAT_ASSIGN_OR_RETURN(next, PeekBehindBlanks());
    if (!IsOneOf(next, ",}")) return BadJson(kNoJsonObject);
    Take(1);
    if (next == '}') return EndLine();
  }
}

absl::StatusOr<bool> JsonLine::EndLine() {
  PEAT_ASSIGN_OR_RETURN(const std::optional<char> next, PeekBehindBlanks());
  if (!next.has_value()) return true;
  if (next != '\n') return BadJson("something follows the JSON object");
  input_.Take(1);  // is no part of the copy
  return true;
}

absl::Status JsonLine::ReadMember(Rules rules) {
  if (count_ == kMembersMax) return BadJson("too many members");
  if (count_ == members_.size()) members_.emplace_back();
  Member& member = members_[count_];
  PEAT_RETURN_IF_ERROR(Expect('"'));
  PEAT_RETURN_IF_ERROR(ReadString(
      {.size_max = kNameSizeMax, .too_long = kNoJsonObject}, &member.name));
  if (Has(member.name)) return BadJson("a member is there twice");
  const Rule rule = rules(member.name);
  if (rule.use == Use::kRefused) return BadJson(kNoJsonObject);
  ++count_;
  member.text.clear();
  PEAT_RETURN_IF_ERROR(Expect(':'));
  PEAT_ASSIGN_OR_RETURN(const std::optional<char> next, PeekBehindBlanks());
  member.is_string = rule.use != Use::kSkipped && next == '"';
  if (rule.use == Use::kSkipped) return SkipValue();
  if (member.is_string) {
    Take(1);
    return ReadString(rule, &member.text);
  }
  if (rule.use == Use::kString) return BadJson("a member is no string");
  return ReadScalar(&member.text);
}

// One loop over the characters of a string, which is read nowhere else.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
absl::Status JsonLine::ReadString(const Rule& rule, std::string* text) {
  if (text != nullptr) text->clear();
  for (;;) {
    PEAT_ASSIGN_OR_RETURN(const bool has_more, input_.HasMore());
    if (!has_more) return BadJson("the input ends within a string");
    const std::string_view unread = input_.unread();
    const size_t size = StringRunSize(unread);
    if (text != nullptr) {
      if (size > rule.size_max - text->size()) return BadJson(rule.too_long);
      text->append(unread.substr(0, size));
    }
    const bool is_cut = size == unread.size();
    const char end = is_cut ? '\0' : unread[size];
    Take(is_cut ? size : size + 1);
    if (IsTooLong()) return BadJson("value is too long");
    if (is_cut) continue;
    if (end == '"') break;
    if (end != '\\') return BadJson("a control character within a string");
    PEAT_RETURN_IF_ERROR(ReadEscape(text));
    if (text != nullptr && text->size() > rule.size_max) {
      return BadJson(rule.too_long);
    }
  }
  if (text != nullptr && !IsUtf8(*text))
    return BadJson("a string is not UTF-8");
  return absl::OkStatus();
}

absl::Status JsonLine::ReadEscape(std::string* text) {
  PEAT_ASSIGN_OR_RETURN(const std::optional<char> name, Peek());
  if (!name.has_value()) return BadJson("the input ends within a string");
  Take(1);
  if (const std::optional<char> byte = ByteOfEscape(*name)) {
    if (text != nullptr) text->push_back(*byte);
    return absl::OkStatus();
  }
  if (name != 'u') return BadJson("unknown escape within a string");
  PEAT_ASSIGN_OR_RETURN(unsigned code, ReadHex());
  if (code >= 0xDC00 && code < 0xE000) return BadJson("half a character");
  if (code >= 0xD800 && code < 0xDC00) {
    for (const char wanted : {'\\', 'u'}) {
      PEAT_ASSIGN_OR_RETURN(const std::optional<char> byte, Peek());
      if (byte != wanted) return BadJson("half a character");
      Take(1);
    }
    PEAT_ASSIGN_OR_RETURN(const unsigned low, ReadHex());
    if (low < 0xDC00 || low >= 0xE000) return BadJson("half a character");
    code = 0x10000U + ((code - 0xD800U) << 10U) + (low - 0xDC00U);
  }
  if (text != nullptr) AppendUtf8(code, text);
  return absl::OkStatus();
}

absl::StatusOr<unsigned> JsonLine::ReadHex() {
  unsigned code = 0;
  for (int i = 0; i < 4; ++i) {
    PEAT_ASSIGN_OR_RETURN(const std::optional<char> byte, Peek());
    const std::string digits = {'0', byte.value_or('x')};
    const std::optional<std::string> value = FromHex(digits);
    if (!value.has_value()) return BadJson("unknown escape within a string");
    Take(1);
    code = code << 4U | static_cast<uint8_t>(value->front());
  }
  return code;
}

absl::Status JsonLine::ReadScalar(std::string* text) {
  for (;;) {
    PEAT_ASSIGN_OR_RETURN(const std::optional<char> byte, Peek());
    if (!byte.has_value() || !IsScalarByte(*byte)) break;
    if (text->size() == kScalarSizeMax) return BadJson("a number is too long");
    text->push_back(*byte);
    Take(1);
  }
  return IsScalar(*text) ? absl::OkStatus() : BadJson(kNoJsonObject);
}

// Checks no more than that strings end, and brackets match in number.
absl::Status JsonLine::SkipValue() {
  size_t depth = 0;
  std::string scalar;
  for (;;) {
    PEAT_ASSIGN_OR_RETURN(const std::optional<char> next, PeekBehindBlanks());
    if (!next.has_value() || next == '\n') {
      return BadJson("the line ends too soon");
    }
    if (next == '"') {
      Take(1);
      PEAT_RETURN_IF_ERROR(ReadString({}, nullptr));
    } else if (IsOneOf(next, "[{")) {
      if (++depth > kDepthMax) return BadJson("nested too deep");
      Take(1);
    } else if (IsOneOf(next, "]}")) {
      if (depth == 0) return BadJson(kNoJsonObject);
      --depth;
      Take(1);
    } else if (depth > 0 && IsOneOf(next, ",:")) {
      Take(1);
    } else {
      scalar.clear();
      PEAT_RETURN_IF_ERROR(ReadScalar(&scalar));
    }
    if (depth == 0) return absl::OkStatus();
  }
}

const JsonLine::Member* JsonLine::Find(std::string_view name) const {
  const auto end = members_.begin() + static_cast<std::ptrdiff_t>(count_);
  const auto found =
      std::find_if(members_.begin(), end,
                   [name](const Member& one) { return one.name == name; });
  return found == end ? nullptr : &*found;
}

bool JsonLine::Has(std::string_view name) const {
  return Find(name) != nullptr;
}

std::string* JsonLine::String(std::string_view name) {
  const Member* const member = Find(name);
  if (member == nullptr || !member->is_string) return nullptr;
  return &members_[static_cast<size_t>(member - members_.data())].text;
}

const std::string* JsonLine::Scalar(std::string_view name) const {
  const Member* const member = Find(name);
  return member == nullptr || member->is_string ? nullptr : &member->text;
}

std::optional<std::string> JsonLine::TakeBytes(const std::string& name) {
  const std::string name64 = name + "64";
  if (Has(name) == Has(name64)) return std::nullopt;
  if (Has(name)) {
    std::string* const text = String(name);
    if (text == nullptr) return std::nullopt;
    return std::move(*text);
  }
  const std::string* const text = String(name64);
  std::string bytes;
  if (text == nullptr ||
      !absl::Base64Unescape({text->data(), text->size()}, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace peat::tools
