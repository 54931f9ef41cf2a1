// Parts of segments whose records are in the order of their lsns.
//
// A segment of the log is one such *run*. Of the others each is made of many:
// compaction copies segments one behind the other. Where these begin is found
// by a look at each of their records.
//
// Pure but for reading.

#ifndef PEAT_TOOLS_OFFLINE_LSN_RUN_H_
#define PEAT_TOOLS_OFFLINE_LSN_RUN_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "format/record.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

struct LsnRun {
  size_t segment = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t first_record = 0;  // which of the segment's records it begins with
  // No record of it that has a place in the order of lsns is outside of these.
  format::Lsn first_lsn = 0;
  format::Lsn last_lsn = 0;
};

// Those of all segments without a flaw, in the order of their first lsns; looks
// at `thread_count` segments at a time. 48 bytes each. A segment of more than
// 65,536 runs, which nothing of Peat's writes, is taken for one.
absl::StatusOr<std::vector<LsnRun>> FindRuns(
    const std::vector<SourceSegment>& segments, int thread_count);

// Whether the record's own lsn places it: a put, a tombstone, a mask or a stub.
// Others stay where they are in their segment.
bool HasPlace(const format::RecordHeader& header);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_LSN_RUN_H_
