// A checkpoint: a copy of a store that is open, as of one lsn, while everybody
// goes on writing.
//
//   flush -> end the active segment -> sync and seal what was rolled -> copy
//   the sealed segments (store_copy.h)
//
// Why the copy is the store as of the last lsn of its last sealed log segment:
//   - The log up to there lies in the sealed segments that the manifest names,
//     and nothing later does.
//   - What compaction has dropped was superseded by records that had been
//     appended before it committed. No compaction commits between the end of
//     the active segment and the look at the manifest, so these records are in
//     the copy.
//   - Every file that it is to have keeps its name until the copy is complete,
//     whatever is retired meanwhile (file_pins.h). Nothing else waits for the
//     copy, which may last as long as the store is large.
//
// Thread-safe.

#ifndef PEAT_ENGINE_SAVE_CHECKPOINT_H_
#define PEAT_ENGINE_SAVE_CHECKPOINT_H_

#include <filesystem>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/log/core.h"
#include "format/location.h"

namespace peat::engine {

struct CheckpointResult {
  format::Lsn lsn = 0;  // of the last unit in the copy
  uint64_t linked_bytes = 0;
  uint64_t copied_bytes = 0;
};

// Makes the copy in `target`. Fails as StoreCopy::Begin() does, with
// ResourceExhausted, or as Flush(); then there is no copy, and the store is as
// it was.
absl::StatusOr<CheckpointResult> TakeCheckpoint(
    const Core& parts, const std::filesystem::path& target);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SAVE_CHECKPOINT_H_
