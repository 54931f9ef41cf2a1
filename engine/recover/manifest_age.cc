#include "engine/recover/manifest_age.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "engine/segment/segment_scanner.h"
#include "format/bytes.h"
#include "format/file_name.h"
#include "format/record.h"
#include "format/segment_header.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::FileKind;
using format::FileName;
using format::kSegmentHeaderSize;
using format::Manifest;
using format::ManifestSegment;
using format::SegmentHeader;

constexpr uint64_t kLinkEnd =
    kSegmentHeaderSize + format::RecordSize(0, format::kLinkValueSize);

absl::Status Older(const std::string& name, const std::string& why) {
  return absl::DataLossError(absl::StrFormat(
      "%s %s: MANIFEST-0 and MANIFEST-1 are older copies", name, why));
}

const ManifestSegment* EntryNamed(const Manifest& manifest,
                                  format::SegmentId id) {
  const auto at =
      std::ranges::lower_bound(manifest.segments, id, {}, &ManifestSegment::id);
  return at != manifest.segments.end() && at->id == id ? &*at : nullptr;
}

// The first `size` bytes of `file`, or as many as it has.
absl::StatusOr<std::vector<std::byte>> ReadFront(const File& file,
                                                 uint64_t size) {
  std::vector<std::byte> bytes(size);
  PEAT_ASSIGN_OR_RETURN(const size_t got, file.ReadAt(0, bytes));
  bytes.resize(got);
  return bytes;
}

// The generation in the link that `bytes`, a segment, begin with.
std::optional<uint64_t> GenerationIn(format::ByteView bytes, uint64_t salt) {
  if (bytes.size() < kLinkEnd) return std::nullopt;
  SegmentScanner scanner(bytes, salt, kSegmentHeaderSize, bytes.size());
  if (scanner.Next() != SegmentScanner::Step::kRecord) return std::nullopt;
  if (scanner.record().header.kind != format::RecordKind::kLink) {
    return std::nullopt;
  }
  const auto link = format::DecodeLink(scanner.record().value);
  if (!link.ok()) return std::nullopt;
  return link->generation;
}

// A file of the store that may prove that the manifest is an older copy.
struct Witness {
  std::unique_ptr<File> file;
  SegmentHeader header;
  std::optional<uint64_t> generation;  // in its link, if it has one
};

// Whether a file of this name could be a witness. What is sealed was sealed by
// this manifest, or before it.
bool MayTell(const FileName& name, const Manifest& manifest) {
  if (name.kind == FileKind::kValue) return name.id >= manifest.next_id;
  if (name.kind != FileKind::kSegment) return false;
  const ManifestSegment* const entry = EntryNamed(manifest, name.id);
  return entry == nullptr || entry->state == format::SegmentState::kOpen;
}

absl::StatusOr<std::optional<Witness>> OpenWitness(const Directory& directory,
                                                   const Manifest& manifest,
                                                   const std::string& name) {
  const std::optional<FileName> parsed = format::ParseFileName(name);
  if (!parsed.has_value() || !MayTell(*parsed, manifest)) return std::nullopt;
  absl::StatusOr<std::unique_ptr<File>> file =
      directory.Open(name, OpenMode::kRead);
  // Removed meanwhile by a process that writes; or no regular file.
  if (absl::IsNotFound(file.status()) ||
      absl::IsFailedPrecondition(file.status())) {
    return std::nullopt;
  }
  PEAT_RETURN_IF_ERROR(file.status());
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::byte> front,
                        ReadFront(**file, kLinkEnd));
  const absl::StatusOr<SegmentHeader> header =
      format::DecodeSegmentHeader(front);
  if (!header.ok() || header->id != parsed->id ||
      header->store_id != manifest.store_id) {
    return std::nullopt;
  }
  return Witness{.file = *std::move(file),
                 .header = *header,
                 .generation = GenerationIn(front, header->salt)};
}

absl::Status CheckWitness(const std::string& name, const Witness& witness,
                          const Manifest& manifest) {
  if (witness.header.id >= manifest.next_id) {
    return Older(name, absl::StrFormat("has an id that was never given out, "
                                       "%d is the next one",
                                       manifest.next_id));
  }
  if (witness.header.kind != format::SegmentKind::kLog) return absl::OkStatus();
  if (witness.generation.value_or(0) <= manifest.generation) {
    return absl::OkStatus();
  }
  return Older(name,
               absl::StrFormat("offset %d: written after generation %d of the "
                               "manifest, which has generation %d",
                               kSegmentHeaderSize, *witness.generation,
                               manifest.generation));
}

absl::Status CheckMarks(const std::string& name, const Witness& witness,
                        format::Lsn last_lsn) {
  PEAT_ASSIGN_OR_RETURN(const uint64_t size, witness.file->Size());
  PEAT_ASSIGN_OR_RETURN(
      const std::vector<std::byte> bytes,
      ReadFront(*witness.file, std::min(size, format::kSegmentSizeMax)));
  const std::optional<uint64_t> mark =
      FindMarkAbove(bytes, witness.header.salt, kSegmentHeaderSize, last_lsn);
  if (!mark.has_value()) return absl::OkStatus();
  return Older(name, absl::StrFormat("offset %d: a mark of more than lsn %d, "
                                     "where the log ends that it knows",
                                     *mark, last_lsn));
}

}  // namespace

absl::Status CheckManifestAge(const Directory& directory,
                              const Manifest& manifest) {
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  for (const std::string& name : names) {
    PEAT_ASSIGN_OR_RETURN(const std::optional<Witness> witness,
                          OpenWitness(directory, manifest, name));
    if (!witness.has_value()) continue;
    PEAT_RETURN_IF_ERROR(CheckWitness(name, *witness, manifest));
  }
  return absl::OkStatus();
}

absl::Status CheckUnnamedMarks(const Directory& directory,
                               const Manifest& manifest, format::Lsn last_lsn) {
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  for (const std::string& name : names) {
    PEAT_ASSIGN_OR_RETURN(const std::optional<Witness> witness,
                          OpenWitness(directory, manifest, name));
    if (!witness.has_value() || witness->generation.has_value()) continue;
    if (witness->header.kind != format::SegmentKind::kLog) continue;
    // Where the log ends, the marks of those that are named are looked for.
    if (EntryNamed(manifest, witness->header.id) != nullptr) continue;
    PEAT_RETURN_IF_ERROR(CheckMarks(name, *witness, last_lsn));
  }
  return absl::OkStatus();
}

}  // namespace peat::engine
