#include "tools/offline/dump.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "engine/os/worker.h"
#include "format/check.h"
#include "format/status_macros.h"
#include "index/mutex.h"
#include "tools/offline/dumper.h"
#include "tools/offline/lsn_order.h"
#include "tools/offline/lsn_run.h"
#include "tools/offline/record_walk.h"

namespace peat::tools {
namespace {

using format::RecordKind;

// What is handed to the sink at a time, at least, where runs are merged.
constexpr size_t kBufferSize = size_t{64} << 10;

// Bytes between two calls of on_progress.
constexpr uint64_t kProgressBytes = uint64_t{1} << 20;

struct KindName {
  RecordKind kind;
  std::string_view name;
};
constexpr std::array<KindName, 10> kKindNames = {{
    {RecordKind::kPut, "put"},
    {RecordKind::kTombstone, "tombstone"},
    {RecordKind::kDisable, "disable"},
    {RecordKind::kEnable, "enable"},
    {RecordKind::kForget, "forget"},
    {RecordKind::kAuditStub, "stub"},
    {RecordKind::kMark, "mark"},
    {RecordKind::kLink, "link"},
    {RecordKind::kFrame, "frame"},
    {RecordKind::kTime, "time"},
}};

// Everything that is to be printed of a store, cut into parts that threads make
// at the same time; what they have made is printed in order.
//
// A run that overlaps with no other is cut at multiples of part_size, which are
// no records' beginnings: a part begins with the first record that validates in
// it, and ends behind the last one that begins in it. When a part's turn comes,
// its begin must be where the part before it has ended, and all in it must have
// been sound; otherwise the rest of the run is read again, from there on and
// with care (PrintRuns). So what is printed does not depend on how a run is
// cut.
class PartedDump final {
 public:
  struct Source {
    const std::vector<SourceSegment>& segments;
    std::vector<std::string> names = {};  // of the segments, as they are shown
    const StoreFiles* files = nullptr;    // null: they are of no store
    const LiveSet* live = nullptr;
  };

  PartedDump(Source source, const DumpOptions& options,
             const OnProgress& on_progress, Sink sink)
      : source_(std::move(source)),
        options_(options),
        on_progress_(on_progress),
        sink_(sink) {
    for (const SourceSegment& segment : source_.segments) size_ += segment.end;
  }

  absl::StatusOr<DumpCounts> Print(std::vector<LsnRun> runs) {
    runs_ = std::move(runs);
    PEAT_RETURN_IF_ERROR(PrintFlaws());
    engine::RunInParallel(options_.thread_count, [this](int) { Work(); });
    index::MutexLock lock(&turn_mutex_);
    PEAT_RETURN_IF_ERROR(status_);
    return counts_;
  }

 private:
  struct Part {
    uint64_t number = 0;  // of its turn
    std::span<const LsnRun> runs;
    // Of a single run; of several all is merged when their turn comes.
    uint64_t begin = 0;
    uint64_t end = 0;
    bool is_merged() const { return end == 0; }
  };
  // Where the records of a part lie.
  struct Extent {
    uint64_t begin = 0;
    uint64_t end = 0;
    bool is_sound = false;  // there is nothing else between
  };

  absl::Status PrintFlaws() {
    index::MutexLock lock(&turn_mutex_);
    Dumper dumper(options_, source_.files, source_.live);
    dumper.AddHeader();
    for (size_t i = 0; i < source_.segments.size(); ++i) {
      const std::optional<FileFlaw>& flaw = source_.segments[i].flaw;
      if (!flaw.has_value()) continue;
      dumper.AddGap(source_.names[i], {.offset = flaw->offset,
                                       .size = source_.segments[i].end,
                                       .what = flaw->what.c_str()});
    }
    return Flush(&dumper);
  }

  // What each thread does.
  void Work() {
    Dumper dumper(options_, source_.files, source_.live);
    RecordWalk walk(RecordWalk::kWindowSize);
    for (;;) {
      const std::optional<Part> part = TakePart();
      if (!part.has_value()) return;
      const absl::StatusOr<Extent> extent = Look(*part, &walk, &dumper);
      index::MutexLock lock(&turn_mutex_);
      while (turn_ != part->number) turn_changed_.Wait(&turn_mutex_);
      if (status_.ok()) status_ = TakeTurn(*part, extent, &dumper);
      if (!status_.ok()) is_stopped_ = true;
      dumper.Clear();
      ++turn_;
      turn_changed_.SignalAll();
    }
  }

  std::optional<Part> TakePart() ABSL_LOCKS_EXCLUDED(parts_mutex_) {
    index::MutexLock lock(&parts_mutex_);
    if (is_stopped_ || next_run_ == runs_.size()) return std::nullopt;
    const std::span<const LsnRun> runs =
        std::span(runs_).subspan(next_run_, OverlapCount());
    Part part{.number = next_number_++, .runs = runs};
    const LsnRun& run = runs.front();
    // Which of a segment's records one is must be known to ask the live set.
    if (runs.size() > 1 || source_.live != nullptr) {
      next_run_ += runs.size();
      return part;
    }
    part.begin = std::max(next_begin_, run.begin);
    part.end = std::min(run.end, part.begin + options_.part_size);
    next_begin_ = part.end;
    if (part.end == run.end) {
      ++next_run_;
      next_begin_ = 0;
    }
    return part;
  }

  // How many runs from next_run_ on have to be merged.
  size_t OverlapCount() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_mutex_) {
    format::Lsn last = runs_[next_run_].last_lsn;
    size_t end = next_run_ + 1;
    for (; end < runs_.size() && runs_[end].first_lsn <= last; ++end) {
      last = std::max(last, runs_[end].last_lsn);
    }
    return end - next_run_;
  }

  // Prints the part to `dumper` as long as it is sound.
  absl::StatusOr<Extent> Look(const Part& part, RecordWalk* walk,
                              Dumper* dumper) const {
    Extent extent;
    if (part.is_merged()) return extent;
    const LsnRun& run = part.runs.front();
    source_.segments[run.segment].OpenPart(part.begin, run.end, walk);
    PEAT_ASSIGN_OR_RETURN(extent.begin, walk->Seek(part.begin, part.end));
    for (extent.end = extent.begin; extent.end < part.end;
         extent.end = walk->next_offset()) {
      PEAT_ASSIGN_OR_RETURN(const RecordWalk::Step step, walk->Next());
      if (step != RecordWalk::Step::kRecord) return extent;
      PEAT_RETURN_IF_ERROR(
          dumper->AddRecord({.record = walk->record(),
                             .bytes = walk->record_bytes(),
                             .file = source_.names[run.segment],
                             .offset = walk->offset()},
                            run.segment, 0));
    }
    extent.is_sound = true;
    return extent;
  }

  absl::Status TakeTurn(const Part& part, const absl::StatusOr<Extent>& extent,
                        Dumper* dumper)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_mutex_) {
    if (part.is_merged()) {
      return PrintRuns({part.runs.begin(), part.runs.end()}, dumper);
    }
    LsnRun rest = part.runs.front();
    if (part.begin == rest.begin) printed_end_ = rest.begin;
    // A record that began before has gone on behind it, or all is printed.
    if (printed_end_ >= part.end) return absl::OkStatus();
    if (extent.ok() && extent->is_sound && extent->begin == printed_end_) {
      printed_end_ = extent->end;
      PEAT_RETURN_IF_ERROR(Flush(dumper));
      return Report(part.end - part.begin);
    }
    dumper->Clear();
    rest.begin = printed_end_;
    printed_end_ = rest.end;
    return PrintRuns({rest}, dumper);
  }

  // Merges runs, and says what is damaged in them.
  absl::Status PrintRuns(std::vector<LsnRun> runs, Dumper* dumper)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_mutex_) {
    LsnOrder order(source_.segments, std::move(runs));
    uint64_t bytes = 0;
    for (;;) {
      PEAT_ASSIGN_OR_RETURN(const bool has_more, order.Next());
      if (!has_more) break;
      const std::string& name = source_.names[order.segment()];
      if (order.gap().has_value()) {
        dumper->AddGap(name, *order.gap());
        continue;
      }
      const format::ByteView record_bytes = order.record_bytes();
      PEAT_RETURN_IF_ERROR(dumper->AddRecord({.record = order.record(),
                                              .bytes = record_bytes,
                                              .file = name,
                                              .offset = order.offset()},
                                             order.segment(),
                                             order.record_index()));
      bytes += record_bytes.size();
      if (bytes >= kProgressBytes) {
        PEAT_RETURN_IF_ERROR(Report(std::exchange(bytes, 0)));
      }
      if (dumper->text().size() >= kBufferSize) {
        PEAT_RETURN_IF_ERROR(Flush(dumper));
      }
    }
    return Flush(dumper);
  }

  // Gives what `dumper` has to the sink.
  absl::Status Flush(Dumper* dumper)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_mutex_) {
    counts_.records += dumper->counts().records;
    counts_.gaps += dumper->counts().gaps;
    counts_.values += dumper->counts().values;
    if (!dumper->text().empty()) PEAT_RETURN_IF_ERROR(sink_(dumper->text()));
    dumper->Clear();
    return absl::OkStatus();
  }

  absl::Status Report(uint64_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_mutex_) {
    bytes_ += bytes;
    if (on_progress_ == nullptr || on_progress_(bytes_, size_)) {
      return absl::OkStatus();
    }
    return absl::CancelledError("interrupted");
  }

  const Source source_;
  const DumpOptions& options_;
  const OnProgress& on_progress_;
  const Sink sink_;
  uint64_t size_ = 0;
  std::vector<LsnRun> runs_;  // constant once there are threads

  // Set once; whoever does not see it yet makes a part that is not printed.
  std::atomic<bool> is_stopped_ = false;

  // What is to be made next. Held for a moment only.
  index::Mutex parts_mutex_;
  size_t next_run_ ABSL_GUARDED_BY(parts_mutex_) = 0;
  uint64_t next_begin_ ABSL_GUARDED_BY(parts_mutex_) = 0;  // 0: the run's
  uint64_t next_number_ ABSL_GUARDED_BY(parts_mutex_) = 0;

  // Held by the thread whose turn it is, also while it prints.
  index::Mutex turn_mutex_;
  index::CondVar turn_changed_;
  uint64_t turn_ ABSL_GUARDED_BY(turn_mutex_) = 0;
  uint64_t printed_end_ ABSL_GUARDED_BY(turn_mutex_) = 0;  // in the part's run
  uint64_t bytes_ ABSL_GUARDED_BY(turn_mutex_) = 0;        // that were read
  DumpCounts counts_ ABSL_GUARDED_BY(turn_mutex_);
  absl::Status status_ ABSL_GUARDED_BY(turn_mutex_);
};

}  // namespace

absl::StatusOr<DumpCounts> DumpStore(const StoreFiles& files,
                                     const DumpOptions& options,
                                     const OnProgress& on_progress, Sink sink) {
  PEAT_CHECK(options.part_size % format::kRecordAlignment == 0);
  PEAT_CHECK(options.part_size > 0);
  const bool needs_live = options.live_only || !options.keys_only;
  std::optional<LiveSet> live;
  if (needs_live) {
    PEAT_ASSIGN_OR_RETURN(live, LiveSet::Make(files, on_progress));
  }
  PEAT_ASSIGN_OR_RETURN(std::vector<LsnRun> runs,
                        FindRuns(files.segments, options.thread_count));
  PartedDump::Source source{.segments = files.segments,
                            .files = &files,
                            .live = live.has_value() ? &*live : nullptr};
  for (const SourceSegment& segment : files.segments) {
    source.names.push_back(segment.name());
  }
  return PartedDump(std::move(source), options, on_progress, sink)
      .Print(std::move(runs));
}

absl::StatusOr<DumpCounts> DumpSegment(const SourceSegment& segment,
                                       const std::string& name,
                                       const DumpOptions& options,
                                       const OnProgress& on_progress,
                                       Sink sink) {
  const std::vector<SourceSegment> segments = {segment};
  PartedDump::Source source{.segments = segments,
                            .names = {ShownName(name, options.form)}};
  return PartedDump(std::move(source), options, on_progress, sink)
      .Print({{.begin = format::kSegmentHeaderSize, .end = segment.end}});
}

std::string_view NameOf(RecordKind kind) {
  for (const KindName& one : kKindNames) {
    if (one.kind == kind) return one.name;
  }
  return "none";
}

std::optional<RecordKind> KindNamed(std::string_view name) {
  for (const KindName& one : kKindNames) {
    if (one.name == name) return one.kind;
  }
  return std::nullopt;
}

}  // namespace peat::tools
