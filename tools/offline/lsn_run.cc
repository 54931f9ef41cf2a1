#include "tools/offline/lsn_run.h"

#include <algorithm>
#include <atomic>

#include "engine/os/worker.h"
#include "format/status_macros.h"

namespace peat::tools {

using format::Lsn;
using format::RecordHeader;
using format::RecordKind;
using Step = RecordWalk::Step;

namespace {

constexpr size_t kRunCountMax = 65'536;

// The runs of a segment of which only its records tell.
absl::StatusOr<std::vector<LsnRun>> SplitIntoRuns(const SourceSegment& segment,
                                                  const LsnRun& whole) {
  const bool is_log = segment.entry.kind == format::SegmentKind::kLog;
  std::vector<LsnRun> runs = {whole};
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
      runs.push_back({.segment = whole.segment,
                      .begin = walk.offset(),
                      .end = whole.end,
                      .first_record = record,
                      .first_lsn = header.lsn});
      if (runs.size() > kRunCountMax) {
        runs = {whole};
        runs.back().last_lsn = UINT64_MAX;
        return runs;
      }
    }
    last = header.lsn;
    runs.back().last_lsn = last;
  }
  // Nothing in it has a place: behind what the log holds.
  if (!is_placed) runs.back().first_lsn = runs.back().last_lsn = last + 1;
  return runs;
}

absl::StatusOr<std::vector<LsnRun>> RunsOf(const SourceSegment& segment,
                                           size_t number) {
  const LsnRun whole{
      .segment = number,
      .begin = format::kSegmentHeaderSize,
      .end = segment.end,
      .first_lsn = segment.entry.first_lsn,
      .last_lsn = segment.entry.first_lsn == 0 ? 0 : segment.entry.last_lsn};
  if (segment.flaw.has_value()) return std::vector<LsnRun>();
  if (segment.entry.kind == format::SegmentKind::kLog &&
      segment.kind == SourceKind::kSealed) {
    return std::vector<LsnRun>{whole};
  }
  return SplitIntoRuns(segment, whole);
}

}  // namespace

absl::StatusOr<std::vector<LsnRun>> FindRuns(
    const std::vector<SourceSegment>& segments, int thread_count) {
  std::vector<absl::StatusOr<std::vector<LsnRun>>> found(
      segments.size(), absl::UnknownError("not looked at"));
  std::atomic<size_t> next = 0;
  engine::RunInParallel(thread_count, [&](int) {
    for (size_t i = next++; i < segments.size(); i = next++) {
      found[i] = RunsOf(segments[i], i);
    }
  });
  std::vector<LsnRun> runs;
  for (const absl::StatusOr<std::vector<LsnRun>>& some : found) {
    PEAT_RETURN_IF_ERROR(some.status());
    runs.insert(runs.end(), some->begin(), some->end());
  }
  std::stable_sort(runs.begin(), runs.end(),
                   [](const LsnRun& a, const LsnRun& b) {
                     return a.first_lsn < b.first_lsn;
                   });
  return runs;
}

bool HasPlace(const RecordHeader& header) {
  return TakesLsn(header.kind) || header.kind == RecordKind::kAuditStub;
}

}  // namespace peat::tools
