// Forget receipts as text and as JSON.
//
//   {"store_id":"5f0c...","lsn":17,"key_digest":"9e1d...","value_digest":null}
//
// The store's id and the digests are in hexadecimal; a digest that the receipt
// has not is null. Whoever reads it leaves other members alone.

#ifndef PEAT_TOOLS_RECEIPT_H_
#define PEAT_TOOLS_RECEIPT_H_

#include <optional>
#include <string>
#include <string_view>

#include "peat/masks.h"
#include "tools/json_bytes.h"

namespace peat::tools {

// Adds the members above.
void AddReceipt(OrderedJson& object, const ForgetReceipt& receipt);

// One line for each member but the lsn, "  name  value".
std::string ReceiptText(const ForgetReceipt& receipt);

// nullopt if `line` is not a receipt.
std::optional<ForgetReceipt> ParseReceipt(std::string_view line);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_RECEIPT_H_
