// Index images on disk: a store's index is saved to a file, and open takes
// it from there instead of reading the log. See format/index_image.h.
//
// A snapshot is a cache. It fits a store for good once it does: what it says of
// a segment stays true, and what was written since lies in the log behind it or
// in segments that compaction has made since, and is replayed. Slots that lead
// to a segment that compaction has taken out since are dropped: every record
// that was current there lies in one of those, or was superseded since.
//
// That needs one thing of whoever saves (index_image_writer.h): that no
// compaction is under way at the moment that it shows. One that had looked at a
// record before the record was deleted would bring it back, for the tombstone
// is not replayed.
//
// The log segment in which a snapshot ends must stay as long as the snapshot:
// that it is there proves that this is the store, and the history, of the
// snapshot.

#ifndef PEAT_ENGINE_RECOVER_INDEX_IMAGE_READER_H_
#define PEAT_ENGINE_RECOVER_INDEX_IMAGE_READER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "format/index_image.h"
#include "format/manifest.h"
#include "index/hash_index.h"
#include "index/key_hash.h"

namespace peat::engine {

// The snapshot that a store has; no name: there is none.
struct CurrentSnapshot {
  std::string name;
  format::Lsn last_lsn = 0;
  format::SegmentId log_segment = 0;
};

// A snapshot of which the head is sound.
struct FoundSnapshot {
  format::IndexImage head;
  std::string name;
  std::unique_ptr<File> file;
};

// The newest snapshot in `directory` that fits `manifest`, all of whose log is
// sealed. Its images have not been looked at.
std::optional<FoundSnapshot> FindIndexImage(const Directory& directory,
                                            const format::Manifest& manifest,
                                            const index::KeyHasher& hasher);

// The snapshot called `name`, whether it fits or not. DataLoss when its head is
// damaged.
absl::StatusOr<FoundSnapshot> ReadIndexImage(const Directory& directory,
                                             const std::string& name);

// Verifies all images of `file`, whose head is `head`, by several threads, and
// has `index`, which is empty, take each of them when it is first asked for a
// key that is there. They are verified again then, for the file may have
// changed: see HashIndex::LoadShard(). False when one is damaged now: the
// snapshot is of no use then, and the index still empty.
bool LoadIndexImage(const format::IndexImage& head, std::unique_ptr<File> file,
                    const format::Manifest& manifest, int thread_count,
                    index::HashIndex* index);

// Has `index` take all that it has not taken yet, by several threads.
void LoadShards(int thread_count, index::HashIndex* index);

// What `snapshot` says of the segment `id`; null: it is not named.
const format::SnapshotSegment* FindSegment(const format::IndexImage& snapshot,
                                           format::SegmentId id);

// The names of all snapshots, the newest first.
std::vector<std::string> ListIndexImages(const Directory& directory);

// What the key hash gives for each key of one byte, as one number.
uint64_t HashCheck(const index::KeyHasher& hasher);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_RECOVER_INDEX_IMAGE_READER_H_
