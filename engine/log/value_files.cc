#include "engine/log/value_files.h"

#include <array>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/checksum.h"
#include "format/file_name.h"
#include "format/mask.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::SegmentHeader;
using format::ValueReference;

absl::Status Fill(File& file, const SegmentHeader& header,
                  std::string_view value) {
  PEAT_RETURN_IF_ERROR(
      file.Allocate(format::kSegmentHeaderSize + value.size()));
  PEAT_RETURN_IF_ERROR(
      file.WriteAt(0, format::AsBytes(EncodeSegmentHeader(header))));
  return file.WriteAt(format::kSegmentHeaderSize, format::AsBytes(value));
}

}  // namespace

uint64_t ValueFileSize(const format::Record& record) {
  if ((record.header.flags & format::kFlagValueFile) == 0) [[likely]] {
    return 0;
  }
  const absl::StatusOr<ValueReference> reference =
      format::DecodeValueReference(format::StoredValue(record));
  return reference.ok() ? reference->size : 0;
}

absl::StatusOr<std::optional<ValueFlaw>> ReadValueOrFlaw(
    const Directory& directory, const format::StoreId& store_id,
    const ValueReference& reference, std::string* value) {
  if (reference.file == 0 || reference.file > format::kSegmentIdMax) {
    return ValueFlaw{0, "no file has the id that a record refers to"};
  }
  absl::StatusOr<std::unique_ptr<File>> file =
      directory.Open(format::ValueFileName(reference.file), OpenMode::kRead);
  if (absl::IsNotFound(file.status())) {
    return ValueFlaw{0, "missing, and a record refers to it"};
  }
  PEAT_RETURN_IF_ERROR(file.status());
  // Before anything is allocated for it: does the file hold so much?
  PEAT_ASSIGN_OR_RETURN(const uint64_t size, (*file)->Size());
  if (reference.size > format::kValueSizeMax ||
      size < format::kSegmentHeaderSize + reference.size) {
    return ValueFlaw{size, "the file is cut short"};
  }
  std::array<std::byte, format::kSegmentHeaderSize> head = {};
  PEAT_ASSIGN_OR_RETURN(const size_t head_size, (*file)->ReadAt(0, head));
  const absl::StatusOr<SegmentHeader> header =
      format::DecodeSegmentHeader(format::ByteView(head).first(head_size));
  if (!header.ok() || header->id != reference.file ||
      header->kind != format::SegmentKind::kValue ||
      header->store_id != store_id) {
    return ValueFlaw{0, "header is damaged or of another file"};
  }
  value->resize(reference.size);
  PEAT_ASSIGN_OR_RETURN(const size_t got,
                        (*file)->ReadAt(format::kSegmentHeaderSize,
                                        std::as_writable_bytes(std::span(
                                            value->data(), value->size()))));
  if (got != value->size() ||
      format::Checksum64(format::AsBytes(*value)) != reference.checksum) {
    return ValueFlaw{format::kSegmentHeaderSize, "value checksum mismatch"};
  }
  return std::nullopt;
}

absl::Status ReadValueFile(const Directory& directory,
                           const format::StoreId& store_id,
                           const ValueReference& reference,
                           std::string* value) {
  PEAT_ASSIGN_OR_RETURN(const std::optional<ValueFlaw> flaw,
                        ReadValueOrFlaw(directory, store_id, reference, value));
  if (!flaw.has_value()) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat(
      "%06d.val offset %d: %s", reference.file, flaw->offset, flaw->what));
}

absl::StatusOr<bool> ValueIsWhole(const Directory& directory,
                                  const format::StoreId& store_id,
                                  const ValueReference& reference) {
  std::string value;
  PEAT_ASSIGN_OR_RETURN(
      const std::optional<ValueFlaw> flaw,
      ReadValueOrFlaw(directory, store_id, reference, &value));
  return !flaw.has_value();
}

absl::StatusOr<WrittenValue> WriteValueFile(FileSystem& file_system,
                                            Directory& directory,
                                            ManifestStore& manifest,
                                            std::string_view value) {
  PEAT_ASSIGN_OR_RETURN(const format::SegmentId id, manifest.NewId());
  SegmentHeader header{.kind = format::SegmentKind::kValue,
                       .id = id,
                       .salt = 1,
                       .store_id = manifest.Current().store_id,
                       .capacity = format::kSegmentHeaderSize + value.size()};
  file_system.Randomize(std::as_writable_bytes(std::span(&header.salt, 1)));
  header.salt |= 1;  // never 0
  const std::string name = format::ValueFileName(id);
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<File> file, directory.Create(name));
  if (absl::Status status = Fill(*file, header, value); !status.ok()) {
    (void)directory.Unlink(name);  // an orphan is removed at open
    return status;
  }
  return WrittenValue{
      .reference = {.file = id,
                    .size = value.size(),
                    .checksum = format::Checksum64(format::AsBytes(value))},
      .file = std::move(file)};
}

}  // namespace peat::engine
