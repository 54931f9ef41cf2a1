#include "tools/offline/inspection.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "tools/escape.h"
#include "tools/offline/dump.h"
#include "tools/progress.h"
#include "tools/utc_time.h"

namespace peat::tools {

using Step = RecordWalk::Step;

namespace {

using format::Lsn;
using format::Record;
using format::RecordKind;
using format::SegmentKind;

constexpr uint64_t kReportInterval = 4096;  // records between looks at progress

const char* NameOfKind(SegmentKind kind) {
  switch (kind) {
    case SegmentKind::kCompacted:
      return "compacted";
    case SegmentKind::kAudit:
      return "audit";
    default:
      return "log";
  }
}

const char* NameOfState(SourceKind kind) {
  switch (kind) {
    case SourceKind::kSealed:
      return "sealed";
    case SourceKind::kTail:
      return "open";
    case SourceKind::kLoose:
      break;
  }
  return "damaged";
}

class Inspector {
 public:
  Inspector(const StoreFiles& files, const LiveSet& live,
            const OnProgress& on_progress)
      : files_(files), live_(live), on_progress_(on_progress) {}

  absl::StatusOr<Inspection> Run() {
    result_.store_id = ToHex(format::AsString(files_.store_id));
    if (files_.manifest.has_value()) {
      result_.generation = files_.manifest->generation;
    }
    result_.gap_count = live_.damage().size();
    FindLsnRange();
    for (size_t i = 0; i < files_.segments.size(); ++i) {
      PEAT_RETURN_IF_ERROR(AddSegment(i));
    }
    std::sort(result_.masks.begin(), result_.masks.end(),
              [](const MaskMoment& a, const MaskMoment& b) {
                return a.time < b.time;
              });
    result_.value_file_count = value_files_.size();
    return std::move(result_);
  }

 private:
  void FindLsnRange() {
    first_lsn_ = live_.last_lsn();
    for (const SourceSegment& segment : files_.segments) {
      if (segment.entry.first_lsn == 0) continue;
      first_lsn_ = std::min(first_lsn_, segment.entry.first_lsn);
    }
  }

  size_t ColumnOf(Lsn lsn) const {
    if (lsn <= first_lsn_) return 0;
    const uint64_t range = live_.last_lsn() - first_lsn_ + 1;
    const double share = static_cast<double>(lsn - first_lsn_) /
                         static_cast<double>(std::max<uint64_t>(range, 1));
    return std::min(kLsnColumnCount - 1,
                    static_cast<size_t>(share * kLsnColumnCount));
  }

  absl::Status AddSegment(size_t number) {
    const SourceSegment& segment = files_.segments[number];
    SegmentInspection one{.name = segment.name(),
                          .kind = NameOfKind(segment.entry.kind),
                          .state = NameOfState(segment.kind)};
    if (segment.flaw.has_value()) {
      one.state = "unreadable";
      result_.segments.push_back(std::move(one));
      return absl::OkStatus();
    }
    one.structure_bytes = format::kSegmentHeaderSize;
    uint64_t end = format::kSegmentHeaderSize;
    RecordWalk walk = segment.Walk();
    for (uint64_t record = 0;;) {
      PEAT_ASSIGN_OR_RETURN(const Step step, walk.Next());
      if (step == Step::kRecord) {
        AddRecord(walk, live_.IsCurrent(number, record), &one);
        end = walk.next_offset();
        if (++record % kReportInterval == 0) {
          PEAT_RETURN_IF_ERROR(Report(walk.offset()));
        }
        continue;
      }
      if (step != Step::kDamaged) break;
      PEAT_ASSIGN_OR_RETURN(end, walk.Resync());
      one.damaged_bytes += end - walk.offset();
    }
    bytes_before_ += segment.end;
    const uint64_t size = FileSize(segment);
    one.free_bytes = size > end ? size - end : 0;
    AddToTotal(one);
    result_.segments.push_back(std::move(one));
    return absl::OkStatus();
  }

  static uint64_t FileSize(const SourceSegment& segment) {
    if (segment.file == nullptr) return segment.bytes.size();
    return segment.file->Size().value_or(segment.end);
  }

  absl::Status Report(uint64_t offset) {
    if (on_progress_ == nullptr ||
        on_progress_(bytes_before_ + offset, files_.size_bytes())) {
      return absl::OkStatus();
    }
    return absl::CancelledError("interrupted");
  }

  void AddRecord(const RecordWalk& walk, bool is_current,
                 SegmentInspection* one) {
    const Record& record = walk.record();
    const RecordKind kind = record.header.kind;
    const uint64_t size = walk.record_bytes().size();
    ++one->record_count;
    ++result_.kinds[std::string(NameOf(kind))];
    const bool is_stub = kind == RecordKind::kAuditStub;
    if (format::IsMask(kind) || is_stub) {
      const format::Mask mask = format::DecodeMask(record);
      result_.masks.push_back(
          {.time = mask.time, .kind = is_stub ? mask.stub_of : kind});
    }
    if (!TakesLsn(kind) && !is_stub) {
      one->structure_bytes += size;
      return;
    }
    NoteLsn(record.header.lsn, one);
    NoteReference(record, is_current);
    if (kind == RecordKind::kTombstone) {
      one->tombstone_bytes += size;
      return;
    }
    const bool stays = is_current || is_stub || kind == RecordKind::kForget;
    if (!stays) {
      one->dead_bytes += size;
      return;
    }
    (kind == RecordKind::kPut ? one->live_bytes : one->mask_bytes) += size;
    one->columns[ColumnOf(record.header.lsn)] += size;
    if (is_current) NoteKey(record);
  }

  static void NoteLsn(Lsn lsn, SegmentInspection* one) {
    one->first_lsn = one->first_lsn == 0 ? lsn : std::min(one->first_lsn, lsn);
    one->last_lsn = std::max(one->last_lsn, lsn);
  }

  void NoteKey(const Record& record) {
    switch (record.header.kind) {
      case RecordKind::kForget:
        ++result_.forgotten_count;
        return;
      case RecordKind::kDisable:
        ++result_.disabled_count;
        break;
      default:
        ++result_.live_count;
        break;
    }
    result_.key_sizes.Add(record.key.size());
    const std::string_view value = format::StoredValue(record);
    const auto reference = format::DecodeValueReference(value);
    const bool is_elsewhere =
        (record.header.flags & format::kFlagValueFile) != 0 && reference.ok();
    result_.value_sizes.Add(is_elsewhere ? reference->size : value.size());
  }

  void NoteReference(const Record& record, bool is_current) {
    if ((record.header.flags & format::kFlagValueFile) == 0) return;
    if (record.header.kind == RecordKind::kTombstone) return;
    const auto reference =
        format::DecodeValueReference(format::StoredValue(record));
    if (!reference.ok()) return;
    if (value_files_.insert(reference->file).second) {
      result_.value_file_bytes += reference->size;
    }
    const bool stays = is_current || record.header.kind == RecordKind::kForget;
    if (stays && live_value_files_.insert(reference->file).second) {
      result_.live_value_file_bytes += reference->size;
    }
  }

  void AddToTotal(const SegmentInspection& one) {
    SegmentInspection& total = result_.total;
    total.record_count += one.record_count;
    total.live_bytes += one.live_bytes;
    total.mask_bytes += one.mask_bytes;
    total.tombstone_bytes += one.tombstone_bytes;
    total.dead_bytes += one.dead_bytes;
    total.structure_bytes += one.structure_bytes;
    total.damaged_bytes += one.damaged_bytes;
    total.free_bytes += one.free_bytes;
    for (size_t i = 0; i < one.columns.size(); ++i) {
      total.columns[i] += one.columns[i];
    }
    if (one.last_lsn == 0) return;
    NoteLsn(one.first_lsn, &total);
    NoteLsn(one.last_lsn, &total);
  }

  const StoreFiles& files_;
  const LiveSet& live_;
  const OnProgress& on_progress_;
  Inspection result_;
  Lsn first_lsn_ = 0;
  uint64_t bytes_before_ = 0;
  std::set<format::SegmentId> value_files_;
  std::set<format::SegmentId> live_value_files_;
};

OrderedJson HistogramJson(const Histogram& histogram) {
  OrderedJson array = OrderedJson::array();
  for (size_t i = 0; i < Histogram::kClassCount; ++i) {
    if (histogram.counts[i] == 0) continue;
    OrderedJson one;
    one["from"] = Histogram::LowestOf(i);
    one["to"] = Histogram::HighestOf(i);
    one["count"] = histogram.counts[i];
    one["bytes"] = histogram.bytes[i];
    array.push_back(std::move(one));
  }
  return array;
}

OrderedJson SegmentJson(const SegmentInspection& segment) {
  OrderedJson one;
  if (!segment.name.empty()) {
    one["file"] = segment.name;
    one["kind"] = segment.kind;
    one["state"] = segment.state;
  }
  one["first_lsn"] = segment.first_lsn;
  one["last_lsn"] = segment.last_lsn;
  one["records"] = segment.record_count;
  one["used_bytes"] = segment.used_bytes();
  one["live_bytes"] = segment.live_bytes;
  one["mask_bytes"] = segment.mask_bytes;
  one["tombstone_bytes"] = segment.tombstone_bytes;
  one["dead_bytes"] = segment.dead_bytes;
  one["structure_bytes"] = segment.structure_bytes;
  one["damaged_bytes"] = segment.damaged_bytes;
  one["free_bytes"] = segment.free_bytes;
  one["live_bytes_by_lsn"] = segment.columns;
  return one;
}

std::string FormatTime(uint64_t time) {
  return FormatUtc(MaskTime(std::chrono::microseconds(time)));
}

// Masks by time, in at most so many columns of the same length.
OrderedJson MasksJson(const std::vector<MaskMoment>& masks) {
  constexpr uint64_t kColumnCount = 60;
  OrderedJson object;
  object["count"] = masks.size();
  object["columns"] = OrderedJson::array();
  if (masks.empty()) return object;
  const uint64_t first = masks.front().time;
  const uint64_t width = (masks.back().time - first) / kColumnCount + 1;
  object["from"] = FormatTime(first);
  object["to"] = FormatTime(masks.back().time);
  std::vector<std::array<uint64_t, 3>> counts(
      static_cast<size_t>((masks.back().time - first) / width + 1));
  for (const MaskMoment& mask : masks) {
    const size_t kind = mask.kind == RecordKind::kDisable  ? 0
                        : mask.kind == RecordKind::kEnable ? 1
                                                           : 2;
    ++counts[static_cast<size_t>((mask.time - first) / width)][kind];
  }
  for (size_t i = 0; i < counts.size(); ++i) {
    OrderedJson one;
    one["time"] = FormatTime(first + i * width);
    one["disable"] = counts[i][0];
    one["enable"] = counts[i][1];
    one["forget"] = counts[i][2];
    object["columns"].push_back(std::move(one));
  }
  return object;
}

std::string HistogramText(const char* title, const Histogram& histogram) {
  constexpr uint64_t kBarSize = 40;
  std::string text =
      absl::StrFormat("\n%-24s %14s %18s\n", title, "KEYS", "BYTES");
  const uint64_t most =
      *std::max_element(histogram.counts.begin(), histogram.counts.end());
  for (size_t i = 0; i < Histogram::kClassCount; ++i) {
    const uint64_t count = histogram.counts[i];
    if (count == 0) continue;
    const std::string range =
        absl::StrFormat("%s to %s", WithCommas(Histogram::LowestOf(i)),
                        WithCommas(Histogram::HighestOf(i)));
    const auto bar = static_cast<size_t>(static_cast<double>(count) /
                                         static_cast<double>(most) * kBarSize);
    absl::StrAppendFormat(&text, "%-24s %14s %18s  %s\n", range,
                          WithCommas(count), WithCommas(histogram.bytes[i]),
                          std::string(std::max<size_t>(bar, 1), '#'));
  }
  return text;
}

}  // namespace

void Histogram::Add(uint64_t size) {
  const auto size_class = std::min<size_t>(
      static_cast<size_t>(std::bit_width(size)), kClassCount - 1);
  ++counts[size_class];
  bytes[size_class] += size;
}

uint64_t Histogram::LowestOf(size_t size_class) {
  return size_class == 0 ? 0 : uint64_t{1} << (size_class - 1);
}

uint64_t Histogram::HighestOf(size_t size_class) {
  return size_class == 0 ? 0 : (uint64_t{1} << size_class) - 1;
}

double Inspection::amplification() const {
  const uint64_t stays = total.live_bytes + total.mask_bytes +
                         total.tombstone_bytes + live_value_file_bytes;
  if (stays == 0) return 1;
  return static_cast<double>(total.used_bytes() + value_file_bytes) /
         static_cast<double>(stays);
}

absl::StatusOr<Inspection> InspectStore(const StoreFiles& files,
                                        const OnProgress& on_progress) {
  PEAT_ASSIGN_OR_RETURN(const LiveSet live, LiveSet::Make(files, on_progress));
  return Inspector(files, live, on_progress).Run();
}

OrderedJson InspectionJson(const Inspection& inspection) {
  OrderedJson object;
  object["store_id"] = inspection.store_id;
  object["generation"] = inspection.generation;
  object["keys"] = {{"live", inspection.live_count},
                    {"disabled", inspection.disabled_count},
                    {"forgotten", inspection.forgotten_count}};
  object["kinds"] = inspection.kinds;
  object["total"] = SegmentJson(inspection.total);
  object["amplification"] = inspection.amplification();
  object["value_files"] = {{"count", inspection.value_file_count},
                           {"bytes", inspection.value_file_bytes},
                           {"live_bytes", inspection.live_value_file_bytes}};
  object["damaged_ranges"] = inspection.gap_count;
  object["key_sizes"] = HistogramJson(inspection.key_sizes);
  object["value_sizes"] = HistogramJson(inspection.value_sizes);
  object["masks"] = MasksJson(inspection.masks);
  object["segments"] = OrderedJson::array();
  for (const SegmentInspection& segment : inspection.segments) {
    object["segments"].push_back(SegmentJson(segment));
  }
  return object;
}

std::string InspectionText(const Inspection& inspection) {
  const SegmentInspection& total = inspection.total;
  std::string text = absl::StrFormat(
      "store          %s, generation %d\n"
      "keys           %s live, %s disabled, %s forgotten\n"
      "lsns           %d to %d\n",
      inspection.store_id, inspection.generation,
      WithCommas(inspection.live_count), WithCommas(inspection.disabled_count),
      WithCommas(inspection.forgotten_count), total.first_lsn, total.last_lsn);
  if (!inspection.masks.empty()) {
    absl::StrAppendFormat(&text, "masks          from %s to %s\n",
                          FormatTime(inspection.masks.front().time),
                          FormatTime(inspection.masks.back().time));
  }
  absl::StrAppendFormat(
      &text,
      "segments       %d, %s bytes used, %s free\n"
      "value files    %d, %s bytes, %s of current records\n"
      "amplification  %.2f used bytes for each that must stay\n",
      inspection.segments.size(), WithCommas(total.used_bytes()),
      WithCommas(total.free_bytes), inspection.value_file_count,
      WithCommas(inspection.value_file_bytes),
      WithCommas(inspection.live_value_file_bytes), inspection.amplification());
  if (inspection.gap_count > 0) {
    absl::StrAppendFormat(&text,
                          "damage         %d ranges, %s bytes: see peat "
                          "verify\n",
                          inspection.gap_count,
                          WithCommas(total.damaged_bytes));
  }
  text += "records       ";
  for (const auto& [kind, count] : inspection.kinds) {
    absl::StrAppendFormat(&text, " %s %s", WithCommas(count), kind);
  }
  text += "\n";
  text += HistogramText("KEY SIZE", inspection.key_sizes);
  text += HistogramText("VALUE SIZE", inspection.value_sizes);
  absl::StrAppendFormat(&text,
                        "\n%-12s %-9s %-10s %12s %12s %9s %11s %11s %9s %9s "
                        "%11s %9s\n",
                        "SEGMENT", "KIND", "STATE", "FIRST LSN", "LAST LSN",
                        "RECORDS", "USED", "LIVE", "MASK", "TOMBSTONE", "DEAD",
                        "FREE");
  for (const SegmentInspection& one : inspection.segments) {
    absl::StrAppendFormat(
        &text, "%-12s %-9s %-10s %12d %12d %9d %11d %11d %9d %9d %11d %9d\n",
        one.name, one.kind, one.state, one.first_lsn, one.last_lsn,
        one.record_count, one.used_bytes(), one.live_bytes, one.mask_bytes,
        one.tombstone_bytes, one.dead_bytes, one.free_bytes);
  }
  return text;
}

}  // namespace peat::tools
