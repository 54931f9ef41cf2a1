#include "tools/offline/store_writer.h"

#include <algorithm>
#include <utility>

#include "engine/log/segment_allocator.h"
#include "engine/recover/recovery.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::tools {

using format::ManifestSegment;
using format::Record;
using format::RecordHeader;
using format::RecordKind;
using format::SegmentKind;

namespace {

// Of a segment, but for one that holds a single larger record.
constexpr uint64_t kSegmentSize = uint64_t{64} << 20;

// What one write takes to the kernel.
constexpr size_t kWriteSize = size_t{1} << 20;

}  // namespace

// A segment that is being written.
class StoreWriter::Output final {
 public:
  Output(std::unique_ptr<engine::File> file, const ManifestSegment& entry,
         const format::StoreId& store_id)
      : file_(std::move(file)), entry_(entry) {
    buffer_ = format::EncodeSegmentHeader({.kind = entry.kind,
                                           .id = entry.id,
                                           .salt = entry.salt,
                                           .store_id = store_id,
                                           .capacity = entry.capacity});
    buffer_.resize(format::kSegmentHeaderSize);
    entry_.end = format::kSegmentHeaderSize;
    entry_.state = format::SegmentState::kSealed;
  }

  bool HasRoomFor(const Record& record) const {
    return RecordSize(record.header) <= entry_.capacity - entry_.end;
  }

  absl::Status Append(const Record& record) {
    PEAT_CHECK(HasRoomFor(record));
    RecordHeader header = record.header;
    header.flags &= static_cast<uint8_t>(~format::kFlagInFrame);
    const size_t begin = buffer_.size();
    format::AppendRecord(header, record.key, record.value,
                         {entry_.salt, entry_.end}, &buffer_);
    entry_.last_checksum =
        format::Load<uint32_t>(format::AsBytes(buffer_), begin);
    entry_.end += buffer_.size() - begin;
    if (TakesLsn(header.kind)) {
      entry_.last_lsn = std::max(entry_.last_lsn, header.lsn);
      entry_.first_lsn = entry_.first_lsn == 0
                             ? header.lsn
                             : std::min(entry_.first_lsn, header.lsn);
    }
    return buffer_.size() < kWriteSize ? absl::OkStatus() : Write();
  }

  absl::StatusOr<ManifestSegment> Finish() {
    PEAT_RETURN_IF_ERROR(Write());
    PEAT_CHECK(written_ == entry_.end);
    PEAT_RETURN_IF_ERROR(file_->Sync());
    return entry_;
  }

 private:
  absl::Status Write() {
    PEAT_RETURN_IF_ERROR(file_->WriteAt(written_, format::AsBytes(buffer_)));
    written_ += buffer_.size();
    buffer_.clear();
    return absl::OkStatus();
  }

  const std::unique_ptr<engine::File> file_;
  ManifestSegment entry_;
  std::string buffer_;  // what is not written yet
  uint64_t written_ = 0;
};

absl::StatusOr<std::unique_ptr<StoreWriter>> StoreWriter::Create(
    engine::FileSystem& file_system, const std::filesystem::path& path,
    const Origin& origin) {
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<engine::Directory> directory,
                        file_system.OpenDirectory(path));
  return std::unique_ptr<StoreWriter>(
      new StoreWriter(file_system, std::move(directory), origin));
}

StoreWriter::StoreWriter(engine::FileSystem& file_system,
                         std::unique_ptr<engine::Directory> directory,
                         const Origin& origin)
    : file_system_(file_system),
      directory_(std::move(directory)),
      origin_(origin),
      manifest_(engine::NewManifest(file_system)) {
  manifest_.store_id = origin.store_id;
  manifest_.next_id = origin.next_id;
  manifest_.generation = origin.generation + 1;
}

StoreWriter::~StoreWriter() = default;

absl::StatusOr<std::unique_ptr<StoreWriter::Output>> StoreWriter::NewOutput(
    SegmentKind kind, uint64_t size) {
  const ManifestSegment entry{
      .id = manifest_.next_id++,
      .salt = engine::RandomSalt(file_system_),
      .capacity =
          std::min(std::max(kSegmentSize, size) + format::kSegmentHeaderSize,
                   format::kSegmentSizeMax),
      .kind = kind};
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<engine::File> file,
                        directory_->Create(format::SegmentFileName(entry.id)));
  return std::make_unique<Output>(std::move(file), entry, manifest_.store_id);
}

absl::Status StoreWriter::FinishOutput(std::unique_ptr<Output>* output) {
  if (*output == nullptr) return absl::OkStatus();
  PEAT_ASSIGN_OR_RETURN(const ManifestSegment entry, (*output)->Finish());
  AddSegment(manifest_, entry);
  output->reset();
  return absl::OkStatus();
}

absl::Status StoreWriter::Add(SegmentKind kind, const Record& record,
                              std::unique_ptr<Output>* output) {
  if (*output != nullptr && !(*output)->HasRoomFor(record)) {
    PEAT_RETURN_IF_ERROR(FinishOutput(output));
  }
  if (*output == nullptr) {
    PEAT_ASSIGN_OR_RETURN(*output, NewOutput(kind, RecordSize(record.header)));
  }
  return (*output)->Append(record);
}

absl::Status StoreWriter::AddLive(const Record& record) {
  return Add(SegmentKind::kCompacted, record, &live_);
}

absl::Status StoreWriter::AddForAudit(const Record& record) {
  return Add(SegmentKind::kAudit, record, &audit_);
}

absl::Status StoreWriter::AddValue(const format::ValueReference& reference,
                                   std::string_view value) {
  PEAT_CHECK(reference.file < origin_.next_id);
  PEAT_ASSIGN_OR_RETURN(
      const std::unique_ptr<engine::File> file,
      directory_->Create(format::ValueFileName(reference.file)));
  const format::SegmentHeader header{
      .kind = SegmentKind::kValue,
      .id = reference.file,
      .salt = engine::RandomSalt(file_system_),
      .store_id = manifest_.store_id,
      .capacity = format::kSegmentHeaderSize + value.size()};
  PEAT_RETURN_IF_ERROR(
      file->WriteAt(0, format::AsBytes(EncodeSegmentHeader(header))));
  PEAT_RETURN_IF_ERROR(
      file->WriteAt(format::kSegmentHeaderSize, format::AsBytes(value)));
  // An empty value leaves the header's page shorter than it must be.
  PEAT_RETURN_IF_ERROR(file->Truncate(header.capacity));
  return file->Sync();
}

absl::Status StoreWriter::Finish(const std::optional<Record>& last) {
  PEAT_RETURN_IF_ERROR(FinishOutput(&live_));
  PEAT_RETURN_IF_ERROR(FinishOutput(&audit_));
  if (last.has_value()) {
    PEAT_CHECK(TakesLsn(last->header.kind));
    const std::string link =
        format::EncodeLink({.predecessor = origin_.last_log_id,
                            .end = format::kSegmentHeaderSize,
                            .generation = manifest_.generation});
    const Record first{
        .header = {.lsn = last->header.lsn - 1,
                   .value_size = static_cast<uint32_t>(link.size()),
                   .kind = RecordKind::kLink},
        .key = {},
        .value = link};
    PEAT_ASSIGN_OR_RETURN(
        std::unique_ptr<Output> log,
        NewOutput(SegmentKind::kLog,
                  RecordSize(first.header) + RecordSize(last->header)));
    PEAT_RETURN_IF_ERROR(log->Append(first));
    PEAT_RETURN_IF_ERROR(log->Append(*last));
    PEAT_RETURN_IF_ERROR(FinishOutput(&log));
    manifest_.durable_lsn = last->header.lsn;
  }
  // Names first: from then on the manifest makes a store of them.
  PEAT_RETURN_IF_ERROR(directory_->Sync());
  if (manifest_.segments.size() > format::kManifestSegmentCountMax) {
    return absl::ResourceExhaustedError("too many segments for a manifest");
  }
  const std::string bytes = EncodeManifest(manifest_);
  for (const char* const name : format::kManifestFileNames) {
    PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<engine::File> file,
                          directory_->Create(name));
    PEAT_RETURN_IF_ERROR(file->WriteAt(0, format::AsBytes(bytes)));
    PEAT_RETURN_IF_ERROR(file->Sync());
  }
  return directory_->Sync();
}

}  // namespace peat::tools
