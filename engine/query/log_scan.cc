#include "engine/query/log_scan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/segment/key_state.h"
#include "format/check.h"
#include "format/segment_header.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using Step = SegmentScanner::Step;

// Records whose looks at the index overlap; and how many others may be passed
// over in one visit to the store.
constexpr size_t kScanGroupSize = 64;
constexpr size_t kRecordsMax = 1024;

// The disk is asked for so much more whenever half of it has been read.
constexpr uint64_t kAhead = uint64_t{8} << 20;

}  // namespace

LogScan::LogScan(std::shared_ptr<const Gate> gate, const ViewReader* reader,
                 std::shared_ptr<const View> view, bool despite_damage)
    : gate_(std::move(gate)),
      reader_(reader),
      view_(std::move(view)),
      despite_damage_(despite_damage) {
  for (const std::shared_ptr<Segment>& segment : view_->segments()) {
    if (segment != nullptr) segments_.push_back(segment.get());
  }
  std::sort(segments_.begin(), segments_.end(),
            [](const Segment* a, const Segment* b) {
              return a->identity().id < b->identity().id;
            });
}

absl::StatusOr<bool> LogScan::Next(Show show) {
  const Visit visit(*gate_);
  if (!visit.is_inside()) return gate_->WhyNot();
  group_.clear();
  if (!scanner_.has_value()) {
    PEAT_ASSIGN_OR_RETURN(const bool is_open, OpenNext());
    if (!is_open) return false;
  }
  PEAT_ASSIGN_OR_RETURN(const bool has_more, ReadGroup());
  // The group's bytes stay until the next call opens another segment.
  if (!has_more) scanner_.reset();
  for (const Candidate& one : group_) {
    const absl::StatusOr<bool> is_shown =
        reader_->Shows(*view_, *segment_, one.offset, one.hash, one.record);
    if (despite_damage_ && absl::IsDataLoss(is_shown.status())) [[unlikely]] {
      has_passed_over_ = true;
      continue;
    }
    PEAT_RETURN_IF_ERROR(is_shown.status());
    if (*is_shown) show(one.record);
  }
  return true;
}

absl::StatusOr<bool> LogScan::OpenNext() {
  while (next_segment_ < segments_.size()) {
    segment_ = segments_[next_segment_++];
    end_ = view_->EndOf(*segment_);
    if (end_ <= format::kSegmentHeaderSize) continue;
    asked_up_to_ = 0;
    PEAT_ASSIGN_OR_RETURN(const format::ByteView bytes,
                          segment_->ReadAll(&buffer_));
    scanner_.emplace(bytes, segment_->identity().salt,
                     format::kSegmentHeaderSize, end_);
    return true;
  }
  return false;
}

void LogScan::AskAhead() {
  const uint64_t wanted = scanner_->next_offset() + kAhead / 2;
  if (wanted <= asked_up_to_ || asked_up_to_ >= end_) return;
  const uint64_t begin = std::max(asked_up_to_, scanner_->next_offset());
  asked_up_to_ = std::min(begin + kAhead, end_);
  segment_->mapping()->WillNeed(begin, asked_up_to_ - begin);
}

absl::StatusOr<bool> LogScan::PassOver(Step step) {
  if (scanner_->offset() == end_) return false;
  if (!despite_damage_) {
    return absl::DataLossError(
        absl::StrFormat("%s offset %d: record is damaged",
                        segment_->file_name(), scanner_->offset()));
  }
  has_passed_over_ = true;
  if (step != Step::kDamaged) return false;
  scanner_->Resync();
  return true;
}

absl::StatusOr<bool> LogScan::ReadGroup() {
  if (segment_->is_mapped()) AskAhead();
  for (size_t i = 0; i < kRecordsMax && group_.size() < kScanGroupSize; ++i) {
    const Step step = scanner_->Next();
    if (step != Step::kRecord) {
      PEAT_ASSIGN_OR_RETURN(const bool goes_on, PassOver(step));
      if (!goes_on) return false;
      continue;
    }
    const format::Record& record = scanner_->record();
    if (!IsReadable(StateAfter(record.header.kind))) continue;
    // In the log, all that follows is newer still.
    if (record.header.lsn > view_->lsn()) {
      if (segment_->identity().kind == format::SegmentKind::kLog) return false;
      continue;
    }
    const uint64_t hash = reader_->Hash(record.key);
    reader_->Prefetch(hash);
    group_.push_back(
        {.record = record, .offset = scanner_->offset(), .hash = hash});
  }
  return true;
}

}  // namespace peat::engine
