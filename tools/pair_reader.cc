#include "tools/pair_reader.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "tools/escape.h"
#include "tools/utc_time.h"

namespace peat::tools {
namespace {

constexpr char kNotOneTab[] = "not one tab between key and value";

// Of "expires_at": as a text, and the last that a store takes.
constexpr size_t kTimeSizeMax = 64;
constexpr int64_t kTimeMax = int64_t{1} << 53U;

// The size of base64 of so many bytes.
size_t Base64Size(size_t size) { return (size + 2) / 3 * 4; }

}  // namespace

PairReader::PairReader(int input, PairFormat format, const PairLimits& limits)
    : input_(input), format_(format), limits_(limits) {}

absl::StatusOr<bool> PairReader::Next(Pair* pair) {
  ++line_;
  pair->expires_at.reset();
  bool found = false;
  switch (format_) {
    case PairFormat::kTsv: {
      PEAT_ASSIGN_OR_RETURN(found, NextTsv(pair));
      break;
    }
    case PairFormat::kJsonLines: {
      PEAT_ASSIGN_OR_RETURN(
          found, key_field_.has_value() ? NextEvent(pair) : NextJson(pair));
      break;
    }
    case PairFormat::kNul: {
      PEAT_ASSIGN_OR_RETURN(found, NextNul(pair));
      break;
    }
  }
  if (!found) return false;
  if (pair->key.size() > limits_.key_size) return Malformed("key is too long");
  if (pair->value.size() > limits_.value_size) {
    return Malformed("value is too long");
  }
  return true;
}

absl::StatusOr<PairReader::Ending> PairReader::ReadField(char delimiter,
                                                         size_t size_max,
                                                         std::string* field) {
  field->clear();
  while (true) {
    const std::string_view unread = input_.unread();
    const size_t at = unread.find(delimiter);
    const std::string_view part = unread.substr(0, at);
    if (part.size() > size_max - field->size()) return Ending::kTooLong;
    field->append(part);
    if (at != unread.npos) {
      input_.Take(at + 1);
      return Ending::kDelimiter;
    }
    input_.Take(part.size());
    PEAT_ASSIGN_OR_RETURN(const bool more, input_.Fill());
    if (!more) return Ending::kEnd;
  }
}

absl::StatusOr<bool> PairReader::ReadTsvKey(std::string* key) {
  const size_t size_max = kEscapeFactor * limits_.key_size;
  text_.clear();
  for (;;) {
    PEAT_ASSIGN_OR_RETURN(const bool has_more, input_.HasMore());
    if (!has_more && text_.empty()) return false;
    if (!has_more) return Malformed(kNotOneTab);
    const std::string_view unread = input_.unread();
    const size_t at = unread.find_first_of("\t\n");
    const std::string_view part = unread.substr(0, at);
    if (part.size() > size_max - text_.size()) {
      return Malformed("key is too long");
    }
    text_.append(part);
    if (at == unread.npos) {
      input_.Take(part.size());
      continue;
    }
    if (unread[at] == '\n') return Malformed(kNotOneTab);
    input_.Take(at + 1);
    break;
  }
  if (const absl::Status status = Unescape(text_, key); !status.ok()) {
    return Malformed("key: " + std::string(status.message()));
  }
  return true;
}

absl::Status PairReader::ReadTsvValue(std::string* value) {
  value->clear();
  text_.clear();
  for (bool is_last = false; !is_last;) {
    PEAT_ASSIGN_OR_RETURN(const bool has_more, input_.HasMore());
    if (!has_more) break;
    const std::string_view unread = input_.unread();
    const size_t at = unread.find('\n');
    std::string_view part = unread.substr(0, at);
    if (part.find('\t') != part.npos) return Malformed(kNotOneTab);
    is_last = at != unread.npos;
    // An escape goes on.
    std::string joined;
    if (!text_.empty()) {
      joined = text_;
      joined.append(part);
      part = joined;
    }
    const bool is_whole = is_last && text_.empty() && value->empty();
    const absl::Status status =
        is_whole ? Unescape(part, value) : UnescapePiece(part, value, &text_);
    if (!status.ok()) {
      return Malformed("value: " + std::string(status.message()));
    }
    if (value->size() > limits_.value_size) {
      return Malformed("value is too long");
    }
    input_.Take(is_last ? at + 1 : unread.size());
  }
  if (!text_.empty()) return Malformed("value: the escape at its end is cut");
  return absl::OkStatus();
}

absl::StatusOr<bool> PairReader::NextTsv(Pair* pair) {
  PEAT_ASSIGN_OR_RETURN(const bool found, ReadTsvKey(&pair->key));
  if (!found) return false;
  PEAT_RETURN_IF_ERROR(ReadTsvValue(&pair->value));
  return true;
}

absl::StatusOr<bool> PairReader::NextJson(Pair* pair) {
  constexpr auto kString = JsonLine::Use::kString;
  const auto rules = [this](std::string_view name) -> JsonLine::Rule {
    static constexpr char kKey[] = "key is too long";
    static constexpr char kValue[] = "value is too long";
    if (name == "key") return {kString, limits_.key_size, kKey};
    if (name == "key64") return {kString, Base64Size(limits_.key_size), kKey};
    if (name == "value") return {kString, limits_.value_size, kValue};
    if (name == "value64") {
      return {kString, Base64Size(limits_.value_size), kValue};
    }
    if (name == "expires_at") return {JsonLine::Use::kScalar, kTimeSizeMax};
    return {};
  };
  absl::StatusOr<bool> found = json_.Next(rules);
  if (absl::IsInvalidArgument(found.status())) {
    return Malformed(std::string(found.status().message()));
  }
  if (!found.ok() || !*found) return found;
  std::optional<std::string> key = json_.TakeBytes("key");
  std::optional<std::string> value = json_.TakeBytes("value");
  if (!key) return Malformed("no string \"key\" or base64 \"key64\"");
  if (!value) return Malformed("no string \"value\" or base64 \"value64\"");
  pair->key = *std::move(key);
  pair->value = *std::move(value);
  PEAT_RETURN_IF_ERROR(TakeExpiry(pair));
  return true;
}

absl::Status PairReader::TakeExpiry(Pair* pair) {
  const auto set = [pair](int64_t time) {
    pair->expires_at = Time(std::chrono::milliseconds(time));
    return time > 0 && time <= kTimeMax;
  };
  bool is_sound = true;
  if (const std::string* const text = json_.String("expires_at")) {
    const absl::StatusOr<MaskTimeSpan> span = ParseUtc(*text);
    if (!span.ok()) return Malformed(std::string(span.status().message()));
    is_sound = set(std::chrono::ceil<std::chrono::milliseconds>(
                       span->first.time_since_epoch())
                       .count());
  } else if (const std::string* const number = json_.Scalar("expires_at")) {
    int64_t time = 0;
    is_sound = absl::SimpleAtoi(*number, &time) && set(time);
  }
  if (is_sound) return absl::OkStatus();
  return Malformed("\"expires_at\" is no time from 1970 on in milliseconds");
}

absl::StatusOr<bool> PairReader::NextEvent(Pair* pair) {
  const auto rules = [this](std::string_view name) -> JsonLine::Rule {
    if (name != *key_field_) return {JsonLine::Use::kSkipped};
    return {JsonLine::Use::kScalar, limits_.key_size, "key is too long"};
  };
  pair->value.clear();
  json_.CopyTo(&pair->value, limits_.value_size);
  absl::StatusOr<bool> found = json_.Next(rules);
  json_.CopyTo(nullptr, 0);
  if (absl::IsInvalidArgument(found.status())) {
    return Malformed(std::string(found.status().message()));
  }
  if (!found.ok() || !*found) return found;
  std::string* const text = json_.String(*key_field_);
  const std::string* const number = json_.Scalar(*key_field_);
  if (text != nullptr) {
    pair->key = std::move(*text);
  } else if (number != nullptr && number->front() != 't' &&
             number->front() != 'f' && number->front() != 'n') {
    pair->key = *number;
  } else {
    return Malformed("no string or number in the key's field");
  }
  return true;
}

absl::StatusOr<bool> PairReader::NextObject(JsonLine::Rules rules) {
  ++line_;
  absl::StatusOr<bool> found = json_.Next(rules);
  if (absl::IsInvalidArgument(found.status())) {
    return Malformed(std::string(found.status().message()));
  }
  return found;
}

absl::StatusOr<bool> PairReader::NextNul(Pair* pair) {
  PEAT_ASSIGN_OR_RETURN(const Ending key,
                        ReadField('\0', limits_.key_size, &pair->key));
  if (key == Ending::kEnd && pair->key.empty()) return false;
  if (key == Ending::kTooLong) return Malformed("key is too long");
  if (key == Ending::kEnd) return Malformed("the input ends within a key");
  PEAT_ASSIGN_OR_RETURN(const Ending value,
                        ReadField('\0', limits_.value_size, &pair->value));
  if (value == Ending::kTooLong) return Malformed("value is too long");
  if (value == Ending::kEnd) return Malformed("the input ends within a value");
  return true;
}

absl::Status PairReader::Malformed(std::string_view why) const {
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s %d: %s", format_ == PairFormat::kNul ? "pair" : "line", line_, why));
}

}  // namespace peat::tools
