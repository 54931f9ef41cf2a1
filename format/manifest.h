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
//   80      8     epoch                  of the store's positions; from 1 on
//   88      8     time                   the latest that the store has seen, ms
//   96      8     retention_count        of a dedup window; 0: no bound
//   104     8     retention_age          the same, ms
//   112     4     dictionary_count
//   116     4     lease_count
//   120     4     leases_size
//   124     4     zero
//   128     96*n  segments               in ascending order of id
//   ...     32*d  dictionaries           in ascending order of id
//   ...     ...   leases                 in ascending order of name
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
//   54      2     zero
//   56      8     lasting_bytes          of records that expire never, or
//                                        not without a trace
//   64      8     first_expiry           of the others, ms; 0: there are none
//   72      8     last_expiry
//   80      8     dictionary             that it needs; 0: none
//   88      8     zero
//
// each dictionary:
//
//   0       8     id
//   8       8     size                   of its bytes in its file
//   16      8     checksum               Checksum64 of those
//   24      8     zero
//
// and each lease:
//
//   0       8     lsn                    its reader is behind this one
//   8       8     bytes_max              of log that it may keep
//   16      8     last_used              ms
//   24      1     state                  LeaseState
//   25      1     name_size              1 to 255
//   26      6     zero
//   32      ...   name, then zeros to a multiple of 8
//
// Pure functions, safe from any thread.

#ifndef PEAT_FORMAT_MANIFEST_H_
#define PEAT_FORMAT_MANIFEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "format/bytes.h"
#include "format/location.h"
#include "format/record.h"
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
  // How its records expire: a bound when it was sealed, for the choice of what
  // to compact, and no promise. An open segment has none.
  uint64_t lasting_bytes = 0;
  Millis first_expiry = 0;
  Millis last_expiry = 0;
  uint64_t dictionary = 0;  // one of the manifest's, or 0
  friend bool operator==(const ManifestSegment&,
                         const ManifestSegment&) = default;
};

// A file that compressed values need: it goes with the last segment that names
// it.
struct ManifestDictionary {
  SegmentId id = 0;  // ids of files are of one count
  uint64_t size = 0;
  uint64_t checksum = 0;
  friend bool operator==(const ManifestDictionary&,
                         const ManifestDictionary&) = default;
};

enum class LeaseState : uint8_t {
  kHeld = 1,    // the log behind `lsn` is kept
  kBroken = 2,  // it was more than `bytes_max`
};

// Where a named reader of changes is.
struct ManifestLease {
  std::string name;
  Lsn lsn = 0;
  uint64_t bytes_max = 0;
  Millis last_used = 0;
  LeaseState state = LeaseState::kHeld;
  friend bool operator==(const ManifestLease&, const ManifestLease&) = default;
};

// What a dedup window remembers at most; 0: not bounded by it.
struct Retention {
  uint64_t count = 0;
  Millis age = 0;
  friend bool operator==(const Retention&, const Retention&) = default;
};

struct Manifest {
  uint64_t generation = 0;
  StoreId store_id = {};
  std::array<std::byte, 16> hash_seed = {};
  SegmentId next_id = 1;
  Lsn durable_lsn = 0;
  uint64_t epoch = 1;
  Millis time = 0;  // 0: none yet
  Retention retention = {};
  std::vector<ManifestSegment> segments = {};
  std::vector<ManifestDictionary> dictionaries = {};
  std::vector<ManifestLease> leases = {};
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

inline constexpr size_t kManifestHeaderSize = 128;
inline constexpr size_t kManifestSegmentSize = 96;
inline constexpr size_t kManifestDictionarySize = 32;
inline constexpr size_t kManifestLeaseHeadSize = 32;
inline constexpr size_t kLeaseNameSizeMax = 255;
inline constexpr size_t kManifestDictionaryCountMax = 256;
inline constexpr size_t kManifestLeaseCountMax = 256;
// As many as there are segment numbers.
inline constexpr size_t kManifestSegmentCountMax = kSegmentNumberMax;
// The largest id, lsn and generation: no store comes to count so far, and a
// writer counts on from what it reads.
inline constexpr uint64_t kManifestCountMax = uint64_t{1} << 62;

// Adds `segment` where its id belongs; the manifest must not have it yet.
void AddSegment(Manifest& manifest, const ManifestSegment& segment);

// Removes the segment `id`, if the manifest has it.
void EraseSegment(Manifest& manifest, SegmentId id);

// How much of everything a manifest has.
struct ManifestShape {
  size_t segment_count = 0;
  size_t dictionary_count = 0;
  size_t leases_size = 0;
};
inline constexpr size_t kManifestLeasesSizeMax =
    kManifestLeaseCountMax *
    (kManifestLeaseHeadSize +
     RoundUp<size_t>(kLeaseNameSizeMax, kRecordAlignment));

// The bytes that it takes. They grow with each of the three.
size_t ManifestSize(const ManifestShape& shape);
size_t ManifestSize(const Manifest& manifest);
size_t ManifestSizeMax();

// What the bytes say that they are, which must not be believed before the
// checksum at its end has matched; nullopt if no manifest is so large, or they
// are fewer.
std::optional<size_t> ClaimedManifestSize(ByteView bytes);

// Whether the leases may stand in a manifest: how many there are, their order,
// names and numbers. DataLoss if not.
absl::Status CheckLeases(const Manifest& manifest);

std::string EncodeManifest(const Manifest& manifest);

// `bytes` may be longer than the manifest (its file is preallocated). DataLoss
// when it is damaged (also when ids do not ascend, an id is not below next_id,
// a kind or state is unknown, an end is past its capacity, padding is not
// zero, a name is twice there), Unimplemented when it is of a newer version.
absl::StatusOr<Manifest> DecodeManifest(ByteView bytes);

}  // namespace peat::format

#endif  // PEAT_FORMAT_MANIFEST_H_
