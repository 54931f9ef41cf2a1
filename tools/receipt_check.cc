#include "tools/receipt_check.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "tools/exit_code.h"
#include "tools/receipt.h"

namespace peat::tools {
namespace {

// Enough for what audit prints of a forget, with the longest key and reason.
constexpr size_t kLineSizeMax = size_t{1} << 20U;

bool IsSame(const ForgetReceipt& given, const ForgetReceipt& made) {
  if (given.store_id != made.store_id) return false;
  if (!given.key_digest.has_value()) return true;
  return given == made;
}

absl::Status CheckOne(const MaskCursor& masks, const NumberedReceipt& given,
                      ReceiptCounts* counts) {
  if (!masks.Valid() || masks.mask().lsn != given.receipt.lsn) {
    ++counts->missing;
    ComplainOfLine(counts->complaints(), given.line,
                   "nothing was forgotten at this lsn");
    return absl::OkStatus();
  }
  const absl::StatusOr<ForgetReceipt> made = masks.receipt();
  if (absl::IsDataLoss(made.status())) {
    ++counts->damaged;
    ComplainOfLine(counts->complaints(), given.line,
                   std::string(made.status().message()));
    return absl::OkStatus();
  }
  PEAT_RETURN_IF_ERROR(made.status());
  if (!IsSame(given.receipt, *made)) {
    ++counts->different;
    ComplainOfLine(counts->complaints(), given.line,
                   given.receipt.store_id == made->store_id
                       ? "another key or value was forgotten at this lsn"
                       : "the receipt is of another store");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<NumberedReceipt>> ReadReceipts(std::istream& input) {
  std::vector<NumberedReceipt> receipts;
  std::string buffer(kLineSizeMax + 1, '\0');
  const auto malformed = [&receipts](const char* why) {
    return absl::InvalidArgumentError(
        absl::StrFormat("line %d: %s", receipts.size() + 1, why));
  };
  while (input.getline(buffer.data(),
                       static_cast<std::streamsize>(buffer.size()))) {
    const std::optional<ForgetReceipt> receipt = ParseReceipt(buffer.data());
    if (!receipt.has_value()) return malformed("not a receipt");
    receipts.push_back({.line = receipts.size() + 1, .receipt = *receipt});
  }
  if (input.bad()) return absl::UnknownError("cannot read the receipts");
  if (!input.eof()) return malformed("longer than any receipt");
  return receipts;
}

absl::Status CheckReceipts(const AuditReader& reader,
                           std::vector<NumberedReceipt> receipts,
                           ReceiptCounts* counts) {
  if (receipts.empty()) return absl::OkStatus();
  std::ranges::sort(receipts, {}, [](const NumberedReceipt& given) {
    return given.receipt.lsn;
  });
  const std::unique_ptr<MaskCursor> masks =
      reader.Masks({.first_lsn = receipts.front().receipt.lsn,
                    .last_lsn = receipts.back().receipt.lsn,
                    .disables = false,
                    .enables = false});
  for (const NumberedReceipt& given : receipts) {
    while (masks->Valid() && masks->mask().lsn < given.receipt.lsn) {
      masks->Next();
    }
    PEAT_RETURN_IF_ERROR(masks->status());
    PEAT_RETURN_IF_ERROR(CheckOne(*masks, given, counts));
  }
  return absl::OkStatus();
}

}  // namespace peat::tools
