// Keys that sort: numbers and texts, one behind the other, written so that the
// order of bytes is the order of what was written.
//
//   std::string key =
//       peat::KeyBuilder().Text("clicks").Number(start).Rest(user).Take();
//
//   peat::KeyParser parser(key);
//   std::optional<std::string> stream = parser.Text();
//   std::optional<uint64_t> window = parser.Number();
//   std::string_view who = parser.Rest();
//
// What a builder has written so far is a prefix for Query::prefix: of all keys
// that go on behind it, and of no others. Needs nothing else of Peat.

#ifndef PEAT_API_PEAT_KEYS_H_
#define PEAT_API_PEAT_KEYS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace peat {

// Externally synchronised.
class KeyBuilder {
 public:
  // 8 bytes, big-endian.
  KeyBuilder& Number(uint64_t number) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      bytes_.push_back(static_cast<char>(number >> shift));
    }
    return *this;
  }

  // 8 bytes; negative numbers come before all others.
  KeyBuilder& SignedNumber(int64_t number) {
    return Number(static_cast<uint64_t>(number) ^ kSignBit);
  }

  // Any bytes, and a mark behind them, so that no text is the beginning of
  // another one: 2 bytes more, and 1 for each zero byte of the text.
  KeyBuilder& Text(std::string_view text) {
    for (const char byte : text) {
      bytes_.push_back(byte);
      if (byte == '\0') bytes_.push_back(kZero);
    }
    bytes_.push_back('\0');
    bytes_.push_back(kEnd);
    return *this;
  }

  // Any bytes as they are, up to the end of the key.
  KeyBuilder& Rest(std::string_view bytes) {
    bytes_.append(bytes);
    return *this;
  }

  // What was written; the builder is empty afterwards.
  std::string Take() { return std::exchange(bytes_, {}); }

 private:
  friend class KeyParser;
  static constexpr uint64_t kSignBit = uint64_t{1} << 63;
  // Behind a zero byte: it belongs to the text, or ends it.
  static constexpr char kZero = '\xff';
  static constexpr char kEnd = '\x01';

  std::string bytes_;
};

// Reads the parts in the order in which they were written. nullopt: the key
// does not go on with such a part; then the parser stays where it is. Looks
// into the key, which must stay. Externally synchronised.
class KeyParser {
 public:
  // Begins at the first part of `key`.
  explicit KeyParser(std::string_view key) : left_(key) {}

  // What KeyBuilder::Number() wrote.
  std::optional<uint64_t> Number() {
    if (left_.size() < sizeof(uint64_t)) return std::nullopt;
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(number); ++i) {
      number = (number << 8) | static_cast<unsigned char>(left_[i]);
    }
    left_.remove_prefix(sizeof(number));
    return number;
  }

  // What KeyBuilder::SignedNumber() wrote.
  std::optional<int64_t> SignedNumber() {
    const std::optional<uint64_t> number = Number();
    if (!number.has_value()) return std::nullopt;
    return static_cast<int64_t>(*number ^ KeyBuilder::kSignBit);
  }

  // What KeyBuilder::Text() wrote.
  std::optional<std::string> Text() {
    std::string text;
    for (size_t i = 0; i < left_.size(); ++i) {
      if (left_[i] != '\0') {
        text.push_back(left_[i]);
        continue;
      }
      if (++i == left_.size()) break;
      if (left_[i] == KeyBuilder::kEnd) {
        left_.remove_prefix(i + 1);
        return text;
      }
      if (left_[i] != KeyBuilder::kZero) break;
      text.push_back('\0');
    }
    return std::nullopt;
  }

  // All that is left.
  std::string_view Rest() { return std::exchange(left_, {}); }

 private:
  std::string_view left_;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_KEYS_H_
