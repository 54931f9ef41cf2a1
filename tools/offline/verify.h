// What peat verify checks: everything that FORMAT.md demands of a store.
//
//   manifests   both copies, and that they agree; the entries of the log
//   segments    headers, each record, links, lsns, batches, bounds; hint files
//   lsns        that records with the same lsn are copies of one
//   the log     where it ends, and whether that is a torn tail or damage
//   values      each file that a record refers to
//   masks       digests; that nothing came after a forget, or while disabled
//   snapshots   of the index: heads, images and tables; of each segment, that a
//               record ends where they say, and what they count before it
//   names       leftovers, and what is none of Peat's
//
// A kind of file that is added to the format becomes one more checker in
// verify.cc. Reads only, always; beside a process that writes, too. Memory: a
// window of each segment that is read, the unsealed segments, the largest
// value, some 100 bytes for each mask and each large value, one bit for each
// lsn up to 32 MiB, what snapshot_check.h says.

#ifndef PEAT_TOOLS_OFFLINE_VERIFY_H_
#define PEAT_TOOLS_OFFLINE_VERIFY_H_

#include <cstdint>
#include <filesystem>

#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "tools/offline/finding.h"
#include "tools/offline/live_set.h"

namespace peat::tools {

struct VerifyReport {
  Findings findings;
  uint64_t segment_count = 0;
  uint64_t record_count = 0;
  uint64_t bytes = 0;
  uint64_t value_file_count = 0;
  uint64_t mask_count = 0;
  // A file could not be read, so that nothing is known of what it holds.
  bool is_unreadable = false;
};

// Checks the store in `path`, in `thread_count` segments at a time. NotFound if
// there is none; Unimplemented if it is of a newer version; Cancelled if
// `on_progress` says so.
absl::StatusOr<VerifyReport> VerifyStore(engine::FileSystem& file_system,
                                         const std::filesystem::path& path,
                                         int thread_count,
                                         const OnProgress& on_progress = {});

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_VERIFY_H_
