#include "tools/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"

namespace peat::tools {
namespace {

// Where it is not drawn to a terminal, or that does not know.
constexpr size_t kColumns = 80;
constexpr size_t kBarSizeMax = 30;
constexpr size_t kBarSizeMin = 5;
constexpr std::chrono::milliseconds kInterval{100};
constexpr std::chrono::milliseconds kPatience{1000};

bool IsShown(std::FILE* out, Progress::Mode mode) {
  switch (mode) {
    case Progress::Mode::kNever:
      return false;
    case Progress::Mode::kAlways:
      return true;
    case Progress::Mode::kOnTerminal:
      return isatty(fileno(out)) == 1;
  }
  return false;
}

size_t Columns(std::FILE* out) {
  winsize size = {};
  const bool is_known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0;
  return is_known && size.ws_col > 0 ? size.ws_col : kColumns;
}

std::string RenderBar(double fraction, size_t size) {
  const auto filled = static_cast<size_t>(fraction * static_cast<double>(size));
  std::string bar(filled, '=');
  if (filled < size) bar.push_back('>');
  bar.resize(size, ' ');
  return "[" + bar + "] ";
}

}  // namespace

std::string WithCommas(uint64_t number) {
  std::string digits = absl::StrFormat("%d", number);
  for (size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string RenderProgress(const ProgressState& state, size_t columns) {
  const std::string count = WithCommas(state.events);
  const std::string named = count + " " + state.events_name;
  std::string rate;
  if (state.seconds > 0) {
    const double per_second = static_cast<double>(state.events) / state.seconds;
    rate = "  " + WithCommas(static_cast<uint64_t>(per_second)) + "/s";
  }
  std::string percent;
  double fraction = 0;
  if (state.bytes_total > 0) {
    fraction = std::min(1.0, static_cast<double>(state.bytes) /
                                 static_cast<double>(state.bytes_total));
    percent = absl::StrFormat("%3d%%", static_cast<int>(fraction * 100));
  }
  const std::string gap = percent.empty() ? "" : "  ";
  // In the order in which they are worth the room.
  for (const std::string& line :
       {absl::StrFormat("%s%s%s%s", percent, gap, named, rate),
        absl::StrFormat("%s%s%s", percent, gap, named),
        absl::StrFormat("%s%s%s", percent, gap, count), percent}) {
    if (line.size() > columns) continue;
    // What is left is the bar's, with its brackets and a blank.
    const size_t left = columns - line.size();
    if (percent.empty() || left < kBarSizeMin + 3) return line;
    return RenderBar(fraction, std::min(kBarSizeMax, left - 3)) + line;
  }
  return "";
}

Progress::Progress(std::FILE* out, Mode mode, uint64_t bytes_total,
                   std::string events_name)
    : out_(out),
      shown_(IsShown(out, mode)),
      bytes_total_(bytes_total),
      events_name_(std::move(events_name)),
      start_(Clock::now()),
      // A short command draws nothing, unless it is asked to.
      next_(start_ + (mode == Mode::kAlways ? kInterval : kPatience)) {}

Progress::~Progress() {
  if (columns_drawn_ == 0) return;
  absl::FPrintF(out_, "\r%s\r",
                std::string(std::min(columns_drawn_, Columns(out_) - 1), ' '));
  (void)std::fflush(out_);
}

void Progress::Update(uint64_t bytes, uint64_t events) {
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  std::string line = RenderProgress(
      {.bytes = bytes,
       .bytes_total = bytes_total_,
       .events = events,
       .seconds = std::chrono::duration<double>(now - start_).count(),
       .events_name = events_name_},
      Columns(out_) - 1);
  const size_t size = line.size();
  // Over all that was drawn before, unless there is less room by now.
  line.resize(std::max(size, std::min(columns_drawn_, Columns(out_) - 1)), ' ');
  columns_drawn_ = line.size();
  absl::FPrintF(out_, "\r%s", line);
  (void)std::fflush(out_);
}

}  // namespace peat::tools
