#include "format/hint_file.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "absl/strings/str_format.h"
#include "format/check.h"
#include "format/checksum.h"

namespace peat::format {
namespace {

constexpr std::string_view kMagic("PEATHNT\0", 8);
constexpr size_t kVersionOffset = 8;
constexpr size_t kSectionCountOffset = 12;
constexpr size_t kStoreIdOffset = 16;
constexpr size_t kIdOffset = 32;
constexpr size_t kSaltOffset = 40;
constexpr size_t kEndOffset = 48;
constexpr size_t kLastLsnOffset = 56;
constexpr size_t kLastChecksumOffset = 64;
constexpr size_t kHeaderSize = 72;

constexpr size_t kSectionKindOffset = 0;
constexpr size_t kSectionOffsetOffset = 8;
constexpr size_t kSectionSizeOffset = 16;
constexpr size_t kSectionChecksumOffset = 24;
constexpr size_t kSectionSize = 32;

constexpr uint32_t kHintVersion = 1;

size_t HeadSize(size_t section_count) {
  return kHeaderSize + section_count * kSectionSize + sizeof(uint64_t);
}

// Everything up to the sections' table, which says whose hint file it is.
std::string EncodeHeader(const StoreId& store_id, const ManifestSegment& entry,
                         uint32_t section_count) {
  std::string header(kHeaderSize, '\0');
  auto* const to = reinterpret_cast<std::byte*>(header.data());
  std::memcpy(to, kMagic.data(), kMagic.size());
  Store<uint32_t>(to + kVersionOffset, kHintVersion);
  Store<uint32_t>(to + kSectionCountOffset, section_count);
  std::memcpy(to + kStoreIdOffset, store_id.data(), store_id.size());
  Store<uint64_t>(to + kIdOffset, entry.id);
  Store<uint64_t>(to + kSaltOffset, entry.salt);
  Store<uint64_t>(to + kEndOffset, entry.end);
  Store<uint64_t>(to + kLastLsnOffset, entry.last_lsn);
  Store<uint32_t>(to + kLastChecksumOffset, entry.last_checksum);
  return header;
}

absl::Status Damaged(const ManifestSegment& entry, const char* what) {
  return absl::DataLossError(
      absl::StrFormat("hint file of segment %d: %s", entry.id, what));
}

}  // namespace

std::string EncodeHintFile(const StoreId& store_id,
                           const ManifestSegment& entry,
                           const std::vector<HintSection>& sections) {
  PEAT_CHECK(entry.state == SegmentState::kSealed);
  PEAT_CHECK(sections.size() <= kHintSectionCountMax);
  std::string file =
      EncodeHeader(store_id, entry, static_cast<uint32_t>(sections.size()));
  uint64_t offset = HeadSize(sections.size());
  for (const HintSection& section : sections) {
    std::string row(kSectionSize, '\0');
    auto* const to = reinterpret_cast<std::byte*>(row.data());
    Store<uint32_t>(to + kSectionKindOffset,
                    static_cast<uint32_t>(section.kind));
    Store<uint64_t>(to + kSectionOffsetOffset, offset);
    Store<uint64_t>(to + kSectionSizeOffset, section.bytes.size());
    Store<uint64_t>(to + kSectionChecksumOffset,
                    Checksum64(AsBytes(section.bytes)));
    file += row;
    offset += section.bytes.size();
  }
  std::string checksum(sizeof(uint64_t), '\0');
  Store<uint64_t>(reinterpret_cast<std::byte*>(checksum.data()),
                  Checksum64(AsBytes(file)));
  file += checksum;
  for (const HintSection& section : sections) file += section.bytes;
  PEAT_CHECK(file.size() == offset);
  return file;
}

absl::StatusOr<ByteView> FindHintSection(ByteView bytes,
                                         const StoreId& store_id,
                                         const ManifestSegment& entry,
                                         HintSectionKind kind) {
  if (bytes.size() < HeadSize(0)) return Damaged(entry, "cut short");
  const auto count = Load<uint32_t>(bytes, kSectionCountOffset);
  // Not believed yet: only where the checksum would then be.
  if (count > kHintSectionCountMax || bytes.size() < HeadSize(count)) {
    return Damaged(entry, "cut short");
  }
  const size_t checked_size = HeadSize(count) - sizeof(uint64_t);
  if (Load<uint64_t>(bytes, checked_size) !=
      Checksum64(bytes.first(checked_size))) {
    return Damaged(entry, "checksum mismatch");
  }
  if (AsString(bytes.first(kHeaderSize)) !=
      EncodeHeader(store_id, entry, count)) {
    return Damaged(entry, "of another segment or version");
  }
  for (size_t i = 0; i < count; ++i) {
    const ByteView row =
        bytes.subspan(kHeaderSize + i * kSectionSize, kSectionSize);
    if (Load<uint32_t>(row, kSectionKindOffset) !=
        static_cast<uint32_t>(kind)) {
      continue;
    }
    const auto offset = Load<uint64_t>(row, kSectionOffsetOffset);
    const auto size = Load<uint64_t>(row, kSectionSizeOffset);
    if (offset > bytes.size() || size > bytes.size() - offset) {
      return Damaged(entry, "section is cut short");
    }
    const ByteView section = bytes.subspan(offset, size);
    if (Load<uint64_t>(row, kSectionChecksumOffset) != Checksum64(section)) {
      return Damaged(entry, "section checksum mismatch");
    }
    return section;
  }
  return absl::NotFoundError("");
}

}  // namespace peat::format
