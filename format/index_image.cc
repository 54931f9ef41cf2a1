// Index images: see index_image.h.

#include "format/index_image.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "format/check.h"
#include "format/checksum.h"
#include "format/mask.h"
#include "format/record.h"
#include "format/status_macros.h"

namespace peat::format {
namespace {

constexpr std::string_view kMagic("PEATIDX\0", 8);
constexpr uint32_t kSnapshotVersion = 2;

constexpr size_t kVersionOffset = 8;
constexpr size_t kHeadSizeOffset = 12;
constexpr size_t kStoreIdOffset = 16;
constexpr size_t kHashCheckOffset = 32;
constexpr size_t kLastLsnOffset = 40;
constexpr size_t kGenerationOffset = 48;
constexpr size_t kLogSegmentOffset = 56;
constexpr size_t kLogSaltOffset = 64;
constexpr size_t kLogEndOffset = 72;
constexpr size_t kSegmentCountOffset = 80;
constexpr size_t kValueCountOffset = 84;
constexpr size_t kImagesOffset = 88;

constexpr size_t kImageSize = 32;
static_assert(kSnapshotSegmentsOffset ==
              kImagesOffset + kImageSize * kSnapshotShardCount);
constexpr size_t kSegmentZeroOffset = 92;
constexpr size_t kValueSize = 8;
constexpr size_t kChecksumSize = 8;

// A head of as many segments as there may be, each with some values.
constexpr uint64_t kHeadSizeMax = uint64_t{64} << 20;

uint64_t HeadSize(uint64_t segment_count, uint64_t value_count) {
  return kSnapshotSegmentsOffset + kSnapshotSegmentSize * segment_count +
         kValueSize * value_count + kChecksumSize;
}

uint64_t ValueCount(const IndexImage& snapshot) {
  uint64_t count = 0;
  for (const SnapshotSegment& one : snapshot.segments) {
    count += one.values.size();
  }
  return count;
}

void StoreSegment(const SnapshotSegment& segment, std::byte* to) {
  Store<uint64_t>(to, segment.id);
  Store<uint64_t>(to + 8, segment.salt);
  Store<uint64_t>(to + 16, segment.end);
  Store<uint64_t>(to + 24, segment.last_lsn);
  Store<uint32_t>(to + 32, segment.last_checksum);
  Store<uint32_t>(to + 36, segment.number);
  Store<uint64_t>(to + 40, segment.live_bytes);
  Store<uint64_t>(to + 48, segment.tombstone_bytes);
  Store<uint64_t>(to + 56, segment.value_bytes);
  Store<uint64_t>(to + 64, segment.live_value_bytes);
  Store<uint64_t>(to + 72, segment.disabled);
  Store<uint64_t>(to + 80, segment.forgotten);
  Store<uint32_t>(to + 88, static_cast<uint32_t>(segment.values.size()));
}

// But for its values, of which it returns the number.
uint64_t LoadSegment(ByteView row, SnapshotSegment* segment) {
  segment->id = Load<uint64_t>(row, 0);
  segment->salt = Load<uint64_t>(row, 8);
  segment->end = Load<uint64_t>(row, 16);
  segment->last_lsn = Load<uint64_t>(row, 24);
  segment->last_checksum = Load<uint32_t>(row, 32);
  segment->number = Load<uint32_t>(row, 36);
  segment->live_bytes = Load<uint64_t>(row, 40);
  segment->tombstone_bytes = Load<uint64_t>(row, 48);
  segment->value_bytes = Load<uint64_t>(row, 56);
  segment->live_value_bytes = Load<uint64_t>(row, 64);
  segment->disabled = Load<uint64_t>(row, 72);
  segment->forgotten = Load<uint64_t>(row, 80);
  return Load<uint32_t>(row, 88);
}

absl::Status Damaged(const char* what) {
  return absl::DataLossError(absl::StrFormat("index image: %s", what));
}

absl::Status CheckForm(const IndexImage& snapshot) {
  std::vector<bool> taken(kSegmentNumberMax + 1);
  SegmentId previous = 0;
  for (const SnapshotSegment& segment : snapshot.segments) {
    if (segment.id <= previous || segment.id > kSegmentIdMax) {
      return Damaged("ids do not ascend");
    }
    if (segment.number == 0 || segment.number > kSegmentNumberMax ||
        taken[segment.number]) {
      return Damaged("impossible number");
    }
    taken[segment.number] = true;
    previous = segment.id;
  }
  return absl::OkStatus();
}

// Whether what is said of a segment could be true. Checked only after a head
// was read; the checksum says that these bytes were meant, not that they are
// right.
bool HasPossibleCounts(const SnapshotSegment& segment) {
  if (segment.end > kSegmentSizeMax || segment.end % kRecordAlignment != 0) {
    return false;
  }
  if (segment.end > 0 && segment.end < kSegmentHeaderSize) return false;
  const uint64_t used = segment.end == 0 ? 0 : segment.end - kSegmentHeaderSize;
  if (segment.live_bytes > used ||
      segment.tombstone_bytes > used - segment.live_bytes ||
      segment.live_bytes % kRecordAlignment != 0 ||
      segment.tombstone_bytes % kRecordAlignment != 0) {
    return false;
  }
  const uint64_t masks_max =
      segment.live_bytes / RecordSize(0, kMaskHeaderSize);
  if (segment.disabled > masks_max ||
      segment.forgotten > masks_max - segment.disabled) {
    return false;
  }
  if (segment.values.size() > used / RecordSize(0, kValueReferenceSize) ||
      segment.value_bytes > segment.values.size() * kValueSizeMax ||
      segment.live_value_bytes > segment.value_bytes) {
    return false;
  }
  return std::ranges::all_of(segment.values, [](SegmentId file) {
    return file != 0 && file <= kSegmentIdMax;
  });
}

}  // namespace

uint64_t SnapshotHeadSize(const IndexImage& snapshot) {
  return HeadSize(snapshot.segments.size(), ValueCount(snapshot));
}

std::string EncodeSnapshotHead(const IndexImage& snapshot) {
  PEAT_CHECK(CheckForm(snapshot).ok());
  std::string head(SnapshotHeadSize(snapshot), '\0');
  auto* const to = reinterpret_cast<std::byte*>(head.data());
  std::memcpy(to, kMagic.data(), kMagic.size());
  Store<uint32_t>(to + kVersionOffset, kSnapshotVersion);
  Store<uint32_t>(to + kHeadSizeOffset, static_cast<uint32_t>(head.size()));
  std::memcpy(to + kStoreIdOffset, snapshot.store_id.data(),
              snapshot.store_id.size());
  Store<uint64_t>(to + kHashCheckOffset, snapshot.hash_check);
  Store<uint64_t>(to + kLastLsnOffset, snapshot.last_lsn);
  Store<uint64_t>(to + kGenerationOffset, snapshot.generation);
  Store<uint64_t>(to + kLogSegmentOffset, snapshot.log_segment);
  Store<uint64_t>(to + kLogSaltOffset, snapshot.log_salt);
  Store<uint64_t>(to + kLogEndOffset, snapshot.log_end);
  Store<uint32_t>(to + kSegmentCountOffset,
                  static_cast<uint32_t>(snapshot.segments.size()));
  Store<uint32_t>(to + kValueCountOffset,
                  static_cast<uint32_t>(ValueCount(snapshot)));
  std::byte* row = to + kImagesOffset;
  for (const SnapshotImage& image : snapshot.images) {
    Store<uint64_t>(row, image.offset);
    Store<uint64_t>(row + 8, image.size);
    Store<uint64_t>(row + 16, image.checksum);
    Store<uint64_t>(row + 24, image.key_count);
    row += kImageSize;
  }
  for (const SnapshotSegment& segment : snapshot.segments) {
    StoreSegment(segment, row);
    row += kSnapshotSegmentSize;
  }
  for (const SnapshotSegment& segment : snapshot.segments) {
    for (const SegmentId value : segment.values) {
      Store<uint64_t>(row, value);
      row += kValueSize;
    }
  }
  Store<uint64_t>(row,
                  Checksum64(AsBytes(head).first(head.size() - kChecksumSize)));
  return head;
}

absl::StatusOr<uint64_t> DecodeSnapshotHeadSize(ByteView prefix) {
  if (prefix.size() < kSnapshotPrefixSize) return Damaged("cut short");
  if (AsString(prefix.first(kMagic.size())) != kMagic) {
    return Damaged("magic mismatch");
  }
  if (Load<uint32_t>(prefix, kVersionOffset) != kSnapshotVersion) {
    return Damaged("of another version");
  }
  const uint64_t size = Load<uint32_t>(prefix, kHeadSizeOffset);
  if (size < HeadSize(0, 0) || size > kHeadSizeMax) {
    return Damaged("impossible size");
  }
  return size;
}

absl::StatusOr<IndexImage> DecodeSnapshotHead(ByteView head) {
  PEAT_ASSIGN_OR_RETURN(const uint64_t size, DecodeSnapshotHeadSize(head));
  if (head.size() != size) return Damaged("cut short");
  const size_t checked_size = size - kChecksumSize;
  if (Load<uint64_t>(head, checked_size) !=
      Checksum64(head.first(checked_size))) {
    return Damaged("checksum mismatch");
  }
  const uint64_t segment_count = Load<uint32_t>(head, kSegmentCountOffset);
  const uint64_t value_count = Load<uint32_t>(head, kValueCountOffset);
  if (HeadSize(segment_count, value_count) != size) {
    return Damaged("counts do not fit");
  }
  IndexImage snapshot;
  const ByteView store_id =
      head.subspan(kStoreIdOffset, snapshot.store_id.size());
  std::copy(store_id.begin(), store_id.end(), snapshot.store_id.begin());
  snapshot.hash_check = Load<uint64_t>(head, kHashCheckOffset);
  snapshot.last_lsn = Load<uint64_t>(head, kLastLsnOffset);
  snapshot.generation = Load<uint64_t>(head, kGenerationOffset);
  snapshot.log_segment = Load<uint64_t>(head, kLogSegmentOffset);
  snapshot.log_salt = Load<uint64_t>(head, kLogSaltOffset);
  snapshot.log_end = Load<uint64_t>(head, kLogEndOffset);
  size_t row = kImagesOffset;
  for (SnapshotImage& image : snapshot.images) {
    image = {.offset = Load<uint64_t>(head, row),
             .size = Load<uint64_t>(head, row + 8),
             .checksum = Load<uint64_t>(head, row + 16),
             .key_count = Load<uint64_t>(head, row + 24)};
    row += kImageSize;
  }
  size_t value = kSnapshotSegmentsOffset + kSnapshotSegmentSize * segment_count;
  snapshot.segments.resize(segment_count);
  for (SnapshotSegment& segment : snapshot.segments) {
    const ByteView one = head.subspan(row, kSnapshotSegmentSize);
    uint64_t count = LoadSegment(one, &segment);
    row += kSnapshotSegmentSize;
    if (Load<uint32_t>(one, kSegmentZeroOffset) != 0) {
      return Damaged("unknown field");
    }
    if (count > (checked_size - value) / kValueSize) {
      return Damaged("counts do not fit");
    }
    segment.values.reserve(count);
    for (; count > 0; --count, value += kValueSize) {
      segment.values.push_back(Load<uint64_t>(head, value));
    }
  }
  if (value != checked_size) return Damaged("counts do not fit");
  PEAT_RETURN_IF_ERROR(CheckForm(snapshot));
  if (!std::ranges::all_of(snapshot.segments, HasPossibleCounts)) {
    return Damaged("impossible counts");
  }
  return snapshot;
}

}  // namespace peat::format
