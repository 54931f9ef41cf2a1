// Writes a line at the end of a string through a pointer: a dump prints
// millions of them, and the calls of std::string::append would be most of their
// cost.
//
//   LineWriter line(size_max, &text);
//   line.Put("lsn "), line.PutNumber(lsn), line.Close();
//
// The caller says beforehand how much room the line takes at most: a bound that
// must hold whatever is printed, hostile bytes too, for in a release build it
// is checked at Close() alone. Externally synchronised.

#ifndef PEAT_TOOLS_OFFLINE_LINE_WRITER_H_
#define PEAT_TOOLS_OFFLINE_LINE_WRITER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "format/check.h"

namespace peat::tools {

class LineWriter final {
 public:
  // The digits of the largest number.
  static constexpr size_t kNumberSizeMax = 20;
  // What PutColumn() of a number takes.
  static constexpr size_t kNumberColumnSizeMax = kNumberSizeMax + 1;

  LineWriter(size_t size_max, std::string* out)
      : out_(out),
        begin_(out->size()),
        at_(Extend(size_max + kSlack, out)),
        end_(at_ + size_max) {}
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  size_t size() const {
    return static_cast<size_t>(at_ - out_->data()) - begin_;
  }

  void Put(char byte) {
    PEAT_DCHECK(room() >= 1);
    *at_++ = byte;
  }
  template <size_t n>
  void Put(const char (&literal)[n]) {
    PEAT_DCHECK(room() >= n - 1);
    std::memcpy(at_, literal, n - 1);
    at_ += n - 1;
  }
  void PutBytes(std::string_view bytes) {
    PEAT_DCHECK(room() >= bytes.size());
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

  void PutNumber(uint64_t number) {
    at_ = WriteNumber(number, at_);
    PEAT_DCHECK(at_ <= end_);
  }

  // To the right of a column, and a blank.
  template <size_t width>
  void PutColumn(uint64_t number) {
    static_assert(width < kNumberSizeMax);
    if (number >= PowerOfTen(width)) [[unlikely]] {
      PutNumber(number);
    } else {
      PEAT_DCHECK(room() >= width);
      std::memset(at_, ' ', width);
      WriteDigits(number, at_ + width);
      at_ += width;
    }
    Put(' ');
  }
  // To the left of a column, and a blank. What is longer than the column goes
  // on behind it.
  template <size_t width>
  void PutColumn(std::string_view text) {
    PEAT_DCHECK(room() > width);
    std::memset(at_, ' ', width + 1);
    if (text.size() == width) {
      std::memcpy(at_, text.data(), width);
      at_ += width + 1;
      return;
    }
    PutBytes(text);
    if (text.size() < width) at_ += width - text.size();
    Put(' ');
  }

  // Takes the blanks off its end.
  void TrimBlanks() {
    while (size() > 0 && at_[-1] == ' ') --at_;
  }

  // To be called once, at last: nothing is to be put afterwards. (If no call
  // has the address of this, its members stay in registers.)
  [[gnu::always_inline]] void Close() {
    PEAT_CHECK(at_ <= end_);
    out_->resize(begin_ + size());
  }

 private:
  // What PutNumber() may overwrite behind its digits.
  static constexpr size_t kSlack = kNumberSizeMax;

  // Returns where the bytes begin that are added.
  static char* Extend(size_t size, std::string* out) {
    out->resize(out->size() + size);
    return out->data() + out->size() - size;
  }

  size_t room() const { return static_cast<size_t>(end_ - at_); }

  static constexpr uint64_t PowerOfTen(size_t exponent) {
    uint64_t power = 1;
    for (size_t i = 0; i < exponent; ++i) power *= 10;
    return power;
  }

  // The digits of 0 to 99, two each.
  static constexpr std::array<char, 200> MakeDigitPairs() {
    std::array<char, 200> pairs = {};
    for (size_t i = 0; i < 100; ++i) {
      pairs[2 * i] = static_cast<char>('0' + i / 10);
      pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return pairs;
  }

  // Returns where the digits end.
  static char* WriteNumber(uint64_t number, char* to) {
    std::array<char, 2 * kNumberSizeMax> digits;  // NOLINT(*-member-init)
    char* const digits_end = digits.data() + kNumberSizeMax;
    const char* const first = WriteDigits(number, digits_end);
    // A copy of constant size is a few instructions; what is behind the digits
    // is overwritten.
    std::memcpy(to, first, kNumberSizeMax);
    return to + (digits_end - first);
  }

  // So that they end at `end`; returns where they begin.
  static char* WriteDigits(uint64_t number, char* end) {
    static constexpr std::array<char, 200> kPairs = MakeDigitPairs();
    while (number >= 100) {
      end -= 2;
      std::memcpy(end, &kPairs[2 * (number % 100)], 2);
      number /= 100;
    }
    if (number < 10) {
      *--end = static_cast<char>('0' + number);
      return end;
    }
    end -= 2;
    std::memcpy(end, &kPairs[2 * number], 2);
    return end;
  }

  std::string* const out_;
  const size_t begin_;
  char* at_;
  const char* const end_;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_LINE_WRITER_H_
