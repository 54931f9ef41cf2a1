// A stream of changes: the records of the log behind a position, read beside
// whoever appends.
//
//   Next -> how far may be shown? -> read on in the segment -> at its end, or
//   at first, look for the segment that holds the next lsn -> nothing: wait
//
// It looks at no record above the lsn that may be shown, and all of those were
// stored before that lsn was; so it takes no lock of the writers' but a short
// one of the appender, once a call. Between calls it holds the one segment that
// its last answer looks into: readable, though compaction may have given it up.
// Lsns are dense: the next record has the next one, or the log is damaged.
//
// Externally synchronised. May outlive the store; then it fails.

#ifndef PEAT_ENGINE_CHANGES_CHANGE_READER_H_
#define PEAT_ENGINE_CHANGES_CHANGE_READER_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/log/core.h"
#include "engine/log/log_signal.h"
#include "engine/os/gate.h"
#include "engine/segment/segment.h"
#include "engine/segment/segment_scanner.h"
#include "format/record.h"
#include "peat/changes.h"

namespace peat::engine {

// What a stream reads.
struct ChangeParts {
  std::shared_ptr<const Gate> gate;
  const Core* core = nullptr;  // to be used while the gate is open
  std::shared_ptr<LogSignal> signal = nullptr;  // null: open to read only
  // Of a store that is open to read only: where the log ends, and how much of
  // it is known to be durable.
  format::Lsn opened_lsn = 0;
  format::Lsn opened_durable_lsn = 0;
};

class ChangeReader final {
 public:
  // Begins behind `after`, or at the end of the log. The caller is inside the
  // gate. OutOfRange: what comes next is not there.
  static absl::StatusOr<std::unique_ptr<ChangeReader>> Open(
      ChangeParts parts, std::optional<format::Lsn> after, bool durable_only);

  // As ChangeStream::Next().
  absl::StatusOr<std::span<const ChangeRecord>> Next(
      std::chrono::milliseconds wait);

  // Of the last unit that Next() has returned.
  format::Lsn lsn() const { return lsn_; }

 private:
  ChangeReader(ChangeParts parts, bool durable_only)
      : parts_(std::move(parts)), durable_only_(durable_only) {}

  // The last lsn of the log, and the last one that may be shown.
  format::Lsn LastLsn() const;
  format::Lsn Limit() const;
  // Fills records_ with what there is up to Limit().
  absl::Status Read();
  absl::Status OpenNext();
  // Reads on in segment_, whose records end at `end`.
  absl::Status ReadSegment(uint64_t end, format::Lsn limit);
  // What the scanner has found behind offset_; false: it is not to be shown
  // yet.
  absl::StatusOr<bool> TakeUnit(SegmentScanner& scanner, format::Lsn limit);
  absl::StatusOr<bool> TakeBatch(SegmentScanner& scanner, format::Lsn limit);
  absl::Status Take(const format::Record& record, bool ends_unit);
  absl::Status SetValue(const format::Record& record, ChangeRecord* change);
  absl::Status Damaged(std::string_view what) const;
  absl::Status BelowFloor(format::Lsn floor) const;
  // Asks to be told of what comes next; false: it has come.
  bool Ask() const;
  bool IsFull() const;

  const ChangeParts parts_;
  const bool durable_only_;
  absl::Status status_;  // what ended it
  format::Lsn lsn_ = 0;
  format::Lsn read_lsn_ = 0;          // of the last record in records_, or lsn_
  std::shared_ptr<Segment> segment_;  // null: to be looked for
  format::ByteView bytes_;            // of it, as far as its file goes
  std::vector<std::byte> buffer_;     // its bytes, if it is not mapped
  uint64_t offset_ = 0;               // of the next unit
  std::vector<ChangeRecord> records_;
  std::deque<std::string> values_;  // that lie in files of their own
  uint64_t value_bytes_ = 0;        // of those
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_CHANGES_CHANGE_READER_H_
