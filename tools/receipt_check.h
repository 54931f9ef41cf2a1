// Holds a store to the receipts of its forgets.

#ifndef PEAT_TOOLS_RECEIPT_CHECK_H_
#define PEAT_TOOLS_RECEIPT_CHECK_H_

#include <cstdint>
#include <istream>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peat/audit.h"
#include "peat/masks.h"

namespace peat::tools {

struct NumberedReceipt {
  uint64_t line = 0;  // from 1
  ForgetReceipt receipt;
};

// One receipt (receipt.h) on each line. InvalidArgument, which names the line,
// if one is none; also if it is longer than 1 MiB.
absl::StatusOr<std::vector<NumberedReceipt>> ReadReceipts(std::istream& input);

struct ReceiptCounts {
  uint64_t missing = 0;    // no forget has this lsn
  uint64_t different = 0;  // another store's, or of another key or value
  uint64_t damaged = 0;    // what is kept is not what was forgotten

  uint64_t complaints() const { return missing + different + damaged; }
};

// Compares each receipt with the one that is made anew from what is kept, and
// complains about the first few that are not the same. A receipt without
// digests (its key had been forgotten before) is held to store and lsn alone.
// One pass over the segments that hold these lsns.
absl::Status CheckReceipts(const AuditReader& reader,
                           std::vector<NumberedReceipt> receipts,
                           ReceiptCounts* counts);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_RECEIPT_CHECK_H_
