// What a cursor lists.

#ifndef PEAT_API_PEAT_QUERY_H_
#define PEAT_API_PEAT_QUERY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace peat {

// Which pairs a cursor lists. A prefix or a range reads the whole log unless
// the store is open with Options::ordered; GetStats().full_log_scans counts
// that.
//
// All pairs that satisfy every field that is set; by default, everything.
//
// Pairs come in byte order, with one exception: on a store without an ordered
// index, a query that sets nothing but `keys_only` gives the order of the log.
//
// What it costs depends on Options::ordered. With an ordered index: the pairs
// that it yields, wherever they lie. Without: a query for everything, or for a
// list of keys, likewise; any other reads the whole log, once for each 64 MiB
// of memory that the matching keys take (each its length and 24 bytes),
// or once if there is a limit and so many keys take less.
//
// The ordered index is made after Open(). Until it is complete, every query but
// one for a list of keys waits in the call that opens its cursor; it shows the
// moment of that call all the same. Close() ends the wait.
struct Query {
  // From this key on.
  std::optional<std::string> from = {};
  // Up to this key, but without it. `from` behind `to` is an empty range, not
  // an error.
  std::optional<std::string> to = {};

  // Keys that begin with this.
  std::optional<std::string> prefix = {};

  // These keys, each once, in byte order; those that are not there are passed
  // over. Empty: not limited to a list.
  std::vector<std::string> keys = {};

  // Only what comes behind this key, in the direction of the query. For paging:
  // the last key of the page before.
  std::optional<std::string> after = {};

  // Keys without their values: value() is empty. Saves what reading a value
  // that lies in a file of its own takes.
  bool keys_only = false;

  // From the last key to the first.
  bool reverse = false;

  // At most so many pairs; 0: all.
  uint64_t limit = 0;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_QUERY_H_
