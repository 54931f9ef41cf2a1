// Keys and values from a stream, in one of three formats.
//
//   tsv    one pair a line: key, tab, value; bytes escaped as in escape.h, so
//          that any bytes can be written. The last newline may be missing.
//   jsonl  one JSON object a line: {"key": ..., "value": ...}, both strings,
//          each once; and perhaps "expires_at", milliseconds since 1970-01-01
//          UTC, or a time as utc_time.h reads it.
//          Bytes that are not UTF-8 go into "key64" or "value64" instead, in
//          base64.
//   nul    key, zero byte, value, zero byte. Fast, and for bytes without zeros.
//
// What is read is bounded, and so is the memory that it takes: a pair is
// refused at the first byte that can no longer be right, before it is read to
// its end. Externally synchronised.

#ifndef PEAT_TOOLS_PAIR_READER_H_
#define PEAT_TOOLS_PAIR_READER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peat/time.h"
#include "tools/input.h"
#include "tools/json_line.h"

namespace peat::tools {

enum class PairFormat { kTsv, kJsonLines, kNul };

struct Pair {
  std::string key;
  std::string value;
  std::optional<Time> expires_at = {};
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

  // Reads a line that another kind of JSON object stands in; false at the end.
  // Its members are in json().
  absl::StatusOr<bool> NextObject(JsonLine::Rules rules);
  JsonLine& json() { return json_; }
  const PairLimits& limits() const { return limits_; }

  // Of jsonl, lines may be any JSON objects: the key is the string or number
  // that is the member `name`, the value the line as it stands there.
  void SetKeyField(std::string name) { key_field_ = std::move(name); }

  // Who is told when the input pauses, and may end the reading.
  void Watch(InputWatch watch) { input_.Watch(std::move(watch)); }

  // What Next() fails with where the input is not as it should be.
  absl::Status Malformed(std::string_view why) const;

  // Pairs begun, counted from 1: the line of the pair that Next() gave.
  uint64_t line() const { return line_; }
  uint64_t bytes_read() const { return input_.bytes_read(); }

 private:
  enum class Ending { kDelimiter, kEnd, kTooLong };

  // Replaces `*field` by the bytes up to the next `delimiter`, which is
  // dropped, or up to the end of the stream.
  absl::StatusOr<Ending> ReadField(char delimiter, size_t size_max,
                                   std::string* field);
  // The key of a line of tsv, up to the tab; false at the end.
  absl::StatusOr<bool> ReadTsvKey(std::string* key);
  absl::Status ReadTsvValue(std::string* value);
  absl::StatusOr<bool> NextTsv(Pair* pair);
  absl::StatusOr<bool> NextJson(Pair* pair);
  absl::Status TakeExpiry(Pair* pair);
  absl::StatusOr<bool> NextEvent(Pair* pair);
  absl::StatusOr<bool> NextNul(Pair* pair);

  Input input_;
  JsonLine json_{&input_};
  const PairFormat format_;
  const PairLimits limits_;

  std::string text_;  // the current field, or an escape that goes on
  uint64_t line_ = 0;
  std::optional<std::string> key_field_;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_PAIR_READER_H_
