// Forgetting all keys with a prefix: a pass over the log, in batches.
//
// Every key that is there has a record in some segment. So the pass reads the
// segments as they are when it begins, and forgets whichever of the prefix's
// keys that it meets is live or disabled; one that another thread overwrites
// meanwhile is not missed.

#ifndef PEAT_ENGINE_FORGET_ALL_H_
#define PEAT_ENGINE_FORGET_ALL_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/reader.h"
#include "engine/segment_sources.h"
#include "engine/writer.h"

namespace peat::engine {

struct ForgetAllResult {
  uint64_t key_count = 0;
  uint64_t byte_count = 0;  // of keys and values
};

// How the pass asks and acts: functions that are safe to call at any time, each
// under an epoch guard of its own.
struct ForgetAllCalls {
  // NotFound if the key cannot be read.
  absl::FunctionRef<absl::StatusOr<ValueFacts>(std::string_view key)> look;
  absl::FunctionRef<absl::Status(std::span<const BatchOperation>)> write;
};

// A dry run only counts. Takes the memory of one batch.
absl::StatusOr<ForgetAllResult> ForgetAll(
    const std::vector<SegmentSource>& sources, std::string_view prefix,
    std::string_view reason, bool dry_run, const ForgetAllCalls& calls);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_FORGET_ALL_H_
