// Makes the checksums of a store's files match their bytes again, after a test
// has changed them: what a forger would do.

#ifndef PEAT_TESTS_SUPPORT_RESEAL_H_
#define PEAT_TESTS_SUPPORT_RESEAL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "format/bytes.h"
#include "format/checksum.h"
#include "format/index_image.h"
#include "format/manifest.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace peat::testing {

inline std::byte* BytesOf(std::string* bytes) {
  return reinterpret_cast<std::byte*>(bytes->data());
}

inline void ResealManifest(std::string* bytes) {
  const auto size = format::ClaimedManifestSize(format::AsBytes(*bytes));
  if (!size.has_value()) return;
  const size_t checked = *size - 8;
  format::Store<uint64_t>(
      BytesOf(bytes) + checked,
      format::Checksum64(format::AsBytes(*bytes).first(checked)));
}

// The header of a segment or value file.
inline void ResealSegmentHeader(std::string* bytes) {
  if (bytes->size() < format::kSegmentHeaderUsedSize) return;
  constexpr size_t kChecked = format::kSegmentHeaderUsedSize - 8;
  format::Store<uint64_t>(
      BytesOf(bytes) + kChecked,
      format::Checksum64(format::AsBytes(*bytes).first(kChecked)));
}

// Every record whose header's place is known: the one behind the other, from
// the first on, by their claimed sizes.
inline void ResealRecords(std::string* bytes) {
  if (bytes->size() < format::kSegmentHeaderSize) return;
  const auto salt = format::Load<uint64_t>(format::AsBytes(*bytes), 32);
  for (size_t at = format::kSegmentHeaderSize;
       at + format::kRecordHeaderSize <= bytes->size();) {
    const format::ByteView rest = format::AsBytes(*bytes).subspan(at);
    const uint64_t key_size = format::Load<uint16_t>(rest, 20);
    const uint64_t value_size = format::Load<uint32_t>(rest, 16);
    if (format::RecordSize(key_size, value_size) > rest.size()) return;
    const std::string_view payload =
        format::AsString(rest).substr(format::kRecordHeaderSize);
    std::byte* const to = BytesOf(bytes) + at;
    format::Store<uint32_t>(
        to + 4, format::PayloadChecksum(
                    format::PayloadHash(payload.substr(0, key_size),
                                        payload.substr(key_size, value_size)),
                    {salt, at}));
    format::Store<uint32_t>(
        to, format::HeaderChecksum(format::ByteView(to + 4, 20), {salt, at}));
    at += format::RecordSize(key_size, value_size);
  }
}

// The head of an index image.
inline void ResealImageHead(std::string* bytes) {
  const format::ByteView file = format::AsBytes(*bytes);
  const absl::StatusOr<uint64_t> size = format::DecodeSnapshotHeadSize(file);
  if (!size.ok() || *size > file.size()) return;
  format::Store<uint64_t>(BytesOf(bytes) + *size - 8,
                          format::Checksum64(file.first(*size - 8)));
}

// The same, and its images and their tables, as far as they are in the file.
inline void ResealImage(std::string* bytes) {
  constexpr size_t kImagesOffset = 88;
  const format::ByteView file = format::AsBytes(*bytes);
  if (file.size() < format::kSnapshotSegmentsOffset) return;
  const auto is_within = [&file](uint64_t offset, uint64_t size) {
    return offset <= file.size() && size <= file.size() - offset;
  };
  for (size_t row = kImagesOffset; row < format::kSnapshotSegmentsOffset;
       row += 32) {
    const auto offset = format::Load<uint64_t>(file, row);
    const auto size = format::Load<uint64_t>(file, row + 8);
    if (!is_within(offset, size)) continue;
    for (uint64_t at = offset + 8; at + 16 <= offset + size; at += 16) {
      const uint64_t slots =
          64 * uint64_t{format::Load<uint32_t>(file, at + 8)};
      // 512 bytes for each slot of a bucket; the byte is half the width.
      const uint64_t slots_size =
          1024 * uint64_t{format::Load<uint8_t>(file, at + 12)};
      if (slots_size == 0 || !is_within(slots, slots_size)) continue;
      format::Store<uint64_t>(
          BytesOf(bytes) + at,
          format::Checksum64(file.subspan(slots, slots_size)));
    }
    format::Store<uint64_t>(BytesOf(bytes) + row + 16,
                            format::Checksum64(file.subspan(offset, size)));
  }
  ResealImageHead(bytes);
}

// Whatever `name` says that it is.
inline void Reseal(std::string_view name, std::string* bytes) {
  if (name.ends_with(".seg")) {
    ResealSegmentHeader(bytes);
    ResealRecords(bytes);
  } else if (name.ends_with(".val")) {
    ResealSegmentHeader(bytes);
  } else if (name.ends_with(".snap")) {
    ResealImage(bytes);
  } else if (name.starts_with("MANIFEST")) {
    ResealManifest(bytes);
  }
}

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_RESEAL_H_
