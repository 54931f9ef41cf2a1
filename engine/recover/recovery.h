// Opening, step by step: what is in the directory becomes the store's state.
//
//   read the manifest -> find the log's end -> mend: make that end durable, in
//   the segments and then in the manifest -> open the sealed segments ->
//   replay -> remove what nothing refers to
//
// Each step can be interrupted at any system call and run again. Mending stores
// every page above the last mark again before it syncs: after a failed
// writeback the kernel calls such a page clean, and syncing it proves nothing.
// Only when the manifest names the log's end may a new lsn be given out, so
// nothing behind a cut can ever validate again.
//
// Externally synchronised.

#ifndef PEAT_ENGINE_RECOVER_RECOVERY_H_
#define PEAT_ENGINE_RECOVER_RECOVERY_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/log/manifest_store.h"
#include "engine/log/value_references.h"
#include "engine/os/file_system.h"
#include "engine/recover/log_tail.h"
#include "engine/recover/replay.h"
#include "engine/segment/config.h"
#include "engine/segment/segment_set.h"
#include "format/index_image.h"
#include "format/manifest.h"

namespace peat::engine {

// What a directory holds, before anything in it is touched.
enum class Contents { kNothing, kStore, kUnfinishedStore };

// NotFound for an empty directory is not an error here. FailedPrecondition for
// one that holds files of another program and no store; DataLoss when there
// are segments and no manifest.
absl::StatusOr<Contents> Inspect(const Directory& directory);

// The first manifest of a new store: random id and hash seed.
format::Manifest NewManifest(FileSystem& file_system);

// Makes `tail` the end of the log, durably: afterwards all of its used
// segments are sealed, and those behind the end are gone.
absl::Status Mend(LogTail& tail, Directory& directory, ManifestStore& manifest);

// Opens every sealed segment of `manifest` and adds it to `segments`, with the
// number and the counts that `snapshot` has for it, if there is one. Returns
// what is to be replayed.
absl::StatusOr<std::vector<ReplaySource>> OpenSealed(
    const Directory& directory, const format::Manifest& manifest,
    ReadMethod read_method, const format::IndexImage* snapshot,
    SegmentSet* segments);

// The same for a store that is opened despite damage: of a segment that is cut
// short, or whose header is damaged, what there is. Adds what there is not to
// `*lost`. Of `snapshot` only the segments' numbers are taken. DataLoss if a
// file is gone because the manifest has moved on.
absl::StatusOr<std::vector<ReplaySource>> OpenSealedDespiteDamage(
    const Directory& directory, const format::Manifest& manifest,
    const format::IndexImage* snapshot, SegmentSet* segments,
    std::vector<LostRange>* lost);

// Takes those unsealed segments out of `*manifest` that cannot be opened, and
// adds them to `*lost`.
absl::Status DropUnreadableTail(const Directory& directory,
                                format::Manifest* manifest,
                                std::vector<LostRange>* lost);

// What `manifest` would be if the end of the log, which is sound, were mended:
// for a store that is opened to read only.
format::Manifest WithSealedTail(const format::Manifest& manifest,
                                const LogTail& tail);

// Opens the unsealed segments of a store whose end is not sound.
absl::Status OpenDamagedTail(const Directory& directory, const LogTail& tail,
                             SegmentSet* segments,
                             std::vector<ReplaySource>* sources);

// DataLoss if a sealed segment has lsns that the log, which is sound and ends
// at `log_end`, has not reached: nothing was copied before it was durable
// there, and what is written next must be newer than all that there is.
absl::Status CheckLsns(const format::Manifest& manifest, const LogEnd& log_end);

// Unlinks segments that the manifest does not name, with their hint files,
// value files that no record refers to, index images but the one called
// `snapshot_name`, and temporaries. What fails stays for the next time, and so
// does a segment or value file of another store, which somebody may have put
// there by mistake. Returns the ids in the names of those that stay.
std::vector<format::SegmentId> RemoveOrphans(
    Directory& directory, const format::Manifest& manifest,
    const ValueReferences::Counts& value_files, std::string_view snapshot_name);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_RECOVER_RECOVERY_H_
