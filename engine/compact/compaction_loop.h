// Compaction in the background: when to do the next step.
//
// Externally synchronised: one thread at a time.

#ifndef PEAT_ENGINE_COMPACT_COMPACTION_LOOP_H_
#define PEAT_ENGINE_COMPACT_COMPACTION_LOOP_H_

#include <chrono>
#include <cstdint>
#include <functional>

#include "engine/compact/compactor.h"
#include "engine/segment/config.h"

namespace peat::engine {

class CompactionLoop final {
 public:
  // `run_after` asks for Run() once that time has passed.
  CompactionLoop(Compactor* compactor, const Config* config,
                 std::function<void(std::chrono::milliseconds)> run_after)
      : compactor_(compactor),
        config_(config),
        run_after_(std::move(run_after)) {}

  // Does one step, unless the one before is to be rested from, and asks for
  // the next. True if compaction can do what is asked of it.
  bool Run();

 private:
  void RestFor(std::chrono::milliseconds rest);
  // Asks for the next step when records expire.
  void WaitForExpiry();

  Compactor* const compactor_;
  const Config* const config_;
  const std::function<void(std::chrono::milliseconds)> run_after_;
  std::chrono::steady_clock::time_point not_before_;
  // For which WaitForExpiry() has asked.
  std::chrono::steady_clock::time_point expiry_at_;
  bool is_able_ = true;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_COMPACT_COMPACTION_LOOP_H_
