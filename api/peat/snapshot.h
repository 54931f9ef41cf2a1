// A store as of one moment.

#ifndef PEAT_API_PEAT_SNAPSHOT_H_
#define PEAT_API_PEAT_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peat/cursor.h"
#include "peat/query.h"

namespace peat {

// Shows everything acknowledged before it was opened and nothing that was
// written later: to Get() and to any number of cursors. A key that is forgotten
// meanwhile is not shown any more. What it costs while it is open is what a
// cursor costs (peat/cursor.h).
//
// Thread-safe. May outlive the store: then every call is FailedPrecondition.
// Its cursors may outlive it.
class Snapshot {
 public:
  // For the engine.
  class Impl;
  // For the engine.
  explicit Snapshot(std::unique_ptr<Impl> impl);

  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  // As Store::Get().
  absl::Status Get(std::string_view key, std::string* value) const;
  // As Store::Get().
  absl::StatusOr<std::string> Get(std::string_view key) const;

  // As Store::Scan().
  Cursor Scan(const Query& query) const;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_SNAPSHOT_H_
