#include "engine/recover/watched_directory.h"

#include "absl/strings/str_format.h"
#include "engine/log/manifest_store.h"
#include "format/file_name.h"

namespace peat::engine {
namespace {

absl::Status OnlyToRead() {
  return absl::FailedPreconditionError("the store is open to read only");
}

bool HoldsRecordsOrValues(const std::string& name) {
  const std::optional<format::FileName> parsed = format::ParseFileName(name);
  return parsed.has_value() && (parsed->kind == format::FileKind::kSegment ||
                                parsed->kind == format::FileKind::kValue);
}

}  // namespace

absl::StatusOr<std::unique_ptr<File>> WatchedDirectory::Open(
    const std::string& name, OpenMode mode) const {
  absl::StatusOr<std::unique_ptr<File>> file = directory_->Open(name, mode);
  if (!absl::IsNotFound(file.status()) || !generation_.has_value() ||
      !HoldsRecordsOrValues(name)) {
    return file;
  }
  const absl::StatusOr<NewestManifest> now = ReadManifest(*directory_);
  if (!now.ok() || now->manifest.generation == *generation_) return file;
  return absl::AbortedError(absl::StrFormat(
      "%s has gone: the store has moved on since it was opened to read only, "
      "and Refresh() brings it up to now",
      name));
}

absl::StatusOr<std::unique_ptr<File>> WatchedDirectory::Create(
    const std::string&) {
  return OnlyToRead();
}

absl::Status WatchedDirectory::Unlink(const std::string&) {
  return OnlyToRead();
}

absl::Status WatchedDirectory::Rename(const std::string&, const std::string&) {
  return OnlyToRead();
}

absl::Status WatchedDirectory::RemoveDirectory(const std::string&) {
  return OnlyToRead();
}

absl::Status WatchedDirectory::Sync() { return OnlyToRead(); }

absl::StatusOr<std::unique_ptr<DirectoryLock>> WatchedDirectory::Lock(
    const std::string&) {
  return OnlyToRead();
}

}  // namespace peat::engine
