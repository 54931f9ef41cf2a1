#include "engine/log/sealer.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "engine/log/appender.h"
#include "engine/log/group_commit.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/segment/expiry_sum.h"
#include "format/check.h"
#include "format/status_macros.h"

namespace peat::engine {

using format::Manifest;
using format::ManifestSegment;

absl::Status Sealer::SyncAndSeal() {
  PEAT_RETURN_IF_ERROR(parts_.syncer->SyncUpTo(parts_.appender->last_lsn()));
  return Seal();
}

absl::Status Sealer::Seal() {
  index::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<LogFile>> synced =
      parts_.appender->SyncedRolled();
  // The appender hears of a sync before the syncer tells it to others.
  while (!synced.empty() &&
         synced.back()->last_lsn > parts_.syncer->durable_lsn()) {
    synced.pop_back();
  }
  if (synced.empty()) return absl::OkStatus();
  for (const std::shared_ptr<LogFile>& log : synced) {
    PEAT_CHECK(log->first_lsn != 0);
    PEAT_CHECK(log->end > format::kSegmentHeaderSize);
    log->mapping->Protect();
    PEAT_RETURN_IF_ERROR(log->file->Truncate(log->end));
    if (absl::Status status = log->file->Sync(); !status.ok()) {
      return parts_.poison->Set(status);
    }
  }
  const auto seal = [&synced](Manifest& manifest) {
    for (const std::shared_ptr<LogFile>& log : synced) {
      const format::SegmentId id = log->segment->identity().id;
      const auto entry = std::find_if(
          manifest.segments.begin(), manifest.segments.end(),
          [id](const ManifestSegment& one) { return one.id == id; });
      PEAT_CHECK(entry != manifest.segments.end());
      PEAT_CHECK(entry->state == format::SegmentState::kOpen);
      entry->state = format::SegmentState::kSealed;
      entry->end = log->end;
      entry->first_lsn = log->first_lsn;
      entry->last_lsn = log->last_lsn;
      entry->last_checksum = log->last_checksum;
      NoteExpiries(log->segment->expiries(), &*entry);
    }
  };
  PEAT_RETURN_IF_ERROR(parts_.manifest->Edit(seal));
  for (const std::shared_ptr<LogFile>& log : synced) {
    log->mapping->ExpectRandomReads();
  }
  parts_.appender->ReleaseRolled(synced.size());
  return absl::OkStatus();
}

}  // namespace peat::engine
