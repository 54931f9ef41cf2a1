#include "format/mask.h"

#include "format/bytes.h"
#include "format/check.h"

namespace peat::format {
namespace {

constexpr size_t kTimeOffset = 0;
constexpr size_t kValueLsnOffset = 8;
constexpr size_t kReasonSizeOffset = 16;
constexpr size_t kStubOfOffset = 20;
constexpr size_t kFlagsOffset = 21;
constexpr size_t kZeroOffset = 22;

constexpr uint8_t kCountsBack = 1;

uint32_t ReasonSize(std::string_view value) {
  return Load<uint32_t>(AsBytes(value), kReasonSizeOffset);
}

Mask LoadHead(std::string_view value) {
  const ByteView bytes = AsBytes(value);
  return {
      .time = Load<uint64_t>(bytes, kTimeOffset),
      .value_lsn = Load<uint64_t>(bytes, kValueLsnOffset),
      .value_lsn_counts_back = Load<uint8_t>(bytes, kFlagsOffset) != 0,
      .stub_of = static_cast<RecordKind>(Load<uint8_t>(bytes, kStubOfOffset))};
}

bool HasDigest(RecordKind kind, const Mask& mask) {
  return kind == RecordKind::kForget && mask.has_value();
}

// What the fields in front of the reason must be.
bool HasHeadForm(const RecordHeader& header, const Mask& head) {
  const bool is_stub = header.kind == RecordKind::kAuditStub;
  if (is_stub) {
    // A forget record is kept whole, so it leaves no stub.
    if (head.stub_of != RecordKind::kDisable &&
        head.stub_of != RecordKind::kEnable) {
      return false;
    }
    if (head.value_lsn_counts_back) return false;
  } else if (head.stub_of != RecordKind::kNone) {
    return false;
  }
  if (!head.has_value()) {
    return header.kind == RecordKind::kForget && !head.value_lsn_counts_back &&
           (header.flags & (kFlagValueFile | kFlagExpires)) == 0;
  }
  return head.value_lsn < header.lsn;
}

}  // namespace

bool HasMaskForm(const RecordHeader& header, std::string_view value) {
  if (value.size() < kMaskHeaderSize) return false;
  const ByteView bytes = AsBytes(value);
  if (Load<uint8_t>(bytes, kFlagsOffset) > kCountsBack) return false;
  if (Load<uint16_t>(bytes, kZeroOffset) != 0) return false;
  const uint32_t reason_size = ReasonSize(value);
  if (reason_size > kReasonSizeMax) return false;
  const Mask head = LoadHead(value);
  if (!HasHeadForm(header, head)) return false;
  const uint64_t digest_size = HasDigest(header.kind, head) ? kDigestSize : 0;
  const uint64_t expiry_size = Expires(header) ? kExpirySize : 0;
  const uint64_t before_value =
      kMaskHeaderSize + reason_size + digest_size + expiry_size;
  if (value.size() < before_value) return false;
  const uint64_t value_size = value.size() - before_value;
  if ((header.flags & kFlagValueFile) != 0) {
    return value_size == kValueReferenceSize;
  }
  const bool may_hold_value =
      head.has_value() && header.kind != RecordKind::kAuditStub;
  return may_hold_value || value_size == 0;
}

std::string EncodeMask(RecordKind kind, const Mask& mask) {
  PEAT_CHECK(mask.reason.size() <= kReasonSizeMax);
  PEAT_CHECK(mask.value_digest.size() ==
             (HasDigest(kind, mask) ? kDigestSize : 0));
  std::string value;
  value.reserve(kMaskHeaderSize + mask.reason.size() +
                mask.value_digest.size() + mask.value.size());
  value.resize(kMaskHeaderSize);
  auto* const head = reinterpret_cast<std::byte*>(value.data());
  Store<uint64_t>(head + kTimeOffset, mask.time);
  Store<uint64_t>(head + kValueLsnOffset, mask.value_lsn);
  Store<uint32_t>(head + kReasonSizeOffset,
                  static_cast<uint32_t>(mask.reason.size()));
  Store<uint8_t>(head + kStubOfOffset, static_cast<uint8_t>(mask.stub_of));
  Store<uint8_t>(head + kFlagsOffset,
                 mask.value_lsn_counts_back ? kCountsBack : 0);
  value.append(mask.reason);
  value.append(mask.value_digest);
  value.append(mask.value);
  return value;
}

Mask DecodeMask(const Record& record) {
  PEAT_DCHECK(HasMaskForm(record.header, record.value));
  Mask mask = LoadHead(record.value);
  const bool has_digest = HasDigest(record.header.kind, mask);
  if (mask.value_lsn_counts_back) {
    mask.value_lsn = record.header.lsn - mask.value_lsn;
    mask.value_lsn_counts_back = false;
  }
  std::string_view rest = record.value.substr(kMaskHeaderSize);
  mask.reason = rest.substr(0, ReasonSize(record.value));
  rest.remove_prefix(mask.reason.size());
  if (has_digest) {
    mask.value_digest = rest.substr(0, kDigestSize);
    rest.remove_prefix(kDigestSize);
  }
  mask.value = rest;
  return mask;
}

Millis MaskExpiry(const Record& record) {
  PEAT_DCHECK(Expires(record.header));
  return Load<Millis>(AsBytes(DecodeMask(record).value), 0);
}

std::string EncodeAuditStub(const Record& record) {
  const Mask mask = DecodeMask(record);
  return EncodeMask(RecordKind::kAuditStub, {.time = mask.time,
                                             .value_lsn = mask.value_lsn,
                                             .stub_of = record.header.kind,
                                             .reason = mask.reason});
}

uint64_t LastingSize(RecordKind kind, size_t key_size, std::string_view value) {
  if (kind != RecordKind::kDisable && kind != RecordKind::kEnable) return 0;
  return RecordSize(key_size, kMaskHeaderSize + ReasonSize(value));
}

}  // namespace peat::format
