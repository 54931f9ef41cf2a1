// Whether masks were obeyed: that nothing was written to a key behind its
// forget, nor while it was disabled.

#ifndef PEAT_TOOLS_OFFLINE_MASK_CHECK_H_
#define PEAT_TOOLS_OFFLINE_MASK_CHECK_H_

#include <vector>

#include "absl/status/statusor.h"
#include "tools/offline/finding.h"
#include "tools/offline/segment_check.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

// Reads all segments once more if there is any mask. A write to a disabled key
// is a note only: the record that enabled it may be lost, and the store be what
// was salvaged.
absl::StatusOr<Findings> CheckMasks(const StoreFiles& files,
                                    const std::vector<FoundMask>& masks);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_MASK_CHECK_H_
