#include "engine/compact/key_filters.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/segment/seeded_bug.h"
#include "engine/segment/segment_scanner.h"
#include "format/file_name.h"
#include "format/hint_file.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::ByteView;
using format::HintSectionKind;
using format::KeyFilter;
using format::ManifestSegment;
using format::StoreId;

// No hint file is longer: one key a record, and the records are in a segment.
constexpr uint64_t kHintSizeMax = uint64_t{64} << 20;

absl::StatusOr<KeyFilter> ReadHint(const Directory& directory,
                                   const StoreId& store_id,
                                   const ManifestSegment& entry) {
  PEAT_ASSIGN_OR_RETURN(
      const std::unique_ptr<File> file,
      directory.Open(format::HintFileName(entry.id), OpenMode::kRead));
  PEAT_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  if (size > kHintSizeMax) return absl::DataLossError("hint file is too long");
  std::vector<std::byte> bytes(size);
  PEAT_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(0, bytes));
  PEAT_ASSIGN_OR_RETURN(
      const ByteView section,
      format::FindHintSection(ByteView(bytes).first(got), store_id, entry,
                              HintSectionKind::kKeyFilter));
  return KeyFilter::Decode(section);
}

// Its keys were chosen so that no filter of them can be made: it can hold any.
absl::Status NoFilter(const ManifestSegment& entry) {
  return absl::InternalError(absl::StrFormat(
      "no key filter of %s can be made", format::SegmentFileName(entry.id)));
}

absl::StatusOr<KeyFilter> MakeFilter(const ManifestSegment& entry,
                                     const Segment& segment) {
  std::vector<std::byte> buffer;
  segment.WillNeedAll();
  PEAT_ASSIGN_OR_RETURN(const ByteView bytes, segment.ReadAll(&buffer));
  std::vector<uint64_t> hashes;
  SegmentScanner scanner(bytes, entry.salt, format::kSegmentHeaderSize,
                         entry.end);
  while (scanner.Next() == SegmentScanner::Step::kRecord) {
    if (!IsInKeyFilter(scanner.record().header.kind)) continue;
    hashes.push_back(format::FilterHash(scanner.record().key));
  }
  if (scanner.offset() != entry.end) {
    return segment.DamagedAt(scanner.offset());
  }
  std::optional<KeyFilter> made = KeyFilter::Build(hashes);
  if (!made.has_value()) return NoFilter(entry);
  return *std::move(made);
}

// Not synced: whatever a crash leaves of it does not match its checksums.
absl::Status WriteHint(Directory& directory, const StoreId& store_id,
                       const ManifestSegment& entry, const KeyFilter& filter) {
  const std::string name = format::HintFileName(entry.id);
  absl::StatusOr<std::unique_ptr<File>> file = directory.Create(name);
  if (absl::IsAlreadyExists(file.status())) {
    PEAT_RETURN_IF_ERROR(directory.Unlink(name));
    file = directory.Create(name);
  }
  PEAT_RETURN_IF_ERROR(file.status());
  const std::string bytes = EncodeHintFile(
      store_id, entry,
      {{.kind = HintSectionKind::kKeyFilter, .bytes = filter.Encode()}});
  return (*file)->WriteAt(0, format::AsBytes(bytes));
}

// What cannot be written now is made again when it is asked for again.
void Save(Directory& directory, const StoreId& store_id,
          const ManifestSegment& entry, const KeyFilter& filter) {
  if (!WriteHint(directory, store_id, entry, filter).ok()) {
    (void)directory.Unlink(format::HintFileName(entry.id));
  }
}

}  // namespace

absl::StatusOr<KeyFilter> FindKeyFilter(Directory& directory,
                                        const StoreId& store_id,
                                        const ManifestSegment& entry,
                                        const Segment& segment) {
  absl::StatusOr<KeyFilter> filter = ReadHint(directory, store_id, entry);
  if (filter.ok()) return filter;
  if (HasBug(Bug::kHintTrusted) && absl::IsDataLoss(filter.status())) {
    return KeyFilter();
  }
  PEAT_ASSIGN_OR_RETURN(KeyFilter made, MakeFilter(entry, segment));
  Save(directory, store_id, entry, made);
  return made;
}

bool HasKeyFilter(const Directory& directory, const StoreId& store_id,
                  const ManifestSegment& entry) {
  return ReadHint(directory, store_id, entry).ok();
}

void SaveKeyFilter(Directory& directory, const StoreId& store_id,
                   const ManifestSegment& entry,
                   const std::vector<uint64_t>& hashes) {
  const std::optional<KeyFilter> made = KeyFilter::Build(hashes);
  if (made.has_value()) Save(directory, store_id, entry, *made);
}

}  // namespace peat::engine
