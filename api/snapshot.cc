#include "peat/snapshot.h"

#include <utility>

#include "api/cursor_impl.h"
#include "api/query.h"
#include "api/snapshot_impl.h"

namespace peat {

Snapshot::Snapshot(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Snapshot::~Snapshot() = default;

absl::Status Snapshot::Get(std::string_view key, std::string* value) const {
  return impl_->snapshot().Get(key, value);
}

Cursor Snapshot::Scan(const Query& query) const {
  return Wrap(impl_->snapshot().Scan(Reduce(query)));
}

}  // namespace peat
