#include "engine/save/store_copy.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/recover/index_image_reader.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::ManifestSegment;
using format::SegmentId;
using std::filesystem::path;

// "a/b/" is "a/b".
path Plain(const path& target) {
  return target.has_filename() ? target : target.parent_path();
}

path ParentOf(const path& target) {
  const path parent = target.parent_path();
  return parent.empty() ? path(".") : parent;
}

bool IsAmong(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

absl::Status CopyFile(const Directory& source, Directory& target,
                      const std::string& name, uint64_t size) {
  constexpr uint64_t kPieceSize = uint64_t{1} << 20;
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<File> from,
                        source.Open(name, OpenMode::kRead));
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<File> to, target.Create(name));
  std::vector<std::byte> piece(std::min(kPieceSize, size));
  for (uint64_t offset = 0; offset < size; offset += kPieceSize) {
    const std::span<std::byte> bytes =
        std::span(piece).first(std::min(kPieceSize, size - offset));
    PEAT_ASSIGN_OR_RETURN(const size_t got, from->ReadAt(offset, bytes));
    if (got != bytes.size()) {
      return absl::DataLossError(
          absl::StrFormat("%s offset %d: the file ends, %d bytes are expected",
                          name, offset + got, size));
    }
    PEAT_RETURN_IF_ERROR(to->WriteAt(offset, bytes));
  }
  return to->Sync();
}

// Both files of the manifest, durably. Reserve() syncs their names, and so
// those of all files that are there.
absl::Status WriteManifest(Directory& directory,
                           const format::Manifest& manifest) {
  Poison poison;
  ManifestStore store(&directory, {.manifest = manifest}, &poison);
  PEAT_RETURN_IF_ERROR(store.Reserve(manifest.segments.size()));
  return store.Edit([](format::Manifest&) {});
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoreCopy>> StoreCopy::Begin(
    FileSystem& file_system, const Directory& source, const path& target) {
  const path plain = Plain(target);
  const std::string name = plain.filename();
  if (name.empty() || name == "." || name == "..") {
    return absl::InvalidArgumentError("a copy needs a name of its own");
  }
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<Directory> parent,
                        file_system.OpenDirectory(ParentOf(plain)));
  PEAT_ASSIGN_OR_RETURN(const bool is_inside, parent->IsSame(source));
  if (is_inside) {
    return absl::InvalidArgumentError("a copy must not lie in the store");
  }
  std::unique_ptr<StoreCopy> copy(new StoreCopy(std::move(parent), plain));
  PEAT_RETURN_IF_ERROR(copy->CheckTarget());
  PEAT_RETURN_IF_ERROR(copy->TakeDirectory(file_system));
  return copy;
}

StoreCopy::StoreCopy(std::unique_ptr<Directory> parent, const path& target)
    : parent_(std::move(parent)),
      name_(target.filename()),
      unfinished_name_(name_ + ".tmp"),
      marker_name_(name_ + ".checkpoint"),
      unfinished_path_(ParentOf(target) / unfinished_name_) {
  // So that a store that is opened here leaves it alone.
  PEAT_CHECK(!format::ParseFileName(marker_name_).has_value());
}

StoreCopy::~StoreCopy() {
  if (lock_ == nullptr || is_published_) return;
  // What cannot be removed is taken over by the next copy to this place.
  if (!Clear().ok() || !directory_->Unlink(marker_name_).ok()) return;
  (void)parent_->RemoveDirectory(unfinished_name_);
}

absl::Status StoreCopy::CheckTarget() const {
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::string> names, parent_->List());
  if (!IsAmong(names, name_)) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrFormat("%s is there already", name_));
}

absl::Status StoreCopy::UnderWay() const {
  return absl::UnavailableError(
      absl::StrFormat("another copy to %s is under way", name_));
}

absl::Status StoreCopy::TakeDirectory(FileSystem& file_system) {
  const absl::Status created = file_system.CreateDirectory(unfinished_path_);
  if (!absl::IsAlreadyExists(created)) PEAT_RETURN_IF_ERROR(created);
  absl::StatusOr<std::unique_ptr<Directory>> directory =
      file_system.OpenDirectory(unfinished_path_);
  // It was there a moment ago.
  if (absl::IsNotFound(directory.status())) return UnderWay();
  PEAT_RETURN_IF_ERROR(directory.status());
  directory_ = *std::move(directory);
  // Somebody's store may have such a name.
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                        directory_->List());
  if (!names.empty() && !IsAmong(names, marker_name_)) {
    return absl::AlreadyExistsError(
        absl::StrFormat("%s is there and no copy cut short", unfinished_name_));
  }
  absl::StatusOr<std::unique_ptr<DirectoryLock>> lock =
      directory_->Lock(marker_name_);
  if (absl::IsUnavailable(lock.status())) return UnderWay();
  PEAT_RETURN_IF_ERROR(lock.status());
  // Who had the lock before may have renamed what was opened above.
  PEAT_RETURN_IF_ERROR(CheckTarget());
  lock_ = *std::move(lock);
  PEAT_RETURN_IF_ERROR(Clear());
  // Before any other name: otherwise this would be nobody's after a crash.
  return directory_->Sync();
}

absl::Status StoreCopy::Clear() {
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                        directory_->List());
  for (const std::string& name : names) {
    if (!format::ParseFileName(name).has_value()) continue;
    PEAT_RETURN_IF_ERROR(directory_->Unlink(name));
  }
  return absl::OkStatus();
}

absl::StatusOr<CopyResult> StoreCopy::Fill(const Directory& source,
                                           const CopyContents& contents) {
  PEAT_CHECK(!is_published_);
  CopyResult result;
  for (const ManifestSegment& entry : contents.manifest.segments) {
    PEAT_CHECK(entry.state == format::SegmentState::kSealed);
    PEAT_RETURN_IF_ERROR(LinkOrCopy(source, format::SegmentFileName(entry.id),
                                    entry.end, &result));
    // A cache: most segments have none, and it can be made again.
    (void)source.Link(format::HintFileName(entry.id), *directory_);
  }
  // The same: whether it fits, who opens the copy will see.
  for (const std::string& name : ListIndexImages(source)) {
    (void)source.Link(name, *directory_);
  }
  for (const SegmentId id : contents.value_files) {
    // A damaged record may refer to a file that was never made.
    const absl::Status copied =
        id < contents.manifest.next_id
            ? LinkOrCopyValue(source, format::ValueFileName(id), &result)
            : absl::NotFoundError("");
    if (absl::IsNotFound(copied)) {
      result.missing_value_files.push_back(id);
      continue;
    }
    PEAT_RETURN_IF_ERROR(copied);
  }
  PEAT_RETURN_IF_ERROR(WriteManifest(*directory_, contents.manifest));
  return result;
}

absl::Status StoreCopy::LinkOrCopy(const Directory& source,
                                   const std::string& name, uint64_t size,
                                   CopyResult* result) {
  absl::Status linked = source.Link(name, *directory_);
  if (linked.ok()) {
    result->linked_bytes += size;
    return absl::OkStatus();
  }
  if (!absl::IsUnimplemented(linked)) return linked;
  PEAT_RETURN_IF_ERROR(CopyFile(source, *directory_, name, size));
  result->copied_bytes += size;
  return absl::OkStatus();
}

absl::Status StoreCopy::LinkOrCopyValue(const Directory& source,
                                        const std::string& name,
                                        CopyResult* result) {
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                        source.Open(name, OpenMode::kRead));
  PEAT_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  return LinkOrCopy(source, name, size, result);
}

absl::Status StoreCopy::Publish() {
  PEAT_CHECK(lock_ != nullptr);
  PEAT_CHECK(!is_published_);
  PEAT_RETURN_IF_ERROR(CheckTarget());
  // From here on it may be there, even if the call says that it has failed.
  is_published_ = true;
  absl::Status renamed = parent_->Rename(unfinished_name_, name_);
  if (!renamed.ok()) {
    const absl::Status free = CheckTarget();
    if (free.ok()) is_published_ = false;
    if (!absl::IsAlreadyExists(free)) return renamed;
  }
  PEAT_RETURN_IF_ERROR(parent_->Sync());
  // A crash may leave it: a store takes no notice of it.
  (void)directory_->Unlink(marker_name_);
  return absl::OkStatus();
}

}  // namespace peat::engine
