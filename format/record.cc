// Records: see record.h.

#include "format/record.h"

#include <array>

#include "absl/strings/str_format.h"
#include "format/mask.h"
#include "format/segment_header.h"

namespace peat::format {
namespace {

constexpr size_t kHeaderChecksumOffset = 0;
constexpr size_t kPayloadChecksumOffset = 4;
constexpr size_t kLsnOffset = 8;
constexpr size_t kValueSizeOffset = 16;
constexpr size_t kKeySizeOffset = 20;
constexpr size_t kKindOffset = 22;
constexpr size_t kFlagsOffset = 23;

// The bytes of a header that its checksum covers: all but itself.
constexpr size_t kCheckedOffset = 4;
constexpr size_t kCheckedSize = kRecordHeaderSize - kCheckedOffset;
static_assert(kFlagsOffset + 1 == kRecordHeaderSize);

// What a header of one kind must look like.
struct KindRule {
  bool is_known = false;
  bool takes_lsn = false;
  uint8_t flags = 0;  // that may be set
  uint16_t key_size_max = 0;
  uint32_t value_size_min = 0;
  uint32_t value_size_max = 0;
};

constexpr KindRule StructuralRule(uint32_t value_size) {
  return {.is_known = true,
          .value_size_min = value_size,
          .value_size_max = value_size};
}

constexpr KindRule KeyedRule(bool takes_lsn, uint8_t flags,
                             uint64_t value_size_min, uint64_t value_size_max) {
  return {.is_known = true,
          .takes_lsn = takes_lsn,
          .flags = flags,
          .key_size_max = kKeySizeMax,
          .value_size_min = static_cast<uint32_t>(value_size_min),
          .value_size_max = static_cast<uint32_t>(value_size_max)};
}

constexpr size_t kKindCount = 32;  // kinds at or above it are unknown

constexpr std::array<KindRule, kKindCount> MakeKindRules() {
  std::array<KindRule, kKindCount> rules = {};
  const auto set = [&rules](RecordKind kind, KindRule rule) {
    rules[static_cast<size_t>(kind)] = rule;
  };
  set(RecordKind::kPut, KeyedRule(true, kKnownFlags, 0, kValueSizeMax));
  set(RecordKind::kTombstone, KeyedRule(true, kFlagInFrame, 0, 0));
  constexpr uint8_t kMaskFlags = kKnownFlags & ~kFlagShadowsLonger;
  constexpr KindRule kMaskRule =
      KeyedRule(true, kMaskFlags, kMaskHeaderSize, kValueSizeMax);
  set(RecordKind::kDisable, kMaskRule);
  set(RecordKind::kEnable, kMaskRule);
  set(RecordKind::kForget, kMaskRule);
  set(RecordKind::kAuditStub,
      KeyedRule(false, 0, kMaskHeaderSize, kMaskHeaderSize + kReasonSizeMax));
  set(RecordKind::kMark, StructuralRule(kMarkValueSize));
  set(RecordKind::kLink, StructuralRule(kLinkValueSize));
  set(RecordKind::kFrame, StructuralRule(kFrameValueSize));
  set(RecordKind::kTime, StructuralRule(kTimeValueSize));
  return rules;
}

constexpr std::array<KindRule, kKindCount> kKindRules = MakeKindRules();
static_assert(!kKindRules[0].is_known, "zeros must never be a record");

// Of a put's flags: which may stand together, and how large a value they need.
// A put of a value file holds the reference, behind its expiry, and nothing
// else. What a mask preserves stands at its end (HasMaskForm).
bool HasValidFlags(const RecordHeader& header) {
  const bool expires = Expires(header);
  if ((header.flags & kFlagShadowsLonger) != 0 && !expires) return false;
  if (header.kind != RecordKind::kPut) return true;
  const size_t expiry_size = expires ? kExpirySize : 0;
  if ((header.flags & kFlagValueFile) != 0) {
    return header.value_size == expiry_size + kValueReferenceSize;
  }
  return header.value_size >= expiry_size;
}

// No store comes to count so far, and a writer counts on from what it reads.
constexpr Lsn kLsnMax = Lsn{1} << 62;

// Whether a record with this header may exist: checked before a header is
// written and after it was read.
bool HasValidForm(const RecordHeader& header) {
  if (header.kind == RecordKind::kPut && header.flags == 0) [[likely]] {
    return header.lsn - 1 < kLsnMax && header.value_size <= kValueSizeMax;
  }
  const auto kind = static_cast<size_t>(header.kind);
  if (kind >= kKindCount) return false;
  const KindRule& rule = kKindRules[kind];
  if (!rule.is_known) return false;
  if ((header.flags & ~rule.flags) != 0) return false;
  if (rule.takes_lsn && header.lsn == 0) return false;
  if (header.lsn > kLsnMax) return false;
  if (header.key_size > rule.key_size_max) return false;
  if (header.value_size < rule.value_size_min) return false;
  if (header.value_size > rule.value_size_max) return false;
  if (header.kind == RecordKind::kTime && header.lsn != 0) return false;
  return HasValidFlags(header);
}

// Loads the fields and checks all but that kRecordHeaderSize bytes are there.
[[gnu::always_inline]] inline bool LoadHeader(ByteView bytes, Place place,
                                              RecordHeader* header) {
  const ByteView checked = bytes.subspan(kCheckedOffset, kCheckedSize);
  if (Load<uint32_t>(bytes, kHeaderChecksumOffset) !=
      HeaderChecksum(checked, place)) {
    return false;
  }
  const RecordHeader loaded = {
      .lsn = Load<uint64_t>(bytes, kLsnOffset),
      .value_size = Load<uint32_t>(bytes, kValueSizeOffset),
      .key_size = Load<uint16_t>(bytes, kKeySizeOffset),
      .kind = static_cast<RecordKind>(Load<uint8_t>(bytes, kKindOffset)),
      .flags = Load<uint8_t>(bytes, kFlagsOffset),
  };
  if (!HasValidForm(loaded)) return false;
  *header = loaded;
  return true;
}

// Whether the bytes between `used` and `size` are zero, by one load of the
// record's last word: its upper bytes are the last ones.
bool HasZeroPadding(ByteView bytes, uint64_t used, uint64_t size) {
  PEAT_DCHECK(size - used < kRecordAlignment);
  const uint64_t last = Load<uint64_t>(bytes, size - sizeof(uint64_t));
  const uint64_t padding_bits = 8 * (size - used);
  return ((last >> 8) >> (56 - padding_bits)) == 0;
}

bool IsRecordEnd(uint64_t offset) {
  return offset >= kSegmentHeaderSize && offset <= kSegmentSizeMax &&
         offset % kRecordAlignment == 0;
}

bool HasValidForm(const Mark& mark) {
  return mark.segment != 0 && IsRecordEnd(mark.end);
}

bool HasValidForm(const Link& link) {
  if (link.generation == 0) return false;
  if (link.predecessor == 0) return link.end == 0 && link.last_checksum == 0;
  return IsRecordEnd(link.end);
}

bool HasValidForm(const Frame& frame) {
  if (frame.first_lsn == 0) return false;
  if (frame.member_count == 0) return false;
  if (frame.first_lsn + (frame.member_count - 1) < frame.first_lsn) {
    return false;  // the last lsn would overflow
  }
  return frame.members_size >=
             uint64_t{frame.member_count} * RecordSize(0, 0) &&
         frame.members_size <= kSegmentSizeMax &&
         frame.members_size % kRecordAlignment == 0;
}

bool HasValidForm(const ValueReference& reference) {
  return reference.file != 0 && reference.file <= kSegmentIdMax &&
         reference.size <= kValueSizeMax;
}

bool IsValidTime(Millis time) { return time - 1 < kMillisMax; }

bool HasLinkForm(const Record& record) {
  const absl::StatusOr<Link> link = DecodeLink(record.value);
  return link.ok() && (link->predecessor != 0 || record.header.lsn == 0);
}

// Whether a payload that matched its checksum has the form of its kind, which
// is not that of a put with its value beside it.
[[gnu::noinline]] bool HasStructureForm(const Record& record) {
  switch (record.header.kind) {
    case RecordKind::kMark:
      return DecodeMark(record.value).ok();
    case RecordKind::kLink:
      return HasLinkForm(record);
    case RecordKind::kFrame:
      return DecodeFrame(record.value).ok();
    case RecordKind::kTime:
      return DecodeTime(record.value).ok();
    case RecordKind::kTombstone:
      return true;
    case RecordKind::kPut:
      break;
    default:
      if (!HasMaskForm(record.header, record.value)) return false;
      break;
  }
  if (Expires(record.header) && !IsValidTime(ExpiryOf(record))) return false;
  return (record.header.flags & kFlagValueFile) == 0 ||
         DecodeValueReference(StoredValue(record)).ok();
}

bool HasPayloadForm(const Record& record) {
  if (record.header.kind == RecordKind::kPut &&
      (record.header.flags & kFlagValueFile) == 0) [[likely]] {
    return !Expires(record.header) || IsValidTime(ExpiryOf(record));
  }
  return HasStructureForm(record);
}

absl::Status CheckValueSize(std::string_view value, size_t size,
                            std::string_view name) {
  if (value.size() == size) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("%s has %d bytes, not %d", name, value.size(), size));
}

template <std::unsigned_integral T>
void StoreAt(std::string* to, size_t offset, T value) {
  PEAT_DCHECK(offset + sizeof(T) <= to->size());
  Store<T>(reinterpret_cast<std::byte*>(to->data()) + offset, value);
}

}  // namespace

bool TakesLsn(RecordKind kind) {
  const auto index = static_cast<size_t>(kind);
  return index < kKindCount && kKindRules[index].takes_lsn;
}

void EncodeRecordHeader(const RecordHeader& header, uint64_t payload_hash,
                        Place place, std::byte* to) {
  PEAT_CHECK(HasValidForm(header));
  PEAT_DCHECK(place.offset % kRecordAlignment == 0);
  Store<uint32_t>(to + kPayloadChecksumOffset,
                  PayloadChecksum(payload_hash, place));
  Store<uint64_t>(to + kLsnOffset, header.lsn);
  Store<uint32_t>(to + kValueSizeOffset, header.value_size);
  Store<uint16_t>(to + kKeySizeOffset, header.key_size);
  Store<uint8_t>(to + kKindOffset, static_cast<uint8_t>(header.kind));
  Store<uint8_t>(to + kFlagsOffset, header.flags);
  const ByteView checked(to + kCheckedOffset, kCheckedSize);
  Store<uint32_t>(to + kHeaderChecksumOffset, HeaderChecksum(checked, place));
}

void AppendRecord(const RecordHeader& header, std::string_view key,
                  std::string_view value, Place place, std::string* out) {
  PEAT_CHECK(key.size() == header.key_size);
  PEAT_CHECK(value.size() == header.value_size);
  std::array<std::byte, kRecordHeaderSize> encoded = {};
  EncodeRecordHeader(header, PayloadHash(key, value), place, encoded.data());
  const size_t start = out->size();
  out->append(AsString(encoded));
  out->append(key);
  out->append(value);
  out->resize(start + RecordSize(header), '\0');
}

RecordCheck CheckRecordHeader(ByteView bytes, Place place,
                              RecordHeader* header) {
  if (bytes.size() < kRecordHeaderSize) return RecordCheck::kCutShort;
  return LoadHeader(bytes, place, header) ? RecordCheck::kValid
                                          : RecordCheck::kHeaderDamaged;
}

RecordCheck CheckRecord(ByteView bytes, Place place, Record* record) {
  if (bytes.size() < kRecordHeaderSize) return RecordCheck::kCutShort;
  RecordHeader header;
  if (!LoadHeader(bytes, place, &header)) return RecordCheck::kHeaderDamaged;
  const uint64_t size = RecordSize(header);
  if (size > bytes.size()) return RecordCheck::kCutShort;

  record->header = header;
  record->key = AsString(bytes.subspan(kRecordHeaderSize, header.key_size));
  record->value = AsString(
      bytes.subspan(kRecordHeaderSize + header.key_size, header.value_size));
  const uint64_t hash = PayloadHash(record->key, record->value);
  if (Load<uint32_t>(bytes, kPayloadChecksumOffset) !=
      PayloadChecksum(hash, place)) {
    return RecordCheck::kPayloadDamaged;
  }
  const uint64_t used =
      kRecordHeaderSize + uint64_t{header.key_size} + header.value_size;
  return HasZeroPadding(bytes, used, size) && HasPayloadForm(*record)
             ? RecordCheck::kValid
             : RecordCheck::kPayloadDamaged;
}

absl::StatusOr<Record> DecodeRecord(ByteView bytes, Place place) {
  Record record;
  switch (CheckRecord(bytes, place, &record)) {
    case RecordCheck::kValid:
      return record;
    case RecordCheck::kCutShort:
      return absl::OutOfRangeError(absl::StrFormat(
          "record at offset %d is cut short, %d bytes are present",
          place.offset, bytes.size()));
    case RecordCheck::kHeaderDamaged:
      return absl::DataLossError(absl::StrFormat(
          "record header at offset %d is damaged", place.offset));
    case RecordCheck::kPayloadDamaged:
      return absl::DataLossError(absl::StrFormat(
          "record payload at offset %d is damaged, its size is %d",
          place.offset, RecordSize(record.header)));
  }
  PEAT_CHECK(false);
}

std::string EncodeExpiry(Millis expiry) {
  PEAT_CHECK(IsValidTime(expiry));
  std::string value(kExpirySize, '\0');
  StoreAt<uint64_t>(&value, 0, expiry);
  return value;
}

std::string EncodeMark(const Mark& mark) {
  PEAT_CHECK(HasValidForm(mark));
  std::string value(kMarkValueSize, '\0');
  StoreAt<uint64_t>(&value, 0, mark.segment);
  StoreAt<uint64_t>(&value, 8, mark.end);
  return value;
}

std::string EncodeLink(const Link& link) {
  PEAT_CHECK(HasValidForm(link));
  std::string value(kLinkValueSize, '\0');
  StoreAt<uint64_t>(&value, 0, link.predecessor);
  StoreAt<uint64_t>(&value, 8, link.end);
  StoreAt<uint64_t>(&value, 16, link.generation);
  StoreAt<uint32_t>(&value, 24, link.last_checksum);
  return value;
}

std::string EncodeFrame(const Frame& frame) {
  PEAT_CHECK(HasValidForm(frame));
  std::string value(kFrameValueSize, '\0');
  StoreAt<uint64_t>(&value, 0, frame.first_lsn);
  StoreAt<uint64_t>(&value, 8, frame.members_size);
  StoreAt<uint32_t>(&value, 16, frame.member_count);
  return value;
}

std::string EncodeValueReference(const ValueReference& reference) {
  PEAT_CHECK(HasValidForm(reference));
  std::string value(kValueReferenceSize, '\0');
  StoreAt<uint64_t>(&value, 0, reference.file);
  StoreAt<uint64_t>(&value, 8, reference.size);
  StoreAt<uint64_t>(&value, 16, reference.checksum);
  return value;
}

std::string EncodeTime(const TimeSeen& seen) {
  PEAT_CHECK(IsValidTime(seen.time));
  std::string value(kTimeValueSize, '\0');
  StoreAt<uint64_t>(&value, 0, seen.time);
  return value;
}

absl::StatusOr<Mark> DecodeMark(std::string_view value) {
  if (auto size = CheckValueSize(value, kMarkValueSize, "mark"); !size.ok()) {
    return size;
  }
  const ByteView bytes = AsBytes(value);
  const Mark mark = {.segment = Load<uint64_t>(bytes, 0),
                     .end = Load<uint64_t>(bytes, 8)};
  if (!HasValidForm(mark)) return absl::DataLossError("mark is malformed");
  return mark;
}

absl::StatusOr<Link> DecodeLink(std::string_view value) {
  if (auto size = CheckValueSize(value, kLinkValueSize, "link"); !size.ok()) {
    return size;
  }
  const ByteView bytes = AsBytes(value);
  const Link link = {.predecessor = Load<uint64_t>(bytes, 0),
                     .end = Load<uint64_t>(bytes, 8),
                     .generation = Load<uint64_t>(bytes, 16),
                     .last_checksum = Load<uint32_t>(bytes, 24)};
  if (!HasValidForm(link) || Load<uint32_t>(bytes, 28) != 0) {
    return absl::DataLossError("link is malformed");
  }
  return link;
}

absl::StatusOr<Frame> DecodeFrame(std::string_view value) {
  if (auto size = CheckValueSize(value, kFrameValueSize, "frame"); !size.ok()) {
    return size;
  }
  const ByteView bytes = AsBytes(value);
  const Frame frame = {.first_lsn = Load<uint64_t>(bytes, 0),
                       .members_size = Load<uint64_t>(bytes, 8),
                       .member_count = Load<uint32_t>(bytes, 16)};
  if (!HasValidForm(frame) || Load<uint32_t>(bytes, 20) != 0) {
    return absl::DataLossError("frame is malformed");
  }
  return frame;
}

absl::StatusOr<ValueReference> DecodeValueReference(std::string_view value) {
  if (auto size = CheckValueSize(value, kValueReferenceSize, "value reference");
      !size.ok()) {
    return size;
  }
  const ByteView bytes = AsBytes(value);
  const ValueReference reference = {.file = Load<uint64_t>(bytes, 0),
                                    .size = Load<uint64_t>(bytes, 8),
                                    .checksum = Load<uint64_t>(bytes, 16)};
  if (!HasValidForm(reference)) {
    return absl::DataLossError("value reference is malformed");
  }
  return reference;
}

absl::StatusOr<TimeSeen> DecodeTime(std::string_view value) {
  if (auto size = CheckValueSize(value, kTimeValueSize, "time"); !size.ok()) {
    return size;
  }
  const TimeSeen seen = {.time = Load<uint64_t>(AsBytes(value), 0)};
  if (!IsValidTime(seen.time)) return absl::DataLossError("time is malformed");
  return seen;
}

}  // namespace peat::format
