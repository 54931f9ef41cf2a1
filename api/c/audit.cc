// The audit of masks.

#include "peat/audit.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/c/call.h"
#include "api/c/handles.h"
#include "api/c/peat.h"
#include "format/status_macros.h"
#include "peat/masks.h"

namespace peat::c {
namespace {

absl::Status SetMaskKey(const peat_bytes* from,
                        std::optional<std::string>* to) {
  if (from == nullptr) return absl::OkStatus();
  PEAT_RETURN_IF_ERROR(CheckBytes(*from));
  *to = std::string(View(*from));
  return absl::OkStatus();
}

absl::StatusOr<MaskQuery> MaskQueryOf(const peat_mask_query* given) {
  PEAT_ASSIGN_OR_RETURN(const peat_mask_query from, Known(given));
  MaskQuery to;
  PEAT_RETURN_IF_ERROR(SetMaskKey(from.key, &to.key));
  PEAT_RETURN_IF_ERROR(SetMaskKey(from.prefix, &to.prefix));
  to.first_lsn = from.first_lsn;
  if (from.last_lsn != 0) to.last_lsn = from.last_lsn;
  to.first_time = MaskTime(std::chrono::microseconds(from.first_time_us));
  if (from.last_time_us != 0) {
    to.last_time = MaskTime(std::chrono::microseconds(from.last_time_us));
  }
  to.disables = !from.without_disables;
  to.enables = !from.without_enables;
  to.forgets = !from.without_forgets;
  to.newest_first = from.newest_first;
  return to;
}

peat_mask MaskOf(const Mask& mask) {
  peat_mask to = {};
  to.kind = static_cast<peat_mask_kind>(mask.kind);
  to.key = Bytes(mask.key);
  to.lsn = mask.lsn;
  to.time_us = mask.time.time_since_epoch().count();
  to.reason = Bytes(mask.reason);
  to.value_lsn = mask.value_lsn;
  to.is_whole = mask.is_whole;
  return to;
}

// OK if there is a mask that was shown.
absl::Status CheckShown(const peat_mask_cursor* masks) {
  PEAT_RETURN_IF_ERROR(CheckNotNull(masks));
  if (masks->is_begun && masks->masks->Valid()) return absl::OkStatus();
  return absl::FailedPreconditionError("mask cursor shows no mask");
}

}  // namespace

peat_receipt ReceiptOf(const ForgetReceipt& receipt) {
  peat_receipt to = {};
  static_assert(sizeof(to.store_id) == sizeof(receipt.store_id));
  static_assert(sizeof(to.key_digest) == sizeof(Digest));
  std::memcpy(to.store_id, receipt.store_id.data(), sizeof(to.store_id));
  to.lsn = receipt.lsn;
  to.has_key_digest = receipt.key_digest.has_value();
  if (to.has_key_digest) {
    std::memcpy(to.key_digest, receipt.key_digest->data(), sizeof(Digest));
  }
  to.has_value_digest = receipt.value_digest.has_value();
  if (to.has_value_digest) {
    std::memcpy(to.value_digest, receipt.value_digest->data(), sizeof(Digest));
  }
  return to;
}

}  // namespace peat::c

using peat::c::Call;
using peat::c::CheckBytes;
using peat::c::CheckNotNull;
using peat::c::CheckRoom;
using peat::c::Fill;

// NOLINTBEGIN(readability-identifier-naming,readability-function-size)

peat_code peat_audit_open(const char* path, peat_audit** audit,
                          peat_error** error) {
  if (audit != nullptr) *audit = nullptr;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(path, audit));
    auto made = std::make_unique<peat_audit>();
    PEAT_ASSIGN_OR_RETURN(made->reader, peat::AuditReader::Open(path));
    *audit = made.release();
    return absl::OkStatus();
  });
}

void peat_audit_free(peat_audit* audit) {
  const std::unique_ptr<peat_audit> freed(audit);
}

peat_code peat_audit_reveal(const peat_audit* audit, peat_bytes key,
                            peat_value* value, peat_error** error) {
  if (value != nullptr) *value = {};
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(audit, value));
    PEAT_RETURN_IF_ERROR(CheckBytes(key));
    PEAT_ASSIGN_OR_RETURN(std::string found,
                          audit->reader->Reveal(peat::c::View(key)));
    peat::c::GiveCopy(std::move(found), value);
    return absl::OkStatus();
  });
}

peat_code peat_audit_count(const peat_audit* audit,
                           const peat_mask_query* query, peat_mask_tally* tally,
                           peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(audit, tally));
    PEAT_RETURN_IF_ERROR(CheckRoom(tally));
    PEAT_ASSIGN_OR_RETURN(const peat::MaskQuery wanted,
                          peat::c::MaskQueryOf(query));
    PEAT_ASSIGN_OR_RETURN(const peat::MaskTally counted,
                          audit->reader->Count(wanted));
    Fill({.struct_size = 0,
          .disables = counted.disables,
          .enables = counted.enables,
          .forgets = counted.forgets},
         tally);
    return absl::OkStatus();
  });
}

peat_code peat_audit_masks(const peat_audit* audit,
                           const peat_mask_query* query,
                           peat_mask_cursor** masks, peat_error** error) {
  if (masks != nullptr) *masks = nullptr;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(audit, masks));
    PEAT_ASSIGN_OR_RETURN(const peat::MaskQuery wanted,
                          peat::c::MaskQueryOf(query));
    auto made = std::make_unique<peat_mask_cursor>();
    made->masks = audit->reader->Masks(wanted);
    if (!made->masks->Valid()) {
      PEAT_RETURN_IF_ERROR(made->masks->status());
    }
    *masks = made.release();
    return absl::OkStatus();
  });
}

peat_code peat_mask_cursor_next(peat_mask_cursor* masks, peat_mask* mask,
                                bool* is_there, peat_error** error) {
  if (is_there != nullptr) *is_there = false;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(masks, mask, is_there));
    PEAT_RETURN_IF_ERROR(CheckRoom(mask));
    if (masks->is_begun && masks->masks->Valid()) masks->masks->Next();
    masks->is_begun = true;
    if (!masks->masks->Valid()) return masks->masks->status();
    Fill(peat::c::MaskOf(masks->masks->mask()), mask);
    *is_there = true;
    return absl::OkStatus();
  });
}

peat_code peat_mask_cursor_value(const peat_mask_cursor* masks,
                                 peat_value* value, peat_error** error) {
  if (value != nullptr) *value = {};
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(peat::c::CheckShown(masks));
    PEAT_RETURN_IF_ERROR(CheckNotNull(value));
    PEAT_ASSIGN_OR_RETURN(std::string found, masks->masks->value());
    peat::c::GiveCopy(std::move(found), value);
    return absl::OkStatus();
  });
}

peat_code peat_mask_cursor_receipt(const peat_mask_cursor* masks,
                                   peat_receipt* receipt, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(peat::c::CheckShown(masks));
    PEAT_RETURN_IF_ERROR(CheckNotNull(receipt));
    PEAT_RETURN_IF_ERROR(CheckRoom(receipt));
    PEAT_ASSIGN_OR_RETURN(const peat::ForgetReceipt made,
                          masks->masks->receipt());
    Fill(peat::c::ReceiptOf(made), receipt);
    return absl::OkStatus();
  });
}

void peat_mask_cursor_free(peat_mask_cursor* masks) {
  const std::unique_ptr<peat_mask_cursor> freed(masks);
}

// NOLINTEND(readability-identifier-naming,readability-function-size)
