// Group commit: many callers who wait, one sync.
//
// Whoever finds no sync under way leads one that covers everything appended so
// far; whoever comes meanwhile waits, and the next leader's sync covers all of
// them. A leader who was not alone the last time gives the others a moment to
// come again, since one sync for all costs as much as one for half of them.
// Value files are synced before the log that refers to them, segments oldest to
// newest. A sync that covers a forget also records in the manifest how far the
// log is durable: a copy of the unsealed segment from before the forget, put
// back, is noticed then. A sync also makes the store's time durable
// (store_clock.h). A failed sync poisons the store and is never retried.
//
// Thread-safe.

#ifndef PEAT_ENGINE_LOG_GROUP_COMMIT_H_
#define PEAT_ENGINE_LOG_GROUP_COMMIT_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "engine/log/appender.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/os/file_system.h"
#include "format/location.h"
#include "index/mutex.h"

namespace peat::engine {

class GroupCommit {
 public:
  // All of them must outlive this. The log is durable up to `durable_lsn`.
  GroupCommit(Directory* directory, Appender* appender, ManifestStore* manifest,
              Poison* poison, format::Lsn durable_lsn);

  // Returns once everything up to `lsn` (which must have been appended) is
  // durable, or the store is poisoned. Costs nothing when it is so already.
  absl::Status SyncUpTo(format::Lsn lsn) ABSL_LOCKS_EXCLUDED(mutex_) {
    return SyncUpTo(lsn, 0);
  }

  // The same for everything appended so far, and for the store's time: what has
  // expired by now stays so. Of a store that has seen no time, costs nothing
  // when it is durable already.
  absl::Status SyncAll() ABSL_LOCKS_EXCLUDED(mutex_) {
    return SyncUpTo(appender_->last_lsn(), manifest_->clock().TimeToSync());
  }

  format::Lsn durable_lsn() const {
    return durable_lsn_.load(std::memory_order_acquire);
  }
  uint64_t sync_count() const {
    return sync_count_.load(std::memory_order_relaxed);
  }

 private:
  absl::Status SyncUpTo(format::Lsn lsn, format::Millis time)
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsDurable(format::Lsn lsn, format::Millis time) const {
    return lsn <= durable_lsn() && time <= manifest_->clock().durable();
  }
  // Syncs everything appended so far. One thread at a time.
  absl::StatusOr<format::Lsn> Sync();
  // After a sync of `sample`: what the manifest must say, too. `time` is one
  // that did not get into the log; 0: there is none.
  absl::Status RecordInManifest(const Appender::Sample& sample,
                                format::Millis time);
  // Of the leader, before its sync: waits until `expected` callers have come in
  // all, but no longer than the last sync took.
  void AwaitArrivals(uint64_t expected) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Directory* const directory_;
  Appender* const appender_;
  ManifestStore* const manifest_;
  Poison* const poison_;

  index::Mutex mutex_{index::LockRank::kGroupCommit};
  index::CondVar sync_ended_;
  index::CondVar arrived_;  // as many callers as the leader waits for
  bool sync_under_way_ ABSL_GUARDED_BY(mutex_) = false;
  // Callers that a sync has covered, in all; and of the last sync, how many
  // came from the sync before it until its end, and how long it took. A leader
  // waits for so many, and no longer: once in vain, if one does not come back.
  uint64_t covered_count_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_group_size_ ABSL_GUARDED_BY(mutex_) = 0;
  std::chrono::nanoseconds last_duration_ ABSL_GUARDED_BY(mutex_){0};
  // What the leader waits for; without one that waits, more than there are.
  uint64_t awaited_count_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;

  // Callers that have come to wait, in all. Relaxed: how long a leader waits
  // depends on it and nothing else.
  std::atomic<uint64_t> arrival_count_{0};

  // Moved by the leader under the lock; release, so that whoever sees an lsn
  // may rely on the sync behind it.
  std::atomic<format::Lsn> durable_lsn_;
  std::atomic<uint64_t> sync_count_{0};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_GROUP_COMMIT_H_
