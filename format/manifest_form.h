// What the fields of a manifest may be, beside each other.
//
// Pure functions, safe from any thread.

#ifndef PEAT_FORMAT_MANIFEST_FORM_H_
#define PEAT_FORMAT_MANIFEST_FORM_H_

#include "absl/status/status.h"
#include "format/manifest.h"

namespace peat::format {

// DataLoss says what is wrong. Checked before a manifest is written and after
// it was read.
absl::Status CheckForm(const Manifest& manifest);

// The same of its ids and lsns, checked only after it was read.
absl::Status CheckCounts(const Manifest& manifest);

}  // namespace peat::format

#endif  // PEAT_FORMAT_MANIFEST_FORM_H_
