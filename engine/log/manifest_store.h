// The manifest on disk: two preallocated files, both written at each edit.
//
// An edit writes the whole manifest, with the next generation, to one file,
// syncs it, and then does the same to the other. So at every instant one of
// the two is complete, a torn edit leaves the state before it, and damage to
// one file, at rest, loses nothing. After a crash between the two, the one that
// is behind is written first, never the only one that is up to date.
//
// Thread-safe.

#ifndef PEAT_ENGINE_LOG_MANIFEST_STORE_H_
#define PEAT_ENGINE_LOG_MANIFEST_STORE_H_

#include <atomic>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/log/poison.h"
#include "engine/log/store_clock.h"
#include "engine/os/file_system.h"
#include "format/manifest.h"
#include "index/mutex.h"

namespace peat::engine {

// The newest manifest in a directory, and which of the two files has it.
struct NewestManifest {
  format::Manifest manifest;
  size_t copy = 0;
  bool both_sound = false;   // each of the two files has a manifest
  bool both_newest = false;  // and it is the same
};

// What one of the two files holds (`copy` is 0 or 1), whatever the other does.
// NotFound, DataLoss or OutOfRange if it is missing, damaged or cut short.
absl::StatusOr<format::Manifest> ReadManifestCopy(const Directory& directory,
                                                  size_t copy);

// NotFound if there is no manifest file; DataLoss if no copy is sound, or if
// the two contradict each other.
absl::StatusOr<NewestManifest> ReadManifest(const Directory& directory);

class ManifestStore {
 public:
  // `current` is what ReadManifest() returned, or for a new store its first
  // manifest, of which nothing is on disk until Edit(). `directory` and
  // `poison` must outlive this.
  ManifestStore(Directory* directory, NewestManifest current, Poison* poison);

  // Acquires disk space for manifests of at least `segment_count` segments,
  // beside all else that it has now, so that edits need none. ResourceExhausted
  // changes nothing.
  absl::Status Reserve(size_t segment_count) ABSL_LOCKS_EXCLUDED(edit_mutex_);

  // Changes the manifest by `change` and makes that durable. Only where it is
  // larger than what space was reserved for, since others have used that
  // space, it acquires more; ResourceExhausted then changes nothing. A failed
  // write or sync poisons the store.
  absl::Status Edit(absl::FunctionRef<void(format::Manifest&)> change)
      ABSL_LOCKS_EXCLUDED(edit_mutex_);

  // The same for the leases alone. `change` must leave them in ascending order
  // of their names, and not more than kManifestLeaseCountMax: else
  // InvalidArgument, and nothing is changed.
  absl::Status EditLeases(
      absl::FunctionRef<void(std::vector<format::ManifestLease>&)> change)
      ABSL_LOCKS_EXCLUDED(edit_mutex_);

  // Makes sure that what was read is durable, as an edit does, too. Of an edit
  // that never reached the second file, the first may be in the page cache
  // alone: whoever wrote it was killed before the sync, or the sync failed.
  absl::Status Confirm() ABSL_LOCKS_EXCLUDED(edit_mutex_);

  // As of the last edit that is durable. Never waits for one, which lasts as
  // long as the disk takes to answer.
  format::Manifest Current() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Of the newest manifest that is durable in both files. For links: it needs
  // no lock.
  uint64_t durable_generation() const {
    return durable_generation_.load(std::memory_order_acquire);
  }
  const format::StoreId& store_id() const { return store_id_; }

  // The store's time: each edit records the highest that has been seen.
  StoreClock& clock() { return clock_; }

  // A new id: durably never given out before. Takes a manifest edit every so
  // many calls, the more the rarer: what an edit has made available and nobody
  // has taken when the process ends is never given out.
  absl::StatusOr<format::SegmentId> NewId() ABSL_LOCKS_EXCLUDED(edit_mutex_);

  // Files that are not the store's have these ids in their names: NewId()
  // passes over them.
  void Avoid(const std::vector<format::SegmentId>& ids)
      ABSL_LOCKS_EXCLUDED(edit_mutex_);

  // Bytes of disk that the two files take.
  uint64_t disk_bytes() const {
    return 2 * reserved_size_.load(std::memory_order_relaxed);
  }

 private:
  absl::Status ReserveLocked(uint64_t manifest_size)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(edit_mutex_);
  // Makes sure that there is an id to give out.
  absl::Status ReserveIds() ABSL_EXCLUSIVE_LOCKS_REQUIRED(edit_mutex_);
  absl::Status EditLocked(absl::FunctionRef<void(format::Manifest&)> change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(edit_mutex_);

  Directory* const directory_;
  Poison* const poison_;
  const format::StoreId store_id_;
  StoreClock clock_;
  // Held over an edit, I/O included.
  mutable index::Mutex edit_mutex_{index::LockRank::kManifest};
  std::shared_ptr<const format::Manifest> current_ ABSL_GUARDED_BY(edit_mutex_);
  size_t newest_copy_ ABSL_GUARDED_BY(edit_mutex_);  // written last
  bool is_confirmed_ ABSL_GUARDED_BY(edit_mutex_);
  // Whoever created a file that no edit has completed may have ended, or
  // failed, before its name was synced.
  bool names_durable_ ABSL_GUARDED_BY(edit_mutex_);
  // Of each file. Changed under the lock; relaxed, for statistics.
  std::atomic<uint64_t> reserved_size_{0};
  format::SegmentId unused_id_ ABSL_GUARDED_BY(edit_mutex_);
  absl::flat_hash_set<format::SegmentId> avoided_ids_
      ABSL_GUARDED_BY(edit_mutex_);
  // Of the next edit.
  format::SegmentId id_stride_ ABSL_GUARDED_BY(edit_mutex_);
  // Stored under the lock. Release, so that what says that it has seen a
  // generation comes to the disk after that generation.
  std::atomic<uint64_t> durable_generation_;

  // What current_ is, for who must not wait. Nothing is acquired under it.
  mutable index::Mutex mutex_;
  std::shared_ptr<const format::Manifest> shown_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_MANIFEST_STORE_H_
