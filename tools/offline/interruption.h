// Ctrl-C for commands that must not leave anything half done: it is noted, the
// command stops at its next look, takes back what it has begun, and then ends
// as if the signal had ended it.
//
// One at a time, by the main thread.

#ifndef PEAT_TOOLS_OFFLINE_INTERRUPTION_H_
#define PEAT_TOOLS_OFFLINE_INTERRUPTION_H_

#include <csignal>

namespace peat::tools {

class Interruption final {
 public:
  // From now on SIGINT, SIGTERM and SIGHUP are only noted.
  Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  // They do again what they did before. If one was noted, it is raised.
  ~Interruption();

  bool is_noted() const;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_INTERRUPTION_H_
