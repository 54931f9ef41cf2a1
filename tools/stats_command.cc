// stats: what a store counts about itself.

#include <memory>
#include <string>

#include "tools/commands.h"
#include "tools/open_store.h"
#include "tools/output.h"
#include "tools/stats_printer.h"

namespace peat::tools {
namespace {

struct StatsArguments {
  std::string directory;
  bool json = false;
  bool prometheus = false;
  bool recover = false;
};

ExitCode Run(const StatsArguments& arguments) {
  const std::unique_ptr<Store> store = OpenStore(
      arguments.directory, arguments.recover ? Access::kChange : Access::kRead);
  if (store == nullptr) return ExitCode::kFailed;
  const Stats stats = store->GetStats();
  if (arguments.json) {
    (void)WriteOutput(StatsJson(stats).dump(2) + "\n");
  } else if (arguments.prometheus) {
    (void)WriteOutput(stats.ToPrometheus());
  } else {
    (void)WriteOutput(StatsText(stats));
  }
  absl::Status finished = FlushOutput();
  if (finished.ok()) finished = store->Close();
  return finished.ok() ? ExitCode::kOk : Fail(finished);
}

}  // namespace

void AddStats(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<StatsArguments>();
  CLI::App* command =
      app.add_subcommand("stats", "Print what the store counts");
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  CLI::Option* json =
      command->add_flag("--json", arguments->json, "Print one JSON object");
  command
      ->add_flag("--prometheus", arguments->prometheus,
                 "Print metrics in the text format of Prometheus")
      ->excludes(json);
  command->add_flag("--recover", arguments->recover,
                    "Open for writing: recover what a crash left, and tell "
                    "how that went");
  command->footer(
      "Sizes are of disk, but for those of memory; with --json and "
      "--prometheus in bytes,\nby the names that peat/stats.h explains. Reads "
      "beside a process that writes; then\n\"opened\" tells of this "
      "reading.\n\nExamples:\n"
      "  peat stats state\n"
      "  peat stats state --json\n"
      "  peat stats state --prometheus > /var/lib/node_exporter/peat.prom\n"
      "  peat stats state --recover");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
