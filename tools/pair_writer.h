// Keys and values as text, in the formats that pair_reader.h reads.
//
// Pure functions.

#ifndef PEAT_TOOLS_PAIR_WRITER_H_
#define PEAT_TOOLS_PAIR_WRITER_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "peat/time.h"
#include "tools/pair_reader.h"

namespace peat::tools {

struct PairView {
  std::string_view key;
  std::string_view value;
  std::optional<Time> expires_at = {};
};

// Replaces `*text` by the pair, its newline or zero byte included, such that
// PairReader reads the same pair. InvalidArgument for a zero byte in format
// nul. `pair.expires_at` is written in jsonl alone.
absl::Status WritePair(const PairView& pair, PairFormat format,
                       std::string* text);

// The same for a key alone: a line of tsv without a tab, an object of jsonl
// without a value, a key of nul.
absl::Status WriteKey(std::string_view key, PairFormat format,
                      std::string* text);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_PAIR_WRITER_H_
