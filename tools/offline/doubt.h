// What could be newer than a record that was read: proof that nothing is.
//
// Damage hides records, and a record that was read may have been superseded,
// deleted or forgotten by one of those. Four things prove that it was not:
//
//   lsns          what is hidden in the log lies between the lsns around it, so
//                 what is newer than all of them is current
//   headers       have a checksum of their own: of a record whose payload is
//                 damaged the kind is known
//   index image   says which records were current at some lsn (FORMAT.md,
//                 section 16), and how many forget records and tombstones a
//                 segment has: if all of them were read, none is hidden
//   hint files    say which keys a segment holds, but for those of tombstones
//
// Memory: that of the store's index if there is damage and an image that fits,
// a key filter for each damaged segment.
//
// Externally synchronised while it is made; then constant and thread-safe.

#ifndef PEAT_TOOLS_OFFLINE_DOUBT_H_
#define PEAT_TOOLS_OFFLINE_DOUBT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/recover/index_image_reader.h"
#include "format/key_filter.h"
#include "format/record.h"
#include "index/hash_index.h"
#include "index/key_hash.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

// What is known of a record that is the newest of its key among those that
// were read. In the order of how much.
enum class Proof {
  kNone,          // a forget of the key may be hidden
  kNotForgotten,  // something newer may be hidden, but no forget
  kNewest,        // nothing newer is
};

// What could not be read of one segment, or of the log's end.
struct HiddenPart {
  std::optional<size_t> segment = {};  // in StoreFiles::segments
  format::Lsn last_lsn = 0;            // nothing hidden is newer
  uint64_t record_count = 0;           // with lsns of their own; at least
  bool is_exact = false;               // exactly so many
  // Not where the headers of all that is hidden are sound, and say so.
  bool may_hold_forgets = true;
  bool may_hold_tombstones = true;
};

// What was read of a segment, up to where the index image has seen it.
struct SeenCounts {
  uint64_t tombstone_bytes = 0;
  uint64_t forget_count = 0;
};

// The newest index image that fits the store.
class ImageProof final {
 public:
  // Null: there is none. Looks at its head alone.
  static std::unique_ptr<ImageProof> Find(const StoreFiles& files);

  // Reads and verifies all of it; false: it is damaged, and proves nothing.
  bool Load();

  format::Lsn last_lsn() const { return found_.head.last_lsn; }
  // What it says of a segment; null: nothing.
  const format::SnapshotSegment* Of(format::SegmentId id) const {
    return engine::FindSegment(found_.head, id);
  }
  // Whether the record of `key` there was current as of last_lsn(). Needs
  // Load() to have been true.
  bool PointsTo(format::SegmentId id, uint64_t offset,
                std::string_view key) const;

 private:
  ImageProof(engine::FoundSnapshot found, format::Manifest manifest)
      : found_(std::move(found)),
        manifest_(std::move(manifest)),
        hasher_(manifest_.hash_seed) {}

  engine::FoundSnapshot found_;
  const format::Manifest manifest_;  // all of its log sealed
  const index::KeyHasher hasher_;
  std::unique_ptr<index::HashIndex> index_;  // once it is loaded
};

class Doubt final {
 public:
  // No doubt of anything.
  Doubt() = default;
  // `counts` are of each of the segments, as far as `image` has seen them; it
  // may be null. Without a manifest anything may be newer than any record.
  Doubt(const StoreFiles& files, const std::vector<HiddenPart>& parts,
        const std::vector<SeenCounts>& counts,
        std::unique_ptr<ImageProof> image);

  // Of a record in `segment`, which takes an lsn.
  Proof Of(const SourceSegment& segment, uint64_t offset,
           const format::Record& record) const;

  // Lsns up to here may be hidden; 0: none is.
  format::Lsn hidden_up_to() const { return hidden_up_to_; }
  // How many records with lsns of their own could not be read, at least; and
  // whether exactly so many.
  uint64_t hidden_count() const { return hidden_count_; }
  bool is_exact() const { return is_exact_; }

 private:
  struct Part {
    format::Lsn last_lsn = 0;
    std::optional<format::KeyFilter>
        filter;                // of the keys that are not deleted
    bool is_in_image = false;  // all that is hidden is as old as the image
    bool may_hold_forgets = true;
    bool may_hold_tombstones = true;
  };

  std::vector<Part> parts_;
  std::unique_ptr<const ImageProof> image_;  // null: there is none
  bool lacks_manifest_ = false;
  format::Lsn hidden_up_to_ = 0;
  uint64_t hidden_count_ = 0;
  bool is_exact_ = true;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_DOUBT_H_
