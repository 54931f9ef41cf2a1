// The public queries: Store::Scan and what is made of it.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
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
constexpr uint64_t kBatchBytes = uint64_t{1} << 20;

// Puts the change of one key into `batch`; returns the bytes that it copies.
using AddChange = absl::FunctionRef<absl::StatusOr<uint64_t>(
    std::string_view key, WriteBatch* batch)>;

// Writes a batch of them; `own_view` as engine::BatchContext has it.
using WriteChanges = absl::FunctionRef<absl::Status(
    const WriteBatch& batch, const engine::View* own_view)>;

// Changes the keys of `query`, in batches. No key that has been changed is
// looked at again, so nothing need be saved for the query: else it would come
// to hold as much as it changes.
absl::Status ChangeAll(engine::Engine& engine, Query query, AddChange add,
                       WriteChanges write) {
  query.keys_only = true;
  const std::unique_ptr<engine::Cursor> cursor = engine.Scan(Reduce(query));
  WriteBatch batch;
  uint64_t batch_bytes = 0;
  for (; cursor->is_valid(); cursor->Next()) {
    PEAT_ASSIGN_OR_RETURN(const uint64_t bytes, add(cursor->key(), &batch));
    batch_bytes += bytes;
    if (batch.size() < kBatchKeys && batch_bytes < kBatchBytes) continue;
    PEAT_RETURN_IF_ERROR(write(batch, cursor->view()));
    batch.Clear();
    batch_bytes = 0;
  }
  PEAT_RETURN_IF_ERROR(cursor->status());
  return batch.size() == 0 ? absl::OkStatus() : write(batch, nullptr);
}

absl::StatusOr<uint64_t> DeleteAll(engine::Engine& engine, Query query) {
  uint64_t count = 0;
  PEAT_RETURN_IF_ERROR(ChangeAll(
      engine, std::move(query),
      [&](std::string_view key, WriteBatch* batch) -> absl::StatusOr<uint64_t> {
        batch->Delete(key);
        ++count;
        return key.size();
      },
      [&engine](const WriteBatch& batch,
                const engine::View* own_view) -> absl::Status {
        PEAT_ASSIGN_OR_RETURN(
            const std::vector<engine::BatchOperation> operations,
            OperationsOf(batch, engine));
        return engine.Write(operations, {.own_view = own_view});
      }));
  return count;
}

}  // namespace

Cursor Store::Scan(const Query& query) const {
  return Wrap(impl_->engine()->Scan(Reduce(query)));
}

absl::StatusOr<uint64_t> Store::Count(const Query& query) const {
  Query keys = query;
  keys.keys_only = true;
  uint64_t count = 0;
  Cursor cursor = Scan(keys);
  for (; cursor.Valid(); cursor.Next()) ++count;
  PEAT_RETURN_IF_ERROR(cursor.status());
  return count;
}

std::unique_ptr<Snapshot> Store::OpenSnapshot() const {
  return std::make_unique<Snapshot>(
      std::make_unique<Snapshot::Impl>(impl_->engine()->OpenSnapshot()));
}

absl::StatusOr<uint64_t> Store::DeleteRange(std::string_view from,
                                            std::string_view to) {
  return DeleteAll(*impl_->engine(),
                   {.from = std::string(from), .to = std::string(to)});
}

absl::StatusOr<uint64_t> Store::DeletePrefix(std::string_view prefix) {
  return DeleteAll(*impl_->engine(), {.prefix = std::string(prefix)});
}

absl::StatusOr<ForgetAllResult> Store::ForgetAll(
    std::string_view prefix, const ForgetAllOptions& options) {
  PEAT_RETURN_IF_ERROR(CheckMask(prefix, options.reason));
  ForgetAllResult result;
  const auto forget = [&](std::string_view key,
                          WriteBatch* batch) -> absl::StatusOr<uint64_t> {
    const absl::StatusOr<uint64_t> value_size = impl_->engine()->ValueSize(key);
    if (absl::IsNotFound(value_size.status())) return 0;  // deleted meanwhile
    PEAT_RETURN_IF_ERROR(value_size.status());
    const uint64_t size = key.size() + *value_size;
    ++result.key_count;
    result.byte_count += size;
    if (!options.dry_run) batch->Forget(key, {.reason = options.reason});
    return size;
  };
  const auto write = [&](const WriteBatch& batch,
                         const engine::View* own_view) -> absl::Status {
    PEAT_ASSIGN_OR_RETURN(const std::vector<engine::BatchOperation> operations,
                          OperationsOf(batch, *impl_->engine()));
    std::vector<ForgetReceipt> receipts;
    PEAT_RETURN_IF_ERROR(impl_->engine()->Write(
        operations,
        {.receipts = options.on_receipt == nullptr ? nullptr : &receipts,
         .own_view = own_view}));
    for (size_t i = 0; i < receipts.size(); ++i) {
      options.on_receipt(operations[i].key, receipts[i]);
    }
    return absl::OkStatus();
  };
  PEAT_RETURN_IF_ERROR(ChangeAll(
      *impl_->engine(), {.prefix = std::string(prefix)}, forget, write));
  return result;
}

}  // namespace peat
