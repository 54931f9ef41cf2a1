// What is behind a Snapshot, for the files of api/.

#ifndef PEAT_API_SNAPSHOT_IMPL_H_
#define PEAT_API_SNAPSHOT_IMPL_H_

#include <memory>
#include <utility>

#include "engine/query/snapshot.h"
#include "peat/snapshot.h"

namespace peat {

class Snapshot::Impl {
 public:
  explicit Impl(std::unique_ptr<engine::Snapshot> snapshot)
      : snapshot_(std::move(snapshot)) {}

  const engine::Snapshot& snapshot() const { return *snapshot_; }

 private:
  const std::unique_ptr<engine::Snapshot> snapshot_;
};

}  // namespace peat

#endif  // PEAT_API_SNAPSHOT_IMPL_H_
