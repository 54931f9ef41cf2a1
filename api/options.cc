#include "api/options.h"

#include <chrono>

#include "absl/strings/str_format.h"

namespace peat {

absl::StatusOr<engine::Config> Validate(const Options& options) {
  engine::Config config;
  switch (options.mode) {
    case OpenMode::kReadWrite:
    case OpenMode::kReadOnly:
    case OpenMode::kReadOnlyDespiteDamage:
      break;
    default:
      return absl::InvalidArgumentError("mode is not an OpenMode");
  }
  switch (options.sync) {
    case SyncPolicy::kExplicit:
    case SyncPolicy::kEveryWrite:
    case SyncPolicy::kInterval:
      break;
    default:
      return absl::InvalidArgumentError("sync is not a SyncPolicy");
  }
  switch (options.read_method) {
    case ReadMethod::kMapped:
    case ReadMethod::kPositional:
      break;
    default:
      return absl::InvalidArgumentError("read_method is not a ReadMethod");
  }
  switch (options.time) {
    case TimeSource::kSystem:
    case TimeSource::kCaller:
      break;
    default:
      return absl::InvalidArgumentError("time is not a TimeSource");
  }
  config.access = options.mode;
  config.time_source = options.time;
  config.sync = options.sync;
  config.read_method = options.read_method;
  using std::chrono::milliseconds;
  if (options.lock_wait < milliseconds(0) ||
      options.lock_wait > milliseconds(3'600'000)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "lock_wait is %d ms, not 0 to 3600000", options.lock_wait.count()));
  }
  config.lock_wait = options.lock_wait;
  if (options.sync_interval < milliseconds(1) ||
      options.sync_interval > milliseconds(3'600'000)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("sync_interval is %d ms, not 1 to 3600000",
                        options.sync_interval.count()));
  }
  config.sync_interval = options.sync_interval;
  // Written so that "not a number" fails too.
  if (!(options.max_space_amplification > 1 &&
        options.max_space_amplification <= 100)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("max_space_amplification is %g, not above 1 and at "
                        "most 100",
                        options.max_space_amplification));
  }
  config.max_space_amplification = options.max_space_amplification;
  config.compaction_bytes_per_second = options.compaction_bytes_per_second;
  config.background_compaction = options.background_compaction;
  config.background_snapshots = options.background_snapshots;
  config.ordered = options.ordered;
  config.create_if_missing = options.create_if_missing;
  return config;
}

}  // namespace peat
