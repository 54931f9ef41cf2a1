#include "engine/changes/change_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/changes/log_pieces.h"
#include "engine/log/appender.h"
#include "engine/log/manifest_store.h"
#include "engine/log/value_files.h"
#include "engine/query/segment_sources.h"
#include "engine/segment/segment_set.h"
#include "format/check.h"
#include "format/mask.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::Lsn;
using format::Record;
using format::RecordKind;
using std::chrono::steady_clock;

// What one answer has: enough for its own cost not to count, little enough to
// stay in the processor's caches.
constexpr size_t kAnswerCount = 1024;
constexpr uint64_t kAnswerValueBytes = uint64_t{4} << 20;
// No wait is longer, so that deadlines do not overflow.
constexpr std::chrono::milliseconds kWaitMax = std::chrono::hours(24);

ChangeKind ChangeKindOf(RecordKind kind) {
  switch (kind) {
    case RecordKind::kPut:
      return ChangeKind::kPut;
    case RecordKind::kTombstone:
      return ChangeKind::kDelete;
    case RecordKind::kDisable:
      return ChangeKind::kDisable;
    case RecordKind::kEnable:
      return ChangeKind::kEnable;
    case RecordKind::kForget:
      return ChangeKind::kForget;
    default:
      break;  // takes no lsn
  }
  PEAT_CHECK(false);
}

// Once `core` is sure to stay.
absl::StatusOr<LogPieces> TakePieces(const Core& core, Lsn last_lsn) {
  if (core.appender != nullptr) core.appender->UpdateEnd();
  PEAT_ASSIGN_OR_RETURN(std::vector<SegmentSource> sources,
                        TakeSources(*core.manifest, *core.segments));
  return LogPieces(std::move(sources), last_lsn);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChangeReader>> ChangeReader::Open(
    ChangeParts parts, std::optional<Lsn> after, bool durable_only) {
  PEAT_CHECK(parts.core != nullptr);
  std::unique_ptr<ChangeReader> reader(
      new ChangeReader(std::move(parts), durable_only));
  const Lsn last = reader->LastLsn();
  reader->lsn_ = after.value_or(last);
  if (reader->lsn_ > last) {
    return absl::OutOfRangeError(absl::StrFormat(
        "position lsn %d is behind the end of the log, lsn %d: what was seen "
        "is lost",
        reader->lsn_, last));
  }
  if (reader->lsn_ == last) return reader;
  PEAT_ASSIGN_OR_RETURN(const LogPieces pieces,
                        TakePieces(*reader->parts_.core, last));
  if (reader->lsn_ + 1 < pieces.floor()) {
    return reader->BelowFloor(pieces.floor());
  }
  return reader;
}

Lsn ChangeReader::LastLsn() const {
  const Appender* const appender = parts_.core->appender;
  return appender != nullptr ? appender->last_lsn() : parts_.opened_lsn;
}

Lsn ChangeReader::Limit() const {
  const Appender* const appender = parts_.core->appender;
  if (appender == nullptr) {
    return durable_only_ ? parts_.opened_durable_lsn : parts_.opened_lsn;
  }
  return durable_only_ ? appender->durable_lsn() : appender->last_lsn();
}

absl::StatusOr<std::span<const ChangeRecord>> ChangeReader::Next(
    std::chrono::milliseconds wait) {
  records_.clear();
  values_.clear();
  value_bytes_ = 0;
  const auto deadline =
      steady_clock::now() +
      std::clamp(wait, std::chrono::milliseconds(0), kWaitMax);
  for (;;) {
    if (parts_.gate->is_foreign()) return parts_.gate->WhyNot();
    const uint64_t count =
        parts_.signal != nullptr ? parts_.signal->count() : 0;
    {
      const Visit visit(*parts_.gate);
      if (!visit.is_inside()) return parts_.gate->WhyNot();
      PEAT_RETURN_IF_ERROR(status_);
      read_lsn_ = lsn_;
      status_ = Read();
      if (!status_.ok()) {
        records_.clear();
        return status_;
      }
      lsn_ = read_lsn_;
      if (!records_.empty()) return std::span<const ChangeRecord>(records_);
      if (parts_.signal == nullptr) break;
      if (steady_clock::now() >= deadline) break;
      if (!Ask()) continue;
    }
    parts_.signal->Await(count, deadline - steady_clock::now());
  }
  return std::span<const ChangeRecord>();
}

bool ChangeReader::Ask() const {
  return durable_only_ || parts_.core->appender->SignalAtNextUnit(lsn_);
}

bool ChangeReader::IsFull() const {
  return records_.size() >= kAnswerCount || value_bytes_ >= kAnswerValueBytes;
}

absl::Status ChangeReader::Read() {
  const Lsn limit = Limit();
  while (lsn_ < limit && records_.empty()) {
    // The end that the active segment knows may be an older one. All up to the
    // limit lies below what it knows then, or in a segment behind it.
    if (segment_ == nullptr || offset_ >= segment_->end()) {
      if (parts_.core->appender != nullptr) parts_.core->appender->UpdateEnd();
    }
    if (segment_ == nullptr || offset_ >= segment_->end()) {
      PEAT_RETURN_IF_ERROR(OpenNext());
    }
    const uint64_t end = segment_->end();
    const uint64_t before = offset_;
    PEAT_RETURN_IF_ERROR(ReadSegment(end, limit));
    if (records_.empty() && offset_ == before && offset_ < end) {
      return Damaged("a unit is not whole");
    }
  }
  return absl::OkStatus();
}

absl::Status ChangeReader::OpenNext() {
  const Lsn next = lsn_ + 1;
  const std::shared_ptr<Segment> before = std::exchange(segment_, nullptr);
  bytes_ = {};
  PEAT_ASSIGN_OR_RETURN(const LogPieces pieces,
                        TakePieces(*parts_.core, LastLsn()));
  if (next < pieces.floor()) return BelowFloor(pieces.floor());
  std::shared_ptr<Segment> found = pieces.Find(next);
  if (found == nullptr || found == before) {
    return absl::DataLossError(
        absl::StrFormat("no segment of the log holds lsn %d", next));
  }
  PEAT_ASSIGN_OR_RETURN(bytes_, found->ReadAll(&buffer_));
  segment_ = std::move(found);
  offset_ = format::kSegmentHeaderSize;
  return absl::OkStatus();
}

absl::Status ChangeReader::ReadSegment(uint64_t end, Lsn limit) {
  SegmentScanner scanner(bytes_, segment_->identity().salt, offset_, end);
  while (!IsFull() && read_lsn_ < limit) {
    switch (scanner.Next()) {
      case SegmentScanner::Step::kEnd:
        offset_ = end;
        return absl::OkStatus();
      case SegmentScanner::Step::kRecord:
        break;
      default:
        return segment_->DamagedAt(scanner.offset());
    }
    PEAT_ASSIGN_OR_RETURN(const bool is_taken, TakeUnit(scanner, limit));
    if (!is_taken) return absl::OkStatus();
    offset_ = scanner.next_offset();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ChangeReader::TakeUnit(SegmentScanner& scanner,
                                            Lsn limit) {
  const Record& record = scanner.record();
  if (record.header.kind == RecordKind::kFrame) {
    return TakeBatch(scanner, limit);
  }
  if (!TakesLsn(record.header.kind)) return true;
  if (record.header.lsn <= read_lsn_) return true;  // before the position
  if (record.header.lsn > limit) return false;
  PEAT_RETURN_IF_ERROR(Take(record, true));
  return true;
}

absl::StatusOr<bool> ChangeReader::TakeBatch(SegmentScanner& scanner,
                                             Lsn limit) {
  const Lsn last = scanner.record().header.lsn;
  PEAT_ASSIGN_OR_RETURN(const format::Frame frame,
                        format::DecodeFrame(scanner.record().value));
  if (last > limit) return false;
  const bool is_before = last <= read_lsn_;
  if (!is_before && frame.first_lsn <= read_lsn_) {
    return absl::InvalidArgumentError(
        absl::StrFormat("position lsn %d is within a batch, of lsns %d to %d",
                        read_lsn_, frame.first_lsn, last));
  }
  for (uint32_t i = 0; i < frame.member_count; ++i) {
    if (scanner.Next() != SegmentScanner::Step::kRecord) {
      return segment_->DamagedAt(scanner.offset());
    }
    if (is_before) continue;
    const bool ends_unit = i + 1 == frame.member_count;
    PEAT_RETURN_IF_ERROR(Take(scanner.record(), ends_unit));
  }
  if (!is_before && read_lsn_ != last) return Damaged("a batch is not whole");
  return true;
}

absl::Status ChangeReader::Take(const Record& record, bool ends_unit) {
  if (!TakesLsn(record.header.kind)) return Damaged("a batch is not whole");
  if (record.header.lsn != read_lsn_ + 1) {
    return Damaged(
        absl::StrFormat("lsn %d follows lsn %d", record.header.lsn, read_lsn_));
  }
  ChangeRecord& change = records_.emplace_back();
  change.kind = ChangeKindOf(record.header.kind);
  change.key = record.key;
  change.lsn = record.header.lsn;
  change.ends_unit = ends_unit;
  if (change.kind == ChangeKind::kPut) {
    PEAT_RETURN_IF_ERROR(SetValue(record, &change));
  }
  read_lsn_ = record.header.lsn;
  return absl::OkStatus();
}

absl::Status ChangeReader::SetValue(const Record& record,
                                    ChangeRecord* change) {
  change->value = StoredValue(record);
  if (Expires(record.header)) {
    change->expires_at = Time(std::chrono::milliseconds(ExpiryOf(record)));
  }
  if ((record.header.flags & format::kFlagValueFile) == 0) [[likely]] {
    return absl::OkStatus();
  }
  PEAT_ASSIGN_OR_RETURN(const format::ValueReference reference,
                        format::DecodeValueReference(change->value));
  std::string& value = values_.emplace_back();
  absl::Status read =
      ReadValueFile(*parts_.core->directory, parts_.core->manifest->store_id(),
                    reference, &value);
  if (!read.ok()) {
    // Its file goes with the segment.
    PEAT_ASSIGN_OR_RETURN(const LogPieces pieces,
                          TakePieces(*parts_.core, LastLsn()));
    if (lsn_ + 1 < pieces.floor()) return BelowFloor(pieces.floor());
    return read;
  }
  value_bytes_ += value.size();
  change->value = value;
  return absl::OkStatus();
}

absl::Status ChangeReader::Damaged(std::string_view what) const {
  return absl::DataLossError(absl::StrFormat(
      "%s behind offset %d: %s", segment_->file_name(), offset_, what));
}

absl::Status ChangeReader::BelowFloor(Lsn floor) const {
  return absl::OutOfRangeError(absl::StrFormat(
      "position lsn %d is too old: the log begins with lsn %d", lsn_, floor));
}

}  // namespace peat::engine
