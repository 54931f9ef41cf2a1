#include "engine/log/log_end.h"

namespace peat::engine {

LogEnd SealedEnd(const format::Manifest& manifest) {
  LogEnd end;
  for (const format::ManifestSegment& entry : manifest.segments) {
    if (entry.state != format::SegmentState::kSealed) continue;
    if (entry.kind != format::SegmentKind::kLog) continue;
    if (entry.last_lsn <= end.last_lsn) continue;
    end = {.segment = entry.id,
           .end = entry.end,
           .last_lsn = entry.last_lsn,
           .last_checksum = entry.last_checksum};
  }
  return end;
}

}  // namespace peat::engine
