// The door's queries: Store::Scan and what is made of it.

#include <memory>
#include <string>
#include <utility>

#include "api/cursor_impl.h"
#include "api/query.h"
#include "api/snapshot_impl.h"
#include "api/store_impl.h"
#include "format/status_macros.h"
#include "peat/store.h"

namespace peat {
namespace {

// Keys of one batch, and how much of them it copies at most (or one key).
constexpr size_t kBatchKeys = 1000;
constexpr size_t kBatchBytes = size_t{1} << 20;

}  // namespace

std::unique_ptr<Cursor> Store::Scan(const Query& query) const {
  return Wrap(impl_->engine().Scan(Reduce(query)));
}

std::unique_ptr<Snapshot> Store::OpenSnapshot() const {
  return std::make_unique<Snapshot>(
      std::make_unique<Snapshot::Impl>(impl_->engine().OpenSnapshot()));
}

absl::StatusOr<uint64_t> Store::DeleteAll(Query query) {
  query.keys_only = true;
  const std::unique_ptr<Cursor> cursor = Scan(query);
  uint64_t count = 0;
  WriteBatch batch;
  while (cursor->Valid()) {
    batch.Delete(cursor->key());
    cursor->Next();
    const bool is_full =
        batch.size() >= kBatchKeys || batch.byte_size() >= kBatchBytes;
    if (cursor->Valid() && !is_full) continue;
    PEAT_RETURN_IF_ERROR(Write(batch));
    count += batch.size();
    batch.Clear();
  }
  PEAT_RETURN_IF_ERROR(cursor->status());
  return count;
}

absl::StatusOr<uint64_t> Store::DeleteRange(std::string_view from,
                                            std::string_view to) {
  return DeleteAll({.from = std::string(from), .to = std::string(to)});
}

absl::StatusOr<uint64_t> Store::DeletePrefix(std::string_view prefix) {
  return DeleteAll({.prefix = std::string(prefix)});
}

}  // namespace peat
