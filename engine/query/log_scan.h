// Everything that a view shows, in the order of the log: segment by segment,
// record by record, each verified, and the index asked whether it is current.
//
// Reads sequentially, so it is the fastest way to see all of a store, and the
// only one that suits a disk when data is larger than memory.
//
// Externally synchronised. May outlive the store; then it fails.

#ifndef PEAT_ENGINE_QUERY_LOG_SCAN_H_
#define PEAT_ENGINE_QUERY_LOG_SCAN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "engine/read/view_reader.h"
#include "engine/read/views.h"
#include "engine/segment/segment_scanner.h"
#include "format/record.h"

namespace peat::engine {

class LogScan final {
 public:
  // `reader` must outlive the store's gate being open. Despite damage: what
  // cannot be read is passed over.
  LogScan(std::shared_ptr<const Gate> gate, const ViewReader* reader,
          std::shared_ptr<const View> view, bool despite_damage);

  // Calls show(record) on what the view shows of the next records, which may be
  // none of them; false: there are no more. What the records look at lives
  // until the next call, and as long as the view.
  using Show = absl::FunctionRef<void(const format::Record&)>;
  absl::StatusOr<bool> Next(Show show);
  // Whether something could not be read, and was passed over.
  bool has_passed_over() const { return has_passed_over_; }

 private:
  // Goes on to the next segment that has records; false: that was the last.
  absl::StatusOr<bool> OpenNext();
  // Takes records of the segment until there is a group or its end; false: its
  // end.
  absl::StatusOr<bool> ReadGroup();
  // What the scanner found, which is no record; false: the segment's end.
  absl::StatusOr<bool> PassOver(SegmentScanner::Step step);
  void AskAhead();

  struct Candidate {
    format::Record record;
    uint64_t offset = 0;
    uint64_t hash = 0;
  };

  const std::shared_ptr<const Gate> gate_;
  const ViewReader* const reader_;
  const std::shared_ptr<const View> view_;
  const bool despite_damage_;
  bool has_passed_over_ = false;
  std::vector<Segment*> segments_;  // the view's, in the order of their ids
  size_t next_segment_ = 0;
  Segment* segment_ = nullptr;
  uint64_t end_ = 0;          // of the segment's records
  uint64_t asked_up_to_ = 0;  // of its bytes, of the disk
  std::vector<std::byte> buffer_;
  std::optional<SegmentScanner> scanner_;
  std::vector<Candidate> group_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_QUERY_LOG_SCAN_H_
