#include "tools/offline/verify.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/log/manifest_store.h"
#include "engine/log/value_files.h"
#include "engine/os/worker.h"
#include "engine/write/digest.h"
#include "format/file_name.h"
#include "format/status_macros.h"
#include "tools/offline/lsn_check.h"
#include "tools/offline/manifest_check.h"
#include "tools/offline/mask_check.h"
#include "tools/offline/segment_check.h"
#include "tools/offline/snapshot_check.h"
#include "tools/offline/store_files.h"

namespace peat::tools {
namespace {

void AddAll(Findings some, Findings* findings) {
  for (Finding& finding : some) findings->push_back(std::move(finding));
}

// The highest lsn that the store says it has; all there may be if it does not.
format::Lsn LastLsn(const StoreFiles& files) {
  if (!files.manifest.has_value()) return UINT64_MAX;
  format::Lsn last = files.tail->end.last_lsn;
  for (const format::ManifestSegment& entry : files.manifest->segments) {
    last = std::max(last, entry.last_lsn);
  }
  return last;
}

class Verification {
 public:
  Verification(const StoreFiles& files, int thread_count,
               const OnProgress& on_progress)
      : files_(files),
        thread_count_(thread_count),
        on_progress_(on_progress),
        snapshots_(files),
        seen_(LastLsn(files)) {}

  absl::StatusOr<VerifyReport> Run() {
    AddAll(CheckManifests(files_, &report_.is_unreadable), &report_.findings);
    NoteFlaws();
    PEAT_RETURN_IF_ERROR(CheckSegments());
    if (files_.tail.has_value()) CheckTail();
    if (seen_.has_twice()) {
      PEAT_ASSIGN_OR_RETURN(Findings clashes,
                            CheckLsns(files_, thread_count_, on_progress_));
      AddAll(std::move(clashes), &report_.findings);
    }
    PEAT_RETURN_IF_ERROR(CheckValues());
    PEAT_ASSIGN_OR_RETURN(Findings masks, CheckMasks(files_, masks_));
    AddAll(std::move(masks), &report_.findings);
    std::set<format::SegmentId> value_files;
    for (const FoundReference& one : references_) {
      value_files.insert(one.reference.file);
    }
    AddAll(CheckNames(files_, {.referred = std::move(value_files),
                               .is_partial = is_partial_}),
           &report_.findings);
    AddAll(snapshots_.Check(prefixes_, thread_count_), &report_.findings);
    report_.mask_count = masks_.size();
    return std::move(report_);
  }

 private:
  // Of segments that cannot be read at all.
  void NoteFlaws() {
    for (const SourceSegment& segment : files_.segments) {
      if (!segment.flaw.has_value()) continue;
      is_partial_ = true;
      report_.is_unreadable |= segment.flaw->is_unreadable;
      report_.findings.push_back(
          {.file = segment.name(),
           .offset = segment.flaw->offset,
           .what = segment.flaw->what,
           .consequence = absl::StrFormat(
               "none of its records can be read; the store does not open "
               "(lsns %d to %d)",
               segment.entry.first_lsn, segment.entry.last_lsn),
           .remedy = kSalvage});
    }
  }

  absl::Status CheckSegments() {
    std::vector<absl::StatusOr<SegmentReport>> reports(
        files_.segments.size(), absl::UnknownError("not checked"));
    std::atomic<size_t> next = 0;
    engine::RunInParallel(thread_count_, [&](int thread) {
      for (size_t i = next++; i < reports.size(); i = next++) {
        if (files_.segments[i].flaw.has_value()) continue;
        reports[i] = CheckOne(files_.segments[i]);
        // Progress is drawn by one thread alone.
        if (thread == 0 && on_progress_ != nullptr &&
            !on_progress_(progress_, files_.size_bytes())) {
          is_cancelled_ = true;
        }
      }
    });
    for (size_t i = 0; i < reports.size(); ++i) {
      if (files_.segments[i].flaw.has_value()) continue;
      PEAT_RETURN_IF_ERROR(NoteUnreadable(files_.segments[i], reports[i]));
      if (!reports[i].ok()) continue;
      Take(files_.segments[i], *std::move(reports[i]));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<SegmentReport> CheckOne(const SourceSegment& segment) {
    Findings findings;
    std::optional<format::KeyFilter> filter;
    if (segment.kind == SourceKind::kSealed) {
      filter = ReadKeyFilter(files_, segment, &findings);
    }
    PEAT_ASSIGN_OR_RETURN(
        SegmentReport report,
        CheckSegment(segment,
                     {.files = &files_,
                      .filter = filter.has_value() ? &*filter : nullptr,
                      .seen = &seen_,
                      .prefix_ends = snapshots_.EndsIn(segment.entry.id),
                      .progress = &progress_,
                      .is_cancelled = &is_cancelled_}));
    AddAll(std::move(findings), &report.findings);
    return report;
  }

  // Of a segment that is not as the manifest says, but holds records.
  void NoteWound(const SourceSegment& segment, const SegmentReport& report) {
    report_.findings.push_back(
        {.file = segment.name(),
         .offset = segment.wound->offset,
         .what = segment.wound->what,
         .consequence = absl::StrFormat(
             "the store opens with kReadOnlyDespiteDamage alone; %d sound "
             "records can be read, %d bytes of records cannot (lsns %d to %d "
             "in all)",
             report.record_count, report.unread_bytes, segment.entry.first_lsn,
             segment.entry.last_lsn),
         .remedy = kSalvage});
  }

  // A segment that stopped being readable is a finding, not the end.
  absl::Status NoteUnreadable(const SourceSegment& segment,
                              const absl::StatusOr<SegmentReport>& report) {
    if (report.ok()) return absl::OkStatus();
    is_partial_ = true;
    if (absl::IsCancelled(report.status())) return report.status();
    report_.is_unreadable = true;
    report_.findings.push_back(
        {.file = segment.name(),
         .what = std::string(report.status().message()),
         .consequence = "nothing is known of its records",
         .remedy = "look at the disk, and read it again"});
    return absl::OkStatus();
  }

  void Take(const SourceSegment& segment, SegmentReport report) {
    ++report_.segment_count;
    report_.record_count += report.record_count;
    report_.bytes += segment.end;
    is_partial_ |= report.has_gap;
    if (segment.wound.has_value()) NoteWound(segment, report);
    AddAll(std::move(report.findings), &report_.findings);
    for (FoundReference& one : report.references) {
      references_.push_back(std::move(one));
    }
    for (FoundMask& one : report.masks) masks_.push_back(std::move(one));
    if (!report.has_gap) {
      prefixes_[segment.entry.id] = std::move(report.prefixes);
    }
  }

  // What the walk along the log has found: see engine/recover/log_tail.h.
  void CheckTail() {
    const engine::LogTail& tail = *files_.tail;
    is_partial_ |= !tail.damage.ok();
    if (tail.damage.ok()) {
      for (const peat::CutRange& range : tail.cut) {
        report_.findings.push_back(
            {.severity = Severity::kNote,
             .file = range.file,
             .offset = range.offset,
             .size = range.size,
             .what = "a torn tail: what a crash has left behind the log's end",
             .consequence = "none: it never counted",
             .remedy = "none: the next open for writing cuts it"});
      }
      return;
    }
    Finding finding{.what = std::string(tail.damage.message()),
                    .consequence =
                        "what was durable is missing from there on; "
                        "the store does not open",
                    .remedy = kSalvage};
    const engine::TailSegment* const next = BrokenSuccessor(tail);
    if (next != nullptr) {
      finding.file = format::SegmentFileName(next->entry.id);
      finding.offset = format::kSegmentHeaderSize;
    } else if (tail.end.segment != 0) {
      finding.file = format::SegmentFileName(tail.end.segment);
      finding.offset = tail.end.end;
    } else {
      finding.file = format::kManifestFileNames[0];
    }
    // The same place, found by its records.
    for (Finding& one : report_.findings) {
      if (one.file != finding.file || one.offset != finding.offset) continue;
      one.what += "; " + finding.what;
      one.consequence = finding.consequence;
      return;
    }
    report_.findings.push_back(std::move(finding));
  }

  // The segment whose link should name the log's end and does not, if the last
  // one ends as it should.
  static const engine::TailSegment* BrokenSuccessor(
      const engine::LogTail& tail) {
    if (!tail.used.empty()) {
      const engine::TailSegment& last = tail.used.back();
      if (engine::EndOfNonZero(last.bytes, last.end) > last.end) return nullptr;
    }
    const engine::TailSegment* first = nullptr;
    for (const engine::TailSegment& segment : tail.dropped) {
      if (first == nullptr || segment.entry.id < first->entry.id) {
        first = &segment;
      }
    }
    return first;
  }

  absl::Status CheckValues() {
    std::set<format::SegmentId> checked;
    std::string value;
    for (const FoundReference& one : references_) {
      if (!files_.manifest.has_value()) break;
      if (on_progress_ != nullptr &&
          !on_progress_(progress_, files_.size_bytes())) {
        return absl::CancelledError("interrupted");
      }
      // Masks refer to the files of the puts before them.
      if (!checked.insert(one.reference.file).second && one.digest.empty()) {
        continue;
      }
      CheckValue(one, &value);
    }
    report_.value_file_count = checked.size();
    return absl::OkStatus();
  }

  void CheckValue(const FoundReference& one, std::string* value) {
    const std::string name = format::ValueFileName(one.reference.file);
    const absl::StatusOr<std::optional<engine::ValueFlaw>> flaw =
        engine::ReadValueOrFlaw(*files_.directory, files_.manifest->store_id,
                                one.reference, value);
    Finding finding{.file = name,
                    .consequence = absl::StrFormat(
                        "the value of the record in %s offset %d is lost",
                        one.file, one.offset),
                    .remedy = kSalvage};
    if (!flaw.ok()) {
      report_.is_unreadable = true;
      finding.what = std::string(flaw.status().message());
    } else if (flaw->has_value()) {
      finding.offset = (*flaw)->offset;
      finding.what = (*flaw)->what;
    } else if (!one.digest.empty() &&
               format::AsString(engine::DigestOf(*value)) != one.digest) {
      finding.offset = format::kSegmentHeaderSize;
      finding.what = "a forgotten value is not the one that its digest is of";
    } else {
      return;
    }
    // Compaction beside us removes what no record refers to any more.
    if (HasMovedOn()) return;
    report_.findings.push_back(std::move(finding));
  }

  bool HasMovedOn() const {
    const absl::StatusOr<engine::NewestManifest> now =
        engine::ReadManifest(*files_.directory);
    return now.ok() && now->manifest.segments != files_.manifest->segments;
  }

  const StoreFiles& files_;
  const int thread_count_;
  const OnProgress& on_progress_;
  std::atomic<uint64_t> progress_ = 0;
  std::atomic<bool> is_cancelled_ = false;
  const SnapshotChecker snapshots_;
  SeenLsns seen_;
  bool is_partial_ = false;  // some records cannot be read
  VerifyReport report_;
  std::vector<FoundReference> references_;
  std::vector<FoundMask> masks_;
  SegmentPrefixes prefixes_;
};

}  // namespace

absl::StatusOr<VerifyReport> VerifyStore(engine::FileSystem& file_system,
                                         const std::filesystem::path& path,
                                         int thread_count,
                                         const OnProgress& on_progress) {
  PEAT_ASSIGN_OR_RETURN(const StoreFiles files,
                        ReadStoreFiles(file_system, path));
  if (!files.is_store()) return absl::NotFoundError("there is no store");
  return Verification(files, thread_count, on_progress).Run();
}

}  // namespace peat::tools
