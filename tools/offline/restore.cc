#include "tools/offline/restore.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "engine/engine.h"
#include "engine/log/manifest_store.h"
#include "engine/recover/log_tail.h"
#include "engine/save/store_copy.h"
#include "engine/write/digest.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/status_macros.h"
#include "peat/audit.h"
#include "tools/offline/store_files.h"

namespace peat::tools {
namespace {

using engine::CopyContents;
using engine::Directory;
using std::filesystem::path;

absl::StatusOr<format::Manifest> ManifestOf(const Directory& directory,
                                            const path& where) {
  absl::StatusOr<engine::NewestManifest> newest =
      engine::ReadManifest(directory);
  if (absl::IsNotFound(newest.status())) {
    return absl::NotFoundError(
        absl::StrFormat("there is no store in %s", where.string()));
  }
  PEAT_RETURN_IF_ERROR(newest.status());
  return std::move(newest->manifest);
}

// What the store in `directory` consists of, if all of it is sealed.
absl::StatusOr<CopyContents> ContentsOf(const Directory& directory,
                                        format::Manifest manifest,
                                        const std::vector<std::string>& names) {
  PEAT_ASSIGN_OR_RETURN(
      const engine::LogTail tail,
      FindLogTail(directory, manifest, engine::OpenMode::kRead));
  PEAT_RETURN_IF_ERROR(tail.damage);
  if (!tail.used.empty() || !tail.dropped.empty()) {
    return absl::FailedPreconditionError(
        "the store was not closed: open it once, as peat checkpoint does");
  }
  CopyContents contents{.manifest = std::move(manifest)};
  std::erase_if(contents.manifest.segments, [](const auto& entry) {
    return entry.state != format::SegmentState::kSealed;
  });
  contents.manifest.durable_lsn = tail.end.last_lsn;
  for (const std::string& name : names) {
    const std::optional<format::FileName> parsed = format::ParseFileName(name);
    if (!parsed.has_value() || parsed->kind != format::FileKind::kValue) {
      continue;
    }
    if (parsed->id >= contents.manifest.next_id) {
      return absl::DataLossError(
          absl::StrFormat("%s is newer than the manifest", name));
    }
    contents.value_files.push_back(parsed->id);
  }
  return contents;
}

// Whoever brought the files here may not have synced them.
absl::Status SyncFiles(const Directory& directory,
                       const CopyContents& contents) {
  const auto sync = [&directory](const std::string& name) -> absl::Status {
    PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<engine::File> file,
                          directory.Open(name, engine::OpenMode::kRead));
    return file->Sync();
  };
  for (const format::ManifestSegment& entry : contents.manifest.segments) {
    PEAT_RETURN_IF_ERROR(sync(format::SegmentFileName(entry.id)));
  }
  for (const format::SegmentId id : contents.value_files) {
    PEAT_RETURN_IF_ERROR(sync(format::ValueFileName(id)));
  }
  return absl::OkStatus();
}

uint64_t MicrosecondsOf(const Mask& mask) {
  return static_cast<uint64_t>(mask.time.time_since_epoch().count());
}

// Equal for a mask and for what RestoreStore() has made of it.
engine::Digest IdentityOf(const Mask& mask) {
  return engine::DigestOf(absl::StrFormat(
      "%d %d %d %s%s", static_cast<int>(mask.kind), MicrosecondsOf(mask),
      mask.key.size(), mask.key, mask.reason));
}

using MaskSet = absl::flat_hash_set<engine::Digest>;

absl::StatusOr<MaskSet> MasksOf(const path& store) {
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<AuditReader> audit,
                        AuditReader::Open(store));
  MaskSet identities;
  const std::unique_ptr<MaskCursor> masks = audit->Masks();
  for (; masks->Valid(); masks->Next()) {
    identities.insert(IdentityOf(masks->mask()));
  }
  PEAT_RETURN_IF_ERROR(masks->status());
  return identities;
}

// Sets `mask`, unless it changes nothing.
absl::Status SetMask(engine::Engine& store, const Mask& mask,
                     RestoreResult* result) {
  PEAT_ASSIGN_OR_RETURN(const engine::KeyState state, store.State(mask.key));
  switch (mask.kind) {
    case MaskKind::kForget:
      if (state == engine::KeyState::kForgotten) break;
      ++result->forget_count;
      return store.Forget(mask.key, mask.reason).status();
    case MaskKind::kDisable:
      if (state != engine::KeyState::kLive) break;
      ++result->disable_count;
      return store.Disable(mask.key, mask.reason);
    case MaskKind::kEnable:
      if (state != engine::KeyState::kDisabled) break;
      ++result->enable_count;
      return store.Enable(mask.key, mask.reason);
  }
  ++result->idle_count;
  return absl::OkStatus();
}

// Sets the masks of the store in `from` that the one in `to` does not have.
absl::Status CarryMasks(engine::FileSystem& file_system, const path& from,
                        const path& to, RestoreResult* result) {
  PEAT_ASSIGN_OR_RETURN(const MaskSet present, MasksOf(to));
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<AuditReader> audit,
                        AuditReader::Open(from));
  uint64_t time = 0;
  engine::Config config;
  config.create_if_missing = false;
  config.background_compaction = false;
  config.wall_clock = [&time] { return time; };
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<engine::Engine> store,
                        engine::Engine::Open(file_system, to, config));
  const std::unique_ptr<MaskCursor> masks = audit->Masks();
  for (; masks->Valid(); masks->Next()) {
    const Mask& mask = masks->mask();
    if (present.contains(IdentityOf(mask))) continue;
    time = MicrosecondsOf(mask);
    PEAT_RETURN_IF_ERROR(SetMask(*store, mask, result));
  }
  PEAT_RETURN_IF_ERROR(masks->status());
  return store->Close();
}

// The masks of another store are of other keys, and a forget is for ever.
absl::Status CheckIsSameStore(engine::FileSystem& file_system,
                              const path& masks_from,
                              const format::StoreId& store_id) {
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory,
                        file_system.OpenDirectory(masks_from));
  PEAT_ASSIGN_OR_RETURN(const format::Manifest manifest,
                        ManifestOf(*directory, masks_from));
  if (manifest.store_id == store_id) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is another store", masks_from.string()));
}

}  // namespace

absl::StatusOr<RestoreResult> RestoreStore(engine::FileSystem& file_system,
                                           const RestorePaths& paths) {
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<Directory> source,
                        file_system.OpenDirectory(paths.from));
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::string> names, source->List());
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<engine::DirectoryLock> lock,
                        LockOut(*source, names));
  PEAT_ASSIGN_OR_RETURN(format::Manifest manifest,
                        ManifestOf(*source, paths.from));
  if (paths.masks_from.has_value()) {
    PEAT_RETURN_IF_ERROR(
        CheckIsSameStore(file_system, *paths.masks_from, manifest.store_id));
  }
  PEAT_ASSIGN_OR_RETURN(
      const std::unique_ptr<engine::StoreCopy> copy,
      engine::StoreCopy::Begin(file_system, *source, paths.to));
  PEAT_ASSIGN_OR_RETURN(const CopyContents contents,
                        ContentsOf(*source, std::move(manifest), names));
  PEAT_RETURN_IF_ERROR(SyncFiles(*source, contents));
  PEAT_ASSIGN_OR_RETURN(const engine::CopyResult copied,
                        copy->Fill(*source, contents));
  RestoreResult result{.lsn = contents.manifest.durable_lsn,
                       .linked_bytes = copied.linked_bytes,
                       .copied_bytes = copied.copied_bytes};
  if (paths.masks_from.has_value()) {
    PEAT_RETURN_IF_ERROR(CarryMasks(file_system, *paths.masks_from,
                                    copy->unfinished_path(), &result));
  }
  PEAT_RETURN_IF_ERROR(copy->Publish());
  return result;
}

}  // namespace peat::tools
