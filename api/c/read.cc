// Reading one key, or many.

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "api/c/call.h"
#include "api/c/handles.h"
#include "api/c/peat.h"
#include "format/check.h"
#include "format/status_macros.h"
#include "peat/pinned_value.h"
#include "peat/snapshot.h"
#include "peat/store.h"

namespace peat::c {
namespace {

void Clear(peat_lookups* lookups) {
  lookups->keys.clear();
  lookups->lookups.clear();
  lookups->answers.clear();
}

absl::Status Ask(const Store& store, std::span<const peat_bytes> keys,
                 peat_lookups* lookups) {
  for (const peat_bytes key : keys) {
    PEAT_RETURN_IF_ERROR(CheckBytes(key));
    lookups->keys.push_back(View(key));
  }
  lookups->lookups.resize(keys.size());
  lookups->answers.reserve(keys.size());
  return store.MultiGet(lookups->keys, lookups->lookups);
}

// Lists the answers; the index of the first that is neither a value nor a miss,
// or their number.
size_t List(peat_lookups* lookups) {
  size_t first_failed = lookups->lookups.size();
  for (size_t i = 0; i < lookups->lookups.size(); ++i) {
    const Lookup& lookup = lookups->lookups[i];
    peat_lookup answer = {};
    answer.code = static_cast<peat_code>(lookup.status.code());
    if (lookup.status.ok()) {
      answer.value = Bytes(lookup.value);
    } else if (!absl::IsNotFound(lookup.status)) {
      first_failed = std::min(first_failed, i);
    }
    lookups->answers.push_back(answer);
  }
  PEAT_DCHECK(lookups->answers.size() == lookups->lookups.size());
  return first_failed;
}

}  // namespace
}  // namespace peat::c

using peat::c::Call;
using peat::c::CheckBytes;
using peat::c::CheckNotNull;
using peat::c::CheckRoom;
using peat::c::View;

// NOLINTBEGIN(readability-identifier-naming,readability-function-size)

peat_code peat_get(const peat_store* store, peat_bytes key, peat_value* value,
                   peat_error** error) {
  if (value != nullptr) *value = {};
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, value));
    PEAT_RETURN_IF_ERROR(CheckBytes(key));
    PEAT_ASSIGN_OR_RETURN(peat::PinnedValue found,
                          store->store->GetPinned(View(key)));
    peat::c::Give(std::move(found), value);
    return absl::OkStatus();
  });
}

peat_code peat_get_into(const peat_store* store, peat_bytes key,
                        peat_space space, size_t* size, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, size));
    PEAT_RETURN_IF_ERROR(CheckBytes(key, {space.data, space.size}));
    PEAT_ASSIGN_OR_RETURN(const peat::PinnedValue found,
                          store->store->GetPinned(View(key)));
    const size_t copied_size = std::min(found.size(), space.size);
    if (copied_size > 0) std::memcpy(space.data, found.data(), copied_size);
    *size = found.size();
    return absl::OkStatus();
  });
}

peat_code peat_lookups_new(peat_lookups** lookups, peat_error** error) {
  if (lookups != nullptr) *lookups = nullptr;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(lookups));
    *lookups = std::make_unique<peat_lookups>().release();
    return absl::OkStatus();
  });
}

void peat_lookups_free(peat_lookups* lookups) {
  const std::unique_ptr<peat_lookups> freed(lookups);
}

const peat_lookup* peat_lookups_answers(const peat_lookups* lookups) {
  if (lookups == nullptr || lookups->answers.empty()) return nullptr;
  return lookups->answers.data();
}

peat_code peat_multi_get(const peat_store* store, const peat_bytes* keys,
                         size_t count, peat_lookups* lookups,
                         peat_error** error) {
  if (lookups != nullptr) peat::c::Clear(lookups);
  size_t failed = count;
  const peat_code code = Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, lookups));
    if (count > 0) PEAT_RETURN_IF_ERROR(CheckNotNull(keys));
    PEAT_RETURN_IF_ERROR(
        peat::c::Ask(*store->store, std::span(keys, count), lookups));
    failed = peat::c::List(lookups);
    return absl::OkStatus();
  });
  if (code != PEAT_OK || failed == count) return code;
  const peat_code first =
      Call(error, [&] { return lookups->lookups[failed].status; });
  if (error != nullptr) peat::c::SetIndex(*error, static_cast<int64_t>(failed));
  return first;
}

peat_code peat_contains(const peat_store* store, peat_bytes key, bool* is_there,
                        peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, is_there));
    PEAT_RETURN_IF_ERROR(CheckBytes(key));
    PEAT_ASSIGN_OR_RETURN(*is_there, store->store->Contains(View(key)));
    return absl::OkStatus();
  });
}

peat_code peat_describe(const peat_store* store, peat_bytes key,
                        peat_key_info* info, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, info));
    PEAT_RETURN_IF_ERROR(CheckRoom(info));
    PEAT_RETURN_IF_ERROR(CheckBytes(key));
    PEAT_ASSIGN_OR_RETURN(const peat::KeyInfo known,
                          store->store->Describe(View(key)));
    peat_key_info to = {};
    to.state = static_cast<peat_key_state>(known.state);
    to.lsn = known.lsn;
    to.value_size = known.value_size;
    peat::c::Fill(to, info);
    return absl::OkStatus();
  });
}

peat_code peat_snapshot_open(const peat_store* store, peat_snapshot** snapshot,
                             peat_error** error) {
  if (snapshot != nullptr) *snapshot = nullptr;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, snapshot));
    auto made = std::make_unique<peat_snapshot>();
    made->snapshot = store->store->OpenSnapshot();
    *snapshot = made.release();
    return absl::OkStatus();
  });
}

peat_code peat_snapshot_get(const peat_snapshot* snapshot, peat_bytes key,
                            peat_value* value, peat_error** error) {
  if (value != nullptr) *value = {};
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(snapshot, value));
    PEAT_RETURN_IF_ERROR(CheckBytes(key));
    PEAT_ASSIGN_OR_RETURN(std::string found,
                          snapshot->snapshot->Get(View(key)));
    peat::c::GiveCopy(std::move(found), value);
    return absl::OkStatus();
  });
}

void peat_snapshot_free(peat_snapshot* snapshot) {
  const std::unique_ptr<peat_snapshot> freed(snapshot);
}

// NOLINTEND(readability-identifier-naming,readability-function-size)
