// Whether one segment is as FORMAT.md demands: every record, what may stand
// where in a segment of its kind, batches, lsns, and what the manifest and the
// hint file say of it.
//
// Pure but for reading; different segments may be checked at the same time.

#ifndef PEAT_TOOLS_OFFLINE_SEGMENT_CHECK_H_
#define PEAT_TOOLS_OFFLINE_SEGMENT_CHECK_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "format/key_filter.h"
#include "format/record.h"
#include "tools/offline/finding.h"
#include "tools/offline/lsn_check.h"
#include "tools/offline/snapshot_check.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

// A record that refers to a value file.
struct FoundReference {
  format::ValueReference reference;
  std::string file;  // of the record
  uint64_t offset = 0;
  std::string digest = {};  // what a forget says of the value; or empty
};

// A mask, or what is left of one.
struct FoundMask {
  std::string key;
  format::Lsn lsn = 0;
  format::RecordKind kind = format::RecordKind::kForget;
  bool is_stub = false;
};

struct SegmentReport {
  Findings findings;
  uint64_t record_count = 0;
  std::vector<FoundReference> references;
  std::vector<FoundMask> masks;
  // Those that were asked for; incomplete behind damage.
  std::vector<SegmentPrefix> prefixes;
  bool has_gap = false;
  uint64_t unread_bytes = 0;  // in gaps
};

// Checks `segment`, which has no flaw. `filter` is what its hint file holds;
// null: it has none. The records' lsns are added to `seen`. `prefix_ends`,
// which ascend, are where records should end. `progress` counts the bytes that
// were read; stops early with Cancelled when `is_cancelled` becomes true.
struct SegmentCheckParts {
  const StoreFiles* files = nullptr;
  const format::KeyFilter* filter = nullptr;
  SeenLsns* seen = nullptr;
  std::vector<uint64_t> prefix_ends = {};
  std::atomic<uint64_t>* progress = nullptr;
  const std::atomic<bool>* is_cancelled = nullptr;
};
absl::StatusOr<SegmentReport> CheckSegment(const SourceSegment& segment,
                                           const SegmentCheckParts& parts);

// The key filter in the segment's hint file. Adds what is wrong with the file
// to `findings`; nullopt then, and when there is none.
std::optional<format::KeyFilter> ReadKeyFilter(const StoreFiles& files,
                                               const SourceSegment& segment,
                                               Findings* findings);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_SEGMENT_CHECK_H_
