// What the commands that read a store's files have in common.

#ifndef PEAT_TOOLS_OFFLINE_COMMAND_H_
#define PEAT_TOOLS_OFFLINE_COMMAND_H_

#include "absl/status/status.h"
#include "tools/exit_code.h"
#include "tools/offline/interruption.h"
#include "tools/offline/live_set.h"
#include "tools/progress.h"

namespace peat::tools {

// Lets this process open as many files as it may: a store has as many segments.
void AllowManyFiles();

// How many threads read: one a processor, at most four.
int ThreadCount();

// Complains, and says that something could not be read or written.
ExitCode FailToRead(const absl::Status& status);

// Draws how far reading is, and says to stop when the command is interrupted.
class OfflineProgress final {
 public:
  // `interruption` may be null: then nothing has to be taken back.
  explicit OfflineProgress(Progress::Mode mode,
                           const Interruption* interruption = nullptr)
      : mode_(mode), interruption_(interruption) {}

  // Lives no longer than this.
  OnProgress callback();

 private:
  const Progress::Mode mode_;
  const Interruption* const interruption_;
  std::optional<Progress> progress_;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_COMMAND_H_
