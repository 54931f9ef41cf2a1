// Compaction: the manifest edit from which the outputs stand for the inputs.

#include <algorithm>
#include <vector>

#include "engine/compact/compaction.h"
#include "engine/log/group_commit.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/log/store_clock.h"
#include "engine/segment/segment_set.h"
#include "format/check.h"
#include "format/status_macros.h"

namespace peat::engine {

using format::Manifest;
using format::ManifestSegment;

absl::Status Compaction::Commit() {
  // Before the edit, since it can fail.
  for (const Output& output : outputs_) {
    if (output.open == nullptr) continue;
    PEAT_RETURN_IF_ERROR(parts_.segments->AddCopies(output.open));
  }
  // The edit makes it durable: what was taken for expired stays so.
  if (has_leaving_) (void)parts_.clock->Raise(now_);
  index::MutexLock lock(parts_.commit_mutex);
  return parts_.manifest->Edit([this](Manifest& manifest) {
    for (const SealedSegment& input : inputs_) {
      const size_t count =
          std::erase_if(manifest.segments, [&](const ManifestSegment& entry) {
            return entry.id == input.entry.id;
          });
      PEAT_CHECK(count == 1);
    }
    for (const Output& output : outputs_) {
      if (output.segment == nullptr) continue;
      AddSegment(manifest, output.segment->entry());
    }
    // What was dropped relies on it. So if damage takes it away, together with
    // the marks that vouch for it, that is noticed.
    manifest.durable_lsn =
        std::max(manifest.durable_lsn, parts_.syncer->durable_lsn());
  });
}

// The edit has failed. If it was written in part, the outputs may be named.
void Compaction::GiveUpOutputs() {
  for (const Output& output : outputs_) {
    if (output.segment == nullptr) continue;
    if (parts_.poison->is_set()) output.segment->Keep();
    if (output.open->number() == 0) continue;
    parts_.segments->Exchange({&output.open, 1}, {});
    parts_.segments->Release(*output.open);
  }
}

}  // namespace peat::engine
