#include "engine/save/checkpoint.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/log/appender.h"
#include "engine/log/file_pins.h"
#include "engine/log/group_commit.h"
#include "engine/log/log_end.h"
#include "engine/log/manifest_store.h"
#include "engine/log/sealer.h"
#include "engine/log/segment_allocator.h"
#include "engine/log/value_references.h"
#include "engine/os/file_system.h"
#include "engine/save/store_copy.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/status_macros.h"
#include "index/mutex.h"

namespace peat::engine {
namespace {

using format::Lsn;
using format::ManifestSegment;
using format::SegmentId;

// What a copy is to hold, and that its files keep their names.
struct PinnedContents {
  CopyContents contents;
  FilePins::Pin pin;
};

std::vector<SegmentId> FilesOf(const CopyContents& contents) {
  std::vector<SegmentId> files = contents.value_files;
  for (const ManifestSegment& entry : contents.manifest.segments) {
    files.push_back(entry.id);
  }
  return files;
}

// Seals everything up to some lsn, and returns what the store consists of then.
absl::StatusOr<PinnedContents> SealLog(const Core& parts) {
  // Ahead: what is synced, and where writers go on, as soon as the segment has
  // ended.
  PEAT_RETURN_IF_ERROR(parts.syncer->SyncUpTo(parts.appender->last_lsn()));
  PEAT_RETURN_IF_ERROR(parts.supply->PrepareFor(0, Need::kAddData));
  PinnedContents sealed;
  CopyContents& contents = sealed.contents;
  format::Manifest& manifest = contents.manifest;
  {
    index::MutexLock lock(parts.commit_mutex);
    const Lsn ended = parts.appender->EndActive();
    PEAT_RETURN_IF_ERROR(parts.sealer->SyncAndSeal());
    manifest = parts.manifest->Current();
    PEAT_CHECK(SealedEnd(manifest).last_lsn >= ended);
    contents.value_files = parts.references->Files();
    // What is named now is retired by a later commit, if at all.
    sealed.pin = parts.pins->Take(FilesOf(contents));
  }
  std::erase_if(manifest.segments, [](const ManifestSegment& entry) {
    return entry.state != format::SegmentState::kSealed;
  });
  manifest.durable_lsn = SealedEnd(manifest).last_lsn;
  // A value file may have come since.
  manifest.next_id = parts.manifest->Current().next_id;
  return sealed;
}

}  // namespace

absl::StatusOr<CheckpointResult> TakeCheckpoint(
    const Core& parts, const std::filesystem::path& target) {
  PEAT_ASSIGN_OR_RETURN(
      const std::unique_ptr<StoreCopy> copy,
      StoreCopy::Begin(*parts.file_system, *parts.directory, target));
  PEAT_ASSIGN_OR_RETURN(const PinnedContents sealed, SealLog(parts));
  const CopyContents& contents = sealed.contents;
  PEAT_ASSIGN_OR_RETURN(const CopyResult copied,
                        copy->Fill(*parts.directory, contents));
  for (const SegmentId file : copied.missing_value_files) {
    if (!parts.references->Has(file)) continue;
    return absl::DataLossError(
        absl::StrFormat("%s is missing, and a record refers to it",
                        format::ValueFileName(file)));
  }
  PEAT_RETURN_IF_ERROR(copy->Publish());
  return CheckpointResult{.lsn = contents.manifest.durable_lsn,
                          .linked_bytes = copied.linked_bytes,
                          .copied_bytes = copied.copied_bytes};
}

}  // namespace peat::engine
