// The masks that are in the log, as a stream in the order of their lsns.
//
// Segments are read one after another as the stream comes to their lsns, by
// their record headers; only masks are verified whole. Memory is 24 bytes a
// mask of the segments whose lsns overlap.
//
// Externally synchronised.

#ifndef PEAT_ENGINE_QUERY_MASK_SCAN_H_
#define PEAT_ENGINE_QUERY_MASK_SCAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/query/segment_sources.h"
#include "format/mask.h"

namespace peat::engine {

// Which masks, and in which order. All conditions must hold.
struct MaskQuery {
  std::optional<std::string> key = {};
  std::optional<std::string> prefix = {};
  format::Lsn first_lsn = 0;
  format::Lsn last_lsn = UINT64_MAX;
  uint64_t first_time = 0;  // microseconds since 1970-01-01 UTC
  uint64_t last_time = UINT64_MAX;
  bool disables = true;
  bool enables = true;
  bool forgets = true;
  bool newest_first = false;
};

class MaskScan {
 public:
  MaskScan(std::vector<SegmentSource> sources, const MaskQuery& query);

  // Goes to the next mask; false at the end, and after a failure.
  bool Next();
  const absl::Status& status() const { return status_; }

  // The mask or audit stub that Next() found. Views live until the next call.
  const format::Record& record() const { return record_; }
  const format::Mask& mask() const { return mask_; }
  // Of a stub, the kind of the mask that it stands for.
  format::RecordKind kind() const {
    return record_.header.kind == format::RecordKind::kAuditStub
               ? mask_.stub_of
               : record_.header.kind;
  }

 private:
  struct Found {
    format::Lsn lsn;
    uint32_t source;
    uint64_t offset;
    bool is_stub;
  };

  // Whether `a` comes before `b` in the stream; of two copies the whole one.
  bool Precedes(const Found& a, const Found& b) const;
  // Whether masks of the next source may come before the first that was found.
  bool MustReadNext() const;
  absl::Status ReadSource(uint32_t number);
  bool Wants(const format::Record& record) const;

  const MaskQuery query_;
  std::vector<SegmentSource> sources_;  // in the order of their bounds
  uint32_t next_source_ = 0;
  std::vector<Found> found_;  // sorted; the next one at next_found_
  size_t next_found_ = 0;
  format::Lsn last_lsn_ = 0;  // that was returned; 0: none
  std::vector<std::byte> buffer_;
  std::string scratch_;
  format::Record record_;
  format::Mask mask_;
  absl::Status status_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_QUERY_MASK_SCAN_H_
