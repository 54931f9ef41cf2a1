// Loads what peat dump --json has printed of a store: each current record
// becomes the write that leads to its key's state. A disabled key is put and
// disabled, a forgotten one forgotten, with their reasons if the dump reveals
// them. Lsns and times are the new store's own.
//
// Externally synchronised.

#ifndef PEAT_TOOLS_DUMP_LOADER_H_
#define PEAT_TOOLS_DUMP_LOADER_H_

#include "absl/status/status.h"
#include "peat/store.h"
#include "tools/loader.h"
#include "tools/pair_reader.h"
#include "tools/progress.h"

namespace peat::tools {

// Loads all of `reader`, of whose options only `flush` counts. `*counts` is
// right also after a failure. InvalidArgument, with the line, for what is no
// line of a dump of a store, for a current record whose value the dump does not
// show, and for a range that the dump has skipped: the rest would not be the
// same store.
absl::Status LoadDump(Store& store, const LoadOptions& options,
                      PairReader& reader, Progress& progress,
                      LoadCounts* counts);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_DUMP_LOADER_H_
