// The head of every segment and value file.
//
//   offset  size  field
//   0       8     magic                  "PEATSEG\0"
//   8       4     version
//   12      4     incompatible_features  unknown bits: Unimplemented
//   16      4     compatible_features    unknown bits are ignored
//   20      4     kind                   log, compacted, audit, value
//   24      8     id
//   32      8     salt                   random; never 0
//   40      16    store_id               random, the same in the whole store
//   56      8     capacity               bytes of the file when it was prepared
//   64      8     checksum               of bytes [0, 64)
//
// The rest of the first kSegmentHeaderSize bytes is zero; records (or the
// value's bytes) begin behind it. Pure functions, safe from any thread.

#ifndef PEAT_FORMAT_SEGMENT_HEADER_H_
#define PEAT_FORMAT_SEGMENT_HEADER_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "format/bytes.h"
#include "format/location.h"

namespace peat::format {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr size_t kSegmentHeaderSize = 4096;
inline constexpr size_t kSegmentHeaderUsedSize = 72;

using StoreId = std::array<std::byte, 16>;

enum class SegmentKind : uint32_t {
  kLog = 1,
  kCompacted = 2,  // reserved: written by compaction
  kAudit = 3,      // reserved: forget records and audit stubs
  kValue = 4,      // one large value
};

struct SegmentHeader {
  SegmentKind kind = SegmentKind::kLog;
  SegmentId id = 0;
  uint64_t salt = 0;
  StoreId store_id = {};
  uint64_t capacity = 0;
  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

// Whether a file of this kind may have been prepared with `capacity` bytes;
// false for a kind that is not known.
bool IsValidCapacity(SegmentKind kind, uint64_t capacity);

// kSegmentHeaderUsedSize bytes.
std::string EncodeSegmentHeader(const SegmentHeader& header);

// OutOfRange when `bytes` is shorter than kSegmentHeaderUsedSize, DataLoss when
// they are damaged or of another program, Unimplemented when they are of a
// newer version or need a feature that is not known. Of what lies between the
// used size and kSegmentHeaderSize, as much as `bytes` holds is checked too.
absl::StatusOr<SegmentHeader> DecodeSegmentHeader(ByteView bytes);

}  // namespace peat::format

#endif  // PEAT_FORMAT_SEGMENT_HEADER_H_
