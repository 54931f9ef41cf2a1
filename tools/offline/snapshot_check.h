// Whether index images are whole, and say of the log what it says itself
// (FORMAT.md, section 16).
//
// An engine finds out nearly all that may be wrong with one, and then opens the
// store without it. What it does not look at, the counts and what lies before
// an end that the log has gone beyond, is compared with what a walk of each
// segment finds there.
//
// Memory: the heads, some 100 bytes for each segment that a snapshot names, and
// a table of the index for each thread.

#ifndef PEAT_TOOLS_OFFLINE_SNAPSHOT_CHECK_H_
#define PEAT_TOOLS_OFFLINE_SNAPSHOT_CHECK_H_

#include <cstdint>
#include <map>
#include <vector>

#include "engine/recover/index_image_reader.h"
#include "format/record.h"
#include "tools/offline/finding.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

// The records of a segment before an end that a snapshot names, which is the
// end of one of them.
struct SegmentPrefix {
  uint64_t end = 0;
  format::Lsn last_lsn = 0;
  uint32_t last_checksum = 0;
  uint64_t tombstone_bytes = 0;
  uint64_t disable_count = 0;
  uint64_t forget_count = 0;
  uint64_t value_bytes = 0;
  std::vector<format::SegmentId> values = {};  // files, one for each reference
};

// Of each segment that was walked without damage.
using SegmentPrefixes = std::map<format::SegmentId, std::vector<SegmentPrefix>>;

class SnapshotChecker final {
 public:
  // Reads the heads of all snapshots in `files`, which outlive this.
  explicit SnapshotChecker(const StoreFiles& files);

  // The ends in the segment that snapshots name, ascending.
  std::vector<uint64_t> EndsIn(format::SegmentId id) const;

  // What is wrong with each snapshot, at most one finding for each. Reads their
  // images and tables, by `thread_count` threads.
  Findings Check(const SegmentPrefixes& prefixes, int thread_count) const;

 private:
  const StoreFiles& files_;
  std::vector<engine::FoundSnapshot> snapshots_;
  Findings unreadable_;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_SNAPSHOT_CHECK_H_
