// How many records in segments refer to each value file, current or not. The
// last one to go takes the file with it.
//
// Thread-safe.

#ifndef PEAT_ENGINE_LOG_VALUE_REFERENCES_H_
#define PEAT_ENGINE_LOG_VALUE_REFERENCES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "format/location.h"
#include "index/mutex.h"

namespace peat::engine {

class ValueReferences final {
 public:
  using Counts = absl::flat_hash_map<format::SegmentId, uint64_t>;

  // What replay has counted.
  void Reset(Counts counts) ABSL_LOCKS_EXCLUDED(mutex_) {
    index::MutexLock lock(&mutex_);
    counts_ = std::move(counts);
  }

  // A record that refers to `file` is about to be appended.
  void Add(format::SegmentId file) ABSL_LOCKS_EXCLUDED(mutex_) {
    index::MutexLock lock(&mutex_);
    ++counts_[file];
  }

  // Such a record is gone, or was not appended. Of a file that no reference is
  // known to, as an index image may have it that no writer has made, nothing
  // is done: what becomes of it is found at the next open.
  void Remove(format::SegmentId file) ABSL_LOCKS_EXCLUDED(mutex_) {
    index::MutexLock lock(&mutex_);
    const auto at = counts_.find(file);
    if (at == counts_.end()) return;
    if (--at->second > 0) return;
    counts_.erase(at);
    unreferenced_.push_back(file);
  }

  // All files that there are references to.
  std::vector<format::SegmentId> Files() ABSL_LOCKS_EXCLUDED(mutex_) {
    index::MutexLock lock(&mutex_);
    std::vector<format::SegmentId> files;
    files.reserve(counts_.size());
    for (const auto& [file, count] : counts_) files.push_back(file);
    return files;
  }

  bool Has(format::SegmentId file) ABSL_LOCKS_EXCLUDED(mutex_) {
    index::MutexLock lock(&mutex_);
    return counts_.contains(file);
  }

  // The files of which the last reference has been removed since the last call.
  // Whoever found a record before it went may still read its file.
  std::vector<format::SegmentId> TakeUnreferenced()
      ABSL_LOCKS_EXCLUDED(mutex_) {
    index::MutexLock lock(&mutex_);
    return std::exchange(unreferenced_, {});
  }

 private:
  index::Mutex mutex_;
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  std::vector<format::SegmentId> unreferenced_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_VALUE_REFERENCES_H_
