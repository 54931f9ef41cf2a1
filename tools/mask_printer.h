// Masks as peat audit prints them: a table, or a JSON object on each line.
//
// A table is for reading: keys and reasons are escaped (escape.h), and cut if
// they are long. JSON has every byte (json_bytes.h). Both check each forgotten
// value that they list against its digest, and say if it fails. Externally
// synchronised.

#ifndef PEAT_TOOLS_MASK_PRINTER_H_
#define PEAT_TOOLS_MASK_PRINTER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peat/audit.h"

namespace peat::tools {

struct MaskPrinterOptions {
  bool json = false;
  bool values = false;    // also what is preserved
  bool receipts = false;  // also those of forgets
};

// "disable", "enable" or "forget".
const char* NameOf(MaskKind kind);

class MaskPrinter {
 public:
  explicit MaskPrinter(const MaskPrinterOptions& options) : options_(options) {}

  // Names the columns of a table.
  absl::Status PrintHeader() const;

  // Prints the mask that `masks` stands at. A preserved value that is damaged
  // is no failure but complained of and counted; what else keeps it from being
  // read is a failure.
  absl::Status Print(const MaskCursor& masks);

  // Masks whose preserved value is damaged.
  uint64_t damaged_count() const { return damaged_count_; }

 private:
  // What is printed of a mask beside what it says itself.
  struct Details {
    absl::Status damage;  // not OK: there is nothing else
    std::optional<std::string> value = {};
    std::optional<ForgetReceipt> receipt = {};
  };
  absl::StatusOr<Details> Look(const MaskCursor& masks) const;

  const MaskPrinterOptions options_;
  uint64_t damaged_count_ = 0;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_MASK_PRINTER_H_
