// Manifests: see manifest.h.

#include "format/manifest.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "format/checksum.h"
#include "format/manifest_form.h"
#include "format/record.h"
#include "format/status_macros.h"

namespace peat::format {
namespace {

constexpr std::string_view kMagic("PEATMAN\0", 8);
constexpr size_t kVersionOffset = 8;
constexpr size_t kIncompatibleFeaturesOffset = 12;
constexpr size_t kSegmentCountOffset = 20;
constexpr size_t kGenerationOffset = 24;
constexpr size_t kStoreIdOffset = 32;
constexpr size_t kHashSeedOffset = 48;
constexpr size_t kNextIdOffset = 64;
constexpr size_t kDurableLsnOffset = 72;
constexpr size_t kEpochOffset = 80;
constexpr size_t kTimeOffset = 88;
constexpr size_t kRetentionCountOffset = 96;
constexpr size_t kRetentionAgeOffset = 104;
constexpr size_t kDictionaryCountOffset = 112;
constexpr size_t kLeaseCountOffset = 116;
constexpr size_t kLeasesSizeOffset = 120;
constexpr size_t kHeaderZeroOffset = 124;
constexpr size_t kChecksumSize = 8;
static_assert(kHeaderZeroOffset + sizeof(uint32_t) == kManifestHeaderSize);

// Within a segment's entry.
constexpr size_t kIdOffset = 0;
constexpr size_t kSaltOffset = 8;
constexpr size_t kCapacityOffset = 16;
constexpr size_t kEndOffset = 24;
constexpr size_t kFirstLsnOffset = 32;
constexpr size_t kLastLsnOffset = 40;
constexpr size_t kLastChecksumOffset = 48;
constexpr size_t kKindOffset = 52;
constexpr size_t kStateOffset = 53;
constexpr size_t kZeroOffset = 54;
constexpr size_t kLastingBytesOffset = 56;
constexpr size_t kFirstExpiryOffset = 64;
constexpr size_t kLastExpiryOffset = 72;
constexpr size_t kDictionaryOffset = 80;
constexpr size_t kLastZeroOffset = 88;
static_assert(kLastZeroOffset + sizeof(uint64_t) == kManifestSegmentSize);

// Within a dictionary's.
constexpr size_t kSizeOffset = 8;
constexpr size_t kChecksumOffset = 16;
constexpr size_t kDictionaryZeroOffset = 24;
static_assert(kDictionaryZeroOffset + 8 == kManifestDictionarySize);

// Within a lease's.
constexpr size_t kLeaseLsnOffset = 0;
constexpr size_t kBytesMaxOffset = 8;
constexpr size_t kLastUsedOffset = 16;
constexpr size_t kLeaseStateOffset = 24;
constexpr size_t kNameSizeOffset = 25;
constexpr size_t kLeaseZeroOffset = 26;
static_assert(kLeaseZeroOffset + 6 == kManifestLeaseHeadSize);

bool IsZero(ByteView bytes) {
  return std::ranges::all_of(
      bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

size_t LeaseSize(size_t name_size) {
  return kManifestLeaseHeadSize + RoundUp<size_t>(name_size, kRecordAlignment);
}

ManifestShape ShapeOf(const Manifest& manifest) {
  ManifestShape shape = {.segment_count = manifest.segments.size(),
                         .dictionary_count = manifest.dictionaries.size()};
  for (const ManifestLease& lease : manifest.leases) {
    shape.leases_size += LeaseSize(lease.name.size());
  }
  return shape;
}

// The shape that a header claims, at bytes that have one.
std::optional<ManifestShape> ClaimedShape(ByteView bytes) {
  const ManifestShape shape = {
      .segment_count = Load<uint32_t>(bytes, kSegmentCountOffset),
      .dictionary_count = Load<uint32_t>(bytes, kDictionaryCountOffset),
      .leases_size = Load<uint32_t>(bytes, kLeasesSizeOffset)};
  if (shape.segment_count > kManifestSegmentCountMax ||
      shape.dictionary_count > kManifestDictionaryCountMax ||
      shape.leases_size > kManifestLeasesSizeMax) {
    return std::nullopt;
  }
  return shape;
}

void StoreSegment(const ManifestSegment& segment, std::byte* to) {
  Store<uint64_t>(to + kIdOffset, segment.id);
  Store<uint64_t>(to + kSaltOffset, segment.salt);
  Store<uint64_t>(to + kCapacityOffset, segment.capacity);
  Store<uint64_t>(to + kEndOffset, segment.end);
  Store<uint64_t>(to + kFirstLsnOffset, segment.first_lsn);
  Store<uint64_t>(to + kLastLsnOffset, segment.last_lsn);
  Store<uint32_t>(to + kLastChecksumOffset, segment.last_checksum);
  Store<uint8_t>(to + kKindOffset, static_cast<uint8_t>(segment.kind));
  Store<uint8_t>(to + kStateOffset, static_cast<uint8_t>(segment.state));
  Store<uint64_t>(to + kLastingBytesOffset, segment.lasting_bytes);
  Store<uint64_t>(to + kFirstExpiryOffset, segment.first_expiry);
  Store<uint64_t>(to + kLastExpiryOffset, segment.last_expiry);
  Store<uint64_t>(to + kDictionaryOffset, segment.dictionary);
}

void StoreDictionary(const ManifestDictionary& dictionary, std::byte* to) {
  Store<uint64_t>(to + kIdOffset, dictionary.id);
  Store<uint64_t>(to + kSizeOffset, dictionary.size);
  Store<uint64_t>(to + kChecksumOffset, dictionary.checksum);
}

void StoreLease(const ManifestLease& lease, std::byte* to) {
  Store<uint64_t>(to + kLeaseLsnOffset, lease.lsn);
  Store<uint64_t>(to + kBytesMaxOffset, lease.bytes_max);
  Store<uint64_t>(to + kLastUsedOffset, lease.last_used);
  Store<uint8_t>(to + kLeaseStateOffset, static_cast<uint8_t>(lease.state));
  Store<uint8_t>(to + kNameSizeOffset, static_cast<uint8_t>(lease.name.size()));
  std::memcpy(to + kManifestLeaseHeadSize, lease.name.data(),
              lease.name.size());
}

absl::StatusOr<ManifestSegment> LoadSegment(ByteView entry) {
  PEAT_DCHECK(entry.size() == kManifestSegmentSize);
  const ManifestSegment segment = {
      .id = Load<uint64_t>(entry, kIdOffset),
      .salt = Load<uint64_t>(entry, kSaltOffset),
      .capacity = Load<uint64_t>(entry, kCapacityOffset),
      .end = Load<uint64_t>(entry, kEndOffset),
      .first_lsn = Load<uint64_t>(entry, kFirstLsnOffset),
      .last_lsn = Load<uint64_t>(entry, kLastLsnOffset),
      .last_checksum = Load<uint32_t>(entry, kLastChecksumOffset),
      .kind = static_cast<SegmentKind>(Load<uint8_t>(entry, kKindOffset)),
      .state = static_cast<SegmentState>(Load<uint8_t>(entry, kStateOffset)),
      .lasting_bytes = Load<uint64_t>(entry, kLastingBytesOffset),
      .first_expiry = Load<uint64_t>(entry, kFirstExpiryOffset),
      .last_expiry = Load<uint64_t>(entry, kLastExpiryOffset),
      .dictionary = Load<uint64_t>(entry, kDictionaryOffset),
  };
  if (!IsZero(entry.first(kLastingBytesOffset).subspan(kZeroOffset)) ||
      !IsZero(entry.subspan(kLastZeroOffset))) {
    return absl::DataLossError(
        absl::StrFormat("manifest has no zeros in segment %d", segment.id));
  }
  return segment;
}

absl::StatusOr<ManifestDictionary> LoadDictionary(ByteView entry) {
  PEAT_DCHECK(entry.size() == kManifestDictionarySize);
  const ManifestDictionary dictionary = {
      .id = Load<uint64_t>(entry, kIdOffset),
      .size = Load<uint64_t>(entry, kSizeOffset),
      .checksum = Load<uint64_t>(entry, kChecksumOffset),
  };
  if (IsZero(entry.subspan(kDictionaryZeroOffset))) return dictionary;
  return absl::DataLossError(
      absl::StrFormat("manifest has no zeros in dictionary %d", dictionary.id));
}

// The first lease of `bytes`, which are all that are left.
absl::StatusOr<ManifestLease> LoadLease(ByteView bytes) {
  const size_t name_size = bytes.size() < kManifestLeaseHeadSize
                               ? 0
                               : Load<uint8_t>(bytes, kNameSizeOffset);
  const size_t size = LeaseSize(name_size);
  if (size > bytes.size()) {
    return absl::DataLossError(absl::StrFormat(
        "manifest has a lease of %d bytes in the last %d", size, bytes.size()));
  }
  const ByteView name =
      bytes.first(size).subspan(kManifestLeaseHeadSize, name_size);
  const ByteView padding =
      bytes.first(size).subspan(kManifestLeaseHeadSize + name_size);
  if (!IsZero(bytes.first(kManifestLeaseHeadSize).subspan(kLeaseZeroOffset)) ||
      !IsZero(padding)) {
    return absl::DataLossError("manifest has no zeros in a lease");
  }
  return ManifestLease{.name = std::string(AsString(name)),
                       .lsn = Load<uint64_t>(bytes, kLeaseLsnOffset),
                       .bytes_max = Load<uint64_t>(bytes, kBytesMaxOffset),
                       .last_used = Load<uint64_t>(bytes, kLastUsedOffset),
                       .state = static_cast<LeaseState>(
                           Load<uint8_t>(bytes, kLeaseStateOffset))};
}

absl::Status LoadLeases(ByteView bytes, size_t count, Manifest* manifest) {
  for (size_t index = 0; index < count; ++index) {
    PEAT_ASSIGN_OR_RETURN(ManifestLease lease, LoadLease(bytes));
    bytes = bytes.subspan(LeaseSize(lease.name.size()));
    manifest->leases.push_back(std::move(lease));
  }
  if (bytes.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat(
      "manifest has %d bytes behind its %d leases", bytes.size(), count));
}

// Checks everything that comes before a field may be believed: that all bytes
// are there, and the checksum over them. Returns how much follows.
absl::StatusOr<ManifestShape> CheckBytes(ByteView bytes) {
  if (bytes.size() < ManifestSize(ManifestShape{})) {
    return absl::DataLossError(
        absl::StrFormat("manifest needs %d bytes, %d are present",
                        ManifestSize(ManifestShape{}), bytes.size()));
  }
  if (AsString(bytes.first(kMagic.size())) != kMagic) {
    return absl::DataLossError("manifest magic mismatch");
  }
  // Not believed yet: only where the checksum would then be.
  const std::optional<size_t> size = ClaimedManifestSize(bytes);
  if (!size.has_value()) {
    return absl::DataLossError(absl::StrFormat(
        "manifest of %d segments, %d dictionaries, and leases of %d bytes does "
        "not fit in %d bytes",
        Load<uint32_t>(bytes, kSegmentCountOffset),
        Load<uint32_t>(bytes, kDictionaryCountOffset),
        Load<uint32_t>(bytes, kLeasesSizeOffset), bytes.size()));
  }
  const size_t checked_size = *size - kChecksumSize;
  if (Load<uint64_t>(bytes, checked_size) !=
      Checksum64(bytes.first(checked_size))) {
    return absl::DataLossError("manifest checksum mismatch");
  }
  const auto version = Load<uint32_t>(bytes, kVersionOffset);
  const auto features = Load<uint32_t>(bytes, kIncompatibleFeaturesOffset);
  if (version > kFormatVersion || features != 0) {
    return absl::UnimplementedError(absl::StrFormat(
        "manifest is of version %d with features %#x, %d and 0 are known",
        version, features, kFormatVersion));
  }
  if (version == 0) return absl::DataLossError("manifest has the version 0");
  if (Load<uint32_t>(bytes, kHeaderZeroOffset) != 0) {
    return absl::DataLossError("manifest has no zeros behind its counts");
  }
  return *ClaimedShape(bytes);
}

// The fields in front of the segments.
Manifest LoadHeader(ByteView bytes) {
  Manifest manifest = {
      .generation = Load<uint64_t>(bytes, kGenerationOffset),
      .store_id = {},
      .hash_seed = {},
      .next_id = Load<uint64_t>(bytes, kNextIdOffset),
      .durable_lsn = Load<uint64_t>(bytes, kDurableLsnOffset),
      .epoch = Load<uint64_t>(bytes, kEpochOffset),
      .time = Load<uint64_t>(bytes, kTimeOffset),
      .retention = {.count = Load<uint64_t>(bytes, kRetentionCountOffset),
                    .age = Load<uint64_t>(bytes, kRetentionAgeOffset)},
  };
  std::memcpy(manifest.store_id.data(), bytes.data() + kStoreIdOffset,
              manifest.store_id.size());
  std::memcpy(manifest.hash_seed.data(), bytes.data() + kHashSeedOffset,
              manifest.hash_seed.size());
  return manifest;
}

void StoreHeader(const Manifest& manifest, std::byte* to) {
  const ManifestShape shape = ShapeOf(manifest);
  std::memcpy(to, kMagic.data(), kMagic.size());
  Store<uint32_t>(to + kVersionOffset, kFormatVersion);
  Store<uint32_t>(to + kSegmentCountOffset,
                  static_cast<uint32_t>(shape.segment_count));
  Store<uint64_t>(to + kGenerationOffset, manifest.generation);
  std::memcpy(to + kStoreIdOffset, manifest.store_id.data(),
              manifest.store_id.size());
  std::memcpy(to + kHashSeedOffset, manifest.hash_seed.data(),
              manifest.hash_seed.size());
  Store<uint64_t>(to + kNextIdOffset, manifest.next_id);
  Store<uint64_t>(to + kDurableLsnOffset, manifest.durable_lsn);
  Store<uint64_t>(to + kEpochOffset, manifest.epoch);
  Store<uint64_t>(to + kTimeOffset, manifest.time);
  Store<uint64_t>(to + kRetentionCountOffset, manifest.retention.count);
  Store<uint64_t>(to + kRetentionAgeOffset, manifest.retention.age);
  Store<uint32_t>(to + kDictionaryCountOffset,
                  static_cast<uint32_t>(shape.dictionary_count));
  Store<uint32_t>(to + kLeaseCountOffset,
                  static_cast<uint32_t>(manifest.leases.size()));
  Store<uint32_t>(to + kLeasesSizeOffset,
                  static_cast<uint32_t>(shape.leases_size));
}

}  // namespace

void AddSegment(Manifest& manifest, const ManifestSegment& segment) {
  const auto at = std::ranges::upper_bound(manifest.segments, segment.id,
                                           std::less<>(), &ManifestSegment::id);
  PEAT_CHECK(at == manifest.segments.begin() || (at - 1)->id != segment.id);
  manifest.segments.insert(at, segment);
}

void EraseSegment(Manifest& manifest, SegmentId id) {
  std::erase_if(manifest.segments,
                [id](const ManifestSegment& entry) { return entry.id == id; });
}

size_t ManifestSize(const ManifestShape& shape) {
  PEAT_DCHECK(shape.segment_count <= kManifestSegmentCountMax);
  PEAT_DCHECK(shape.leases_size % kRecordAlignment == 0);
  return kManifestHeaderSize + shape.segment_count * kManifestSegmentSize +
         shape.dictionary_count * kManifestDictionarySize + shape.leases_size +
         kChecksumSize;
}

size_t ManifestSize(const Manifest& manifest) {
  return ManifestSize(ShapeOf(manifest));
}

size_t ManifestSizeMax() {
  return ManifestSize({.segment_count = kManifestSegmentCountMax,
                       .dictionary_count = kManifestDictionaryCountMax,
                       .leases_size = kManifestLeasesSizeMax});
}

std::optional<size_t> ClaimedManifestSize(ByteView bytes) {
  if (bytes.size() < ManifestSize(ManifestShape{})) return std::nullopt;
  const std::optional<ManifestShape> shape = ClaimedShape(bytes);
  if (!shape.has_value()) return std::nullopt;
  if (shape->leases_size % kRecordAlignment != 0) return std::nullopt;
  const size_t size = ManifestSize(*shape);
  if (size > bytes.size()) return std::nullopt;
  return size;
}

std::string EncodeManifest(const Manifest& manifest) {
  PEAT_CHECK(CheckForm(manifest).ok());
  const size_t size = ManifestSize(manifest);
  std::string encoded(size, '\0');
  auto* const to = reinterpret_cast<std::byte*>(encoded.data());
  StoreHeader(manifest, to);
  size_t offset = kManifestHeaderSize;
  for (const ManifestSegment& segment : manifest.segments) {
    StoreSegment(segment, to + offset);
    offset += kManifestSegmentSize;
  }
  for (const ManifestDictionary& dictionary : manifest.dictionaries) {
    StoreDictionary(dictionary, to + offset);
    offset += kManifestDictionarySize;
  }
  for (const ManifestLease& lease : manifest.leases) {
    StoreLease(lease, to + offset);
    offset += LeaseSize(lease.name.size());
  }
  PEAT_CHECK(offset + kChecksumSize == size);
  Store<uint64_t>(to + offset, Checksum64(ByteView(to, offset)));
  return encoded;
}

absl::StatusOr<Manifest> DecodeManifest(ByteView bytes) {
  PEAT_ASSIGN_OR_RETURN(const ManifestShape shape, CheckBytes(bytes));
  Manifest manifest = LoadHeader(bytes);
  ByteView rest = bytes.first(ManifestSize(shape) - kChecksumSize)
                      .subspan(kManifestHeaderSize);
  manifest.segments.reserve(shape.segment_count);
  for (size_t index = 0; index < shape.segment_count; ++index) {
    PEAT_ASSIGN_OR_RETURN(const ManifestSegment segment,
                          LoadSegment(rest.first(kManifestSegmentSize)));
    manifest.segments.push_back(segment);
    rest = rest.subspan(kManifestSegmentSize);
  }
  for (size_t index = 0; index < shape.dictionary_count; ++index) {
    PEAT_ASSIGN_OR_RETURN(const ManifestDictionary dictionary,
                          LoadDictionary(rest.first(kManifestDictionarySize)));
    manifest.dictionaries.push_back(dictionary);
    rest = rest.subspan(kManifestDictionarySize);
  }
  const size_t lease_count = Load<uint32_t>(bytes, kLeaseCountOffset);
  PEAT_RETURN_IF_ERROR(LoadLeases(rest, lease_count, &manifest));
  PEAT_RETURN_IF_ERROR(CheckForm(manifest));
  PEAT_RETURN_IF_ERROR(CheckCounts(manifest));
  return manifest;
}

}  // namespace peat::format
