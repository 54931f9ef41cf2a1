#include "tools/mask_printer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "tools/escape.h"
#include "tools/exit_code.h"
#include "tools/json_bytes.h"
#include "tools/output.h"
#include "tools/receipt.h"
#include "tools/utc_time.h"

namespace peat::tools {
namespace {

// Bytes of a key or reason that a table shows.
constexpr size_t kKeyShown = 32;
constexpr size_t kReasonShown = 64;
constexpr size_t kKeyColumns = 24;

bool KeepsValue(const Mask& mask) {
  return mask.is_whole && mask.value_lsn != 0;
}

bool IsContinuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

// The first bytes, escaped, and dots in place of the rest. Cut between
// characters, as far as there are any.
std::string Cut(std::string_view bytes, size_t size_max) {
  if (bytes.size() <= size_max) return Escape(bytes);
  size_t size = size_max;
  while (size + 3 > size_max && IsContinuation(bytes[size])) --size;
  return Escape(bytes.substr(0, size)) + "...";
}

// With spaces to the width of a column, counted in characters.
std::string Pad(std::string text, size_t width) {
  const auto size = static_cast<size_t>(
      std::count_if(text.begin(), text.end(),
                    [](char byte) { return !IsContinuation(byte); }));
  if (size < width) text.append(width - size, ' ');
  return text;
}

std::string KeyAndReason(const Mask& mask) {
  std::string key = Cut(mask.key, kKeyShown);
  if (mask.reason.empty()) return key;
  return Pad(std::move(key), kKeyColumns) + "  " +
         Cut(mask.reason, kReasonShown);
}

// What became of the value that the mask preserves.
const char* ValueColumn(const Mask& mask, bool is_damaged) {
  if (is_damaged) return "DAMAGED";
  if (mask.value_lsn == 0) return "none";
  return mask.is_whole ? "kept" : "dropped";
}

}  // namespace

const char* NameOf(MaskKind kind) {
  switch (kind) {
    case MaskKind::kDisable:
      return "disable";
    case MaskKind::kEnable:
      return "enable";
    case MaskKind::kForget:
      return "forget";
  }
  return "";
}

absl::Status MaskPrinter::PrintHeader() const {
  if (options_.json) return absl::OkStatus();
  return WriteOutput(absl::StrFormat("%-27s  %-7s  %10s  %-7s  %-24s  %s\n",
                                     "TIME", "KIND", "LSN", "VALUE", "KEY",
                                     "REASON"));
}

absl::StatusOr<MaskPrinter::Details> MaskPrinter::Look(
    const MaskCursor& masks) const {
  Details details;
  if (masks.mask().kind == MaskKind::kForget) {
    absl::StatusOr<ForgetReceipt> receipt = masks.receipt();
    if (absl::IsDataLoss(receipt.status())) return Details{receipt.status()};
    PEAT_RETURN_IF_ERROR(receipt.status());
    if (options_.receipts) details.receipt = *std::move(receipt);
  }
  if (options_.values && KeepsValue(masks.mask())) {
    absl::StatusOr<std::string> value = masks.value();
    if (absl::IsDataLoss(value.status())) return Details{value.status()};
    PEAT_RETURN_IF_ERROR(value.status());
    details.value = *std::move(value);
  }
  return details;
}

absl::Status MaskPrinter::Print(const MaskCursor& masks) {
  const Mask& mask = masks.mask();
  PEAT_ASSIGN_OR_RETURN(const Details details, Look(masks));
  const std::string damage(details.damage.message());
  if (!details.damage.ok()) {
    ++damaged_count_;
    Complain(absl::StrFormat("lsn %d: %s", mask.lsn, damage));
  }
  if (!options_.json) {
    std::string text = absl::StrFormat(
        "%s  %-7s  %10d  %-7s  %s\n", FormatUtc(mask.time), NameOf(mask.kind),
        mask.lsn, ValueColumn(mask, !details.damage.ok()), KeyAndReason(mask));
    if (details.value) {
      text += absl::StrFormat("  value         %s\n", Escape(*details.value));
    }
    if (details.receipt) text += ReceiptText(*details.receipt);
    return WriteOutput(text);
  }
  OrderedJson object;
  object["time"] = FormatUtc(mask.time);
  object["kind"] = NameOf(mask.kind);
  object["lsn"] = mask.lsn;
  AddBytes(object, "key", mask.key);
  AddBytes(object, "reason", mask.reason);
  object["value_lsn"] = mask.value_lsn;
  object["is_whole"] = mask.is_whole;
  if (!details.damage.ok()) object["damage"] = damage;
  if (details.value) AddBytes(object, "value", *details.value);
  if (details.receipt) AddReceipt(object, *details.receipt);
  return WriteOutput(object.dump() + "\n");
}

}  // namespace peat::tools
