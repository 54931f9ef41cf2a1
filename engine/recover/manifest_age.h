// Whether a manifest is the newest that its store ever had.
//
// Both files may have been put back from an older day, or one of them beside
// another that is damaged. What was flushed since may lie in segments that such
// a copy does not name, and must neither be passed over nor removed.
//
// A link says which generation of the manifest was durable before it. So a used
// log segment that the manifest does not name either was taken out by it, and
// then its link's generation is not above the manifest's; or it was added
// later, and then that is above. What has no readable link may have a mark of a
// later lsn than the log that the manifest knows has. And no file ever has an
// id that was not durably given out before.
//
// Reads only. Externally synchronised.

#ifndef PEAT_ENGINE_RECOVER_MANIFEST_AGE_H_
#define PEAT_ENGINE_RECOVER_MANIFEST_AGE_H_

#include "absl/status/status.h"
#include "engine/os/file_system.h"
#include "format/location.h"
#include "format/manifest.h"

namespace peat::engine {

// DataLoss if the id or the link of a file in `directory` proves that
// `manifest` is an older copy. Files that prove nothing are passed over:
// strays, and those of other stores.
absl::Status CheckManifestAge(const Directory& directory,
                              const format::Manifest& manifest);

// The same by marks in segments that `manifest` does not name and whose link
// cannot be read, when the log that it knows ends at `last_lsn`.
absl::Status CheckUnnamedMarks(const Directory& directory,
                               const format::Manifest& manifest,
                               format::Lsn last_lsn);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_RECOVER_MANIFEST_AGE_H_
