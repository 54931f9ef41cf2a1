#include "tools/offline/dumper.h"

#include "engine/log/value_files.h"
#include "format/mask.h"
#include "format/status_macros.h"

namespace peat::tools {

using format::Record;
using format::RecordKind;

void Dumper::AddHeader() {
  if (options_.form == DumpForm::kTable) AppendTableHeader(&text_);
}

void Dumper::AddGap(std::string_view file, const Gap& gap) {
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
}

absl::Status Dumper::AddRecord(ShownRecord&& shown, size_t segment,
                               uint64_t number) {
  if (!Wants(shown.record)) return absl::OkStatus();
  bool is_proven = false;
  if (live_ != nullptr) {
    shown.is_current = live_->IsCurrent(segment, number);
    is_proven = *shown.is_current &&
                live_->ProofOf(files_->segments[segment], shown.offset,
                               shown.record) == Proof::kNewest;
    shown.is_unproven = *shown.is_current && !is_proven;
    if (options_.live_only && !*shown.is_current) return absl::OkStatus();
  }
  const bool is_forgotten = shown.record.header.kind == RecordKind::kForget;
  shown.shows_reason = options_.reveal;
  shown.omits_value = options_.keys_only;
  shown.shows_value = !options_.keys_only &&
                      (options_.reveal || (shown.is_current.value_or(false) &&
                                           is_proven && !is_forgotten));
  if (shown.shows_value) PEAT_RETURN_IF_ERROR(ReadLargeValue(&shown));
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
  return absl::OkStatus();
}

void Dumper::Clear() {
  text_.clear();
  counts_ = {};
}

bool Dumper::Wants(const Record& record) const {
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

absl::Status Dumper::ReadLargeValue(ShownRecord* shown) {
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

}  // namespace peat::tools
