#include "tools/offline_command.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>

#include "absl/strings/str_format.h"

namespace peat::tools {

void AllowManyFiles() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  // What is not granted is found out when a file is opened.
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int ThreadCount() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1,
                    4);
}

ExitCode FailToRead(const absl::Status& status) {
  Complain(absl::StrFormat("%s (%s)", std::string(status.message()),
                           absl::StatusCodeToString(status.code())));
  return ExitCode::kFailed;
}

OnProgress OfflineProgress::callback() {
  return [this](uint64_t bytes, uint64_t bytes_total) {
    if (!progress_.has_value()) {
      progress_.emplace(stderr, mode_, bytes_total, "bytes");
    }
    progress_->Update(bytes, bytes);
    return interruption_ == nullptr || !interruption_->is_noted();
  };
}

}  // namespace peat::tools
