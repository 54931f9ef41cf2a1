#include "engine/log/manifest_store.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/segment/seeded_bug.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::ByteView;
using format::Manifest;
using format::SegmentId;

constexpr uint64_t kReservedSizeMin = uint64_t{32} << 10;

// Ids that one edit makes available to NewId(): twice as many as the one
// before. A process that lives for one write leaves none behind that it has not
// used, one that writes for long has few such edits.
constexpr SegmentId kIdStrideMin = 2;
constexpr SegmentId kIdStrideMax = 256;

// Whether two sound copies may be of one store.
absl::Status CheckAgree(const Manifest& a, const Manifest& b) {
  if (a.store_id != b.store_id) {
    return absl::DataLossError(
        "MANIFEST-0 and MANIFEST-1 are of different stores");
  }
  if (a.generation == b.generation && a != b) {
    return absl::DataLossError(absl::StrFormat(
        "MANIFEST-0 and MANIFEST-1 differ in generation %d", a.generation));
  }
  return absl::OkStatus();
}

absl::Status CheckSegmentCount(size_t segment_count) {
  if (segment_count <= format::kManifestSegmentCountMax) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrFormat("manifest has room for %d segments, %d are needed",
                      format::kManifestSegmentCountMax, segment_count));
}

}  // namespace

absl::StatusOr<Manifest> ReadManifestCopy(const Directory& directory,
                                          size_t copy) {
  const std::string name = format::kManifestFileNames[copy];
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                        directory.Open(name, OpenMode::kRead));
  PEAT_ASSIGN_OR_RETURN(const uint64_t file_size, file->Size());
  const uint64_t size =
      std::min<uint64_t>(file_size, format::ManifestSizeMax());
  std::string bytes(size, '\0');
  PEAT_ASSIGN_OR_RETURN(const size_t got,
                        file->ReadAt(0, std::as_writable_bytes(std::span(
                                            bytes.data(), bytes.size()))));
  absl::StatusOr<Manifest> manifest =
      format::DecodeManifest(format::AsBytes(bytes).first(got));
  if (manifest.ok()) return manifest;
  return absl::Status(
      manifest.status().code(),
      absl::StrFormat("%s: %s", name,
                      std::string(manifest.status().message())));
}

absl::StatusOr<NewestManifest> ReadManifest(const Directory& directory) {
  std::optional<NewestManifest> newest;
  bool both_newest = false;
  size_t sound_count = 0;
  absl::Status failure = absl::NotFoundError("no manifest");
  for (size_t copy = 0; copy < std::size(format::kManifestFileNames); ++copy) {
    absl::StatusOr<Manifest> manifest = ReadManifestCopy(directory, copy);
    if (!manifest.ok()) {
      if (absl::IsUnimplemented(manifest.status())) return manifest.status();
      if (!absl::IsNotFound(manifest.status())) failure = manifest.status();
      continue;
    }
    ++sound_count;
    if (newest.has_value()) {
      PEAT_RETURN_IF_ERROR(CheckAgree(newest->manifest, *manifest));
      both_newest = newest->manifest.generation == manifest->generation;
      if (newest->manifest.generation >= manifest->generation) continue;
    }
    newest = NewestManifest{.manifest = *std::move(manifest), .copy = copy};
  }
  if (newest.has_value()) {
    newest->both_sound = sound_count == 2;
    newest->both_newest = both_newest;
    return *std::move(newest);
  }
  if (absl::IsOutOfRange(failure)) {
    return absl::DataLossError(std::string(failure.message()));
  }
  return failure;
}

ManifestStore::ManifestStore(Directory* directory, NewestManifest current,
                             Poison* poison)
    : directory_(directory),
      poison_(poison),
      store_id_(current.manifest.store_id),
      clock_(current.manifest.time),
      current_(std::make_shared<const Manifest>(std::move(current.manifest))),
      newest_copy_(current.copy),
      is_confirmed_(current.both_newest),
      names_durable_(current.both_sound),
      unused_id_(current_->next_id),
      id_stride_(kIdStrideMin),
      durable_generation_(current_->generation),
      shown_(current_) {}

absl::Status ManifestStore::Reserve(size_t segment_count) {
  index::MutexLock lock(&edit_mutex_);
  PEAT_RETURN_IF_ERROR(CheckSegmentCount(segment_count));
  const size_t size = format::ManifestSize(*current_);
  const size_t present = current_->segments.size();
  if (segment_count <= present) return ReserveLocked(size);
  return ReserveLocked(size + (segment_count - present) *
                                  format::kManifestSegmentSize);
}

absl::Status ManifestStore::ReserveLocked(uint64_t manifest_size) {
  const uint64_t size =
      std::max(kReservedSizeMin, std::bit_ceil(manifest_size));
  if (size <= reserved_size_) return absl::OkStatus();
  for (const char* const name : format::kManifestFileNames) {
    absl::StatusOr<std::unique_ptr<File>> file =
        directory_->Open(name, OpenMode::kReadWrite);
    if (absl::IsNotFound(file.status())) {
      file = directory_->Create(name);
      names_durable_ = false;
    }
    PEAT_RETURN_IF_ERROR(file.status());
    PEAT_ASSIGN_OR_RETURN(const uint64_t old_size, (*file)->Size());
    if (old_size >= size) continue;
    PEAT_RETURN_IF_ERROR((*file)->Allocate(size));
    PEAT_RETURN_IF_ERROR((*file)->Sync());
  }
  if (!names_durable_) PEAT_RETURN_IF_ERROR(directory_->Sync());
  names_durable_ = true;
  reserved_size_ = size;
  return absl::OkStatus();
}

absl::Status ManifestStore::Edit(absl::FunctionRef<void(Manifest&)> change) {
  index::MutexLock lock(&edit_mutex_);
  return EditLocked(change);
}

absl::Status ManifestStore::EditLeases(
    absl::FunctionRef<void(std::vector<format::ManifestLease>&)> change) {
  index::MutexLock lock(&edit_mutex_);
  Manifest changed = *current_;
  change(changed.leases);
  const absl::Status form = format::CheckLeases(changed);
  if (!form.ok()) {
    return absl::InvalidArgumentError(std::string(form.message()));
  }
  return EditLocked(
      [&changed](Manifest& manifest) { manifest.leases = changed.leases; });
}

absl::Status ManifestStore::EditLocked(
    absl::FunctionRef<void(Manifest&)> change) {
  if (poison_->is_set()) return poison_->status();
  auto changed = std::make_shared<Manifest>(*current_);
  Manifest& next = *changed;
  change(next);
  next.generation = current_->generation + 1;
  next.time = std::max(next.time, clock_.highest());
  PEAT_CHECK(next.store_id == current_->store_id);
  PEAT_CHECK(next.next_id >= current_->next_id);
  PEAT_RETURN_IF_ERROR(CheckSegmentCount(next.segments.size()));
  PEAT_RETURN_IF_ERROR(ReserveLocked(format::ManifestSize(next)));
  const std::string bytes = EncodeManifest(next);
  PEAT_CHECK(bytes.size() <= reserved_size_);
  // Both are open before either is written: no file handle left is no reason
  // to poison the store.
  std::array<std::unique_ptr<File>, 2> copies;
  for (size_t i = 0; i < copies.size(); ++i) {
    PEAT_ASSIGN_OR_RETURN(
        copies[i],
        directory_->Open(format::kManifestFileNames[i], OpenMode::kReadWrite));
  }
  const size_t first =
      HasBug(Bug::kManifestNewerFirst) ? newest_copy_ : 1 - newest_copy_;
  for (const size_t i : {first, 1 - first}) {
    absl::Status status = copies[i]->WriteAt(0, format::AsBytes(bytes));
    // A limit on the size of files, say: the newest copy, which is durable, is
    // as it was, and what may have been written to the other one is no
    // manifest.
    if (i == first && is_confirmed_ && absl::IsResourceExhausted(status)) {
      return status;
    }
    if (status.ok() && !HasBug(Bug::kNoManifestSync)) {
      status = copies[i]->Sync();
    }
    if (!status.ok()) return poison_->Set(status);
  }
  current_ = std::move(changed);
  {
    index::MutexLock lock(&mutex_);
    shown_ = current_;
  }
  is_confirmed_ = true;
  durable_generation_.store(current_->generation, std::memory_order_release);
  clock_.SetDurable(current_->time);
  return absl::OkStatus();
}

absl::Status ManifestStore::Confirm() {
  index::MutexLock lock(&edit_mutex_);
  if (is_confirmed_ || HasBug(Bug::kManifestUnconfirmed)) {
    return absl::OkStatus();
  }
  return EditLocked([](Manifest&) {});
}

Manifest ManifestStore::Current() const {
  std::shared_ptr<const Manifest> shown;
  {
    index::MutexLock lock(&mutex_);
    shown = shown_;
  }
  return *shown;
}

absl::StatusOr<SegmentId> ManifestStore::NewId() {
  index::MutexLock lock(&edit_mutex_);
  if (HasBug(Bug::kIdReused)) return unused_id_++;
  for (;;) {
    PEAT_RETURN_IF_ERROR(ReserveIds());
    PEAT_CHECK(unused_id_ < current_->next_id);
    const SegmentId id = unused_id_++;
    if (!avoided_ids_.contains(id)) return id;
  }
}

absl::Status ManifestStore::ReserveIds() {
  if (unused_id_ < current_->next_id) return absl::OkStatus();
  const SegmentId stride = id_stride_;
  if (format::kManifestCountMax - unused_id_ < stride) {
    return absl::ResourceExhaustedError("all ids have been given out");
  }
  PEAT_RETURN_IF_ERROR(
      EditLocked([stride](Manifest& manifest) { manifest.next_id += stride; }));
  id_stride_ = std::min(2 * stride, kIdStrideMax);
  return absl::OkStatus();
}

void ManifestStore::Avoid(const std::vector<SegmentId>& ids) {
  index::MutexLock lock(&edit_mutex_);
  avoided_ids_.insert(ids.begin(), ids.end());
}

}  // namespace peat::engine
