// Files that keep their names for a while, though the store may give them up
// meanwhile: a copy of the store links them by name, one after the other.
//
// Thread-safe; its lock is taken last of all, and nothing is done under it.

#ifndef PEAT_ENGINE_LOG_FILE_PINS_H_
#define PEAT_ENGINE_LOG_FILE_PINS_H_

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "format/location.h"
#include "index/mutex.h"

namespace peat::engine {

class FilePins final {
 public:
  // While it or a copy of it lives, its files keep their names. May outlive the
  // FilePins.
  using Pin = std::shared_ptr<const std::vector<format::SegmentId>>;

  // Of segments and value files, which share their ids. None of them may have
  // been given up already.
  Pin Take(std::vector<format::SegmentId> files) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether the name of `file` must stay for now. Once this is false for a file
  // that the store has given up, it stays so.
  bool Has(format::SegmentId file) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  index::Mutex mutex_;
  // Those that have ended, too, until somebody asks.
  std::vector<std::weak_ptr<const std::vector<format::SegmentId>>> pins_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_FILE_PINS_H_
