// The log as it lies in segments: which of them hold it, in the order of their
// lsns, and from where on nothing of it is missing.
//
// What compaction has written is not of the log: its records lie there in no
// order. So the log begins behind the last segment that was compacted.

#ifndef PEAT_ENGINE_CHANGES_LOG_PIECES_H_
#define PEAT_ENGINE_CHANGES_LOG_PIECES_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/query/segment_sources.h"
#include "engine/segment/segment.h"
#include "format/location.h"

namespace peat::engine {

// A log segment that holds the lsns from `first_lsn` to `last_lsn`; of the last
// one that is appended to, UINT64_MAX.
struct LogPiece {
  std::shared_ptr<Segment> segment;
  format::Lsn first_lsn = 0;
  format::Lsn last_lsn = 0;
};

class LogPieces final {
 public:
  // `sources` are all segments; `last_lsn` is the store's.
  LogPieces(std::vector<SegmentSource> sources, format::Lsn last_lsn);

  // The oldest lsn from which on the log is whole: one behind the last if
  // nothing of it is there.
  format::Lsn floor() const { return floor_; }

  // The segment that holds `lsn`; null: it is below the floor, or not written.
  std::shared_ptr<Segment> Find(format::Lsn lsn) const;

 private:
  std::vector<LogPiece> pieces_;  // from the floor on
  format::Lsn floor_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_CHANGES_LOG_PIECES_H_
