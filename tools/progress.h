// A line on a terminal that tells how far a long command is.
//
//   [==============>               ]  47%  412,345 events  98,120/s
//
// It is drawn over itself at most ten times a second, for the first time after
// a second, and wiped at the end. As wide as the terminal, which may change,
// but for the last column, behind which a terminal would begin a new line.
// Externally synchronised.

#ifndef PEAT_TOOLS_PROGRESS_H_
#define PEAT_TOOLS_PROGRESS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace peat::tools {

struct ProgressState {
  uint64_t bytes = 0;
  uint64_t bytes_total = 0;  // 0: not known, and then there is no bar
  uint64_t events = 0;
  double seconds = 0;
  std::string events_name = "events";
};

// The line for `state`, at most `columns` wide: with less room, less of it, but
// nothing that is cut.
std::string RenderProgress(const ProgressState& state, size_t columns);

// `number` with a comma before each group of three digits.
std::string WithCommas(uint64_t number);

class Progress {
 public:
  enum class Mode { kNever, kOnTerminal, kAlways };

  // Draws to `out`, which outlives this object.
  Progress(std::FILE* out, Mode mode, uint64_t bytes_total,
           std::string events_name = "events");
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap enough to be called for every event.
  void Update(uint64_t bytes, uint64_t events);

 private:
  using Clock = std::chrono::steady_clock;

  std::FILE* const out_;
  const bool shown_;
  const uint64_t bytes_total_;
  const std::string events_name_;
  const Clock::time_point start_;
  Clock::time_point next_;
  size_t columns_drawn_ = 0;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_PROGRESS_H_
