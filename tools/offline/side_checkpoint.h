// A checkpoint of a store that another process is writing to, from its files
// alone: the copy is the store as it was at one moment while this was made.
//
//   read the manifest, and the log up to its end -> link what is sealed -> copy
//   the log behind it, as sealed segments -> verify; from the beginning if the
//   manifest has moved on so that a file is gone
//
// It writes nothing to the store, takes no lock of it, and waits for nobody.
// Whether what was copied of the log's end had been durable there does not
// matter: in the copy it is.

#ifndef PEAT_TOOLS_OFFLINE_SIDE_CHECKPOINT_H_
#define PEAT_TOOLS_OFFLINE_SIDE_CHECKPOINT_H_

#include <cstdint>
#include <filesystem>

#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "format/record.h"

namespace peat::tools {

struct SideCheckpoint {
  format::Lsn lsn = 0;  // the copy holds everything up to here, nothing later
  uint64_t linked_bytes = 0;
  uint64_t copied_bytes = 0;
};

// As Store::Checkpoint(); also DataLoss if the store is damaged, and Aborted if
// it has moved on at every attempt.
absl::StatusOr<SideCheckpoint> CheckpointBeside(
    engine::FileSystem& file_system, const std::filesystem::path& from,
    const std::filesystem::path& to);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_SIDE_CHECKPOINT_H_
