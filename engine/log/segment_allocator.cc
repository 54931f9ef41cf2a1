#include "engine/log/segment_allocator.h"

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/log/appender.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/log/sealer.h"
#include "engine/segment/seeded_bug.h"
#include "engine/segment/segment_set.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/segment_header.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::Manifest;
using format::ManifestSegment;
using format::SegmentHeader;
using format::SegmentId;

}  // namespace

uint64_t RandomSalt(FileSystem& file_system) {
  uint64_t salt = 0;
  while (salt == 0) {
    file_system.Randomize(std::as_writable_bytes(std::span(&salt, 1)));
  }
  return salt;
}

SegmentAllocator::SegmentAllocator(const Core& core)
    : parts_(core),
      sizer_(*core.config),
      store_id_(core.manifest->Current().store_id),
      large_value_size_(LargeValueSize(base_segment_size())) {}

absl::Status SegmentAllocator::PrepareFor(uint64_t size, Need need) {
  if (parts_.appender->rolled_count() >= kRolledMax) {
    PEAT_RETURN_IF_ERROR(parts_.sealer->SyncAndSeal());
  }
  index::MutexLock lock(&mutex_);
  // Several writers may have found none; the first of them has made one.
  if (parts_.appender->HasPrepared(size)) return absl::OkStatus();
  return Prepare(size, need);
}

absl::Status SegmentAllocator::PrepareAhead() {
  index::MutexLock lock(&mutex_);
  return Prepare(0, Need::kAddData);
}

absl::Status SegmentAllocator::Prepare(uint64_t size, Need need) {
  sizer_.NoteSegment(parts_.config->now(), parts_.segments->LiveBytes());
  if (need == Need::kAddData) PEAT_RETURN_IF_ERROR(RefillReserveLocked());
  PEAT_RETURN_IF_ERROR(CheckNumbers(need));
  const uint64_t needed = std::bit_ceil(Appender::NeededCapacity(size));
  // A mask holds a copy of the value, and a record that a damaged store has may
  // be as large as a segment.
  if (needed > format::kSegmentSizeMax) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("no segment has room for %d bytes of records", size));
  }
  large_value_size_.store(LargeValueSize(base_segment_size()),
                          std::memory_order_relaxed);
  PEAT_RETURN_IF_ERROR(
      parts_.manifest->Reserve(parts_.manifest->Current().segments.size() + 1));
  PEAT_ASSIGN_OR_RETURN(const SegmentId id, parts_.manifest->NewId());
  const std::string name = format::SegmentFileName(id);
  PEAT_ASSIGN_OR_RETURN(
      Acquired acquired,
      Acquire(name,
              {.wanted = std::max(current_segment_size(), needed),
               .enough = std::max(base_segment_size(), needed)},
              need));
  if (acquired.capacity < Appender::NeededCapacity(size)) {
    (void)parts_.directory->Unlink(name);  // an orphan is removed at open
    return absl::ResourceExhaustedError("reserve is too small");
  }
  absl::Status status = Finish(id, std::move(acquired));
  // A failed edit may have named it.
  if (!status.ok() && !parts_.poison->is_set() && !IsNamed(id)) {
    (void)parts_.directory->Unlink(name);
  }
  return status;
}

// Before the manifest names it: a segment without a number would be in the way
// of every later one.
absl::Status SegmentAllocator::CheckNumbers(Need need) const {
  const size_t kept = need == Need::kAddData ? 2 * kNumbersKept : kNumbersKept;
  const size_t free_count = parts_.segments->free_number_count();
  if (free_count > kept) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "%d more segments can be named, and they are kept for %s", free_count,
      need == Need::kAddData ? "deletes and compaction" : "compaction"));
}

bool SegmentAllocator::IsNamed(SegmentId id) const {
  const Manifest manifest = parts_.manifest->Current();
  return std::any_of(
      manifest.segments.begin(), manifest.segments.end(),
      [id](const ManifestSegment& entry) { return entry.id == id; });
}

absl::StatusOr<SegmentAllocator::Acquired> SegmentAllocator::Acquire(
    const std::string& name, const Capacity& capacity, Need need) {
  absl::Status status;
  // Where there is no room for a large segment, a small one will do.
  for (const uint64_t bytes : {capacity.wanted, capacity.enough}) {
    absl::StatusOr<std::unique_ptr<File>> file = parts_.directory->Create(name);
    status = file.status();
    if (!status.ok()) break;
    status = (*file)->Allocate(bytes);
    if (status.ok()) return Acquired{*std::move(file), bytes};
    (void)parts_.directory->Unlink(name);
    if (!absl::IsResourceExhausted(status)) break;
    if (capacity.wanted == capacity.enough) break;
  }
  if (need == Need::kAddData || !absl::IsResourceExhausted(status)) {
    return status;
  }
  return TakeReserve(kLogReserve, name, capacity.enough);
}

absl::StatusOr<SegmentAllocator::Acquired>
SegmentAllocator::AcquireForCompaction(const std::string& name,
                                       uint64_t capacity) {
  absl::StatusOr<std::unique_ptr<File>> file = parts_.directory->Create(name);
  absl::Status status = file.status();
  if (status.ok()) {
    status = (*file)->Allocate(capacity);
    if (status.ok()) return Acquired{*std::move(file), capacity};
    (void)parts_.directory->Unlink(name);  // an orphan is removed at open
  }
  if (!absl::IsResourceExhausted(status)) return status;
  index::MutexLock lock(&mutex_);
  if (reserve_sizes_[kCompactionReserve] < capacity) return status;
  return TakeReserve(kCompactionReserve, name, capacity);
}

absl::StatusOr<SegmentAllocator::Acquired> SegmentAllocator::TakeReserve(
    size_t which, const std::string& name, uint64_t capacity_needed) {
  const uint64_t reserve = reserve_sizes_[which];
  if (reserve == 0) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("no space for %s (%d bytes), and the reserve is spent",
                        name, capacity_needed));
  }
  const std::string from = format::kReserveFileNames[which];
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                        parts_.directory->Open(from, OpenMode::kReadWrite));
  PEAT_RETURN_IF_ERROR(parts_.directory->Rename(from, name));
  reserve_sizes_[which] = 0;
  reserve_bytes_.store(reserve_sizes_[0] + reserve_sizes_[1],
                       std::memory_order_relaxed);
  reserve_complete_.store(false, std::memory_order_release);
  return Acquired{std::move(file), reserve};
}

absl::Status SegmentAllocator::Finish(SegmentId id, Acquired acquired) {
  const SegmentIdentity identity{.id = id,
                                 .salt = RandomSalt(*parts_.file_system),
                                 .capacity = acquired.capacity,
                                 .kind = format::SegmentKind::kLog};
  PEAT_ASSIGN_OR_RETURN(
      std::unique_ptr<Mapping> mapping,
      acquired.file->Map(identity.capacity, MapMode::kReadWrite));
  const SegmentHeader header{.kind = identity.kind,
                             .id = identity.id,
                             .salt = identity.salt,
                             .store_id = store_id_,
                             .capacity = identity.capacity};
  mapping->Store(0, format::AsBytes(EncodeSegmentHeader(header)));
  PEAT_RETURN_IF_ERROR(acquired.file->Sync());
  absl::Status named;
  if (!HasBug(Bug::kNoDirectorySync)) named = parts_.directory->Sync();
  if (!named.ok()) return parts_.poison->Set(named);
  PEAT_RETURN_IF_ERROR(parts_.manifest->Edit([&identity](Manifest& manifest) {
    AddSegment(manifest, {.id = identity.id,
                          .salt = identity.salt,
                          .capacity = identity.capacity,
                          .kind = identity.kind,
                          .state = format::SegmentState::kOpen});
  }));
  return Offer(identity, std::move(acquired.file), std::move(mapping));
}

absl::Status SegmentAllocator::Reuse(const ManifestSegment& entry) {
  index::MutexLock lock(&mutex_);
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                        OpenSegmentFile(*parts_.directory, entry, store_id_,
                                        OpenMode::kReadWrite));
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> mapping,
                        file->Map(entry.capacity, MapMode::kReadWrite));
  return Offer({.id = entry.id,
                .salt = entry.salt,
                .capacity = entry.capacity,
                .kind = entry.kind},
               std::move(file), std::move(mapping));
}

absl::Status SegmentAllocator::GiveUpPrepared() {
  index::MutexLock lock(&mutex_);
  const std::deque<std::shared_ptr<LogFile>> prepared =
      parts_.appender->TakePrepared();
  if (prepared.empty()) return absl::OkStatus();
  PEAT_RETURN_IF_ERROR(parts_.manifest->Edit([&prepared](Manifest& manifest) {
    for (const std::shared_ptr<LogFile>& log : prepared) {
      EraseSegment(manifest, log->segment->identity().id);
    }
  }));
  for (const std::shared_ptr<LogFile>& log : prepared) {
    // An orphan is removed at open.
    (void)parts_.directory->Unlink(log->segment->file_name());
  }
  return absl::OkStatus();
}

absl::Status SegmentAllocator::Offer(const SegmentIdentity& identity,
                                     std::unique_ptr<File> file,
                                     std::unique_ptr<Mapping> mapping) {
  auto log = std::make_shared<LogFile>();
  log->mapping = mapping.get();
  log->file = std::move(file);
  if (parts_.config->read_method == ReadMethod::kMapped) {
    log->segment = std::make_shared<Segment>(identity, std::move(mapping));
  } else {
    log->own_mapping = std::move(mapping);
    log->segment = std::make_shared<Segment>(identity, parts_.directory,
                                             nullptr, identity.capacity);
  }
  log->segment->set_end(format::kSegmentHeaderSize);
  PEAT_RETURN_IF_ERROR(parts_.segments->Add(log->segment));
  parts_.appender->AddPrepared(std::move(log));
  return absl::OkStatus();
}

absl::Status SegmentAllocator::RefillReserve() {
  index::MutexLock lock(&mutex_);
  return RefillReserveLocked();
}

absl::Status SegmentAllocator::RefillReserveLocked() {
  const uint64_t size = base_segment_size();
  for (size_t i = 0; i < reserve_sizes_.size(); ++i) {
    if (reserve_sizes_[i] == size) continue;
    PEAT_RETURN_IF_ERROR(RefillOne(format::kReserveFileNames[i], size));
    reserve_sizes_[i] = size;
    reserve_bytes_.store(reserve_sizes_[0] + reserve_sizes_[1],
                         std::memory_order_relaxed);
  }
  reserve_complete_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status SegmentAllocator::RefillOne(const std::string& name,
                                         uint64_t size) {
  absl::StatusOr<std::unique_ptr<File>> file =
      parts_.directory->Open(name, OpenMode::kReadWrite);
  if (absl::IsNotFound(file.status())) file = parts_.directory->Create(name);
  PEAT_RETURN_IF_ERROR(file.status());
  PEAT_ASSIGN_OR_RETURN(const uint64_t old_size, (*file)->Size());
  if (old_size > size) return (*file)->Truncate(size);
  // Allocated from the start even where the size is right: a crash may have
  // kept the size and lost the space.
  if (absl::Status status = (*file)->Allocate(size); !status.ok()) {
    (void)(*file)->Truncate(old_size);  // gives back what it got
    return status;
  }
  return (*file)->Sync();
}

absl::StatusOr<std::unique_ptr<File>> OpenSegmentFile(
    const Directory& directory, const ManifestSegment& entry,
    const format::StoreId& store_id, OpenMode mode) {
  const std::string name = format::SegmentFileName(entry.id);
  absl::StatusOr<std::unique_ptr<File>> file = directory.Open(name, mode);
  if (absl::IsNotFound(file.status())) {
    return absl::DataLossError(
        absl::StrFormat("%s is missing, and the manifest names it", name));
  }
  PEAT_RETURN_IF_ERROR(file.status());
  const bool sealed = entry.state == format::SegmentState::kSealed;
  PEAT_ASSIGN_OR_RETURN(const uint64_t size, (*file)->Size());
  const uint64_t wanted = sealed ? entry.end : format::kSegmentHeaderSize;
  if (size < wanted) {
    return absl::DataLossError(
        absl::StrFormat("%s offset %d: the file ends, the manifest says %d",
                        name, size, wanted));
  }
  std::array<std::byte, format::kSegmentHeaderSize> bytes = {};
  PEAT_ASSIGN_OR_RETURN(const size_t got, (*file)->ReadAt(0, bytes));
  absl::StatusOr<SegmentHeader> header =
      format::DecodeSegmentHeader(format::ByteView(bytes).first(got));
  if (!header.ok()) {
    return absl::Status(
        header.status().code(),
        absl::StrFormat("%s offset 0: %s", name,
                        std::string(header.status().message())));
  }
  const SegmentHeader expected{.kind = entry.kind,
                               .id = entry.id,
                               .salt = entry.salt,
                               .store_id = store_id,
                               .capacity = entry.capacity};
  if (*header != expected) {
    return absl::DataLossError(absl::StrFormat(
        "%s offset 0: not the segment that the manifest names", name));
  }
  return *std::move(file);
}

}  // namespace peat::engine
