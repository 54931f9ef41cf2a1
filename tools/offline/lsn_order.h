// All records of a store in the order of their lsns, and what is damaged
// between them.
//
// Runs (lsn_run.h) are merged, each read through a window of its own, from when
// its first lsn is due until its end. Marks, links and frames stay where they
// are in their segment. Of records with the same lsn, that of the earlier run
// comes first.
//
// Memory is that of the windows that are open, 32 MiB together or 4 KiB each,
// and that of the runs.
//
// Externally synchronised.

#ifndef PEAT_TOOLS_OFFLINE_LSN_ORDER_H_
#define PEAT_TOOLS_OFFLINE_LSN_ORDER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "format/record.h"
#include "tools/offline/lsn_run.h"
#include "tools/offline/record_walk.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

// Bytes of a segment that are no record.
struct Gap {
  uint64_t offset = 0;
  uint64_t size = 0;
  const char* what = "";
  std::optional<format::RecordHeader> header = {};  // if it alone is sound
};

class LsnOrder final {
 public:
  // Merges `runs`, which are in the order of their first lsns. `segments` must
  // outlive this.
  LsnOrder(const std::vector<SourceSegment>& segments,
           std::vector<LsnRun> runs);
  // Of all segments but those with a flaw.
  static absl::StatusOr<LsnOrder> Make(
      const std::vector<SourceSegment>& segments);

  // Goes on to the next record or gap; false: there are no more.
  absl::StatusOr<bool> Next();

  // What Next() found: a gap, or a record. Views live until the next call.
  const std::optional<Gap>& gap() const { return gap_; }
  const format::Record& record() const { return current_->walk->record(); }
  format::ByteView record_bytes() const {
    return current_->walk->record_bytes();
  }
  uint64_t offset() const { return current_->walk->offset(); }
  // Where it lies: its segment's index, and which of its records it is.
  size_t segment() const { return runs_[current_->run].segment; }
  uint64_t record_index() const { return current_->record; }

 private:
  struct Cursor {
    size_t run = 0;
    format::Lsn lsn = 0;  // of what comes next
    uint64_t record = 0;  // its index in the segment, if it is a record
    bool has_record = false;
    std::optional<Gap> gap;
    std::unique_ptr<RecordWalk> walk;
  };

  static bool IsLater(const std::unique_ptr<Cursor>& a,
                      const std::unique_ptr<Cursor>& b);
  absl::Status OpenDueRuns();
  // Moves to the next record or gap of the cursor's run; false: its end.
  absl::StatusOr<bool> Advance(Cursor* cursor);
  absl::StatusOr<bool> AdvanceOverGap(Cursor* cursor, RecordWalk::Step step);

  const std::vector<SourceSegment>& segments_;
  std::vector<LsnRun> runs_;
  size_t next_run_ = 0;
  size_t window_size_;
  // A heap, but for the current one: the cursor with the lowest lsn first.
  std::vector<std::unique_ptr<Cursor>> waiting_;
  std::unique_ptr<Cursor> current_;
  std::optional<Gap> gap_;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_LSN_ORDER_H_
