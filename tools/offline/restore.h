// What peat restore does: makes a store of its own of a checkpoint, or of any
// store that was closed, by links or copies, and takes the masks of a newer
// store along.
//
// The newer store's masks are set one by one, in the order in which they were
// set there, with their reasons and times, but for those that the checkpoint
// has already. So a key that is forgotten there is forgotten in the new store,
// and what its audit lists is what both stores' audits list. A forgotten key
// preserves the value of the checkpoint, not that of the newer store. A key
// that the checkpoint does not have cannot be disabled.
//
// The new store has its name only once all of that is durable.

#ifndef PEAT_TOOLS_OFFLINE_RESTORE_H_
#define PEAT_TOOLS_OFFLINE_RESTORE_H_

#include <cstdint>
#include <filesystem>
#include <optional>

#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "format/location.h"

namespace peat::tools {

struct RestorePaths {
  std::filesystem::path from;
  std::filesystem::path to;  // must not be there
  std::optional<std::filesystem::path> masks_from = {};
};

struct RestoreResult {
  format::Lsn lsn = 0;  // of the checkpoint
  uint64_t linked_bytes = 0;
  uint64_t copied_bytes = 0;
  // Masks that were set, of each kind, and disables and enables that were not,
  // as there is nothing that they could change.
  uint64_t disable_count = 0;
  uint64_t enable_count = 0;
  uint64_t forget_count = 0;
  uint64_t idle_count = 0;
};

// Fails, and leaves nothing, with AlreadyExists if `to` is there; Unavailable
// if a process writes to `from`; FailedPrecondition if the last one did not
// close it; InvalidArgument if the masks are of another store; DataLoss;
// ResourceExhausted. `masks_from` may be open in another process.
absl::StatusOr<RestoreResult> RestoreStore(engine::FileSystem& file_system,
                                           const RestorePaths& paths);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_RESTORE_H_
