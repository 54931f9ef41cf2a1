#include "tools/offline/store_files.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/log/manifest_store.h"
#include "engine/recover/manifest_age.h"
#include "engine/recover/recovery.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::tools {
namespace {

using engine::Directory;
using engine::File;
using format::FileKind;
using format::FileName;
using format::Manifest;
using format::ManifestSegment;
using format::SegmentHeader;
using format::SegmentKind;
using format::SegmentState;
using format::StoreId;

// As the engine does, beside a process that writes.
constexpr int kReadAttempts = 20;

absl::StatusOr<SegmentHeader> ReadHeader(const File& file) {
  std::array<std::byte, format::kSegmentHeaderSize> bytes = {};
  PEAT_ASSIGN_OR_RETURN(const size_t got, file.ReadAt(0, bytes));
  return format::DecodeSegmentHeader(format::ByteView(bytes).first(got));
}

ManifestSegment EntryOf(const SegmentHeader& header) {
  return {.id = header.id,
          .salt = header.salt,
          .capacity = header.capacity,
          .kind = header.kind};
}

// The manifest has the salt, so a record is known by itself, whatever its
// file's header says.
void SetFlaw(std::optional<FileFlaw> flaw, SourceSegment* segment) {
  if (!flaw.has_value()) return;
  (flaw->is_unreadable ? segment->flaw : segment->wound) = std::move(flaw);
}

SourceSegment OpenSealed(const Directory& directory, const Manifest& manifest,
                         const ManifestSegment& entry) {
  SourceSegment segment{.entry = entry, .end = entry.end};
  absl::StatusOr<std::unique_ptr<File>> file =
      directory.Open(segment.name(), engine::OpenMode::kRead);
  if (!file.ok()) {
    segment.flaw = FlawOf(file.status());
    return segment;
  }
  SetFlaw(CheckSegmentFile(**file, entry, manifest.store_id), &segment);
  segment.file = *std::move(file);
  return segment;
}

// Whether nothing has been appended to the segment yet: then it need not be
// held in memory to know where the log ends.
bool IsPrepared(const File& file, const ManifestSegment& entry) {
  const absl::StatusOr<uint64_t> size = file.Size();
  if (!size.ok()) return false;
  RecordWalk walk(&file, {.salt = entry.salt,
                          .begin = format::kSegmentHeaderSize,
                          .end = std::min(*size, entry.capacity)});
  const absl::StatusOr<RecordWalk::Step> step = walk.Next();
  return step.ok() && *step == RecordWalk::Step::kZeros;
}

// Adds the log behind the last seal. A segment that cannot be read is a source
// with a flaw, and the end of the log is sought among the others.
absl::Status AddTail(StoreFiles* files) {
  Manifest readable = *files->manifest;
  std::erase_if(readable.segments, [files](const ManifestSegment& entry) {
    if (entry.state == SegmentState::kSealed) return false;
    SourceSegment source{.entry = entry, .kind = SourceKind::kLoose};
    absl::StatusOr<std::unique_ptr<File>> file =
        files->directory->Open(source.name(), engine::OpenMode::kRead);
    std::optional<FileFlaw> flaw =
        file.ok() ? CheckSegmentFile(**file, entry, files->manifest->store_id)
                  : FlawOf(file.status());
    if (!flaw.has_value()) return IsPrepared(**file, entry);
    const absl::StatusOr<uint64_t> size =
        file.ok() ? (*file)->Size() : file.status();
    // How much of a file was there that is shorter than its header, or gone, is
    // not known.
    if (!size.ok() || *size < format::kSegmentHeaderSize) {
      source.flaw = std::move(flaw);
    } else {
      SetFlaw(std::move(flaw), &source);
      source.end = std::min(*size, entry.capacity);
      source.file = *std::move(file);
    }
    files->segments.push_back(std::move(source));
    return true;
  });
  PEAT_ASSIGN_OR_RETURN(files->tail,
                        engine::FindLogTail(*files->directory, readable,
                                            engine::OpenMode::kRead));
  const bool is_damaged = !files->tail->damage.ok();
  for (const engine::TailSegment& segment : files->tail->used) {
    files->segments.push_back(
        {.entry = segment.entry,
         .kind = is_damaged ? SourceKind::kLoose : SourceKind::kTail,
         .end = is_damaged ? segment.bytes.size() : segment.end,
         .bytes = segment.bytes});
  }
  if (!is_damaged) return absl::OkStatus();
  for (const engine::TailSegment& segment : files->tail->dropped) {
    files->segments.push_back({.entry = segment.entry,
                               .kind = SourceKind::kLoose,
                               .end = segment.bytes.size(),
                               .bytes = segment.bytes});
  }
  return absl::OkStatus();
}

absl::Status AddNamedSegments(StoreFiles* files) {
  for (const ManifestSegment& entry : files->manifest->segments) {
    if (entry.state != SegmentState::kSealed) continue;
    files->segments.push_back(
        OpenSealed(*files->directory, *files->manifest, entry));
  }
  return AddTail(files);
}

using FoundSegments = std::vector<std::pair<StoreId, SourceSegment>>;

// Every segment file with a valid header, and the store that it is of.
FoundSegments ListSegments(const StoreFiles& files) {
  FoundSegments found;
  for (const std::string& name : files.names) {
    const std::optional<FileName> parsed = format::ParseFileName(name);
    if (!parsed.has_value() || parsed->kind != FileKind::kSegment) continue;
    absl::StatusOr<std::unique_ptr<File>> file =
        files.directory->Open(name, engine::OpenMode::kRead);
    if (!file.ok()) continue;
    const absl::StatusOr<SegmentHeader> header = ReadHeader(**file);
    const absl::StatusOr<uint64_t> size = (*file)->Size();
    if (!header.ok() || !size.ok() || header->id != parsed->id ||
        header->kind == SegmentKind::kValue) {
      continue;
    }
    found.emplace_back(header->store_id,
                       SourceSegment{.entry = EntryOf(*header),
                                     .kind = SourceKind::kLoose,
                                     .end = *size,
                                     .file = *std::move(file)});
  }
  return found;
}

// Without a manifest: the segments of the store that most files are of.
void AddFoundSegments(StoreFiles* files) {
  FoundSegments found = ListSegments(*files);
  if (found.empty()) return;
  std::map<StoreId, size_t> counts;
  for (const auto& [store_id, segment] : found) ++counts[store_id];
  const auto most = std::max_element(
      counts.begin(), counts.end(),
      [](const auto& a, const auto& b) { return a.second < b.second; });
  files->store_id = most->first;
  for (auto& [store_id, segment] : found) {
    if (store_id == most->first) files->segments.push_back(std::move(segment));
  }
}

absl::StatusOr<StoreFiles> TryRead(engine::FileSystem& file_system,
                                   const std::filesystem::path& path) {
  StoreFiles files;
  PEAT_ASSIGN_OR_RETURN(files.directory, file_system.OpenDirectory(path));
  PEAT_ASSIGN_OR_RETURN(files.names, files.directory->List());
  for (size_t copy = 0; copy < files.copies.size(); ++copy) {
    absl::StatusOr<Manifest> manifest =
        engine::ReadManifestCopy(*files.directory, copy);
    files.copies[copy].status = manifest.status();
    if (manifest.ok()) files.copies[copy].manifest = *std::move(manifest);
  }
  absl::StatusOr<engine::NewestManifest> newest =
      engine::ReadManifest(*files.directory);
  if (absl::IsUnimplemented(newest.status())) return newest.status();
  files.manifest_status = newest.status();
  if (newest.ok()) {
    files.manifest_status =
        engine::CheckManifestAge(*files.directory, newest->manifest);
  }
  if (files.manifest_status.ok()) {
    files.manifest = std::move(newest->manifest);
    files.store_id = files.manifest->store_id;
    PEAT_RETURN_IF_ERROR(AddNamedSegments(&files));
    files.manifest_status = engine::CheckUnnamedMarks(
        *files.directory, *files.manifest, files.tail->end.last_lsn);
    if (files.manifest_status.ok()) return files;
    files.manifest.reset();
    files.tail.reset();
    files.segments.clear();
  }
  AddFoundSegments(&files);
  return files;
}

bool LooksWrong(const absl::StatusOr<StoreFiles>& files) {
  if (!files.ok() || !files->manifest_status.ok()) return true;
  if (!files->tail->damage.ok()) return true;
  return std::any_of(files->segments.begin(), files->segments.end(),
                     [](const SourceSegment& segment) {
                       return segment.flaw.has_value() ||
                              segment.wound.has_value();
                     });
}

}  // namespace

std::string SourceSegment::name() const {
  return format::SegmentFileName(entry.id);
}

RecordWalk SourceSegment::Walk() const {
  PEAT_CHECK(!flaw.has_value());
  const RecordWalk::Bounds bounds{
      .salt = entry.salt, .begin = format::kSegmentHeaderSize, .end = end};
  if (file == nullptr) return RecordWalk(bytes, bounds);
  return RecordWalk(file.get(), bounds);
}

void SourceSegment::OpenPart(uint64_t begin, uint64_t part_end,
                             RecordWalk* walk) const {
  PEAT_CHECK(!flaw.has_value());
  const RecordWalk::Bounds bounds{
      .salt = entry.salt, .begin = begin, .end = part_end};
  if (file == nullptr) {
    walk->Open(bytes, bounds);
  } else {
    walk->Open(file.get(), bounds);
  }
}

bool StoreFiles::is_store() const {
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    const std::optional<FileName> parsed = format::ParseFileName(name);
    return parsed.has_value() && (parsed->kind == FileKind::kManifest ||
                                  parsed->kind == FileKind::kSegment ||
                                  parsed->kind == FileKind::kValue);
  });
}

uint64_t StoreFiles::size_bytes() const {
  uint64_t size = 0;
  for (const SourceSegment& segment : segments) size += segment.end;
  return size;
}

absl::StatusOr<StoreFiles> ReadStoreFiles(engine::FileSystem& file_system,
                                          const std::filesystem::path& path) {
  absl::StatusOr<StoreFiles> files = TryRead(file_system, path);
  for (int attempt = 1; attempt < kReadAttempts && LooksWrong(files);
       ++attempt) {
    absl::StatusOr<StoreFiles> again = TryRead(file_system, path);
    // The same twice with nothing changed between is how it is.
    const bool is_same =
        files.ok() && again.ok() && files->manifest == again->manifest;
    const bool both_failed = !files.ok() && !again.ok();
    files = std::move(again);
    if (is_same || both_failed) break;
  }
  return files;
}

void FindStrays(StoreFiles* files) {
  PEAT_CHECK(files->manifest.has_value());
  for (auto& [store_id, segment] : ListSegments(*files)) {
    const auto& named = files->manifest->segments;
    const bool is_named =
        std::any_of(named.begin(), named.end(),
                    [id = segment.entry.id](const ManifestSegment& entry) {
                      return entry.id == id;
                    });
    if (is_named || store_id != files->store_id) continue;
    files->strays.push_back(std::move(segment));
  }
}

absl::StatusOr<std::unique_ptr<engine::DirectoryLock>> LockOut(
    engine::Directory& directory, const std::vector<std::string>& names) {
  const bool has_lock = std::find(names.begin(), names.end(),
                                  format::kLockFileName) != names.end();
  if (!has_lock) return nullptr;
  absl::StatusOr<std::unique_ptr<engine::DirectoryLock>> lock =
      directory.Lock(format::kLockFileName);
  if (!lock.ok() && !absl::IsUnavailable(lock.status())) return nullptr;
  return lock;
}

absl::StatusOr<SourceSegment> ReadLoneSegment(const Directory& directory,
                                              const std::string& name) {
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                        directory.Open(name, engine::OpenMode::kRead));
  PEAT_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  const absl::StatusOr<SegmentHeader> header = ReadHeader(*file);
  SourceSegment segment{.kind = SourceKind::kLoose};
  if (header.ok()) {
    segment.entry = EntryOf(*header);
  } else {
    if (absl::IsUnimplemented(header.status())) return header.status();
    // The manifest beside it knows the salt, too.
    const std::optional<FileName> parsed = format::ParseFileName(name);
    const absl::StatusOr<engine::NewestManifest> manifest =
        engine::ReadManifest(directory);
    bool is_named = false;
    if (manifest.ok() && parsed.has_value() &&
        parsed->kind == FileKind::kSegment) {
      for (const ManifestSegment& entry : manifest->manifest.segments) {
        if (entry.id != parsed->id) continue;
        segment.entry = entry;
        is_named = true;
      }
    }
    if (!is_named) {
      return absl::DataLossError(absl::StrFormat(
          "%s offset 0: %s", name, std::string(header.status().message())));
    }
  }
  if (segment.entry.kind == SegmentKind::kValue) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s holds one large value and no records", name));
  }
  segment.end = std::min(size, format::kSegmentSizeMax);
  segment.file = std::move(file);
  return segment;
}

FileFlaw FlawOf(const absl::Status& status) {
  if (absl::IsNotFound(status)) {
    return {.what = "missing, and the manifest names it"};
  }
  return {.what = std::string(status.message()),
          .is_unreadable = !absl::IsFailedPrecondition(status)};
}

std::optional<FileFlaw> CheckSegmentFile(const File& file,
                                         const ManifestSegment& entry,
                                         const StoreId& store_id) {
  const absl::StatusOr<uint64_t> size = file.Size();
  if (!size.ok()) return FlawOf(size.status());
  const bool is_sealed = entry.state == SegmentState::kSealed;
  const uint64_t wanted = is_sealed ? entry.end : format::kSegmentHeaderSize;
  const absl::StatusOr<SegmentHeader> header = ReadHeader(file);
  if (absl::IsOutOfRange(header.status())) {
    return FileFlaw{*size, "the file ends within its header"};
  }
  if (!header.ok() && !absl::IsDataLoss(header.status())) {
    return FlawOf(header.status());
  }
  if (!header.ok()) {
    return FileFlaw{0, std::string(header.status().message())};
  }
  if (header->store_id != store_id) {
    return FileFlaw{40, "the segment is of another store"};
  }
  if (header->id != entry.id) {
    return FileFlaw{24, absl::StrFormat("the file is segment %d, the manifest "
                                        "says %d",
                                        header->id, entry.id)};
  }
  if (header->salt != entry.salt || header->kind != entry.kind ||
      header->capacity != entry.capacity) {
    return FileFlaw{20, "kind, salt or capacity are not as the manifest says"};
  }
  if (*size < wanted) {
    return FileFlaw{*size, absl::StrFormat("the file ends, the manifest says "
                                           "that records go on up to %d",
                                           wanted)};
  }
  return std::nullopt;
}

}  // namespace peat::tools
