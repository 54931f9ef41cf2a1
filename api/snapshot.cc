#include "peat/snapshot.h"

#include <utility>

#include "api/cursor_impl.h"
#include "api/query.h"
#include "api/snapshot_impl.h"
#include "format/status_macros.h"

namespace peat {

Snapshot::Snapshot(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Snapshot::~Snapshot() = default;

absl::Status Snapshot::Get(std::string_view key, std::string* value) const {
  return impl_->snapshot().Get(key, value);
}

absl::StatusOr<std::string> Snapshot::Get(std::string_view key) const {
  std::string value;
  PEAT_RETURN_IF_ERROR(Get(key, &value));
  return value;
}

Cursor Snapshot::Scan(const Query& query) const {
  return Wrap(impl_->snapshot().Scan(Reduce(query)));
}

}  // namespace peat
