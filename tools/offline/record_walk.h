// The records of one segment in the order of its file, each verified, read in
// bounded memory and despite damage.
//
// What engine/segment/segment_scanner.h does over bytes in memory, this does
// over a file of any size: it holds a window of it, which grows only for a
// record that is larger, once that record's header has been verified. Bytes
// that are in memory already can be walked, too.
//
//   while Next() says kRecord ... on kDamaged: Resync(), and on
//
// Reads only. Externally synchronised.

#ifndef PEAT_TOOLS_OFFLINE_RECORD_WALK_H_
#define PEAT_TOOLS_OFFLINE_RECORD_WALK_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "engine/segment/segment_scanner.h"
#include "format/bytes.h"
#include "format/record.h"

namespace peat::tools {

class RecordWalk final {
 public:
  using Step = engine::SegmentScanner::Step;

  // Records lie in [begin, end) of a segment with this salt.
  struct Bounds {
    uint64_t salt = 0;
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  static constexpr size_t kWindowSize = size_t{1} << 16;

  // Reads `file`, which must outlive this, `window_size` bytes at a time.
  RecordWalk(const engine::File* file, const Bounds& bounds,
             size_t window_size = kWindowSize);
  // Looks at `bytes`, a segment from its first byte, which must outlive this.
  RecordWalk(format::ByteView bytes, const Bounds& bounds);
  // Walks nowhere until it is opened.
  explicit RecordWalk(size_t window_size) : window_size_(window_size) {}
  RecordWalk(const RecordWalk&) = delete;
  RecordWalk& operator=(const RecordWalk&) = delete;

  // Begins anew, as if it were made so; keeps the memory of its window.
  void Open(const engine::File* file, const Bounds& bounds);
  void Open(format::ByteView bytes, const Bounds& bounds);

  // As SegmentScanner::Next(). Fails when the file cannot be read.
  absl::StatusOr<Step> Next();

  // Goes on at the first offset in [begin, end) at which a record validates,
  // and returns it; `end` if there is none. `begin` is a multiple of 8. Until
  // the next call no more is read behind `end` than the record that lies there.
  absl::StatusOr<uint64_t> Seek(uint64_t begin, uint64_t end);

  // The record that the last Next() found; its views live until the next call.
  const format::Record& record() const { return record_; }
  // All of its bytes, padding included.
  format::ByteView record_bytes() const;
  // Where it lies; after another answer, where the walk stopped.
  uint64_t offset() const { return offset_; }
  uint64_t next_offset() const { return next_; }
  // Where records may lie: the end that was given, or that of a shorter file.
  uint64_t end() const { return end_; }

  // After kDamaged: what is wrong there, and the header of a record of which
  // only the payload is damaged.
  format::RecordCheck check() const { return check_; }
  const std::optional<format::RecordHeader>& damaged_header() const {
    return damaged_header_;
  }

  // After kDamaged with kCutShort: the header of the record, if it is sound.
  const std::optional<format::RecordHeader>& cut_short_header() const {
    return cut_short_header_;
  }

  // After kDamaged: goes on at the next offset at which a record validates, and
  // returns where the unreadable range ends (end() if there is none).
  absl::StatusOr<uint64_t> Resync();

 private:
  // The window's bytes from `offset` on: at least `size` of them, or all up to
  // the end.
  absl::StatusOr<format::ByteView> BytesAt(uint64_t offset, uint64_t size);
  absl::Status Refill(uint64_t offset, uint64_t size);
  // Whether the window holds a valid record at `offset`, and all of it.
  bool HasRecordAt(uint64_t offset);
  absl::StatusOr<format::RecordCheck> CheckAt(uint64_t offset);
  // Whether there is nothing but zeros from `offset` on.
  absl::StatusOr<bool> IsZeroFrom(uint64_t offset);

  void Begin(const Bounds& bounds, uint64_t end);

  const size_t window_size_;
  const engine::File* file_ = nullptr;  // null: all bytes are in the window
  uint64_t salt_ = 0;
  uint64_t end_ = 0;
  uint64_t read_ahead_end_ = 0;  // behind it only what is asked for is read
  uint64_t next_ = 0;
  uint64_t offset_ = 0;
  std::optional<Step> stopped_;
  format::Record record_;
  format::RecordCheck check_ = format::RecordCheck::kValid;
  std::optional<format::RecordHeader> damaged_header_;
  std::optional<format::RecordHeader> cut_short_header_;
  std::optional<uint64_t> nonzero_end_;  // found when first asked for

  std::vector<std::byte> buffer_;
  format::ByteView window_;  // of the file, from window_begin_ on
  uint64_t window_begin_ = 0;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_RECORD_WALK_H_
