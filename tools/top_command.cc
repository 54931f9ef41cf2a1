// top: what a store counts, again and again, and how it changes.

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "peat/store.h"
#include "tools/commands.h"
#include "tools/offline/interruption.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/stats_printer.h"

namespace peat::tools {
namespace {

using Clock = std::chrono::steady_clock;

// Opening the store to look at it takes no more than this part of the time.
constexpr int kShareOfTime = 10;
constexpr size_t kColumns = 80;

struct TopArguments {
  std::string directory;
  uint64_t interval = 1;
  uint64_t count = UINT64_MAX;
};

struct Sample {
  Stats stats;
  Clock::time_point time;
  Clock::duration cost{};
};

absl::StatusOr<Sample> Look(const std::string& directory) {
  Sample sample{.stats = {}, .time = Clock::now()};
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                        Store::Open(directory, {.mode = OpenMode::kReadOnly}));
  sample.stats = store->GetStats();
  sample.cost = Clock::now() - sample.time;
  return sample;
}

std::string Signed(double number) {
  const char* const sign = number < 0 ? "-" : "+";
  const double size = number < 0 ? -number : number;
  return sign + WithCommas(static_cast<uint64_t>(std::llround(size)));
}

std::string SignedBytes(double number) {
  const char* const sign = number < 0 ? "-" : "+";
  const double size = number < 0 ? -number : number;
  return sign + WithUnit(static_cast<uint64_t>(std::llround(size)));
}

// What there is of something, and how much that changes in a second.
struct TopLine {
  std::string name;
  std::string value;
  std::string change;
};

// In so many columns as there are: what changes is left out first.
std::string Render(const TopLine& line, size_t columns) {
  constexpr size_t kNameSize = 9;
  constexpr size_t kValueSize = 12;
  const size_t wanted = kNameSize + 1 + kValueSize;
  if (columns < wanted) {
    const size_t name_size = columns - std::min(columns, line.value.size() + 1);
    std::string text = line.name.substr(0, name_size);
    text.resize(name_size, ' ');
    return (text + " " + line.value).substr(0, columns);
  }
  // As wide as the two sizes say.
  std::string text = absl::StrFormat("%-9s %12s", line.name, line.value);
  if (columns >= wanted + 2 + line.change.size() && !line.change.empty()) {
    text += "  " + line.change;
  }
  return text;
}

std::vector<TopLine> Lines(const Sample& now,
                           const std::optional<Sample>& before) {
  std::vector<TopLine> lines;
  double seconds = 0;
  if (before.has_value()) {
    seconds = std::chrono::duration<double>(now.time - before->time).count();
  }
  const auto add = [&](const char* name, uint64_t Stats::*member,
                       bool is_bytes) {
    const uint64_t value = now.stats.*member;
    TopLine line{.name = name,
                 .value = is_bytes ? WithUnit(value) : WithCommas(value),
                 .change = {}};
    if (seconds > 0) {
      const double change = (static_cast<double>(value) -
                             static_cast<double>(before->stats.*member)) /
                            seconds;
      line.change = (is_bytes ? SignedBytes(change) : Signed(change)) + "/s";
    }
    lines.push_back(std::move(line));
  };
  add("keys", &Stats::key_count, false);
  add("writes", &Stats::last_lsn, false);
  add("disabled", &Stats::disabled_key_count, false);
  add("forgotten", &Stats::forgotten_key_count, false);
  add("live", &Stats::live_bytes, true);
  add("dead", &Stats::dead_bytes, true);
  add("deletes", &Stats::tombstone_bytes, true);
  add("segments", &Stats::segment_count, false);
  add("in them", &Stats::used_bytes, true);
  add("values", &Stats::value_file_bytes, true);
  return lines;
}

size_t Columns() {
  winsize size = {};
  const bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  return is_known && size.ws_col > 0 ? size.ws_col : kColumns;
}

// Over what was drawn before, on a terminal; else one behind the other.
absl::Status Draw(const std::vector<TopLine>& lines, bool is_first) {
  const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  std::string text;
  if (is_terminal && !is_first) {
    text = absl::StrFormat("\x1b[%dA", lines.size());
  }
  const size_t columns = is_terminal ? Columns() : kColumns;
  for (const TopLine& line : lines) {
    text += Render(line, columns - 1);
    text += is_terminal ? "\x1b[K\n" : "\n";
  }
  if (!is_terminal) text += "\n";
  PEAT_RETURN_IF_ERROR(WriteOutput(text));
  return FlushOutput();
}

ExitCode Run(const TopArguments& arguments) {
  const Interruption interruption;
  std::optional<Sample> before;
  for (uint64_t i = 0; i < arguments.count; ++i) {
    absl::StatusOr<Sample> sample = Look(arguments.directory);
    if (!sample.ok()) {
      (void)Fail(sample.status());
      return ExitCode::kFailed;
    }
    const absl::Status drawn = Draw(Lines(*sample, before), i == 0);
    if (!drawn.ok()) return Fail(drawn);
    const Clock::time_point next =
        sample->time +
        std::max<Clock::duration>(std::chrono::seconds(arguments.interval),
                                  kShareOfTime * sample->cost);
    before = *std::move(sample);
    while (i + 1 < arguments.count && Clock::now() < next) {
      if (interruption.is_noted()) return ExitCode::kOk;
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          next - Clock::now());
      // A signal ends the wait.
      (void)poll(nullptr, 0,
                 static_cast<int>(std::clamp<int64_t>(left.count(), 1, 100)));
    }
  }
  return ExitCode::kOk;
}

}  // namespace

void AddTop(CLI::App& app, ExitCode& exit_code) {
  auto arguments = std::make_shared<TopArguments>();
  CLI::App* command = app.add_subcommand(
      "top", "Print what a store counts, and how it changes");
  command->add_option("DIR", arguments->directory, "The store's directory")
      ->required();
  AddCount(*command, "--interval", arguments->interval,
           "Seconds between two looks (default: 1)")
      ->check(CLI::Range(1, 86'400));
  AddCount(*command, "--count", arguments->count,
           "Look so many times (default: until Ctrl-C)");
  command->footer(
      "Each look opens the store to read, beside the process that writes, and "
      "takes the\ntime of an open: of a large store looks are further apart, "
      "so that they take no more\nthan a tenth of it.\n\nExamples:\n"
      "  peat top state\n"
      "  peat top state --interval 60 --count 60 > hour");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace peat::tools
