#include "tools/offline/lsn_order.h"

#include <algorithm>
#include <utility>

#include "format/status_macros.h"
#include "tools/offline/live_set.h"

namespace peat::tools {

using format::Lsn;
using format::RecordHeader;
using format::RecordKind;
using Step = RecordWalk::Step;

namespace {

constexpr size_t kWindowsSize = size_t{32} << 20;
constexpr size_t kWindowSizeMin = size_t{4} << 10;
constexpr size_t kRunCountMax = 65'536;

// Whether the record's own lsn places it.
bool HasPlace(const RecordHeader& header) {
  return TakesLsn(header.kind) || header.kind == RecordKind::kAuditStub;
}

}  // namespace

absl::StatusOr<LsnOrder> LsnOrder::Make(
    const std::vector<SourceSegment>& segments) {
  LsnOrder order(segments);
  for (size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].flaw.has_value()) continue;
    PEAT_RETURN_IF_ERROR(order.FindRuns(i));
  }
  std::stable_sort(
      order.runs_.begin(), order.runs_.end(),
      [](const Run& a, const Run& b) { return a.first_lsn < b.first_lsn; });
  order.window_size_ =
      std::clamp(kWindowsSize / std::max<size_t>(order.runs_.size(), 1),
                 kWindowSizeMin, RecordWalk::kWindowSize);
  return order;
}

absl::Status LsnOrder::FindRuns(size_t number) {
  const SourceSegment& segment = segments_[number];
  const Run whole{.segment = number,
                  .begin = format::kSegmentHeaderSize,
                  .end = segment.end,
                  .first_lsn = segment.entry.first_lsn};
  const bool is_log = segment.entry.kind == format::SegmentKind::kLog;
  if (is_log && segment.kind == SourceKind::kSealed) {
    runs_.push_back(whole);
    return absl::OkStatus();
  }
  std::vector<Run> runs = {whole};
  bool is_placed = false;
  Lsn last = 0;
  uint64_t record = 0;
  RecordWalk walk = segment.Walk();
  for (;; ++record) {
    PEAT_ASSIGN_OR_RETURN(Step step, walk.Next());
    while (step == Step::kDamaged) {
      PEAT_RETURN_IF_ERROR(walk.Resync().status());
      PEAT_ASSIGN_OR_RETURN(step, walk.Next());
    }
    if (step != Step::kRecord) break;
    const RecordHeader& header = walk.record().header;
    if (is_log && header.kind == RecordKind::kLink) last = header.lsn;
    if (!HasPlace(header)) continue;
    if (!is_placed) {
      runs.back().first_lsn = header.lsn;
      is_placed = true;
    } else if (header.lsn < last) {
      runs.back().end = walk.offset();
      runs.push_back({.segment = number,
                      .begin = walk.offset(),
                      .end = segment.end,
                      .first_record = record,
                      .first_lsn = header.lsn});
      if (runs.size() > kRunCountMax) {
        runs_.push_back(whole);
        return absl::OkStatus();
      }
    }
    last = header.lsn;
  }
  // Nothing in it has a place: behind what the log holds.
  if (!is_placed) runs.back().first_lsn = last + 1;
  runs_.insert(runs_.end(), runs.begin(), runs.end());
  return absl::OkStatus();
}

absl::StatusOr<bool> LsnOrder::AdvanceOverGap(Cursor* cursor, Step step) {
  RecordWalk& walk = *cursor->walk;
  const Run& run = runs_[cursor->run];
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
    gap.size = end - gap.offset;
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

absl::Status LsnOrder::OpenDueRuns() {
  const auto is_later = [](const auto& a, const auto& b) {
    return a->lsn > b->lsn || (a->lsn == b->lsn && a->run > b->run);
  };
  while (next_run_ < runs_.size()) {
    const Run& run = runs_[next_run_];
    if (!waiting_.empty() && waiting_.front()->lsn < run.first_lsn) break;
    auto cursor = std::make_unique<Cursor>();
    cursor->run = next_run_++;
    cursor->lsn = run.first_lsn;
    cursor->record = run.first_record;
    const SourceSegment& segment = segments_[run.segment];
    const RecordWalk::Bounds bounds{
        .salt = segment.entry.salt, .begin = run.begin, .end = run.end};
    cursor->walk = segment.file != nullptr
                       ? std::make_unique<RecordWalk>(segment.file.get(),
                                                      bounds, window_size_)
                       : std::make_unique<RecordWalk>(segment.bytes, bounds);
    PEAT_ASSIGN_OR_RETURN(const bool has_more, Advance(cursor.get()));
    if (!has_more) continue;
    waiting_.push_back(std::move(cursor));
    std::push_heap(waiting_.begin(), waiting_.end(), is_later);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> LsnOrder::Next() {
  const auto is_later = [](const auto& a, const auto& b) {
    return a->lsn > b->lsn || (a->lsn == b->lsn && a->run > b->run);
  };
  if (current_ != nullptr) {
    PEAT_ASSIGN_OR_RETURN(const bool has_more, Advance(current_.get()));
    const bool is_first =
        has_more &&
        (waiting_.empty() || !is_later(current_, waiting_.front())) &&
        (next_run_ == runs_.size() ||
         current_->lsn < runs_[next_run_].first_lsn);
    if (is_first) {
      gap_ = current_->gap;
      return true;
    }
    if (has_more) {
      waiting_.push_back(std::move(current_));
      std::push_heap(waiting_.begin(), waiting_.end(), is_later);
    }
    current_.reset();
  }
  PEAT_RETURN_IF_ERROR(OpenDueRuns());
  if (waiting_.empty()) return false;
  std::pop_heap(waiting_.begin(), waiting_.end(), is_later);
  current_ = std::move(waiting_.back());
  waiting_.pop_back();
  gap_ = current_->gap;
  return true;
}

}  // namespace peat::tools
