// The manifest: which segments are live, where the sealed ones end, and the
// ids and seeds of the store. The manifest, not the directory listing, decides.
//
//   offset  size  field
//   0       8     magic                  "PEATMAN\0"
//   8       4     version
//   12      4     incompatible_features
//   16      4     compatible_features
//   20      4     segment_count
//   24      8     generation             one more at each edit
//   32      16    store_id
//   48      16    hash_seed              of the index's key hash
//   64      8     next_id                every id below it may be in use
//   72      8     durable_lsn            known durable: at least this
//   80      64*n  segments               in ascending order of id
//   ...     8     checksum               of everything before it
//
// and each segment:
//
//   0       8     id
//   8       8     salt
//   16      8     capacity
//   24      8     end                    where the records end; 0: not sealed
//   32      8     first_lsn              smallest lsn in it; 0: none
//   40      8     last_lsn               largest; of the log up to here
//   48      4     last_checksum          header checksum of its last record
//   52      1     kind                   SegmentKind
//   53      1     state                  open, sealed
//   54      10    zero
//
// Pure functions, safe from any thread.

#ifndef PEAT_FORMAT_MANIFEST_H_
#define PEAT_FORMAT_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "format/bytes.h"
#include "format/location.h"
#include "format/segment_header.h"

namespace peat::format {

enum class SegmentState : uint8_t {
  kOpen = 1,    // prepared, active or rolled: its bytes say how far it goes
  kSealed = 2,  // ends at `end`, complete and durable up to there
};

struct ManifestSegment {
  SegmentId id = 0;
  uint64_t salt = 0;
  uint64_t capacity = 0;
  uint64_t end = 0;
  Lsn first_lsn = 0;
  Lsn last_lsn = 0;
  uint32_t last_checksum = 0;
  SegmentKind kind = SegmentKind::kLog;
  SegmentState state = SegmentState::kOpen;
  friend bool operator==(const ManifestSegment&,
                         const ManifestSegment&) = default;
};

struct Manifest {
  uint64_t generation = 0;
  StoreId store_id = {};
  std::array<std::byte, 16> hash_seed = {};
  SegmentId next_id = 1;
  Lsn durable_lsn = 0;
  std::vector<ManifestSegment> segments = {};
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

inline constexpr size_t kManifestHeaderSize = 80;
inline constexpr size_t kManifestSegmentSize = 64;
// As many as there are segment numbers.
inline constexpr size_t kManifestSegmentCountMax = kSegmentNumberMax;
// The largest id, lsn and generation: no store comes to count so far, and a
// writer counts on from what it reads.
inline constexpr uint64_t kManifestCountMax = uint64_t{1} << 62;

// Adds `segment` where its id belongs; the manifest must not have it yet.
void AddSegment(Manifest& manifest, const ManifestSegment& segment);

// Removes the segment `id`, if the manifest has it.
void EraseSegment(Manifest& manifest, SegmentId id);

// The bytes that a manifest with `segment_count` segments takes.
size_t ManifestSize(size_t segment_count);

std::string EncodeManifest(const Manifest& manifest);

// `bytes` may be longer than the manifest (its file is preallocated). DataLoss
// when it is damaged (also when ids do not ascend, an id is not below next_id,
// a kind or state is unknown, an end is past its capacity, padding is not
// zero), Unimplemented when it is of a newer version.
absl::StatusOr<Manifest> DecodeManifest(ByteView bytes);

}  // namespace peat::format

#endif  // PEAT_FORMAT_MANIFEST_H_
