// The records of one segment in file order, each verified.
//
// Says where the records stop and why, but not whether that is a torn tail or
// damage: that takes the whole log, and recovery decides it.
//
// Externally synchronised; the bytes must not change below the end of the
// records.

#ifndef PEAT_ENGINE_SEGMENT_SEGMENT_SCANNER_H_
#define PEAT_ENGINE_SEGMENT_SEGMENT_SCANNER_H_

#include <cstdint>
#include <optional>

#include "format/bytes.h"
#include "format/record.h"

namespace peat::engine {

class SegmentScanner {
 public:
  // Scans `bytes` (a segment from its first byte) from `begin` up to `end`.
  // A record must lie wholly below `end`.
  SegmentScanner(format::ByteView bytes, uint64_t salt, uint64_t begin,
                 uint64_t end);

  enum class Step {
    kRecord,   // record() and offset() are of the next record
    kEnd,      // `end` was reached
    kZeros,    // nothing but zeros from offset() to `end`
    kDamaged,  // no valid record at offset(), but something
  };
  // Once it has not said kRecord, it says the same for ever, until Resync().
  Step Next();

  // The record that the last Next() found; views live as long as the bytes.
  const format::Record& record() const { return record_; }
  // The checksum of its header.
  uint32_t checksum() const { return format::Load<uint32_t>(bytes_, offset_); }
  // Where it lies; after another answer, where the scan stopped.
  uint64_t offset() const { return offset_; }
  // Where the next record begins.
  uint64_t next_offset() const { return next_; }

  // After kDamaged: goes on at the next offset at which a record validates, and
  // returns where the unreadable range ends (`end` if there is none).
  uint64_t Resync();

 private:
  format::RecordCheck CheckAt(uint64_t offset, format::Record* record) const;

  const format::ByteView bytes_;
  const uint64_t salt_;
  const uint64_t end_;
  uint64_t next_;
  uint64_t offset_;
  std::optional<Step> stopped_;
  format::Record record_;
};

// Whether the members that frame `frame` announces lie whole and valid from
// `begin` on: the right count and size, dense lsns up to `last_lsn`, each
// marked as a member.
bool FrameIsComplete(format::ByteView bytes, uint64_t salt, uint64_t begin,
                     const format::Frame& frame, format::Lsn last_lsn);

// The first valid mark at or behind `begin` that says that more than
// `lsn` was durable; its offset, or nullopt. Looks at every aligned offset,
// whatever lies between.
std::optional<uint64_t> FindMarkAbove(format::ByteView bytes, uint64_t salt,
                                      uint64_t begin, format::Lsn lsn);

// One behind the last byte that is not zero, at least `begin`.
uint64_t EndOfNonZero(format::ByteView bytes, uint64_t begin);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_SEGMENT_SCANNER_H_
