// Writes a stream of pairs into a store, or checks that it is there.
//
// Events are counted as *acknowledged* once the store has acknowledged them;
// what was acknowledged survives the end of the process at any moment. An event
// is *refused* if its key is disabled or forgotten: that is the store's answer
// to it, so loading goes on, and the event counts as acknowledged.
// Externally synchronised.

#ifndef PEAT_TOOLS_LOADER_H_
#define PEAT_TOOLS_LOADER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "peat/store.h"
#include "tools/pair_reader.h"
#include "tools/progress.h"

namespace peat::tools {

struct LoadOptions {
  // PutIfAbsent for each event instead of batches of puts.
  bool if_absent = false;
  // Make events durable before they are announced, and at the end.
  bool flush = false;
  // Announce every so many acknowledged events on standard output; 0: never.
  uint64_t acknowledge = 0;
  // Whether to stop: what has come until then is stored first.
  std::function<bool()> is_interrupted = {};
};

struct LoadCounts {
  uint64_t acknowledged = 0;
  uint64_t inserted = 0;  // of those, the ones that if_absent wrote
  uint64_t refused = 0;   // of those, the ones that changed nothing
};

// Loads all of `reader`. When the input pauses, what has come is stored (and
// durable, if it is to be). `*counts` is right also after a failure: what was
// read before it has been acknowledged. Cancelled if it was interrupted.
absl::Status Load(Store& store, const LoadOptions& options, PairReader& reader,
                  Progress& progress, LoadCounts* counts);

struct CheckCounts {
  uint64_t events = 0;
  uint64_t missing = 0;
  uint64_t different = 0;  // stored with another value

  uint64_t complaints() const { return missing + different; }
};

// Looks up each pair of `reader`, and complains about the first few that are
// not stored as they stand there.
absl::Status CheckLoaded(const Store& store, PairReader& reader,
                         Progress& progress, CheckCounts* counts);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_LOADER_H_
