#include "engine/query/mask_scan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"

namespace peat::engine {

using format::ByteView;
using format::Lsn;
using format::Record;
using format::RecordCheck;
using format::RecordHeader;
using format::RecordKind;

MaskScan::MaskScan(std::vector<SegmentSource> sources, const MaskQuery& query)
    : query_(query), sources_(std::move(sources)) {
  std::erase_if(sources_, [this](const SegmentSource& source) {
    return source.last_lsn < query_.first_lsn ||
           source.first_lsn > query_.last_lsn;
  });
  std::sort(sources_.begin(), sources_.end(),
            [this](const SegmentSource& a, const SegmentSource& b) {
              return query_.newest_first ? a.last_lsn > b.last_lsn
                                         : a.first_lsn < b.first_lsn;
            });
}

bool MaskScan::Precedes(const Found& a, const Found& b) const {
  if (a.lsn != b.lsn) {
    return query_.newest_first ? a.lsn > b.lsn : a.lsn < b.lsn;
  }
  return a.is_stub < b.is_stub;
}

bool MaskScan::MustReadNext() const {
  if (next_source_ == sources_.size()) return false;
  if (next_found_ == found_.size()) return true;
  const SegmentSource& source = sources_[next_source_];
  const Lsn first = found_[next_found_].lsn;
  return query_.newest_first ? source.last_lsn >= first
                             : source.first_lsn <= first;
}

bool MaskScan::Next() {
  if (!status_.ok()) return false;
  for (;;) {
    while (MustReadNext()) {
      status_ = ReadSource(next_source_++);
      if (!status_.ok()) return false;
    }
    if (next_found_ == found_.size()) return false;
    const Found found = found_[next_found_++];
    if (found.lsn == last_lsn_) continue;  // a copy, from a compaction
    status_ = sources_[found.source].segment->ReadRecord(found.offset,
                                                         &scratch_, &record_);
    if (!status_.ok()) return false;
    last_lsn_ = found.lsn;
    mask_ = DecodeMask(record_);
    return true;
  }
}

absl::Status MaskScan::ReadSource(uint32_t number) {
  const SegmentSource& source = sources_[number];
  source.segment->WillNeedAll();
  PEAT_ASSIGN_OR_RETURN(const ByteView all, source.segment->ReadAll(&buffer_));
  const ByteView bytes = all.first(std::min<uint64_t>(source.end, all.size()));
  const uint64_t salt = source.segment->identity().salt;
  found_.erase(found_.begin(),
               found_.begin() + static_cast<std::ptrdiff_t>(next_found_));
  next_found_ = 0;
  const auto middle = static_cast<std::ptrdiff_t>(found_.size());
  uint64_t offset = format::kSegmentHeaderSize;
  while (offset < source.end) {
    const format::Place place{salt, offset};
    const ByteView rest =
        bytes.subspan(std::min<uint64_t>(offset, bytes.size()));
    RecordHeader header;
    RecordCheck check = CheckRecordHeader(rest, place, &header);
    const bool is_stub = header.kind == RecordKind::kAuditStub;
    if (check == RecordCheck::kValid && (IsMask(header.kind) || is_stub)) {
      Record record;
      check = CheckRecord(rest, place, &record);
      if (check == RecordCheck::kValid && Wants(record)) {
        found_.push_back({header.lsn, number, offset, is_stub});
      }
    }
    if (check != RecordCheck::kValid) {
      return absl::DataLossError(
          absl::StrFormat("%s offset %d: record is damaged",
                          source.segment->file_name(), offset));
    }
    offset += RecordSize(header);
  }
  const auto precedes = [this](const Found& a, const Found& b) {
    return Precedes(a, b);
  };
  std::sort(found_.begin() + middle, found_.end(), precedes);
  std::inplace_merge(found_.begin(), found_.begin() + middle, found_.end(),
                     precedes);
  return absl::OkStatus();
}

bool MaskScan::Wants(const Record& record) const {
  const format::Mask mask = DecodeMask(record);
  const RecordKind kind = record.header.kind == RecordKind::kAuditStub
                              ? mask.stub_of
                              : record.header.kind;
  if (kind == RecordKind::kDisable && !query_.disables) return false;
  if (kind == RecordKind::kEnable && !query_.enables) return false;
  if (kind == RecordKind::kForget && !query_.forgets) return false;
  const Lsn lsn = record.header.lsn;
  if (lsn < query_.first_lsn || lsn > query_.last_lsn) return false;
  if (mask.time < query_.first_time || mask.time > query_.last_time) {
    return false;
  }
  if (query_.key.has_value() && record.key != *query_.key) return false;
  return !query_.prefix.has_value() || record.key.starts_with(*query_.prefix);
}

}  // namespace peat::engine
