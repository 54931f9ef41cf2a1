// Writing one key, many, or a batch; masks.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/c/call.h"
#include "api/c/handles.h"
#include "api/c/peat.h"
#include "format/status_macros.h"
#include "peat/masks.h"
#include "peat/store.h"
#include "peat/write_batch.h"

namespace peat::c {
namespace {

// A call with one key. Here, not in each function: what all of them check.
absl::Status CheckKeyCall(const peat_store* store, peat_bytes key,
                          peat_bytes value = {}) {
  PEAT_RETURN_IF_ERROR(CheckNotNull(store));
  return CheckBytes(key, value);
}

absl::Status CheckOptions(const peat_put_options* options) {
  return Known(options).status();
}

absl::Status CheckOperation(const peat_batch* batch, peat_bytes key,
                            peat_bytes value = {}) {
  PEAT_RETURN_IF_ERROR(CheckNotNull(batch));
  return CheckBytes(key, value);
}

MaskOptions WithReason(peat_bytes reason) {
  return {.reason = std::string(View(reason))};
}

// Calls `write(i)`, which returns whether it did, for each of `count` places.
// The first failure is the result of the call, with its place.
template <typename Function>
peat_code WriteEach(size_t count, peat_outcome* outcomes, peat_error** error,
                    const Function& write) {
  peat_code first = PEAT_OK;
  for (size_t i = 0; i < count; ++i) {
    bool did = false;
    absl::Status status;
    peat_error* failure = nullptr;
    const peat_code code = Call(&failure, [&]() -> absl::Status {
      PEAT_ASSIGN_OR_RETURN(did, write(i));
      return absl::OkStatus();
    });
    if (outcomes != nullptr) outcomes[i] = {.code = code, .did = did};
    if (code != PEAT_OK && first == PEAT_OK) {
      first = code;
      SetIndex(failure, static_cast<int64_t>(i));
      if (error != nullptr) *error = std::exchange(failure, nullptr);
    }
    peat_error_free(failure);
  }
  return first;
}

ForgetAllOptions ForgetAllOptionsOf(const peat_forget_all_options& from) {
  ForgetAllOptions to;
  to.reason = std::string(View(from.reason));
  to.dry_run = from.dry_run;
  if (from.on_receipt == nullptr) return to;
  to.on_receipt = [from](std::string_view key, const ForgetReceipt& receipt) {
    peat_receipt told = ReceiptOf(receipt);
    told.struct_size = sizeof(told);
    from.on_receipt(from.context, Bytes(key), &told);
  };
  return to;
}

}  // namespace
}  // namespace peat::c

using peat::c::Call;
using peat::c::CheckBytes;
using peat::c::CheckKeyCall;
using peat::c::CheckNotNull;
using peat::c::CheckOperation;
using peat::c::CheckOptions;
using peat::c::CheckRoom;
using peat::c::Fill;
using peat::c::View;
using peat::c::WithReason;

// NOLINTBEGIN(readability-identifier-naming,readability-function-size)

peat_code peat_put(peat_store* store, peat_bytes key, peat_bytes value,
                   const peat_put_options* options, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, key, value));
    PEAT_RETURN_IF_ERROR(CheckOptions(options));
    return store->store->Put(View(key), View(value));
  });
}

peat_code peat_put_if_absent(peat_store* store, peat_bytes key,
                             peat_bytes value, const peat_put_options* options,
                             bool* inserted, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, key, value));
    PEAT_RETURN_IF_ERROR(CheckOptions(options));
    PEAT_ASSIGN_OR_RETURN(const bool did,
                          store->store->PutIfAbsent(View(key), View(value)));
    if (inserted != nullptr) *inserted = did;
    return absl::OkStatus();
  });
}

peat_code peat_update(peat_store* store, peat_bytes key, peat_bytes value,
                      const peat_put_options* options, peat_value* previous,
                      peat_error** error) {
  if (previous != nullptr) *previous = {};
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, key, value));
    PEAT_RETURN_IF_ERROR(CheckNotNull(previous));
    PEAT_RETURN_IF_ERROR(CheckOptions(options));
    PEAT_ASSIGN_OR_RETURN(std::optional<std::string> was,
                          store->store->Update(View(key), View(value)));
    if (was.has_value()) peat::c::GiveCopy(*std::move(was), previous);
    return absl::OkStatus();
  });
}

peat_code peat_compare_and_set(peat_store* store, peat_bytes key,
                               const peat_bytes* expected, peat_bytes desired,
                               const peat_put_options* options, bool* set,
                               peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, key, desired));
    PEAT_RETURN_IF_ERROR(CheckOptions(options));
    std::optional<std::string_view> wanted;
    if (expected != nullptr) {
      PEAT_RETURN_IF_ERROR(CheckBytes(*expected));
      wanted = View(*expected);
    }
    PEAT_ASSIGN_OR_RETURN(
        const bool did,
        store->store->CompareAndSet(View(key), wanted, View(desired)));
    if (set != nullptr) *set = did;
    return absl::OkStatus();
  });
}

peat_code peat_delete(peat_store* store, peat_bytes key, bool* was_there,
                      peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, key));
    PEAT_ASSIGN_OR_RETURN(const bool did, store->store->Delete(View(key)));
    if (was_there != nullptr) *was_there = did;
    return absl::OkStatus();
  });
}

peat_code peat_multi_put(peat_store* store, const peat_pair* pairs,
                         size_t count, const peat_put_options* options,
                         peat_outcome* outcomes, peat_error** error) {
  const peat_code code = Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store));
    if (count > 0) PEAT_RETURN_IF_ERROR(CheckNotNull(pairs));
    return CheckOptions(options);
  });
  if (code != PEAT_OK) return code;
  return peat::c::WriteEach(
      count, outcomes, error, [&](size_t i) -> absl::StatusOr<bool> {
        const peat_pair& pair = pairs[i];
        PEAT_RETURN_IF_ERROR(CheckBytes(pair.key, pair.value));
        PEAT_RETURN_IF_ERROR(
            store->store->Put(View(pair.key), View(pair.value)));
        return true;
      });
}

peat_code peat_multi_put_if_absent(peat_store* store, const peat_pair* pairs,
                                   size_t count, peat_outcome* outcomes,
                                   peat_error** error) {
  const peat_code code = Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store));
    return count > 0 ? CheckNotNull(pairs) : absl::OkStatus();
  });
  if (code != PEAT_OK) return code;
  return peat::c::WriteEach(
      count, outcomes, error, [&](size_t i) -> absl::StatusOr<bool> {
        const peat_pair& pair = pairs[i];
        PEAT_RETURN_IF_ERROR(CheckBytes(pair.key, pair.value));
        return store->store->PutIfAbsent(View(pair.key), View(pair.value));
      });
}

peat_code peat_multi_delete(peat_store* store, const peat_bytes* keys,
                            size_t count, peat_outcome* outcomes,
                            peat_error** error) {
  const peat_code code = Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store));
    return count > 0 ? CheckNotNull(keys) : absl::OkStatus();
  });
  if (code != PEAT_OK) return code;
  return peat::c::WriteEach(count, outcomes, error,
                            [&](size_t i) -> absl::StatusOr<bool> {
                              PEAT_RETURN_IF_ERROR(CheckBytes(keys[i]));
                              return store->store->Delete(View(keys[i]));
                            });
}

peat_code peat_delete_range(peat_store* store, peat_bytes from, peat_bytes to,
                            uint64_t* count, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, from, to));
    PEAT_ASSIGN_OR_RETURN(const uint64_t key_count,
                          store->store->DeleteRange(View(from), View(to)));
    if (count != nullptr) *count = key_count;
    return absl::OkStatus();
  });
}

peat_code peat_delete_prefix(peat_store* store, peat_bytes prefix,
                             uint64_t* count, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, prefix));
    PEAT_ASSIGN_OR_RETURN(const uint64_t key_count,
                          store->store->DeletePrefix(View(prefix)));
    if (count != nullptr) *count = key_count;
    return absl::OkStatus();
  });
}

peat_code peat_batch_new(peat_batch** batch, peat_error** error) {
  if (batch != nullptr) *batch = nullptr;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(batch));
    *batch = std::make_unique<peat_batch>().release();
    return absl::OkStatus();
  });
}

void peat_batch_free(peat_batch* batch) {
  const std::unique_ptr<peat_batch> freed(batch);
}

void peat_batch_clear(peat_batch* batch) {
  if (batch != nullptr) batch->batch.Clear();
}

peat_code peat_batch_put(peat_batch* batch, peat_bytes key, peat_bytes value,
                         const peat_put_options* options, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckOperation(batch, key, value));
    PEAT_RETURN_IF_ERROR(CheckOptions(options));
    batch->batch.Put(View(key), View(value));
    return absl::OkStatus();
  });
}

peat_code peat_batch_delete(peat_batch* batch, peat_bytes key,
                            peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckOperation(batch, key));
    batch->batch.Delete(View(key));
    return absl::OkStatus();
  });
}

peat_code peat_batch_disable(peat_batch* batch, peat_bytes key,
                             peat_bytes reason, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckOperation(batch, key, reason));
    batch->batch.Disable(View(key), WithReason(reason));
    return absl::OkStatus();
  });
}

peat_code peat_batch_enable(peat_batch* batch, peat_bytes key,
                            peat_bytes reason, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckOperation(batch, key, reason));
    batch->batch.Enable(View(key), WithReason(reason));
    return absl::OkStatus();
  });
}

peat_code peat_batch_forget(peat_batch* batch, peat_bytes key,
                            peat_bytes reason, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckOperation(batch, key, reason));
    batch->batch.Forget(View(key), WithReason(reason));
    return absl::OkStatus();
  });
}

size_t peat_batch_size(const peat_batch* batch) {
  return batch == nullptr ? 0 : batch->batch.size();
}

size_t peat_batch_byte_size(const peat_batch* batch) {
  return batch == nullptr ? 0 : batch->batch.byte_size();
}

peat_code peat_write(peat_store* store, const peat_batch* batch,
                     peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, batch));
    return store->store->Write(batch->batch);
  });
}

peat_code peat_disable(peat_store* store, peat_bytes key, peat_bytes reason,
                       peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, key, reason));
    return store->store->Disable(View(key), WithReason(reason));
  });
}

peat_code peat_enable(peat_store* store, peat_bytes key, peat_bytes reason,
                      peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, key, reason));
    return store->store->Enable(View(key), WithReason(reason));
  });
}

peat_code peat_forget(peat_store* store, peat_bytes key, peat_bytes reason,
                      peat_receipt* receipt, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, key, reason));
    PEAT_RETURN_IF_ERROR(CheckRoom(receipt));
    PEAT_ASSIGN_OR_RETURN(const peat::ForgetReceipt made,
                          store->store->Forget(View(key), WithReason(reason)));
    Fill(peat::c::ReceiptOf(made), receipt);
    return absl::OkStatus();
  });
}

peat_code peat_forget_all(peat_store* store, peat_bytes prefix,
                          const peat_forget_all_options* options,
                          peat_forget_all_result* result, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckKeyCall(store, prefix));
    PEAT_RETURN_IF_ERROR(CheckRoom(result));
    PEAT_ASSIGN_OR_RETURN(const peat_forget_all_options how,
                          peat::c::Known(options));
    PEAT_RETURN_IF_ERROR(CheckBytes(how.reason));
    PEAT_ASSIGN_OR_RETURN(const peat::ForgetAllResult made,
                          store->store->ForgetAll(
                              View(prefix), peat::c::ForgetAllOptionsOf(how)));
    Fill({.struct_size = 0,
          .key_count = made.key_count,
          .byte_count = made.byte_count},
         result);
    return absl::OkStatus();
  });
}

// NOLINTEND(readability-identifier-naming,readability-function-size)
