// The threads of the background: one small pool for all stores of a process.
//
// A store has no thread of its own; it has a BackgroundTask, a synchronous
// function that some worker calls when the store has asked for it. Tests call
// that function directly instead.
//
// A disk that does not answer holds up the stores on it and no others. One
// worker of a lane is always idle and watches: a run that lasts longer than it
// should counts as stuck, and another worker takes its place. No volume has
// more runs at a time than the lane has places, so however many stores lie on
// one that hangs, they take so many threads and no more.
//
// No thread of a store takes a signal that is
// sent to the process: those are the application's.
//
// Thread-safe. After fork() the child gets a pool of its own if it needs one.

#ifndef PEAT_ENGINE_OS_WORKER_H_
#define PEAT_ENGINE_OS_WORKER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace peat::engine {

// Tasks that may take long have workers of their own, so that short ones need
// not wait for them; and so have those that build what callers wait for.
enum class Lane { kShort, kLong, kBuild };

class BackgroundTask {
 public:
  // To be called before the first task of the lane is made, in each process of
  // a line of forks. ResourceExhausted when no thread can be started.
  static absl::Status StartWorkers(Lane lane);

  // `run` is called by one worker at a time, never by two. It works on files of
  // `volume` (Directory::Volume()).
  BackgroundTask(std::function<void()> run, Lane lane, uint64_t volume);

  // Ends.
  ~BackgroundTask();
  BackgroundTask(const BackgroundTask&) = delete;
  BackgroundTask& operator=(const BackgroundTask&) = delete;

  // Waits for a run under way; there is none afterwards, whoever asks for one.
  // Not to be called from a run.
  void End();

  // Asks for a run, soon; calls before that run begins count as one. Cheap,
  // never waits for a run.
  void Wake();

  // Asks for a run once `delay` has passed.
  void WakeAfter(std::chrono::milliseconds delay);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Calls work(0) to work(count - 1), each on a thread of its own but the first,
// and those for which no thread can be started, which run on the caller's;
// returns when all have returned.
void RunInParallel(int count, absl::FunctionRef<void(int)> work);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_WORKER_H_
