#include "engine/recover/log_tail.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/log/segment_allocator.h"
#include "engine/log/value_files.h"
#include "engine/segment/seeded_bug.h"
#include "engine/segment/segment.h"
#include "engine/segment/segment_scanner.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/mask.h"
#include "format/record.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::Frame;
using format::kSegmentHeaderSize;
using format::Link;
using format::Lsn;
using format::Manifest;
using format::ManifestSegment;
using format::Mark;
using format::Record;
using format::RecordKind;
using format::SegmentState;
using format::ValueReference;

constexpr Lsn kNoLimit = UINT64_MAX;

std::string NameOf(const TailSegment& segment) {
  return format::SegmentFileName(segment.entry.id);
}

// A record above the last mark that refers to a value file.
struct UnprovenValue {
  Lsn unit_first_lsn;  // of the unit that it is part of
  Lsn lsn;
  ValueReference reference;
};

// Walks the chain of unsealed segments. One walk stops before the unit that
// begins at `limit`.
class ChainWalk {
 public:
  ChainWalk(std::vector<TailSegment>* segments, LogTail* tail, Lsn limit)
      : segments_(*segments), tail_(*tail), limit_(limit) {}

  // Sets tail->used, end and last_mark; the rest stays in `segments`.
  void Run() {
    tail_.used.clear();
    tail_.end = tail_.sealed_end;
    tail_.last_mark = tail_.sealed_end;
    tail_.time = 0;
    tail_.has_expiring = false;
    while (TakeSuccessor()) {
      const format::Millis time_before = tail_.time;
      WalkSegment(tail_.used.back());
      if (tail_.used.back().first_lsn != 0) continue;
      tail_.time = time_before;
      // A crash in the middle of a roll leaves a link and nothing behind it:
      // not part of the log. Nor is what claims to follow it.
      PutBackLast();
      break;
    }
  }

  const std::vector<UnprovenValue>& values() const { return values_; }

 private:
  // Moves the segment whose link names the present end to the back of `used`.
  bool TakeSuccessor() {
    const auto found = std::find_if(
        segments_.begin(), segments_.end(),
        [&](const TailSegment& segment) { return FollowsEnd(segment); });
    if (found == segments_.end()) return false;
    before_last_ = tail_.end;
    tail_.used.push_back(std::move(*found));
    segments_.erase(found);
    return true;
  }

  void PutBackLast() {
    tail_.end = before_last_;
    tail_.used.back().end = 0;
    segments_.push_back(std::move(tail_.used.back()));
    tail_.used.pop_back();
  }

  // Whether the segment begins with a link that names the present end.
  bool FollowsEnd(const TailSegment& segment) const {
    SegmentScanner scanner(segment.bytes, segment.entry.salt,
                           kSegmentHeaderSize, segment.bytes.size());
    if (scanner.Next() != SegmentScanner::Step::kRecord) return false;
    if (scanner.record().header.kind != RecordKind::kLink) return false;
    const absl::StatusOr<Link> link =
        format::DecodeLink(scanner.record().value);
    if (!link.ok() || link->predecessor != tail_.end.segment) return false;
    if (HasBug(Bug::kReplayOverGap)) return true;
    return link->end == tail_.end.end &&
           link->last_checksum == tail_.end.last_checksum &&
           scanner.record().header.lsn == tail_.end.last_lsn;
  }

  void WalkSegment(TailSegment& segment) {
    SegmentScanner scanner(segment.bytes, segment.entry.salt,
                           kSegmentHeaderSize, segment.bytes.size());
    segment.end = 0;
    segment.first_lsn = 0;
    segment.last_lsn = tail_.end.last_lsn;
    segment.expiries = {};
    frame_end_ = 0;
    // The link, unless the file has changed since it was found there.
    if (scanner.Next() != SegmentScanner::Step::kRecord) return;
    Accept(segment, scanner);
    while (scanner.Next() == SegmentScanner::Step::kRecord) {
      if (!Belongs(segment, scanner)) break;
      Accept(segment, scanner);
    }
  }

  // Whether the record may stand where it does.
  bool Belongs(const TailSegment& segment, const SegmentScanner& scanner) {
    const Record& record = scanner.record();
    const bool in_frame = scanner.offset() < frame_end_;
    const bool is_member = (record.header.flags & format::kFlagInFrame) != 0;
    if (is_member != in_frame) return false;
    if (TakesLsn(record.header.kind)) {
      if (record.header.lsn != tail_.end.last_lsn + 1 &&
          !HasBug(Bug::kReplayOverGap)) {
        return false;
      }
      if (!in_frame) unit_first_lsn_ = record.header.lsn;
      return unit_first_lsn_ < limit_;
    }
    switch (record.header.kind) {
      case RecordKind::kMark:
        return record.header.lsn <= tail_.end.last_lsn;
      case RecordKind::kFrame:
        return FrameBelongs(segment, scanner);
      case RecordKind::kTime:
        return true;
      default:
        return false;
    }
  }

  bool FrameBelongs(const TailSegment& segment, const SegmentScanner& scanner) {
    const absl::StatusOr<Frame> frame =
        format::DecodeFrame(scanner.record().value);
    if (!frame.ok()) return false;
    if (frame->first_lsn != tail_.end.last_lsn + 1) return false;
    if (frame->first_lsn >= limit_) return false;
    if (HasBug(Bug::kFrameIgnored)) {
      unit_first_lsn_ = frame->first_lsn;
      frame_end_ = scanner.next_offset() + frame->members_size;
      return true;
    }
    if (!FrameIsComplete(segment.bytes, segment.entry.salt,
                         scanner.next_offset(), *frame,
                         scanner.record().header.lsn)) {
      return false;
    }
    unit_first_lsn_ = frame->first_lsn;
    frame_end_ = scanner.next_offset() + frame->members_size;
    return true;
  }

  void Accept(TailSegment& segment, const SegmentScanner& scanner) {
    const Record& record = scanner.record();
    if (TakesLsn(record.header.kind)) {
      tail_.end.last_lsn = record.header.lsn;
      segment.last_lsn = record.header.lsn;
      if (segment.first_lsn == 0) segment.first_lsn = record.header.lsn;
      tail_.has_expiring |= format::Expires(record.header);
      NoteValue(record);
      if (ExpiresWithoutTrace(record.header)) {
        segment.expiries.Add(ExpiryOf(record), RecordSize(record.header));
      }
    } else if (record.header.kind == RecordKind::kMark) {
      NoteMark(record);
    } else if (record.header.kind == RecordKind::kTime) {
      NoteTime(record);
    }
    segment.end = scanner.next_offset();
    segment.last_checksum =
        format::Load<uint32_t>(segment.bytes, scanner.offset());
    tail_.end.segment = segment.entry.id;
    tail_.end.end = segment.end;
    tail_.end.last_checksum = segment.last_checksum;
  }

  void NoteValue(const Record& record) {
    if ((record.header.flags & format::kFlagValueFile) == 0) return;
    const absl::StatusOr<ValueReference> reference =
        format::DecodeValueReference(format::StoredValue(record));
    values_.push_back({.unit_first_lsn = unit_first_lsn_,
                       .lsn = record.header.lsn,
                       .reference = reference.value_or(ValueReference{})});
  }

  void NoteMark(const Record& record) {
    const absl::StatusOr<Mark> mark = format::DecodeMark(record.value);
    if (!mark.ok() || record.header.lsn < tail_.last_mark.last_lsn) return;
    tail_.last_mark = {.segment = mark->segment,
                       .end = mark->end,
                       .last_lsn = record.header.lsn};
  }

  void NoteTime(const Record& record) {
    const absl::StatusOr<format::TimeSeen> seen =
        format::DecodeTime(record.value);
    if (seen.ok()) tail_.time = std::max(tail_.time, seen->time);
  }

  std::vector<TailSegment>& segments_;
  LogTail& tail_;
  const Lsn limit_;
  LogEnd before_last_;
  uint64_t frame_end_ = 0;
  Lsn unit_first_lsn_ = 0;
  std::vector<UnprovenValue> values_;
};

absl::StatusOr<TailSegment> ReadSegment(const Directory& directory,
                                        const Manifest& manifest,
                                        const ManifestSegment& entry,
                                        OpenMode mode) {
  TailSegment segment;
  segment.entry = entry;
  PEAT_ASSIGN_OR_RETURN(
      segment.file, OpenSegmentFile(directory, entry, manifest.store_id, mode));
  PEAT_ASSIGN_OR_RETURN(const uint64_t file_size, segment.file->Size());
  const uint64_t size = std::min(file_size, entry.capacity);
  if (mode == OpenMode::kReadWrite) {
    PEAT_ASSIGN_OR_RETURN(segment.mapping,
                          segment.file->Map(size, MapMode::kReadWrite));
    segment.mapping->WillNeed(0, size);
    segment.bytes = {segment.mapping->data(), size};
  } else {
    PEAT_RETURN_IF_ERROR(ReadBackwards(*segment.file, size, &segment.buffer));
    segment.bytes = segment.buffer;  // stays in place when moved
  }
  return segment;
}

// Newest first, each from its end: see ReadBackwards().
absl::StatusOr<std::vector<TailSegment>> ReadSegments(
    const Directory& directory, const Manifest& manifest, OpenMode mode) {
  std::vector<TailSegment> segments;
  for (auto entry = manifest.segments.rbegin();
       entry != manifest.segments.rend(); ++entry) {
    if (entry->state != SegmentState::kOpen) continue;
    PEAT_ASSIGN_OR_RETURN(TailSegment segment,
                          ReadSegment(directory, manifest, *entry, mode));
    segments.push_back(std::move(segment));
  }
  return segments;
}

// Puts what the chain did not take where it belongs, and lists what is cut.
void SortOutRest(std::vector<TailSegment> rest, LogTail* tail) {
  if (!tail->used.empty()) {
    const TailSegment& last = tail->used.back();
    const uint64_t end = EndOfNonZero(last.bytes, last.end);
    if (end > last.end) {
      tail->cut.push_back({NameOf(last), last.end, end - last.end});
    }
  }
  for (TailSegment& segment : rest) {
    const uint64_t end = EndOfNonZero(
        segment.bytes,
        std::min<uint64_t>(kSegmentHeaderSize, segment.bytes.size()));
    if ((end == kSegmentHeaderSize || HasBug(Bug::kAppendAfterTear)) &&
        segment.bytes.size() == segment.entry.capacity) {
      tail->unused.push_back(std::move(segment));
      continue;
    }
    if (end > kSegmentHeaderSize) {
      tail->cut.push_back(
          {NameOf(segment), kSegmentHeaderSize, end - kSegmentHeaderSize});
    }
    tail->dropped.push_back(std::move(segment));
  }
}

// Whether anything says that more was durable than the log holds.
absl::Status CheckDurable(const LogTail& tail, const Manifest& manifest) {
  const Lsn lsn = tail.end.last_lsn;
  const std::string where =
      tail.used.empty()
          ? std::string("log")
          : absl::StrFormat("%s offset %d", NameOf(tail.used.back()),
                            tail.end.end);
  const auto damaged = [&](const std::string& witness) {
    return absl::DataLossError(absl::StrFormat(
        "%s: the log breaks off behind lsn %d, but %s says that more was "
        "durable",
        where, lsn, witness));
  };
  if (manifest.durable_lsn > lsn) return damaged("the manifest");
  if (!tail.used.empty()) {
    const TailSegment& last = tail.used.back();
    if (const std::optional<uint64_t> mark =
            FindMarkAbove(last.bytes, last.entry.salt, last.end, lsn)) {
      return damaged(
          absl::StrFormat("the mark in %s offset %d", NameOf(last), *mark));
    }
  }
  for (const TailSegment& segment : tail.dropped) {
    if (const std::optional<uint64_t> mark = FindMarkAbove(
            segment.bytes, segment.entry.salt, kSegmentHeaderSize, lsn)) {
      return damaged(
          absl::StrFormat("the mark in %s offset %d", NameOf(segment), *mark));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LogTail> FindLogTail(const Directory& directory,
                                    const Manifest& manifest, OpenMode mode) {
  LogTail tail;
  tail.sealed_end = SealedEnd(manifest);
  PEAT_ASSIGN_OR_RETURN(std::vector<TailSegment> segments,
                        ReadSegments(directory, manifest, mode));
  Lsn limit = kNoLimit;
  for (bool settled = false; !settled;) {
    ChainWalk walk(&segments, &tail, limit);
    walk.Run();
    settled = true;
    tail.unproven_values.clear();
    const Lsn durable = std::max(tail.last_mark.last_lsn, manifest.durable_lsn);
    for (const UnprovenValue& value : walk.values()) {
      if (value.lsn <= durable || HasBug(Bug::kValuesUnproven)) continue;
      // No file handle left, say, proves nothing about the value.
      PEAT_ASSIGN_OR_RETURN(
          const bool is_whole,
          ValueIsWhole(directory, manifest.store_id, value.reference));
      if (is_whole) {
        tail.unproven_values.push_back(value.reference);
        continue;
      }
      // The log ends before the unit whose value did not reach the disk.
      limit = value.unit_first_lsn;
      for (TailSegment& segment : tail.used) {
        segments.push_back(std::move(segment));
      }
      settled = false;
      break;
    }
  }
  SortOutRest(std::move(segments), &tail);
  tail.damage = CheckDurable(tail, manifest);
  return tail;
}

}  // namespace peat::engine
