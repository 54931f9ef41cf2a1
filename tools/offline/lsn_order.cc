#include "tools/offline/lsn_order.h"

#include <algorithm>
#include <utility>

#include "format/status_macros.h"
#include "tools/offline/live_set.h"

namespace peat::tools {

using format::RecordHeader;
using Step = RecordWalk::Step;

namespace {

constexpr size_t kWindowsSize = size_t{32} << 20;
constexpr size_t kWindowSizeMin = size_t{4} << 10;

}  // namespace

LsnOrder::LsnOrder(const std::vector<SourceSegment>& segments,
                   std::vector<LsnRun> runs)
    : segments_(segments),
      runs_(std::move(runs)),
      window_size_(std::clamp(kWindowsSize / std::max<size_t>(runs_.size(), 1),
                              kWindowSizeMin, RecordWalk::kWindowSize)) {}

absl::StatusOr<LsnOrder> LsnOrder::Make(
    const std::vector<SourceSegment>& segments) {
  PEAT_ASSIGN_OR_RETURN(std::vector<LsnRun> runs, FindRuns(segments, 1));
  return LsnOrder(segments, std::move(runs));
}

absl::StatusOr<bool> LsnOrder::AdvanceOverGap(Cursor* cursor, Step step) {
  RecordWalk& walk = *cursor->walk;
  const LsnRun& run = runs_[cursor->run];
  const SourceSegment& segment = segments_[run.segment];
  // A run that another one follows ends where that begins, and so does its
  // walk.
  if (walk.offset() >= run.end) return false;
  if (step == Step::kZeros && segment.kind != SourceKind::kSealed &&
      run.end == segment.end) {
    return false;
  }
  Gap gap{.offset = walk.offset(),
          .size = run.end - walk.offset(),
          .what = "the records end too soon"};
  if (step == Step::kDamaged) {
    gap.what = WhatIsWrong(walk.check());
    gap.header = walk.damaged_header();
    PEAT_ASSIGN_OR_RETURN(const uint64_t end, walk.Resync());
    // Nothing follows where the file ends too soon.
    if (end < walk.end()) gap.size = end - gap.offset;
  }
  cursor->gap = gap;
  return true;
}

absl::StatusOr<bool> LsnOrder::Advance(Cursor* cursor) {
  const bool was_at_end =
      cursor->gap.has_value() &&
      cursor->gap->offset + cursor->gap->size == runs_[cursor->run].end;
  cursor->gap.reset();
  if (was_at_end) return false;
  PEAT_ASSIGN_OR_RETURN(const Step step, cursor->walk->Next());
  if (step != Step::kRecord) return AdvanceOverGap(cursor, step);
  if (cursor->has_record) ++cursor->record;
  cursor->has_record = true;
  const RecordHeader& header = cursor->walk->record().header;
  if (HasPlace(header)) cursor->lsn = header.lsn;
  return true;
}

bool LsnOrder::IsLater(const std::unique_ptr<Cursor>& a,
                       const std::unique_ptr<Cursor>& b) {
  return a->lsn > b->lsn || (a->lsn == b->lsn && a->run > b->run);
}

absl::Status LsnOrder::OpenDueRuns() {
  while (next_run_ < runs_.size()) {
    const LsnRun& run = runs_[next_run_];
    if (!waiting_.empty() && waiting_.front()->lsn < run.first_lsn) break;
    auto cursor = std::make_unique<Cursor>();
    cursor->run = next_run_++;
    cursor->lsn = run.first_lsn;
    cursor->record = run.first_record;
    cursor->walk = std::make_unique<RecordWalk>(window_size_);
    segments_[run.segment].OpenPart(run.begin, run.end, cursor->walk.get());
    PEAT_ASSIGN_OR_RETURN(const bool has_more, Advance(cursor.get()));
    if (!has_more) continue;
    waiting_.push_back(std::move(cursor));
    std::push_heap(waiting_.begin(), waiting_.end(), IsLater);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> LsnOrder::Next() {
  if (current_ != nullptr) {
    PEAT_ASSIGN_OR_RETURN(const bool has_more, Advance(current_.get()));
    const bool is_first =
        has_more &&
        (waiting_.empty() || !IsLater(current_, waiting_.front())) &&
        (next_run_ == runs_.size() ||
         current_->lsn < runs_[next_run_].first_lsn);
    if (is_first) {
      gap_ = current_->gap;
      return true;
    }
    if (has_more) {
      waiting_.push_back(std::move(current_));
      std::push_heap(waiting_.begin(), waiting_.end(), IsLater);
    }
    current_.reset();
  }
  PEAT_RETURN_IF_ERROR(OpenDueRuns());
  if (waiting_.empty()) return false;
  std::pop_heap(waiting_.begin(), waiting_.end(), IsLater);
  current_ = std::move(waiting_.back());
  waiting_.pop_back();
  gap_ = current_->gap;
  return true;
}

}  // namespace peat::tools
