// File names: see file_name.h.

#include "format/file_name.h"

#include "absl/strings/str_format.h"
#include "format/check.h"

namespace peat::format {
namespace {

constexpr size_t kIdDigitsMin = 6;

// The id that `digits` spells, in the one way in which ids are written.
std::optional<SegmentId> ParseId(std::string_view digits) {
  if (digits.size() < kIdDigitsMin) return std::nullopt;
  if (digits.size() > kIdDigitsMin && digits.front() == '0') {
    return std::nullopt;
  }
  SegmentId id = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    const auto units = static_cast<SegmentId>(digit - '0');
    if (id > (kSegmentIdMax - units) / 10) return std::nullopt;
    id = 10 * id + units;
  }
  if (id == 0) return std::nullopt;
  return id;
}

std::optional<FileKind> KindOfSuffix(std::string_view suffix) {
  if (suffix == ".seg") return FileKind::kSegment;
  if (suffix == ".val") return FileKind::kValue;
  if (suffix == ".hint") return FileKind::kHint;
  if (suffix == ".snap") return FileKind::kSnapshot;
  return std::nullopt;
}

std::string FileNameOf(SegmentId id, std::string_view suffix) {
  PEAT_CHECK(id != 0);
  PEAT_CHECK(id <= kSegmentIdMax);
  return absl::StrFormat("%06d%s", id, suffix);
}

}  // namespace

std::string SegmentFileName(SegmentId id) { return FileNameOf(id, ".seg"); }

std::string ValueFileName(SegmentId id) { return FileNameOf(id, ".val"); }

std::string HintFileName(SegmentId id) { return FileNameOf(id, ".hint"); }

std::string SnapshotFileName(SegmentId id) { return FileNameOf(id, ".snap"); }

std::optional<FileName> ParseFileName(std::string_view name) {
  if (name.find('/') != std::string_view::npos) return std::nullopt;
  if (name == kLockFileName) return FileName{.kind = FileKind::kLock};
  for (const char* manifest : kManifestFileNames) {
    if (name == manifest) return FileName{.kind = FileKind::kManifest};
  }
  for (const char* reserve : kReserveFileNames) {
    if (name == reserve) return FileName{.kind = FileKind::kReserve};
  }
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  const std::string_view stem = name.substr(0, dot);
  const std::string_view suffix = name.substr(dot);
  if (suffix == ".tmp") return FileName{.kind = FileKind::kTemporary};
  const std::optional<FileKind> kind = KindOfSuffix(suffix);
  const std::optional<SegmentId> id = ParseId(stem);
  if (!kind.has_value() || !id.has_value()) return std::nullopt;
  return FileName{.kind = *kind, .id = *id};
}

}  // namespace peat::format
