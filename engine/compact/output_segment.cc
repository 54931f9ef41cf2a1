#include "engine/compact/output_segment.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/log/manifest_store.h"
#include "engine/log/segment_allocator.h"
#include "engine/segment/seeded_bug.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/segment_header.h"
#include "format/status_macros.h"

namespace peat::engine {

using format::ManifestSegment;
using format::Record;
using format::RecordHeader;
using format::SegmentId;

namespace {

// What one write takes to the kernel.
constexpr uint64_t kBufferSize = uint64_t{256} << 10;

}  // namespace

absl::StatusOr<std::unique_ptr<OutputSegment>> OutputSegment::Create(
    const Core& parts, format::SegmentKind kind, uint64_t size) {
  const uint64_t capacity = format::kSegmentHeaderSize + size;
  if (!IsValidCapacity(kind, capacity)) {
    return absl::InternalError(
        absl::StrFormat("no segment has %d bytes", capacity));
  }
  PEAT_ASSIGN_OR_RETURN(const SegmentId id, parts.manifest->NewId());
  PEAT_ASSIGN_OR_RETURN(SegmentAllocator::Acquired acquired,
                        parts.supply->AcquireForCompaction(
                            format::SegmentFileName(id), capacity));
  const ManifestSegment entry{
      .id = id,
      .salt = RandomSalt(*parts.file_system),
      .capacity = acquired.capacity,
      .end = format::kSegmentHeaderSize,
      .kind = kind,
      .state = format::SegmentState::kSealed,
  };
  return std::unique_ptr<OutputSegment>(
      new OutputSegment(parts, entry, std::move(acquired.file)));
}

OutputSegment::OutputSegment(const Core& parts, const ManifestSegment& entry,
                             std::unique_ptr<File> file)
    : parts_(parts), entry_(entry), file_(std::move(file)) {
  buffer_ = format::EncodeSegmentHeader({.kind = entry.kind,
                                         .id = entry.id,
                                         .salt = entry.salt,
                                         .store_id = parts.manifest->store_id(),
                                         .capacity = entry.capacity});
  buffer_.resize(format::kSegmentHeaderSize);
}

OutputSegment::~OutputSegment() {
  if (is_kept_) return;
  file_.reset();
  // What cannot be removed now is an orphan, and removed at open.
  (void)parts_.directory->Unlink(format::SegmentFileName(entry_.id));
}

absl::StatusOr<uint64_t> OutputSegment::Append(const Record& record) {
  const uint64_t offset = entry_.end;
  const uint64_t size = RecordSize(record.header);
  if (size > entry_.capacity - offset) {
    return absl::InternalError(
        absl::StrFormat("%s offset %d: no room for a record of %d bytes",
                        format::SegmentFileName(entry_.id), offset, size));
  }
  RecordHeader header = record.header;
  header.flags &= static_cast<uint8_t>(~format::kFlagInFrame);
  const size_t begin = buffer_.size();
  format::AppendRecord(
      header, record.key, record.value,
      {entry_.salt, HasBug(Bug::kChecksumWithoutOffset) ? 0 : offset},
      &buffer_);
  PEAT_CHECK(buffer_.size() - begin == size);
  entry_.last_checksum =
      format::Load<uint32_t>(format::AsBytes(buffer_), begin);
  entry_.end = offset + size;
  if (TakesLsn(header.kind)) {
    entry_.last_lsn = std::max(entry_.last_lsn, header.lsn);
    entry_.first_lsn = entry_.first_lsn == 0
                           ? header.lsn
                           : std::min(entry_.first_lsn, header.lsn);
  }
  if (header.kind == format::RecordKind::kTombstone) tombstone_bytes_ += size;
  if (ExpiresWithoutTrace(header)) expiries_.Add(ExpiryOf(record), size);
  if (buffer_.size() >= kBufferSize) PEAT_RETURN_IF_ERROR(WriteBuffer());
  return offset;
}

absl::Status OutputSegment::WriteBuffer() {
  PEAT_RETURN_IF_ERROR(
      file_->WriteAt(written_bytes_, format::AsBytes(buffer_)));
  written_bytes_ += buffer_.size();
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status OutputSegment::Finish() {
  PEAT_CHECK(written_bytes_ + buffer_.size() == entry_.end);
  PEAT_RETURN_IF_ERROR(WriteBuffer());
  NoteExpiries(expiries_, &entry_);
  PEAT_RETURN_IF_ERROR(file_->Truncate(entry_.end));
  return file_->Sync();
}

absl::StatusOr<std::shared_ptr<Segment>> OutputSegment::Open(
    ReadMethod read_method) {
  const SegmentIdentity identity{.id = entry_.id,
                                 .salt = entry_.salt,
                                 .capacity = entry_.capacity,
                                 .kind = entry_.kind};
  std::shared_ptr<Segment> segment;
  if (read_method == ReadMethod::kMapped) {
    PEAT_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> mapping,
                          file_->Map(entry_.end, MapMode::kRead));
    segment = std::make_shared<Segment>(identity, std::move(mapping));
  } else {
    segment = std::make_shared<Segment>(identity, parts_.directory, nullptr,
                                        entry_.end);
  }
  segment->set_end(entry_.end);
  segment->expiries() = expiries_;
  segment->counter().Add({.tombstone_bytes = tombstone_bytes_});
  return segment;
}

}  // namespace peat::engine
