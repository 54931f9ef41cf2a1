// What a cursor lists: a query, checked and reduced to a range or a list.

#ifndef PEAT_ENGINE_QUERY_QUERY_H_
#define PEAT_ENGINE_QUERY_QUERY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "index/ordered_index.h"

namespace peat::engine {

struct Query {
  index::KeyRange range;
  // Not nullopt: these keys alone, ascending, each once, all in the range.
  std::optional<std::vector<std::string>> keys;
  bool keys_only = false;
  bool reverse = false;
  // Whether any order will do, on a store without an ordered index.
  bool any_order = false;
  uint64_t limit = UINT64_MAX;  // pairs
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_QUERY_QUERY_H_
