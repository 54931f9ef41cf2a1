// A record: one put, tombstone, mask, mark, link, frame or time, as it lies in
// a segment.
//
//   offset  size  field
//   0       4     header_checksum    of bytes [4, 24)
//   4       4     payload_checksum   of the key and value bytes
//   8       8     lsn                position in the store's order of writes
//   16      4     value_size
//   20      2     key_size
//   22      1     kind               put, tombstone, mark, ...
//   23      1     flags              unknown bits are rejected
//   24      ...   key, then value, then zeros to a multiple of 8
//
// Both checksums are bound to the segment's salt and the record's offset. The
// header has its own so that no size is believed before it has been verified.
// FORMAT.md is normative and gives the reason for each field.
//
// Pure functions, safe from any thread.

#ifndef PEAT_FORMAT_RECORD_H_
#define PEAT_FORMAT_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/bytes.h"
#include "format/checksum.h"
#include "format/location.h"

namespace peat::format {

enum class RecordKind : uint8_t {
  kNone = 0,  // of no record
  kPut = 1,
  kTombstone = 2,
  kDisable = 3,  // masks: see mask.h
  kEnable = 4,
  kForget = 5,
  kAuditStub = 6,
  kMark = 16,
  kLink = 17,
  kFrame = 18,
  kTime = 19,
};

// Bits of `flags`.
inline constexpr uint8_t kFlagInFrame = 1;    // a member of a batch
inline constexpr uint8_t kFlagValueFile = 2;  // the value is a ValueReference
inline constexpr uint8_t kFlagExpires = 4;    // an expiry precedes the value
// What the put supersedes expires later, or never, or has the flag itself. Only
// beside kFlagExpires.
inline constexpr uint8_t kFlagShadowsLonger = 8;
// Reserved for compressed values: still refused, as all flags that are unknown.
inline constexpr uint8_t kFlagCompressed = 16;
inline constexpr uint8_t kKnownFlags =
    kFlagInFrame | kFlagValueFile | kFlagExpires | kFlagShadowsLonger;

// A time: milliseconds since 1970-01-01 UTC.
using Millis = uint64_t;
// The last time that a record may hold, in the year 287,396.
inline constexpr Millis kMillisMax = Millis{1} << 53;
// The expiry of what does not expire: later than any time.
inline constexpr Millis kNever = UINT64_MAX;
static_assert(kMillisMax < kNever);

// With kFlagExpires the value of a put, and that which a mask preserves, begins
// with these bytes: when it expires, from 1 to kMillisMax. They count in
// value_size, and the checksums cover them.
inline constexpr size_t kExpirySize = 8;

inline constexpr size_t kRecordHeaderSize = 24;
inline constexpr size_t kRecordAlignment = 8;
inline constexpr size_t kKeySizeMax = 65'535;
inline constexpr uint64_t kValueSizeMax = uint64_t{1} << 30;
static_assert(kRecordHeaderSize % kRecordAlignment == 0);

struct RecordHeader {
  Lsn lsn = 0;
  uint32_t value_size = 0;
  uint16_t key_size = 0;
  RecordKind kind = RecordKind::kPut;
  uint8_t flags = 0;
};

// A decoded record. Its views live as long as the bytes it was decoded from.
struct Record {
  RecordHeader header;
  std::string_view key;
  std::string_view value;  // all of it: StoredValue() (mask.h) is the user's
};

constexpr bool Expires(const RecordHeader& header) {
  return (header.flags & kFlagExpires) != 0;
}

// When a verified put, or the value that a verified mask preserves, expires:
// kNever if it does not, and for the kinds that hold no value.
inline Millis ExpiryOf(const Record& record);
// Of a mask that expires.
Millis MaskExpiry(const Record& record);

// The bytes that a record takes in its segment, padding included.
constexpr uint64_t RecordSize(size_t key_size, size_t value_size) {
  return RoundUp<uint64_t>(kRecordHeaderSize + key_size + value_size,
                           kRecordAlignment);
}
constexpr uint64_t RecordSize(const RecordHeader& header) {
  return RecordSize(header.key_size, header.value_size);
}

// True for the kinds that take an lsn: puts, tombstones and masks.
bool TakesLsn(RecordKind kind);

// Writes the 24 bytes of a header to `to`. `payload_hash` is PayloadHash() of
// the key and value that will follow it.
void EncodeRecordHeader(const RecordHeader& header, uint64_t payload_hash,
                        Place place, std::byte* to);

// A whole record, header, payload and padding, appended to `*out`. `place` is
// where its first byte will lie. For tests, tools and cold paths.
void AppendRecord(const RecordHeader& header, std::string_view key,
                  std::string_view value, Place place, std::string* out);

// What a look at some bytes found.
enum class RecordCheck : uint8_t {
  kValid,
  kCutShort,        // the bytes end before the record does
  kHeaderDamaged,   // includes unknown kinds and flags, and all zeros
  kPayloadDamaged,  // the header is sound, so the sizes may be believed
};

// Decodes the header at the start of `bytes` into `*header`, and checks its
// checksum, kind, flags and sizes. Never kPayloadDamaged. `*header` is set only
// when kValid.
RecordCheck CheckRecordHeader(ByteView bytes, Place place,
                              RecordHeader* header);

// Decodes and fully verifies the record at the start of `bytes` into `*record`;
// `record->header` is set when kValid or kPayloadDamaged. The hot path of every
// read: allocates nothing.
RecordCheck CheckRecord(ByteView bytes, Place place, Record* record);

// The same as a status: OutOfRange when cut short, DataLoss when damaged.
absl::StatusOr<Record> DecodeRecord(ByteView bytes, Place place);

// --- The values of the kinds that carry structure.

// A mark says how far the log was durable before the sync that it follows:
// everything at or below the record's lsn, whose last record ended at
// `end` in `segment`.
struct Mark {
  SegmentId segment = 0;
  uint64_t end = 0;
  friend bool operator==(const Mark&, const Mark&) = default;
};
inline constexpr size_t kMarkValueSize = 16;

// The first record of a log segment: names what precedes it, and a generation
// of the manifest that was durable before it: an older manifest is not the
// store's newest. The record's lsn is the last of the log up to there. In a
// store's first segment there is no predecessor, and that lsn is 0.
struct Link {
  SegmentId predecessor = 0;
  uint64_t end = 0;            // where the predecessor's records end
  uint64_t generation = 0;     // never 0
  uint32_t last_checksum = 0;  // header checksum of its last record
  friend bool operator==(const Link&, const Link&) = default;
};
inline constexpr size_t kLinkValueSize = 32;

// Precedes the records of a batch, which follow it without a gap and carry
// kFlagInFrame. The record's lsn is that of the last member; members are dense
// from `first_lsn` on.
struct Frame {
  Lsn first_lsn = 0;
  uint64_t members_size = 0;  // bytes of all members, padding included
  uint32_t member_count = 0;
  friend bool operator==(const Frame&, const Frame&) = default;
};
inline constexpr size_t kFrameValueSize = 24;

// The value of a record with kFlagValueFile: the value lies in a file of its
// own, behind a segment header.
struct ValueReference {
  SegmentId file = 0;
  uint64_t size = 0;
  uint64_t checksum = 0;  // Checksum64 of the value
  friend bool operator==(const ValueReference&,
                         const ValueReference&) = default;
};
inline constexpr size_t kValueReferenceSize = 24;

// Says which time the store had seen; the highest that is in the log or in the
// manifest counts, and the record has no other effect. Its lsn is 0.
struct TimeSeen {
  Millis time = 0;
  friend bool operator==(const TimeSeen&, const TimeSeen&) = default;
};
inline constexpr size_t kTimeValueSize = 8;

// The bytes of an expiry, from 1 to kMillisMax, as they precede a value.
std::string EncodeExpiry(Millis expiry);

std::string EncodeMark(const Mark& mark);
std::string EncodeLink(const Link& link);
std::string EncodeFrame(const Frame& frame);
std::string EncodeValueReference(const ValueReference& reference);
std::string EncodeTime(const TimeSeen& seen);

// DataLoss when `value` does not have the one size and form that it must have.
absl::StatusOr<Mark> DecodeMark(std::string_view value);
absl::StatusOr<Link> DecodeLink(std::string_view value);
absl::StatusOr<Frame> DecodeFrame(std::string_view value);
absl::StatusOr<ValueReference> DecodeValueReference(std::string_view value);
absl::StatusOr<TimeSeen> DecodeTime(std::string_view value);

inline Millis ExpiryOf(const Record& record) {
  if (!Expires(record.header)) [[likely]] {
    return kNever;
  }
  if (record.header.kind != RecordKind::kPut) return MaskExpiry(record);
  return Load<Millis>(AsBytes(record.value), 0);
}

}  // namespace peat::format

#endif  // PEAT_FORMAT_RECORD_H_
