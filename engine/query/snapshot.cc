#include "engine/query/snapshot.h"

#include <utility>

#include "format/status_macros.h"

namespace peat::engine {

absl::Status Snapshot::Get(std::string_view key, std::string* value) const {
  PEAT_RETURN_IF_ERROR(status_);
  const Visit visit(*parts_.gate);
  if (!visit.is_inside()) return parts_.gate->WhyNot();
  ViewReader::Found found;
  const absl::Status status = parts_.reader->Find(*view_, key, &found);
  if (absl::IsNotFound(status) && parts_.is_damaged) {
    return absl::DataLossError(
        "an unreadable range of the store could hold this key");
  }
  PEAT_RETURN_IF_ERROR(status);
  return reader_->CopyValue(found.record, value);
}

std::unique_ptr<Cursor> Snapshot::Scan(Query query) const {
  if (!status_.ok()) return std::make_unique<Cursor>(status_);
  return std::make_unique<Cursor>(parts_, reader_, view_, std::move(query));
}

}  // namespace peat::engine
