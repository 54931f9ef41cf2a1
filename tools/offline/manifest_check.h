// Whether the copies of the manifest are sound and agree, and what else lies in
// a store's directory.
//
// Pure functions of what was read.

#ifndef PEAT_TOOLS_OFFLINE_MANIFEST_CHECK_H_
#define PEAT_TOOLS_OFFLINE_MANIFEST_CHECK_H_

#include <set>

#include "format/location.h"
#include "tools/offline/finding.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

// Sets `*is_unreadable` if a copy cannot be read, which says nothing of it.
Findings CheckManifests(const StoreFiles& files, bool* is_unreadable);

// The value files that records refer to.
struct ReferredFiles {
  std::set<format::SegmentId> referred;
  bool is_partial = false;  // some records cannot be read
};

// Names that belong to no store, and files that nothing refers to.
Findings CheckNames(const StoreFiles& files, const ReferredFiles& values);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_MANIFEST_CHECK_H_
