#include "tools/offline/side_checkpoint.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/log/manifest_store.h"
#include "engine/save/store_copy.h"
#include "format/file_name.h"
#include "format/manifest.h"
#include "format/status_macros.h"
#include "tools/offline/store_files.h"
#include "tools/offline/verify.h"

namespace peat::tools {
namespace {

using engine::CopyContents;
using engine::Directory;
using format::ManifestSegment;
using format::SegmentState;

// Each finds a file gone only if the process has gone on meanwhile.
constexpr int kAttempts = 20;

// What is sealed, and the value files that there are.
CopyContents SealedContents(const StoreFiles& files) {
  CopyContents contents{.manifest = *files.manifest};
  std::erase_if(contents.manifest.segments, [](const ManifestSegment& entry) {
    return entry.state != SegmentState::kSealed;
  });
  for (const std::string& name : files.names) {
    const std::optional<format::FileName> parsed = format::ParseFileName(name);
    if (!parsed.has_value() || parsed->kind != format::FileKind::kValue ||
        parsed->id >= files.manifest->next_id) {
      continue;
    }
    contents.value_files.push_back(parsed->id);
  }
  return contents;
}

// A linked value file may not be durable yet, if the log's end refers to it.
absl::Status SyncValues(const StoreFiles& files) {
  for (const format::ValueReference& value : files.tail->unproven_values) {
    PEAT_ASSIGN_OR_RETURN(
        const std::unique_ptr<engine::File> file,
        files.directory->Open(format::ValueFileName(value.file),
                              engine::OpenMode::kRead));
    PEAT_RETURN_IF_ERROR(file->Sync());
  }
  return absl::OkStatus();
}

absl::Status WriteFile(Directory& directory, const std::string& name,
                       format::ByteView bytes) {
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<engine::File> file,
                        directory.Create(name));
  PEAT_RETURN_IF_ERROR(file->WriteAt(0, bytes));
  return file->Sync();
}

// Adds the log behind the last seal to the copy in `directory`, whose manifest
// names what is sealed.
absl::Status AddTail(Directory& directory, const StoreFiles& files,
                     format::Manifest manifest, uint64_t* copied_bytes) {
  for (const engine::TailSegment& segment : files.tail->used) {
    ManifestSegment entry = segment.entry;
    entry.state = SegmentState::kSealed;
    entry.end = segment.end;
    entry.first_lsn = segment.first_lsn;
    entry.last_lsn = segment.last_lsn;
    entry.last_checksum = segment.last_checksum;
    manifest.segments.push_back(entry);
    PEAT_RETURN_IF_ERROR(WriteFile(directory, format::SegmentFileName(entry.id),
                                   segment.bytes.first(segment.end)));
    *copied_bytes += segment.end;
  }
  std::sort(manifest.segments.begin(), manifest.segments.end(),
            [](const ManifestSegment& a, const ManifestSegment& b) {
              return a.id < b.id;
            });
  manifest.durable_lsn = files.tail->end.last_lsn;
  // Above the one that the copy has by now.
  manifest.generation += 2;
  PEAT_RETURN_IF_ERROR(directory.Sync());
  const std::string bytes = EncodeManifest(manifest);
  for (const char* const name : format::kManifestFileNames) {
    PEAT_RETURN_IF_ERROR(directory.Unlink(name));
    PEAT_RETURN_IF_ERROR(WriteFile(directory, name, format::AsBytes(bytes)));
  }
  return directory.Sync();
}

// Not OK because the store has moved on: try again. A failure that is for good
// is in the result.
absl::StatusOr<absl::StatusOr<SideCheckpoint>> Try(
    engine::FileSystem& file_system, const std::filesystem::path& from,
    const std::filesystem::path& to) {
  using Result = absl::StatusOr<SideCheckpoint>;
  absl::StatusOr<StoreFiles> files = ReadStoreFiles(file_system, from);
  if (!files.ok()) return Result(files.status());
  if (!files->is_store()) return Result(absl::NotFoundError("no store"));
  PEAT_RETURN_IF_ERROR(files->manifest_status);
  PEAT_RETURN_IF_ERROR(files->tail->damage);
  absl::StatusOr<std::unique_ptr<engine::StoreCopy>> copy =
      engine::StoreCopy::Begin(file_system, *files->directory, to);
  if (!copy.ok()) return Result(copy.status());
  const CopyContents contents = SealedContents(*files);
  PEAT_RETURN_IF_ERROR(SyncValues(*files));
  PEAT_ASSIGN_OR_RETURN(const engine::CopyResult copied,
                        (*copy)->Fill(*files->directory, contents));
  SideCheckpoint made{.lsn = files->tail->end.last_lsn,
                      .linked_bytes = copied.linked_bytes,
                      .copied_bytes = copied.copied_bytes};
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory,
                        file_system.OpenDirectory((*copy)->unfinished_path()));
  PEAT_RETURN_IF_ERROR(
      AddTail(*directory, *files, contents.manifest, &made.copied_bytes));
  PEAT_ASSIGN_OR_RETURN(
      const VerifyReport report,
      VerifyStore(file_system, (*copy)->unfinished_path(), 1));
  for (const Finding& finding : report.findings) {
    if (finding.severity != Severity::kDamage) continue;
    return absl::DataLossError(absl::StrFormat("%s offset %d: %s", finding.file,
                                               finding.offset, finding.what));
  }
  if (absl::Status status = (*copy)->Publish(); !status.ok()) {
    return Result(std::move(status));
  }
  return Result(made);
}

}  // namespace

absl::StatusOr<SideCheckpoint> CheckpointBeside(
    engine::FileSystem& file_system, const std::filesystem::path& from,
    const std::filesystem::path& to) {
  absl::Status failure;
  std::optional<uint64_t> failed_generation;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory,
                          file_system.OpenDirectory(from));
    const absl::StatusOr<engine::NewestManifest> manifest =
        engine::ReadManifest(*directory);
    absl::StatusOr<absl::StatusOr<SideCheckpoint>> made =
        Try(file_system, from, to);
    if (made.ok()) return *std::move(made);
    failure = made.status();
    // The same twice with nothing changed between is how it is.
    const std::optional<uint64_t> generation =
        manifest.ok() ? std::optional(manifest->manifest.generation)
                      : std::nullopt;
    if (attempt > 0 && generation == failed_generation) return failure;
    failed_generation = generation;
  }
  return absl::AbortedError(
      absl::StrFormat("the store has moved on at every attempt: %s",
                      std::string(failure.message())));
}

}  // namespace peat::tools
