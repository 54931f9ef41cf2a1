// compact: a full pass over a store, with a progress bar.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_format.h"
#include "tools/commands.h"
#include "tools/open_store.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/progress.h"

namespace peat::tools {
namespace {

struct CompactArguments {
  std::string directory;
  Progress::Mode progress = Progress::Mode::kOnTerminal;
};

// Shows what the store has compacted until `is_over`.
void Watch(const Store& store, const std::atomic<bool>& is_over,
           Progress::Mode mode, uint64_t bytes_total) {
  Progress progress(stderr, mode, bytes_total, "compactions");
  while (!is_over) {
    const Stats stats = store.GetStats();
    progress.Update(stats.compaction_removed_bytes, stats.compaction_count);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

ExitCode Run(const CompactArguments& arguments) {
  const std::unique_ptr<Store> store =
      OpenStore(arguments.directory, Access::kChange);
  if (store == nullptr) return ExitCode::kFailed;
  const Stats before = store->GetStats();
  std::atomic<bool> is_over = false;
  std::thread watcher(
      [&] { Watch(*store, is_over, arguments.progress, before.used_bytes); });
  absl::Status status = store->Compact();
  is_over = true;
  watcher.join();
  const Stats after = store->GetStats();
  status.Update(store->Close());
  (void)WriteOutput(absl::StrFormat("compacted %s bytes of segments to %s\n",
                                    WithCommas(before.used_bytes),
                                    WithCommas(after.used_bytes)));
  status.Update(FlushOutput());
  return status.ok() ? ExitCode::kOk : Fail(status);
}

}  // namespace

void AddCompact(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<CompactArguments>();
  CLI::App* command =
      app.add_subcommand("compact", "Give back all space that can be");
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  AddProgress(*command, arguments->progress);
  command->footer(
      "A store that is open compacts itself in the background; this is for one "
      "that is\nnot, and does more: the background leaves a third of the space "
      "as it is.\n\nExamples:\n  peat compact state");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
