#include "engine/segment/segment.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/segment/seeded_bug.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::ByteView;
using format::Record;
using format::RecordCheck;
using format::RecordHeader;

// What a first pread asks for: a small record whole.
constexpr uint64_t kFirstReadSize = 1024;

}  // namespace

Segment::Segment(const SegmentIdentity& identity,
                 std::unique_ptr<Mapping> mapping)
    : base_(mapping->data()),
      size_(mapping->size()),
      identity_(identity),
      stale_(size_),
      mapping_(std::move(mapping)) {
  PEAT_CHECK(size_ >= format::kSegmentHeaderSize);
}

Segment::Segment(const SegmentIdentity& identity, const Directory* directory,
                 std::unique_ptr<File> file, uint64_t size)
    : size_(size),
      identity_(identity),
      stale_(size),
      directory_(directory),
      file_(std::move(file)) {
  PEAT_CHECK(size_ >= format::kSegmentHeaderSize);
}

std::shared_ptr<Segment> Segment::Nowhere() {
  // No log: what looks for a record that compaction may have moved reads it.
  return std::make_shared<Segment>(
      SegmentIdentity{.kind = format::SegmentKind::kCompacted}, nullptr,
      nullptr, format::kSegmentHeaderSize);
}

std::string Segment::file_name() const {
  if (identity_.id == 0) return "index image";
  return format::SegmentFileName(identity_.id);
}

absl::Status Segment::DamagedAt(uint64_t offset) const {
  return absl::DataLossError(
      absl::StrFormat("%s offset %d: record is damaged", file_name(), offset));
}

absl::Status Segment::Damaged(uint64_t offset, RecordCheck check) const {
  const char* what = "payload checksum mismatch";
  if (check == RecordCheck::kHeaderDamaged) what = "header checksum mismatch";
  if (check == RecordCheck::kCutShort) what = "record is cut short";
  return absl::DataLossError(
      absl::StrFormat("%s offset %d: %s", file_name(), offset, what));
}

absl::Status Segment::ReadRecordPositional(uint64_t offset,
                                           std::string* scratch,
                                           Record* record) const {
  if (identity_.id == 0) {
    return absl::DataLossError(
        "the index image was damaged, and the index leads nowhere; opening the "
        "store anew reads the log instead");
  }
  if (offset > size_) return Damaged(offset, RecordCheck::kCutShort);
  std::unique_ptr<File> opened;
  const File* file = file_.get();
  if (file == nullptr) {
    PEAT_ASSIGN_OR_RETURN(opened, OpenFile());
    file = opened.get();
  }
  const format::Place place{identity_.salt,
                            HasBug(Bug::kChecksumWithoutOffset) ? 0 : offset};
  uint64_t wanted = std::min(kFirstReadSize, size_ - offset);
  // The first read shows how long the record is, the second brings all of it.
  for (int attempt = 0; attempt < 2; ++attempt) {
    scratch->resize(wanted);
    const std::span<std::byte> out =
        std::as_writable_bytes(std::span(scratch->data(), scratch->size()));
    PEAT_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(offset, out));
    const ByteView bytes = ByteView(out).first(got);
    const RecordCheck check = CheckRecord(bytes, place, record);
    if (check == RecordCheck::kValid) return absl::OkStatus();
    if (check != RecordCheck::kCutShort) return Damaged(offset, check);
    RecordHeader header;
    if (CheckRecordHeader(bytes, place, &header) != RecordCheck::kValid) {
      return Damaged(offset, check);
    }
    if (RecordSize(header) > size_ - offset) return Damaged(offset, check);
    wanted = RecordSize(header);
  }
  return Damaged(offset, RecordCheck::kCutShort);
}

absl::StatusOr<std::unique_ptr<File>> Segment::OpenFile() const {
  PEAT_CHECK(directory_ != nullptr);
  absl::StatusOr<std::unique_ptr<File>> file =
      directory_->Open(file_name(), OpenMode::kRead);
  // NotFound would be taken for an answer about a key.
  if (absl::IsNotFound(file.status())) {
    return absl::DataLossError(
        absl::StrFormat("%s is missing, and was there at open", file_name()));
  }
  return file;
}

absl::StatusOr<ByteView> Segment::ReadAll(
    std::vector<std::byte>* buffer) const {
  if (base_ != nullptr) return ByteView(base_, size_);
  std::unique_ptr<File> opened;
  const File* file = file_.get();  // stays readable when it is unlinked
  if (file == nullptr) {
    PEAT_ASSIGN_OR_RETURN(opened, OpenFile());
    file = opened.get();
  }
  PEAT_RETURN_IF_ERROR(ReadBackwards(*file, size_, buffer));
  return ByteView(*buffer);
}

absl::Status ReadBackwards(const File& file, uint64_t size,
                           std::vector<std::byte>* buffer) {
  constexpr uint64_t kPieceSize = uint64_t{64} << 10;
  PEAT_ASSIGN_OR_RETURN(const uint64_t file_size, file.Size());
  buffer->assign(std::min(size, file_size), std::byte{0});
  const std::span<std::byte> out(*buffer);
  for (uint64_t end = out.size(); end > 0;) {
    const uint64_t begin = (end - 1) / kPieceSize * kPieceSize;
    const absl::Status status =
        file.ReadAt(begin, out.subspan(begin, end - begin)).status();
    if (!HasBug(Bug::kReadErrorIsEnd)) PEAT_RETURN_IF_ERROR(status);
    end = begin;
  }
  return absl::OkStatus();
}

}  // namespace peat::engine
