// Manifests: see manifest.h.

#include "format/manifest.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "format/checksum.h"
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
constexpr size_t kChecksumSize = 8;
static_assert(kDurableLsnOffset + sizeof(Lsn) == kManifestHeaderSize);

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
static_assert(kZeroOffset < kManifestSegmentSize);

constexpr SegmentId kNextIdMax = SegmentId{1} << 63;

bool HasValidEnd(const ManifestSegment& segment) {
  switch (segment.state) {
    case SegmentState::kOpen:
      return segment.end == 0;
    case SegmentState::kSealed:
      return segment.end >= kSegmentHeaderSize &&
             segment.end <= segment.capacity &&
             segment.end % kRecordAlignment == 0 &&
             segment.first_lsn <= segment.last_lsn;
  }
  return false;  // a state that is not known
}

// Checked before a manifest is written and after it was read.
absl::Status CheckForm(const Manifest& manifest) {
  if (manifest.segments.size() > kManifestSegmentCountMax) {
    return absl::DataLossError(
        absl::StrFormat("manifest has %d segments, at most %d are allowed",
                        manifest.segments.size(), kManifestSegmentCountMax));
  }
  if (manifest.next_id == 0 || manifest.next_id > kNextIdMax) {
    return absl::DataLossError(
        absl::StrFormat("manifest has the next id %d", manifest.next_id));
  }
  SegmentId previous = 0;
  for (const ManifestSegment& segment : manifest.segments) {
    if (segment.id <= previous || segment.id >= manifest.next_id) {
      return absl::DataLossError(
          absl::StrFormat("manifest has segment %d after %d, the next id is %d",
                          segment.id, previous, manifest.next_id));
    }
    if (segment.salt == 0 || segment.kind == SegmentKind::kValue ||
        !IsValidCapacity(segment.kind, segment.capacity) ||
        !HasValidEnd(segment)) {
      return absl::DataLossError(
          absl::StrFormat("manifest has a malformed segment %d", segment.id));
    }
    previous = segment.id;
  }
  return absl::OkStatus();
}

// Checked only after a manifest was read.
absl::Status CheckCounts(const Manifest& manifest) {
  const bool are_possible =
      manifest.generation <= kManifestCountMax &&
      manifest.next_id <= kManifestCountMax &&
      manifest.durable_lsn <= kManifestCountMax &&
      std::ranges::all_of(manifest.segments, [](const ManifestSegment& one) {
        return one.last_lsn <= kManifestCountMax;
      });
  if (are_possible) return absl::OkStatus();
  return absl::DataLossError(
      "manifest has a generation, id or lsn that no store can reach");
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
  };
  const ByteView zeros = entry.subspan(kZeroOffset);
  if (std::any_of(zeros.begin(), zeros.end(),
                  [](std::byte byte) { return byte != std::byte{0}; })) {
    return absl::DataLossError(
        absl::StrFormat("manifest has no zeros behind segment %d", segment.id));
  }
  return segment;
}

// Checks everything that comes before a field may be believed: that all bytes
// are there, and the checksum over them. Returns how many segments follow.
absl::StatusOr<size_t> CheckBytes(ByteView bytes) {
  if (bytes.size() < ManifestSize(0)) {
    return absl::DataLossError(
        absl::StrFormat("manifest needs %d bytes, %d are present",
                        ManifestSize(0), bytes.size()));
  }
  if (AsString(bytes.first(kMagic.size())) != kMagic) {
    return absl::DataLossError("manifest magic mismatch");
  }
  // Not believed yet: only where the checksum would then be.
  const size_t segment_count = Load<uint32_t>(bytes, kSegmentCountOffset);
  if (segment_count > kManifestSegmentCountMax ||
      ManifestSize(segment_count) > bytes.size()) {
    return absl::DataLossError(
        absl::StrFormat("manifest of %d segments does not fit in %d bytes",
                        segment_count, bytes.size()));
  }
  const size_t checked_size = ManifestSize(segment_count) - kChecksumSize;
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
  return segment_count;
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

size_t ManifestSize(size_t segment_count) {
  PEAT_DCHECK(segment_count <= kManifestSegmentCountMax);
  return kManifestHeaderSize + segment_count * kManifestSegmentSize +
         kChecksumSize;
}

std::string EncodeManifest(const Manifest& manifest) {
  PEAT_CHECK(CheckForm(manifest).ok());
  const size_t size = ManifestSize(manifest.segments.size());
  std::string encoded(size, '\0');
  auto* const to = reinterpret_cast<std::byte*>(encoded.data());
  std::memcpy(to, kMagic.data(), kMagic.size());
  Store<uint32_t>(to + kVersionOffset, kFormatVersion);
  Store<uint32_t>(to + kSegmentCountOffset,
                  static_cast<uint32_t>(manifest.segments.size()));
  Store<uint64_t>(to + kGenerationOffset, manifest.generation);
  std::memcpy(to + kStoreIdOffset, manifest.store_id.data(),
              manifest.store_id.size());
  std::memcpy(to + kHashSeedOffset, manifest.hash_seed.data(),
              manifest.hash_seed.size());
  Store<uint64_t>(to + kNextIdOffset, manifest.next_id);
  Store<uint64_t>(to + kDurableLsnOffset, manifest.durable_lsn);
  size_t offset = kManifestHeaderSize;
  for (const ManifestSegment& segment : manifest.segments) {
    StoreSegment(segment, to + offset);
    offset += kManifestSegmentSize;
  }
  PEAT_CHECK(offset + kChecksumSize == size);
  Store<uint64_t>(to + offset, Checksum64(ByteView(to, offset)));
  return encoded;
}

absl::StatusOr<Manifest> DecodeManifest(ByteView bytes) {
  PEAT_ASSIGN_OR_RETURN(const size_t segment_count, CheckBytes(bytes));
  Manifest manifest = {
      .generation = Load<uint64_t>(bytes, kGenerationOffset),
      .store_id = {},
      .hash_seed = {},
      .next_id = Load<uint64_t>(bytes, kNextIdOffset),
      .durable_lsn = Load<uint64_t>(bytes, kDurableLsnOffset),
      .segments = {},
  };
  std::memcpy(manifest.store_id.data(), bytes.data() + kStoreIdOffset,
              manifest.store_id.size());
  std::memcpy(manifest.hash_seed.data(), bytes.data() + kHashSeedOffset,
              manifest.hash_seed.size());
  manifest.segments.reserve(segment_count);
  for (size_t index = 0; index < segment_count; ++index) {
    const ByteView entry =
        bytes.subspan(kManifestHeaderSize + index * kManifestSegmentSize,
                      kManifestSegmentSize);
    PEAT_ASSIGN_OR_RETURN(const ManifestSegment segment, LoadSegment(entry));
    manifest.segments.push_back(segment);
  }
  PEAT_RETURN_IF_ERROR(CheckForm(manifest));
  PEAT_RETURN_IF_ERROR(CheckCounts(manifest));
  return manifest;
}

}  // namespace peat::format
