// A segment that compaction writes: compacted or audit, outside of the log's
// chain. It belongs to the store only once the manifest names it, sealed; until
// then it can be given up without a trace.
//
//   Create -> Append ... -> Finish (durable but for its name) -> Open
//
// Externally synchronised.

#ifndef PEAT_ENGINE_COMPACT_OUTPUT_SEGMENT_H_
#define PEAT_ENGINE_COMPACT_OUTPUT_SEGMENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/log/core.h"
#include "engine/os/file_system.h"
#include "engine/segment/config.h"
#include "engine/segment/expiry_sum.h"
#include "engine/segment/segment.h"
#include "format/manifest.h"
#include "format/record.h"

namespace peat::engine {

class OutputSegment final {
 public:
  // Acquires disk space for records of `size` bytes. ResourceExhausted when
  // there is none and compaction's reserve does not suffice; Internal when no
  // segment can be so large.
  static absl::StatusOr<std::unique_ptr<OutputSegment>> Create(
      const Core& parts, format::SegmentKind kind, uint64_t size);

  // Gives up the file unless Keep() was called.
  ~OutputSegment();
  OutputSegment(const OutputSegment&) = delete;
  OutputSegment& operator=(const OutputSegment&) = delete;

  // Copies a record and returns its offset; it keeps its lsn and leaves its
  // frame. Internal when there is no room, which only a bug could cause.
  absl::StatusOr<uint64_t> Append(const format::Record& record);

  // Bytes of records for which there is still room.
  uint64_t room() const { return entry_.capacity - entry_.end; }

  // Writes what is left, cuts spare space and syncs. Nothing can be appended
  // any more.
  absl::Status Finish();

  // The finished segment, to be read, and as the manifest is to name it.
  absl::StatusOr<std::shared_ptr<Segment>> Open(ReadMethod read_method);
  const format::ManifestSegment& entry() const { return entry_; }

  // It may be in the manifest: the file stays.
  void Keep() { is_kept_ = true; }

 private:
  OutputSegment(const Core& parts, const format::ManifestSegment& entry,
                std::unique_ptr<File> file);
  absl::Status WriteBuffer();

  const Core& parts_;
  format::ManifestSegment entry_;
  std::unique_ptr<File> file_;
  std::string buffer_;            // what is not written yet
  uint64_t written_bytes_ = 0;    // what is
  uint64_t tombstone_bytes_ = 0;  // of both
  ExpirySum expiries_;
  bool is_kept_ = false;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_COMPACT_OUTPUT_SEGMENT_H_
