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

// Reads all segments once more if there is any mask. What damage hides may
// have enabled a key: `is_whole` says that there is none, and only then is a
// write to a disabled key a finding.
absl::StatusOr<Findings> CheckMasks(const StoreFiles& files,
                                    const std::vector<FoundMask>& masks,
                                    bool is_whole);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_MASK_CHECK_H_
