#include "tools/progress.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"

namespace peat::tools {
namespace {

constexpr size_t kColumns = 79;
constexpr size_t kBarSize = 30;
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

std::string RenderBar(double fraction) {
  const auto filled = static_cast<size_t>(fraction * kBarSize);
  std::string bar(filled, '=');
  if (filled < kBarSize) bar.push_back('>');
  bar.resize(kBarSize, ' ');
  return absl::StrFormat("[%s] %3d%%  ", bar, static_cast<int>(fraction * 100));
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
  std::string line;
  if (state.bytes_total > 0) {
    line = RenderBar(std::min(1.0, static_cast<double>(state.bytes) /
                                       static_cast<double>(state.bytes_total)));
  }
  line += WithCommas(state.events) + " " + state.events_name;
  if (state.seconds > 0) {
    const double rate = static_cast<double>(state.events) / state.seconds;
    line += "  " + WithCommas(static_cast<uint64_t>(rate)) + "/s";
  }
  line.resize(std::min(line.size(), columns));
  return line;
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
  absl::FPrintF(out_, "\r%s\r", std::string(columns_drawn_, ' '));
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
      kColumns);
  line.resize(std::max(line.size(), columns_drawn_), ' ');
  columns_drawn_ = line.size();
  absl::FPrintF(out_, "\r%s", line);
  (void)std::fflush(out_);
}

}  // namespace peat::tools
