// Keys and values from a stream, in one of three formats.
//
//   tsv    one pair a line: key, tab, value; bytes escaped as in escape.h, so
//          that any bytes can be written. The last newline may be missing.
//   jsonl  one JSON object a line: {"key": ..., "value": ...}, both strings.
//          Bytes that are not UTF-8 go into "key64" or "value64" instead, in
//          base64.
//   nul    key, zero byte, value, zero byte. Fast, and for bytes without zeros.
//
// What is read is bounded: a line longer than any allowed pair could be is
// refused before it is read to its end. Externally synchronised.

#ifndef PEAT_TOOLS_PAIR_READER_H_
#define PEAT_TOOLS_PAIR_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace peat::tools {

enum class PairFormat { kTsv, kJsonLines, kNul };

struct Pair {
  std::string key;
  std::string value;
};

// The largest key and value, before escaping.
struct PairLimits {
  size_t key_size = 65'535;
  size_t value_size = size_t{1} << 30U;
};

class PairReader {
 public:
  // Reads from the file descriptor, which stays open and outlives the reader.
  PairReader(int input, PairFormat format, const PairLimits& limits = {});

  // Reads the next pair; false at the end. Fails with InvalidArgument, which
  // names the line (in nul: the pair) but not its content, and with what the
  // system says when reading fails. No more can be read after a failure.
  absl::StatusOr<bool> Next(Pair* pair);

  // Reads a line that another kind of JSON object stands in, no longer than one
  // of a pair could be but for a few more members; false at the end.
  absl::StatusOr<bool> NextJsonText(std::string* text);

  // What Next() fails with where the input is not as it should be.
  absl::Status Malformed(std::string_view why) const;

  // Pairs begun, counted from 1: the line of the pair that Next() gave.
  uint64_t line() const { return line_; }
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  enum class Ending { kDelimiter, kEnd, kTooLong };

  // Replaces `*field` by the bytes up to the next `delimiter`, which is
  // dropped, or up to the end of the stream.
  absl::StatusOr<Ending> ReadField(char delimiter, size_t size_max,
                                   std::string* field);
  // Reads what is there into the buffer, which is used up; false at the end.
  absl::StatusOr<bool> Fill();

  absl::StatusOr<bool> NextLine(size_t size_max);
  absl::StatusOr<bool> NextTsv(Pair* pair);
  absl::StatusOr<bool> NextJson(Pair* pair);
  absl::StatusOr<bool> NextNul(Pair* pair);

  const int input_;
  const PairFormat format_;
  const PairLimits limits_;

  std::string buffer_;
  std::string_view unread_;  // of buffer_
  std::string text_;         // the current line
  uint64_t line_ = 0;
  uint64_t bytes_read_ = 0;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_PAIR_READER_H_
