#include "tools/offline/interruption.h"

#include <array>
#include <cstddef>

namespace peat::tools {
namespace {

constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t noted_signal = 0;
std::array<void (*)(int), kSignals.size()> handlers_before = {};

void NoteSignal(int number) { noted_signal = number; }

}  // namespace

Interruption::Interruption() {
  noted_signal = 0;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    handlers_before[i] = std::signal(kSignals[i], NoteSignal);
    // What the caller had ignored, as nohup does, stays so.
    if (handlers_before[i] == SIG_IGN) {
      (void)std::signal(kSignals[i], SIG_IGN);
    }
  }
}

Interruption::~Interruption() {
  for (size_t i = 0; i < kSignals.size(); ++i) {
    (void)std::signal(kSignals[i], handlers_before[i]);
  }
  if (noted_signal != 0) (void)std::raise(noted_signal);
}

bool Interruption::is_noted() const { return noted_signal != 0; }

}  // namespace peat::tools
