#include "tools/offline/dump.h"

#include <array>
#include <memory>
#include <utility>

#include "engine/value_files.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "tools/offline/lsn_order.h"
#include "tools/offline/record_printer.h"

namespace peat::tools {
namespace {

using format::Record;
using format::RecordKind;

// What is handed to the sink at a time.
constexpr size_t kBufferSize = size_t{64} << 10;

// Records between two calls of on_progress.
constexpr uint64_t kProgressInterval = 4096;

struct KindName {
  RecordKind kind;
  const char* name;
};
constexpr std::array<KindName, 9> kKindNames = {{
    {RecordKind::kPut, "put"},
    {RecordKind::kTombstone, "tombstone"},
    {RecordKind::kDisable, "disable"},
    {RecordKind::kEnable, "enable"},
    {RecordKind::kForget, "forget"},
    {RecordKind::kAuditStub, "stub"},
    {RecordKind::kMark, "mark"},
    {RecordKind::kLink, "link"},
    {RecordKind::kFrame, "frame"},
}};

class Dumper {
 public:
  // `live` is null where it is not known or not asked.
  Dumper(const DumpOptions& options, const StoreFiles* files,
         const LiveSet* live, Sink sink)
      : options_(options), files_(files), live_(live), sink_(sink) {}

  absl::Status Begin() {
    if (options_.form == DumpForm::kTable) AppendTableHeader(&text_);
    return absl::OkStatus();
  }

  absl::Status AddGap(std::string_view file, const Gap& gap) {
    ++counts_.gaps;
    switch (options_.form) {
      case DumpForm::kTable:
        AppendTableGap(file, gap, &text_);
        break;
      case DumpForm::kJson:
        AppendJsonGap(file, gap, &text_);
        break;
      case DumpForm::kRaw:
        AppendRawGap(file, gap, &text_);
        break;
    }
    return Flush(kBufferSize);
  }

  // Of a store, `segment` and `number` say which record it is.
  absl::Status AddRecord(ShownRecord shown, size_t segment, uint64_t number) {
    if (!Wants(shown.record)) return absl::OkStatus();
    bool is_proven = false;
    if (live_ != nullptr) {
      shown.is_current = live_->IsCurrent(segment, number);
      is_proven = live_->IsProven(shown.record.header);
      shown.is_unproven = *shown.is_current && !is_proven;
      if (options_.live_only && !*shown.is_current) return absl::OkStatus();
    }
    const bool is_forgotten = shown.record.header.kind == RecordKind::kForget;
    shown.shows_reason = options_.reveal;
    shown.omits_value = options_.keys_only;
    shown.shows_value = !options_.keys_only &&
                        (options_.reveal || (shown.is_current.value_or(false) &&
                                             is_proven && !is_forgotten));
    if (shown.shows_value) {
      PEAT_RETURN_IF_ERROR(ReadLargeValue(&shown));
    }
    ++counts_.records;
    switch (options_.form) {
      case DumpForm::kTable:
        AppendTableLine(shown, options_.columns, &text_);
        break;
      case DumpForm::kJson:
        AppendJsonLine(shown, &text_);
        break;
      case DumpForm::kRaw:
        AppendRawLines(shown, &text_);
        break;
    }
    return Flush(kBufferSize);
  }

  absl::StatusOr<DumpCounts> End() {
    PEAT_RETURN_IF_ERROR(Flush(1));
    return counts_;
  }

 private:
  bool Wants(const Record& record) const {
    const format::RecordHeader& header = record.header;
    if (header.lsn < options_.first_lsn || header.lsn > options_.last_lsn) {
      return false;
    }
    if (!options_.kinds.empty() && !options_.kinds.contains(header.kind)) {
      return false;
    }
    if (!options_.key.has_value() && !options_.prefix.has_value()) return true;
    const bool has_key =
        TakesLsn(header.kind) || header.kind == RecordKind::kAuditStub;
    if (!has_key) return false;
    if (options_.key.has_value() && record.key != *options_.key) return false;
    return !options_.prefix.has_value() ||
           record.key.starts_with(*options_.prefix);
  }

  // What a record refers to: the value, or that it is damaged.
  absl::Status ReadLargeValue(ShownRecord* shown) {
    if ((shown->record.header.flags & format::kFlagValueFile) == 0) {
      return absl::OkStatus();
    }
    // A file alone has no directory: the reference is all there is to show.
    if (files_ == nullptr || !files_->manifest.has_value()) {
      shown->value_damage = "the value lies in another file";
      return absl::OkStatus();
    }
    const auto reference =
        format::DecodeValueReference(format::StoredValue(shown->record));
    absl::Status status = reference.status();
    if (status.ok()) {
      status = engine::ReadValueFile(
          *files_->directory, files_->manifest->store_id, *reference, &value_);
    }
    if (status.ok()) {
      shown->file_value = value_;
      return absl::OkStatus();
    }
    if (!absl::IsDataLoss(status)) return status;
    ++counts_.values;
    damage_ = std::string(status.message());
    shown->value_damage = damage_;
    return absl::OkStatus();
  }

  absl::Status Flush(size_t size_min) {
    if (text_.size() < size_min) return absl::OkStatus();
    PEAT_RETURN_IF_ERROR(sink_(text_));
    text_.clear();
    return absl::OkStatus();
  }

  const DumpOptions& options_;
  const StoreFiles* const files_;
  const LiveSet* const live_;
  Sink sink_;
  std::string text_;
  std::string value_;
  std::string damage_;
  DumpCounts counts_;
};

absl::Status DumpInOrder(const StoreFiles& files, LsnOrder& order,
                         const OnProgress& on_progress, Dumper& dumper) {
  const uint64_t size = files.size_bytes();
  uint64_t bytes = 0;
  std::vector<std::string> names;
  for (const SourceSegment& segment : files.segments) {
    names.push_back(segment.name());
    if (!segment.flaw.has_value()) continue;
    PEAT_RETURN_IF_ERROR(
        dumper.AddGap(names.back(), {.offset = segment.flaw->offset,
                                     .size = segment.end,
                                     .what = segment.flaw->what.c_str()}));
  }
  for (uint64_t count = 1;; ++count) {
    PEAT_ASSIGN_OR_RETURN(const bool has_more, order.Next());
    if (!has_more) return absl::OkStatus();
    const std::string& name = names[order.segment()];
    if (order.gap().has_value()) {
      PEAT_RETURN_IF_ERROR(dumper.AddGap(name, *order.gap()));
      continue;
    }
    const format::ByteView record_bytes = order.record_bytes();
    bytes += record_bytes.size();
    PEAT_RETURN_IF_ERROR(dumper.AddRecord({.record = order.record(),
                                           .bytes = record_bytes,
                                           .file = name,
                                           .offset = order.offset()},
                                          order.segment(),
                                          order.record_index()));
    if (count % kProgressInterval == 0 && on_progress != nullptr &&
        !on_progress(bytes, size)) {
      return absl::CancelledError("interrupted");
    }
  }
}

}  // namespace

absl::StatusOr<DumpCounts> DumpStore(const StoreFiles& files,
                                     const DumpOptions& options,
                                     const OnProgress& on_progress, Sink sink) {
  const bool needs_live = options.live_only || !options.keys_only;
  std::optional<LiveSet> live;
  if (needs_live) {
    PEAT_ASSIGN_OR_RETURN(live, LiveSet::Make(files, on_progress));
  }
  Dumper dumper(options, &files, live.has_value() ? &*live : nullptr, sink);
  PEAT_RETURN_IF_ERROR(dumper.Begin());
  PEAT_ASSIGN_OR_RETURN(LsnOrder order, LsnOrder::Make(files.segments));
  PEAT_RETURN_IF_ERROR(DumpInOrder(files, order, on_progress, dumper));
  return dumper.End();
}

absl::StatusOr<DumpCounts> DumpSegment(const SourceSegment& segment,
                                       const std::string& name,
                                       const DumpOptions& options, Sink sink) {
  Dumper dumper(options, nullptr, nullptr, sink);
  PEAT_RETURN_IF_ERROR(dumper.Begin());
  RecordWalk walk = segment.Walk();
  for (;;) {
    PEAT_ASSIGN_OR_RETURN(const RecordWalk::Step step, walk.Next());
    if (step == RecordWalk::Step::kRecord) {
      PEAT_RETURN_IF_ERROR(dumper.AddRecord({.record = walk.record(),
                                             .bytes = walk.record_bytes(),
                                             .file = name,
                                             .offset = walk.offset()},
                                            0, 0));
      continue;
    }
    if (step != RecordWalk::Step::kDamaged) return dumper.End();
    Gap gap{.offset = walk.offset(),
            .what = WhatIsWrong(walk.check()),
            .header = walk.damaged_header()};
    PEAT_ASSIGN_OR_RETURN(const uint64_t end, walk.Resync());
    gap.size = end - gap.offset;
    PEAT_RETURN_IF_ERROR(dumper.AddGap(name, gap));
  }
}

const char* NameOf(RecordKind kind) {
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
