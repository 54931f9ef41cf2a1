#include "engine/value_files.h"

#include <array>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/checksum.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::SegmentHeader;
using format::ValueReference;

absl::Status Damaged(const std::string& name, uint64_t offset,
                     std::string_view what) {
  return absl::DataLossError(
      absl::StrFormat("%s offset %d: %s", name, offset, what));
}

absl::Status Fill(File& file, const SegmentHeader& header,
                  std::string_view value) {
  PEAT_RETURN_IF_ERROR(
      file.Allocate(format::kSegmentHeaderSize + value.size()));
  PEAT_RETURN_IF_ERROR(
      file.WriteAt(0, format::AsBytes(EncodeSegmentHeader(header))));
  return file.WriteAt(format::kSegmentHeaderSize, format::AsBytes(value));
}

// Reads and verifies. `*damage` is what is wrong with the file; the returned
// status, which call failed.
absl::Status ReadAndVerify(const Directory& directory,
                           const format::StoreId& store_id,
                           const ValueReference& reference, std::string* value,
                           absl::Status* damage) {
  const std::string name = format::ValueFileName(reference.file);
  absl::StatusOr<std::unique_ptr<File>> file =
      directory.Open(name, OpenMode::kRead);
  if (absl::IsNotFound(file.status())) {
    *damage = Damaged(name, 0, "missing, and a record refers to it");
    return absl::OkStatus();
  }
  PEAT_RETURN_IF_ERROR(file.status());
  // Before anything is allocated for it: does the file hold so much?
  PEAT_ASSIGN_OR_RETURN(const uint64_t size, (*file)->Size());
  if (reference.size > format::kValueSizeMax ||
      size < format::kSegmentHeaderSize + reference.size) {
    *damage = Damaged(name, size, "the file is cut short");
    return absl::OkStatus();
  }
  std::array<std::byte, format::kSegmentHeaderSize> head;
  PEAT_ASSIGN_OR_RETURN(const size_t head_size, (*file)->ReadAt(0, head));
  const absl::StatusOr<SegmentHeader> header =
      format::DecodeSegmentHeader(format::ByteView(head).first(head_size));
  if (!header.ok() || header->id != reference.file ||
      header->kind != format::SegmentKind::kValue ||
      header->store_id != store_id) {
    *damage = Damaged(name, 0, "header is damaged or of another file");
    return absl::OkStatus();
  }
  value->resize(reference.size);
  PEAT_ASSIGN_OR_RETURN(const size_t got,
                        (*file)->ReadAt(format::kSegmentHeaderSize,
                                        std::as_writable_bytes(std::span(
                                            value->data(), value->size()))));
  if (got != value->size() ||
      format::Checksum64(format::AsBytes(*value)) != reference.checksum) {
    *damage =
        Damaged(name, format::kSegmentHeaderSize, "value checksum mismatch");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadValueFile(const Directory& directory,
                           const format::StoreId& store_id,
                           const ValueReference& reference,
                           std::string* value) {
  absl::Status damage;
  PEAT_RETURN_IF_ERROR(
      ReadAndVerify(directory, store_id, reference, value, &damage));
  return damage;
}

absl::StatusOr<bool> ValueFileIsWhole(const Directory& directory,
                                      const format::StoreId& store_id,
                                      const ValueReference& reference) {
  std::string value;
  absl::Status damage;
  PEAT_RETURN_IF_ERROR(
      ReadAndVerify(directory, store_id, reference, &value, &damage));
  return damage.ok();
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
