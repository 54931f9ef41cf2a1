// Seals rolled segments: cuts their spare space, and names their ends in the
// manifest.
//
// Only what is synced is sealed, in the order of the log. The spare space is
// cut and the file synced before the manifest says that it is sealed, since a
// sealed file is never modified.
//
// Thread-safe.

#ifndef PEAT_ENGINE_LOG_SEALER_H_
#define PEAT_ENGINE_LOG_SEALER_H_

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "engine/log/core.h"
#include "index/mutex.h"

namespace peat::engine {

class Sealer final {
 public:
  explicit Sealer(const Core& core) : parts_(core) {}

  // Seals the rolled segments that are synced.
  absl::Status Seal() ABSL_LOCKS_EXCLUDED(mutex_);

  // Syncs the log first.
  absl::Status SyncAndSeal() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const Core& parts_;
  index::Mutex mutex_{index::LockRank::kSeal};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_SEALER_H_
