#include "tools/pair_reader.h"

#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "tools/escape.h"
#include "tools/json_bytes.h"

namespace peat::tools {
namespace {

constexpr size_t kBufferSize = size_t{1} << 18U;

// A byte is at most \u00XX in a JSON string; the rest of the object is names.
constexpr size_t kJsonEscapeFactor = 6;
constexpr size_t kJsonOverhead = 256;

}  // namespace

PairReader::PairReader(int input, PairFormat format, const PairLimits& limits)
    : input_(input), format_(format), limits_(limits) {
  buffer_.resize(kBufferSize);
}

absl::StatusOr<bool> PairReader::Next(Pair* pair) {
  ++line_;
  bool found = false;
  switch (format_) {
    case PairFormat::kTsv: {
      PEAT_ASSIGN_OR_RETURN(found, NextTsv(pair));
      break;
    }
    case PairFormat::kJsonLines: {
      PEAT_ASSIGN_OR_RETURN(found, NextJson(pair));
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

absl::StatusOr<bool> PairReader::Fill() {
  ssize_t size = 0;
  do {
    size = read(input_, buffer_.data(), buffer_.size());
  } while (size < 0 && errno == EINTR);
  if (size < 0) return absl::ErrnoToStatus(errno, "read the input");
  unread_ = std::string_view(buffer_.data(), static_cast<size_t>(size));
  bytes_read_ += unread_.size();
  return size > 0;
}

absl::StatusOr<PairReader::Ending> PairReader::ReadField(char delimiter,
                                                         size_t size_max,
                                                         std::string* field) {
  field->clear();
  while (true) {
    const size_t at = unread_.find(delimiter);
    field->append(unread_.substr(0, at));
    if (field->size() > size_max) return Ending::kTooLong;
    if (at != unread_.npos) {
      unread_.remove_prefix(at + 1);
      return Ending::kDelimiter;
    }
    PEAT_ASSIGN_OR_RETURN(const bool more, Fill());
    if (!more) return Ending::kEnd;
  }
}

absl::StatusOr<bool> PairReader::NextLine(size_t size_max) {
  PEAT_ASSIGN_OR_RETURN(const Ending ending, ReadField('\n', size_max, &text_));
  if (ending == Ending::kTooLong) {
    return Malformed("the line is longer than any pair can be");
  }
  return ending == Ending::kDelimiter || !text_.empty();
}

absl::StatusOr<bool> PairReader::NextTsv(Pair* pair) {
  const size_t size_max =
      kEscapeFactor * (limits_.key_size + limits_.value_size) + 1;
  PEAT_ASSIGN_OR_RETURN(const bool found, NextLine(size_max));
  if (!found) return false;
  const std::string_view line = text_;
  const size_t tab = line.find('\t');
  if (tab == line.npos || line.find('\t', tab + 1) != line.npos) {
    return Malformed("not one tab between key and value");
  }
  if (const absl::Status key = Unescape(line.substr(0, tab), &pair->key);
      !key.ok()) {
    return Malformed("key: " + std::string(key.message()));
  }
  if (const absl::Status value = Unescape(line.substr(tab + 1), &pair->value);
      !value.ok()) {
    return Malformed("value: " + std::string(value.message()));
  }
  return true;
}

absl::StatusOr<bool> PairReader::NextJson(Pair* pair) {
  const size_t size_max =
      kJsonEscapeFactor * (limits_.key_size + limits_.value_size) +
      kJsonOverhead;
  PEAT_ASSIGN_OR_RETURN(const bool found, NextLine(size_max));
  if (!found) return false;
  nlohmann::json object =
      nlohmann::json::parse(text_, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || object.size() != 2) {
    return Malformed("not a JSON object of a key and a value");
  }
  std::optional<std::string> key = TakeBytes(object, "key");
  std::optional<std::string> value = TakeBytes(object, "value");
  if (!key) return Malformed("no string \"key\" or base64 \"key64\"");
  if (!value) return Malformed("no string \"value\" or base64 \"value64\"");
  pair->key = *std::move(key);
  pair->value = *std::move(value);
  return true;
}

absl::StatusOr<bool> PairReader::NextJsonText(std::string* text) {
  constexpr size_t kMembersSize = size_t{1} << 20;  // a reason, mostly
  ++line_;
  PEAT_ASSIGN_OR_RETURN(
      const bool found,
      NextLine(kJsonEscapeFactor * (limits_.key_size + limits_.value_size) +
               kMembersSize));
  if (found) std::swap(*text, text_);
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
