// Segment headers: see segment_header.h.

#include "format/segment_header.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "format/checksum.h"
#include "format/record.h"

namespace peat::format {
namespace {

constexpr std::string_view kMagic("PEATSEG\0", 8);
constexpr size_t kVersionOffset = 8;
constexpr size_t kIncompatibleFeaturesOffset = 12;
constexpr size_t kCompatibleFeaturesOffset = 16;
constexpr size_t kKindOffset = 20;
constexpr size_t kIdOffset = 24;
constexpr size_t kSaltOffset = 32;
constexpr size_t kStoreIdOffset = 40;
constexpr size_t kCapacityOffset = 56;
constexpr size_t kChecksumOffset = 64;
static_assert(kChecksumOffset + sizeof(uint64_t) == kSegmentHeaderUsedSize);
static_assert(kSegmentHeaderUsedSize <= kSegmentHeaderSize);

// Checked before a header is written and after it was read.
bool HasValidForm(const SegmentHeader& header) {
  return header.id != 0 && header.salt != 0 &&
         IsValidCapacity(header.kind, header.capacity);
}

bool IsZero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

bool IsValidCapacity(SegmentKind kind, uint64_t capacity) {
  switch (kind) {
    case SegmentKind::kLog:
    case SegmentKind::kCompacted:
    case SegmentKind::kAudit:
      return capacity >= kSegmentHeaderSize && capacity <= kSegmentSizeMax &&
             capacity % kRecordAlignment == 0;
    case SegmentKind::kValue:
      return capacity >= kSegmentHeaderSize &&
             capacity <= kSegmentHeaderSize + kValueSizeMax;
  }
  return false;  // a kind that is not known
}

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  PEAT_CHECK(HasValidForm(header));
  std::string encoded(kSegmentHeaderUsedSize, '\0');
  auto* const to = reinterpret_cast<std::byte*>(encoded.data());
  std::memcpy(to, kMagic.data(), kMagic.size());
  Store<uint32_t>(to + kVersionOffset, kFormatVersion);
  Store<uint32_t>(to + kKindOffset, static_cast<uint32_t>(header.kind));
  Store<uint64_t>(to + kIdOffset, header.id);
  Store<uint64_t>(to + kSaltOffset, header.salt);
  std::memcpy(to + kStoreIdOffset, header.store_id.data(),
              header.store_id.size());
  Store<uint64_t>(to + kCapacityOffset, header.capacity);
  Store<uint64_t>(to + kChecksumOffset,
                  Checksum64(ByteView(to, kChecksumOffset)));
  return encoded;
}

absl::StatusOr<SegmentHeader> DecodeSegmentHeader(ByteView bytes) {
  if (bytes.size() < kSegmentHeaderUsedSize) {
    return absl::OutOfRangeError(
        absl::StrFormat("segment header needs %d bytes, %d are present",
                        kSegmentHeaderUsedSize, bytes.size()));
  }
  if (AsString(bytes.first(kMagic.size())) != kMagic) {
    return absl::DataLossError("segment header magic mismatch");
  }
  if (Load<uint64_t>(bytes, kChecksumOffset) !=
      Checksum64(bytes.first(kChecksumOffset))) {
    return absl::DataLossError("segment header checksum mismatch");
  }
  const auto version = Load<uint32_t>(bytes, kVersionOffset);
  const auto features = Load<uint32_t>(bytes, kIncompatibleFeaturesOffset);
  if (version > kFormatVersion || features != 0) {
    return absl::UnimplementedError(absl::StrFormat(
        "segment is of version %d with features %#x, %d and 0 are known",
        version, features, kFormatVersion));
  }
  SegmentHeader header = {
      .kind = static_cast<SegmentKind>(Load<uint32_t>(bytes, kKindOffset)),
      .id = Load<uint64_t>(bytes, kIdOffset),
      .salt = Load<uint64_t>(bytes, kSaltOffset),
      .store_id = {},
      .capacity = Load<uint64_t>(bytes, kCapacityOffset),
  };
  std::memcpy(header.store_id.data(), bytes.data() + kStoreIdOffset,
              header.store_id.size());
  if (version == 0 || !HasValidForm(header)) {
    return absl::DataLossError("segment header is malformed");
  }
  const ByteView rest = bytes.first(std::min(bytes.size(), kSegmentHeaderSize))
                            .subspan(kSegmentHeaderUsedSize);
  if (Load<uint32_t>(bytes, kCompatibleFeaturesOffset) == 0 && !IsZero(rest)) {
    return absl::DataLossError("segment header is not followed by zeros");
  }
  return header;
}

}  // namespace peat::format
