// An index image: the index as it was at some lsn, so that opening need not
// read what the log held by then. A cache, bound to its store.
//
//   offset  size  field
//   0       8     magic            "PEATIDX\0"
//   8       4     version
//   12      4     head_size        of everything before the images
//   16      16    store_id
//   32      8     hash_check       of the index's key hash, see FORMAT.md
//   40      8     last_lsn         what is reflected: the log up to here
//   48      8     generation       of the manifest then, or later
//   56      8     log_segment      where the record of last_lsn lies: its
//   64      8     log_salt         segment, and the end of that record
//   72      8     log_end
//   80      4     segment_count    n
//   84      4     value_count      v
//   88      32*64 images           one for each shard of the index: which says
//                                  where its tables are (index/shard_image.h)
//   2136    96*n  segments         whose numbers may be in the images
//   ...     8*v   values           ids of value files, segment by segment
//   ...     8     checksum         of everything before it
//   ...           the images and their tables
//
// each image:
//
//   0       8     offset           in the file
//   8       8     size
//   16      8     checksum         of its bytes
//   24      8     key_count
//
// and each segment:
//
//   0       8     id
//   8       8     salt
//   16      8     end              records before this are reflected
//   24      8     last_lsn         of those
//   32      4     last_checksum    header checksum of the last of those
//   36      4     number           that stands for it in the images
//   40      8     live_bytes       of records in it that the images point to
//   48      8     tombstone_bytes  of tombstones before `end`
//   56      8     value_bytes      of value files that records before it name
//   64      8     live_value_bytes
//   72      8     disabled         masks in it that the images point to
//   80      8     forgotten
//   88      4     value_count      of `values`: one for each record that refers
//   92      4     zero
//
// Pure functions, safe from any thread.

#ifndef PEAT_FORMAT_INDEX_IMAGE_H_
#define PEAT_FORMAT_INDEX_IMAGE_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "format/bytes.h"
#include "format/location.h"
#include "format/segment_header.h"

namespace peat::format {

inline constexpr size_t kSnapshotShardCount = 64;
// Where the rows of the segments are, and how long one is.
inline constexpr size_t kSnapshotSegmentsOffset = 88 + 32 * kSnapshotShardCount;
inline constexpr size_t kSnapshotSegmentSize = 96;

struct SnapshotImage {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t checksum = 0;  // Checksum64
  uint64_t key_count = 0;
  friend bool operator==(const SnapshotImage&, const SnapshotImage&) = default;
};

struct SnapshotSegment {
  SegmentId id = 0;
  uint64_t salt = 0;
  uint64_t end = 0;
  Lsn last_lsn = 0;
  uint32_t last_checksum = 0;
  SegmentNumber number = 0;
  uint64_t live_bytes = 0;
  uint64_t tombstone_bytes = 0;
  uint64_t value_bytes = 0;
  uint64_t live_value_bytes = 0;
  uint64_t disabled = 0;
  uint64_t forgotten = 0;
  std::vector<SegmentId> values = {};
  friend bool operator==(const SnapshotSegment&,
                         const SnapshotSegment&) = default;
};

struct IndexImage {
  StoreId store_id = {};
  uint64_t hash_check = 0;
  Lsn last_lsn = 0;
  uint64_t generation = 0;
  SegmentId log_segment = 0;
  uint64_t log_salt = 0;
  uint64_t log_end = 0;
  std::array<SnapshotImage, kSnapshotShardCount> images = {};
  std::vector<SnapshotSegment> segments = {};
  friend bool operator==(const IndexImage&, const IndexImage&) = default;
};

// Bytes that tell how long the rest of the head is.
inline constexpr size_t kSnapshotPrefixSize = 16;

// Bytes of the head, as the images' offsets count them.
uint64_t SnapshotHeadSize(const IndexImage& snapshot);

std::string EncodeSnapshotHead(const IndexImage& snapshot);

// What the first kSnapshotPrefixSize bytes say about the head's size. DataLoss
// when they are not those of a snapshot of this version.
absl::StatusOr<uint64_t> DecodeSnapshotHeadSize(ByteView prefix);

// `head` has the size that its prefix says. DataLoss when it is damaged or
// malformed: numbers that are 0, too large or not distinct, ids that do not
// ascend, ends and counts that no segment can have.
absl::StatusOr<IndexImage> DecodeSnapshotHead(ByteView head);

}  // namespace peat::format

#endif  // PEAT_FORMAT_INDEX_IMAGE_H_
