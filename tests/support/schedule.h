// Two calls on one store, interleaved at points that a test chooses.
//
// Each call is made by an actor, a thread of its own, which comes to points:
// wherever ComeToPoint() is called on it, such as before each change of the
// simulated disk (SimFileSystem::AtEachCall) and in the hooks of an engine's
// Config. A schedule holds each actor at one of its points:
//
//   first   ------held at its point m            goes on ------> end
//   second                    ------held at its point n              --> end
//   look                                       ^               ^
//
// An actor that waits for a lock that the other one holds cannot come to its
// point, and then the other one goes on. A wait is recognised by the kernel's
// word that the thread sleeps, so the same schedule is the same run, however
// busy the machine is.
//
// To extend it: more points are more calls of ComeToPoint(); another shape of
// schedule is another function beside Interleave(). Used by one thread.

#ifndef PEAT_TESTS_SUPPORT_SCHEDULE_H_
#define PEAT_TESTS_SUPPORT_SCHEDULE_H_

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace peat::testing {

class Schedule final {
 public:
  // A call, and the point at which its actor is held: 1 is the first it comes
  // to, 0 none.
  struct Part {
    std::function<void()> call;
    uint64_t held_at = 0;
  };
  // Whether each actor came to its point: false if its call had ended before,
  // or could not get so far while the other one was held.
  struct Outcome {
    bool first_was_held = false;
    bool second_was_held = false;
  };

  // A point of the actor whose thread this is; of other threads, nothing.
  void ComeToPoint();

  // Runs the schedule above; `look` is called twice, while `second` is held.
  Outcome Interleave(const Part& first, const Part& second,
                     const std::function<void()>& look);

 private:
  enum class State { kRunning, kHeld, kEnded };
  struct Actor {
    uint64_t held_at = 0;
    uint64_t point_count = 0;
    State state = State::kRunning;
    bool may_go_on = false;
    pid_t thread_id = 0;
    std::thread thread;
  };

  void Start(Actor* actor, const Part& part);
  // Returns once the actor is held, has ended, or waits for a lock.
  void AwaitRest(const Actor& actor);
  void LetGoOn(Actor* actor);
  State StateOf(const Actor& actor);

  static thread_local Actor* this_actor_;

  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SCHEDULE_H_
