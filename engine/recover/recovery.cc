#include "engine/recover/recovery.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/log/segment_allocator.h"
#include "engine/recover/index_image_reader.h"
#include "engine/segment/seeded_bug.h"
#include "engine/segment/segment_scanner.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/segment_header.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::FileKind;
using format::FileName;
using format::Manifest;
using format::ManifestSegment;
using format::SegmentId;
using format::SegmentState;

constexpr uint64_t kPageSize = 4096;

// Segments of a store that is read with pread keep their file open, up to so
// many; the rest open it for each read.
constexpr size_t kOpenFilesMax = 256;

// Stores the pages from `begin` to the end of the log in `segment` again, so
// that the next sync writes them whatever the kernel believes of them.
void StorePagesAgain(TailSegment& segment, uint64_t begin) {
  const uint64_t first = begin / kPageSize * kPageSize;
  for (uint64_t page = first; page < segment.end; page += kPageSize) {
    const uint64_t size = std::min(kPageSize, segment.end - page);
    const std::vector<std::byte> copy(
        segment.bytes.begin() + static_cast<std::ptrdiff_t>(page),
        segment.bytes.begin() + static_cast<std::ptrdiff_t>(page + size));
    segment.mapping->Store(page, copy);
  }
}

// The same for a value file, which is written, not mapped.
absl::Status StoreValueAgain(Directory& directory,
                             const format::ValueReference& value) {
  constexpr uint64_t kPieceSize = uint64_t{1} << 20;
  PEAT_ASSIGN_OR_RETURN(
      const std::unique_ptr<File> file,
      directory.Open(format::ValueFileName(value.file), OpenMode::kReadWrite));
  const uint64_t size = format::kSegmentHeaderSize + value.size;
  std::vector<std::byte> piece(std::min(kPieceSize, size));
  for (uint64_t offset = 0; offset < size; offset += kPieceSize) {
    const std::span<std::byte> bytes =
        std::span(piece).first(std::min(kPieceSize, size - offset));
    PEAT_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(offset, bytes));
    PEAT_RETURN_IF_ERROR(file->WriteAt(offset, bytes.first(got)));
  }
  return file->Sync();
}

// Where the part of `segment` begins that no mark vouches for.
uint64_t UnprovenBegin(const TailSegment& segment, const LogEnd& mark) {
  if (segment.last_lsn <= mark.last_lsn) return segment.end;
  if (segment.entry.id == mark.segment) return mark.end;
  return 0;
}

void SealEntry(Manifest& manifest, const TailSegment& segment) {
  const auto entry = std::find_if(
      manifest.segments.begin(), manifest.segments.end(),
      [&](const ManifestSegment& one) { return one.id == segment.entry.id; });
  PEAT_CHECK(entry != manifest.segments.end());
  entry->state = SegmentState::kSealed;
  entry->end = segment.end;
  entry->first_lsn = segment.first_lsn;
  entry->last_lsn = segment.last_lsn;
  entry->last_checksum = segment.last_checksum;
  NoteExpiries(segment.expiries, &*entry);
}

SegmentIdentity IdentityOf(const ManifestSegment& entry) {
  return {.id = entry.id,
          .salt = entry.salt,
          .capacity = entry.capacity,
          .kind = entry.kind};
}

// `file` may be null where it is read with pread.
absl::StatusOr<std::shared_ptr<Segment>> OpenSegment(
    const Directory& directory, const ManifestSegment& entry,
    std::unique_ptr<File> file, ReadMethod read_method) {
  std::shared_ptr<Segment> segment;
  if (read_method == ReadMethod::kMapped) {
    PEAT_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> mapping,
                          file->Map(entry.end, MapMode::kRead));
    segment = std::make_shared<Segment>(IdentityOf(entry), std::move(mapping));
  } else {
    segment = std::make_shared<Segment>(IdentityOf(entry), &directory,
                                        std::move(file), entry.end);
  }
  segment->set_end(entry.end);
  segment->expiries() = ExpiriesOf(entry);
  return segment;
}

// Adds those that have a number, and then the other ones of `sources`.
absl::Status AddAll(
    const std::vector<ReplaySource>& sources,
    const std::map<format::SegmentNumber, std::shared_ptr<Segment>>& numbered,
    SegmentSet* segments) {
  for (const auto& [number, segment] : numbered) {
    segments->AddNumbered(segment, number);
  }
  for (const ReplaySource& source : sources) {
    if (source.segment->number() != 0) continue;
    PEAT_RETURN_IF_ERROR(segments->Add(source.segment));
  }
  return absl::OkStatus();
}

// The failure, if it may be due to a process that writes beside us.
absl::Status CheckNotMovedOn(const Directory& directory,
                             const Manifest& manifest,
                             const absl::Status& failure) {
  PEAT_ASSIGN_OR_RETURN(const NewestManifest now, ReadManifest(directory));
  return now.manifest.generation == manifest.generation ? absl::OkStatus()
                                                        : failure;
}

// Opens the file of a sealed segment whatever is wrong with it, and reduces
// `entry->end` to what there is; null: there is nothing. The salt is the
// manifest's, so each record is known by itself.
absl::StatusOr<std::unique_ptr<File>> OpenAsFarAsItGoes(
    const Directory& directory, const Manifest& manifest,
    ManifestSegment* entry, std::vector<LostRange>* lost) {
  absl::StatusOr<std::unique_ptr<File>> file =
      OpenSegmentFile(directory, *entry, manifest.store_id, OpenMode::kRead);
  if (file.ok() || !absl::IsDataLoss(file.status())) return file;
  PEAT_RETURN_IF_ERROR(CheckNotMovedOn(directory, manifest, file.status()));
  const std::string name = format::SegmentFileName(entry->id);
  file = directory.Open(name, OpenMode::kRead);
  const absl::StatusOr<uint64_t> size =
      file.ok() ? (*file)->Size() : file.status();
  if (!size.ok() || *size <= format::kSegmentHeaderSize) {
    lost->push_back({.where = {.file = name, .size = entry->end},
                     .hidden_up_to = entry->last_lsn});
    return nullptr;
  }
  if (*size >= entry->end) {
    lost->push_back(
        {.where = {.file = name, .size = format::kSegmentHeaderSize}});
    return file;
  }
  // What is hidden shows in the lsns, as replay compares them.
  const uint64_t end =
      *size / format::kRecordAlignment * format::kRecordAlignment;
  lost->push_back(
      {.where = {.file = name, .offset = end, .size = entry->end - end}});
  entry->end = end;
  return file;
}

// What the snapshot has counted in a segment.
void CountAs(const format::SnapshotSegment& known, Segment* segment) {
  segment->counter().Add({.live_bytes = known.live_bytes,
                          .tombstone_bytes = known.tombstone_bytes,
                          .value_bytes = known.value_bytes,
                          .live_value_bytes = known.live_value_bytes});
  segment->mask_counts().Add(KeyState::kDisabled,
                             static_cast<int64_t>(known.disabled));
  segment->mask_counts().Add(KeyState::kForgotten,
                             static_cast<int64_t>(known.forgotten));
  for (const SegmentId file : known.values) segment->AddValueFile(file);
  segment->SetCountsOfImage();
}

// Whose a segment or value file is, by its header; nullopt: nobody's, it has
// only such a name. Fails when that cannot be read.
absl::StatusOr<std::optional<format::StoreId>> OwnerOf(
    const Directory& directory, const std::string& name, SegmentId id) {
  const absl::StatusOr<std::unique_ptr<File>> file =
      directory.Open(name, OpenMode::kRead);
  absl::Status status = file.status();
  std::array<std::byte, format::kSegmentHeaderSize> bytes = {};
  size_t size = 0;
  if (status.ok()) {
    const absl::StatusOr<size_t> got = (*file)->ReadAt(0, bytes);
    size = got.value_or(0);
    status = got.status();
  }
  // Others are no regular files.
  if (absl::IsDataLoss(status) || absl::IsResourceExhausted(status)) {
    return status;
  }
  const absl::StatusOr<format::SegmentHeader> header =
      format::DecodeSegmentHeader(format::ByteView(bytes).first(size));
  if (!header.ok() || header->id != id) return std::nullopt;
  return header->store_id;
}

bool IsSegmentOrValue(FileKind kind) {
  return kind == FileKind::kSegment || kind == FileKind::kValue;
}

}  // namespace

absl::StatusOr<Contents> Inspect(const Directory& directory) {
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  bool has_manifest = false;
  std::string foreign;
  std::string segment;
  for (const std::string& name : names) {
    const std::optional<FileName> parsed = format::ParseFileName(name);
    if (!parsed.has_value()) {
      // What a file system puts into the root of every volume.
      if (name != "lost+found") foreign = name;
    } else if (parsed->kind == FileKind::kManifest) {
      has_manifest = true;
    } else if (parsed->kind == FileKind::kSegment ||
               parsed->kind == FileKind::kValue) {
      segment = name;
    }
  }
  if (has_manifest) {
    const absl::Status status = ReadManifest(directory).status();
    // Nothing but manifests that were never completed: Open() was cut short.
    if (absl::IsDataLoss(status) && segment.empty() && foreign.empty()) {
      return Contents::kUnfinishedStore;
    }
    return Contents::kStore;
  }
  if (!segment.empty()) {
    return absl::DataLossError(absl::StrFormat(
        "MANIFEST-0 and MANIFEST-1 are missing, %s is there", segment));
  }
  if (!foreign.empty()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("the directory holds %s and no store", foreign));
  }
  return Contents::kNothing;
}

Manifest NewManifest(FileSystem& file_system) {
  Manifest manifest;
  file_system.Randomize(manifest.store_id);
  file_system.Randomize(manifest.hash_seed);
  return manifest;
}

absl::Status Mend(LogTail& tail, Directory& directory,
                  ManifestStore& manifest) {
  PEAT_CHECK(tail.damage.ok());
  if (tail.used.empty() && tail.dropped.empty()) return manifest.Confirm();
  for (TailSegment& segment : tail.used) {
    PEAT_CHECK(segment.first_lsn != 0);
    if (!HasBug(Bug::kTailNotStoredAgain)) {
      StorePagesAgain(segment, UnprovenBegin(segment, tail.last_mark));
    }
    PEAT_RETURN_IF_ERROR(segment.file->Truncate(segment.end));
    if (HasBug(Bug::kMendNotSynced)) continue;
    PEAT_RETURN_IF_ERROR(segment.file->Sync());
  }
  for (const format::ValueReference& value : tail.unproven_values) {
    PEAT_RETURN_IF_ERROR(StoreValueAgain(directory, value));
  }
  PEAT_RETURN_IF_ERROR(directory.Sync());
  PEAT_RETURN_IF_ERROR(manifest.Reserve(manifest.Current().segments.size()));
  PEAT_RETURN_IF_ERROR(manifest.Edit([&tail](Manifest& edited) {
    for (const TailSegment& segment : tail.used) SealEntry(edited, segment);
    for (const TailSegment& segment : tail.dropped) {
      EraseSegment(edited, segment.entry.id);
    }
    edited.durable_lsn = std::max(edited.durable_lsn, tail.end.last_lsn);
  }));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ReplaySource>> OpenSealed(
    const Directory& directory, const Manifest& manifest,
    ReadMethod read_method, const format::IndexImage* snapshot,
    SegmentSet* segments) {
  std::vector<ReplaySource> sources;
  std::map<format::SegmentNumber, std::shared_ptr<Segment>> numbered;
  size_t open_files = 0;
  for (const ManifestSegment& entry : manifest.segments) {
    if (entry.state != SegmentState::kSealed) continue;
    PEAT_ASSIGN_OR_RETURN(
        std::unique_ptr<File> file,
        OpenSegmentFile(directory, entry, manifest.store_id, OpenMode::kRead));
    if (read_method == ReadMethod::kPositional &&
        ++open_files > kOpenFilesMax) {
      file.reset();
    }
    PEAT_ASSIGN_OR_RETURN(
        std::shared_ptr<Segment> segment,
        OpenSegment(directory, entry, std::move(file), read_method));
    const format::SnapshotSegment* const known =
        snapshot == nullptr ? nullptr : FindSegment(*snapshot, entry.id);
    ReplaySource source{.segment = segment, .entry = entry};
    if (known != nullptr) {
      CountAs(*known, segment.get());
      numbered[known->number] = segment;
      source.begin = std::max(source.begin, known->end);
      source.lsn_before = known->last_lsn;
    }
    if (known != nullptr && source.begin == entry.end) continue;
    sources.push_back(std::move(source));
  }
  PEAT_RETURN_IF_ERROR(AddAll(sources, numbered, segments));
  return sources;
}

absl::StatusOr<std::vector<ReplaySource>> OpenSealedDespiteDamage(
    const Directory& directory, const Manifest& manifest,
    const format::IndexImage* snapshot, SegmentSet* segments,
    std::vector<LostRange>* lost) {
  std::vector<ReplaySource> sources;
  std::map<format::SegmentNumber, std::shared_ptr<Segment>> numbered;
  for (const ManifestSegment& entry : manifest.segments) {
    if (entry.state != SegmentState::kSealed) continue;
    ManifestSegment readable = entry;
    PEAT_ASSIGN_OR_RETURN(
        std::unique_ptr<File> file,
        OpenAsFarAsItGoes(directory, manifest, &readable, lost));
    if (file == nullptr) continue;
    if (sources.size() >= kOpenFilesMax) file.reset();
    PEAT_ASSIGN_OR_RETURN(std::shared_ptr<Segment> segment,
                          OpenSegment(directory, readable, std::move(file),
                                      ReadMethod::kPositional));
    const format::SnapshotSegment* const known =
        snapshot == nullptr ? nullptr : FindSegment(*snapshot, entry.id);
    if (known != nullptr) numbered[known->number] = segment;
    sources.push_back({.segment = std::move(segment), .entry = readable});
  }
  PEAT_RETURN_IF_ERROR(AddAll(sources, numbered, segments));
  return sources;
}

absl::Status DropUnreadableTail(const Directory& directory, Manifest* manifest,
                                std::vector<LostRange>* lost) {
  std::vector<SegmentId> unreadable;
  for (const ManifestSegment& entry : manifest->segments) {
    if (entry.state == SegmentState::kSealed) continue;
    absl::Status status =
        OpenSegmentFile(directory, entry, manifest->store_id, OpenMode::kRead)
            .status();
    if (status.ok()) continue;
    if (!absl::IsDataLoss(status)) return status;
    PEAT_RETURN_IF_ERROR(CheckNotMovedOn(directory, *manifest, status));
    unreadable.push_back(entry.id);
    // It may have held anything.
    lost->push_back({.where = {.file = format::SegmentFileName(entry.id),
                               .size = entry.capacity},
                     .hidden_up_to = UINT64_MAX});
  }
  for (const SegmentId id : unreadable) EraseSegment(*manifest, id);
  return absl::OkStatus();
}

Manifest WithSealedTail(const Manifest& manifest, const LogTail& tail) {
  PEAT_CHECK(tail.damage.ok());
  Manifest sealed = manifest;
  for (const TailSegment& segment : tail.used) SealEntry(sealed, segment);
  return sealed;
}

absl::Status OpenDamagedTail(const Directory& directory, const LogTail& tail,
                             SegmentSet* segments,
                             std::vector<ReplaySource>* sources) {
  // Whatever validates, in all of them. How much is missing is not known.
  for (const std::vector<TailSegment>* list : {&tail.used, &tail.dropped}) {
    for (const TailSegment& segment : *list) {
      const uint64_t end = std::min<uint64_t>(
          segment.bytes.size(),
          format::RoundUp<uint64_t>(
              EndOfNonZero(segment.bytes, format::kSegmentHeaderSize),
              format::kRecordAlignment));
      ManifestSegment entry = segment.entry;
      entry.end = end;
      entry.last_lsn = kUnknownLsn;
      PEAT_ASSIGN_OR_RETURN(
          std::unique_ptr<File> file,
          directory.Open(format::SegmentFileName(entry.id), OpenMode::kRead));
      auto opened = std::make_shared<Segment>(IdentityOf(entry), &directory,
                                              std::move(file), end);
      opened->set_end(end);
      PEAT_RETURN_IF_ERROR(segments->Add(opened));
      sources->push_back({.segment = std::move(opened), .entry = entry});
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLsns(const Manifest& manifest, const LogEnd& log_end) {
  for (const ManifestSegment& entry : manifest.segments) {
    if (entry.state != SegmentState::kSealed) continue;
    if (entry.last_lsn <= log_end.last_lsn) continue;
    return absl::DataLossError(absl::StrFormat(
        "%s goes up to lsn %d, and the log ends at %d",
        format::SegmentFileName(entry.id), entry.last_lsn, log_end.last_lsn));
  }
  return absl::OkStatus();
}

namespace {

// Whether a segment or value file is one of another store.
bool IsForeign(const Directory& directory, const std::string& name,
               SegmentId id, const Manifest& manifest) {
  const absl::StatusOr<std::optional<format::StoreId>> owner =
      OwnerOf(directory, name, id);
  return owner.ok() && owner->has_value() && **owner != manifest.store_id;
}

}  // namespace

std::vector<SegmentId> RemoveOrphans(Directory& directory,
                                     const Manifest& manifest,
                                     const ValueReferences::Counts& value_files,
                                     std::string_view snapshot_name) {
  std::vector<SegmentId> left;
  const absl::StatusOr<std::vector<std::string>> names = directory.List();
  if (!names.ok()) return left;
  for (const std::string& name : *names) {
    const std::optional<FileName> parsed = format::ParseFileName(name);
    if (!parsed.has_value()) continue;
    bool is_orphan = parsed->kind == FileKind::kTemporary;
    if (parsed->kind == FileKind::kSnapshot) is_orphan = name != snapshot_name;
    if (parsed->kind == FileKind::kSegment || parsed->kind == FileKind::kHint) {
      is_orphan = std::none_of(
          manifest.segments.begin(), manifest.segments.end(),
          [&](const ManifestSegment& entry) { return entry.id == parsed->id; });
    }
    if (parsed->kind == FileKind::kValue) {
      is_orphan = !value_files.contains(parsed->id);
    }
    if (!is_orphan) continue;
    const bool is_own_kind = IsSegmentOrValue(parsed->kind);
    const bool is_foreign =
        is_own_kind && IsForeign(directory, name, parsed->id, manifest);
    const bool is_removed = !is_foreign && directory.Unlink(name).ok();
    if (is_own_kind && !is_removed) left.push_back(parsed->id);
  }
  return left;
}

}  // namespace peat::engine
