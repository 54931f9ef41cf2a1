// What the values of masks and audit stubs hold.
//
// A mask is a disable, enable or forget record. It is self-contained: beside
// its key it carries the time, the reason, and a copy of the key's value (or
// the reference to the value's file), so that reading a disabled key, and an
// audit, take one read. An audit stub is what compaction leaves of a disable
// or enable record that another record has superseded.
//
//   offset  size  field
//   0       8     time              microseconds since 1970-01-01 UTC
//   8       8     value_lsn         of the put that wrote the value; 0: no
//   value 16      4     reason_size 20      1     stub_of           stubs: the
//   kind of the mask; masks: 0 21      1     flags             1: value_lsn
//   counts back from the mask's 22      2     zero 24      ...   reason
//           32    value_digest      BLAKE2b-256; forget records with a value
//           ...   value             masks with a value; with the flag
//                                   expires, behind its expiry
//
// FORMAT.md is normative. Pure functions, safe from any thread.

#ifndef PEAT_FORMAT_MASK_H_
#define PEAT_FORMAT_MASK_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "format/location.h"
#include "format/record.h"

namespace peat::format {

inline constexpr size_t kMaskHeaderSize = 24;
inline constexpr size_t kReasonSizeMax = 65'536;
inline constexpr size_t kDigestSize = 32;

struct Mask {
  uint64_t time = 0;  // microseconds since 1970-01-01 UTC
  // The put that wrote the value: its lsn; or, of a value that is written in
  // the same batch and so has no lsn yet, how far before the mask it is.
  Lsn value_lsn = 0;
  bool value_lsn_counts_back = false;
  RecordKind stub_of = RecordKind::kNone;  // stubs alone
  std::string_view reason = {};
  std::string_view value_digest = {};  // forget records with a value: 32 bytes
  // The value, or a ValueReference; behind its expiry, if the record has
  // kFlagExpires.
  std::string_view value = {};

  bool has_value() const { return value_lsn != 0; }
};

// Disable, enable and forget.
constexpr bool IsMask(RecordKind kind) {
  return kind == RecordKind::kDisable || kind == RecordKind::kEnable ||
         kind == RecordKind::kForget;
}

// Whether `value` has the form that `kind`, a mask or an audit stub, demands
// of a record with that lsn and these flags.
bool HasMaskForm(const RecordHeader& header, std::string_view value);

// The value of a record of `kind`.
std::string EncodeMask(RecordKind kind, const Mask& mask);

// Of a record that has been verified, and is a mask or a stub. `value_lsn` is
// absolute in what it returns. Views live as long as the record's bytes.
Mask DecodeMask(const Record& record);

// What a verified put holds, or a mask preserves: the value or its reference,
// behind the expiry, if the record has kFlagExpires.
inline std::string_view PreservedValue(const Record& record) {
  if (record.header.kind == RecordKind::kPut) [[likely]] {
    return record.value;
  }
  return DecodeMask(record).value;
}

// The value that a verified put or mask holds, or its reference, without the
// expiry.
inline std::string_view StoredValue(const Record& record) {
  return PreservedValue(record).substr(Expires(record.header) ? kExpirySize
                                                              : 0);
}

// The value of the stub that stays of `record`, a disable or enable record.
std::string EncodeAuditStub(const Record& record);

// Bytes that must stay in the log of a superseded record with this kind, key
// and value: those of its audit stub, or none.
uint64_t LastingSize(RecordKind kind, size_t key_size, std::string_view value);

}  // namespace peat::format

#endif  // PEAT_FORMAT_MASK_H_
