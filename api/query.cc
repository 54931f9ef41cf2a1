#include "api/query.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace peat {
namespace {

using index::KeyRange;

void BeginAt(const std::string& begin, KeyRange* range) {
  range->begin = std::max(range->begin, begin);
}

void EndAt(std::string end, KeyRange* range) {
  if (!range->end.has_value() || end < *range->end) range->end = std::move(end);
}

// The least string that is greater than all that begin with `prefix`; empty if
// there is none.
std::string EndOfPrefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) ++end.back();
  return end;
}

KeyRange RangeOf(const Query& query) {
  KeyRange range;
  if (query.from.has_value()) BeginAt(*query.from, &range);
  if (query.to.has_value()) EndAt(*query.to, &range);
  if (query.prefix.has_value()) {
    BeginAt(*query.prefix, &range);
    std::string end = EndOfPrefix(*query.prefix);
    if (!end.empty()) EndAt(std::move(end), &range);
  }
  if (query.after.has_value()) {
    if (query.reverse) {
      EndAt(*query.after, &range);
    } else {
      BeginAt(*query.after + '\0', &range);
    }
  }
  return range;
}

std::vector<std::string> KeysOf(const Query& query, const KeyRange& range) {
  std::vector<std::string> keys = query.keys;
  std::erase_if(
      keys, [&range](const std::string& key) { return !range.Contains(key); });
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace

engine::Query Reduce(const Query& query) {
  engine::Query reduced;
  reduced.range = RangeOf(query);
  if (!query.keys.empty()) reduced.keys = KeysOf(query, reduced.range);
  reduced.keys_only = query.keys_only;
  reduced.reverse = query.reverse;
  reduced.any_order = reduced.range.begin.empty() &&
                      !reduced.range.end.has_value() && query.keys.empty() &&
                      !query.from.has_value() && !query.prefix.has_value() &&
                      !query.reverse && query.limit == 0;
  if (query.limit != 0) reduced.limit = query.limit;
  const bool is_empty = reduced.range.end.has_value() &&
                        *reduced.range.end <= reduced.range.begin;
  if (is_empty) reduced.limit = 0;
  return reduced;
}

}  // namespace peat
