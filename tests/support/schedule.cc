// Actors and the points at which they are held.

#include "tests/support/schedule.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include "format/check.h"

namespace peat::testing {
namespace {

// So often in a row a thread must be found asleep before it counts as waiting.
constexpr int kTimesAsleep = 3;
constexpr std::chrono::microseconds kBetweenLooks{20};
// An actor that does neither is a fault of the schedule.
constexpr std::chrono::seconds kRestAtMost{60};

// "pid (name) S ...": S is asleep until another thread wakes it.
bool IsAsleep(pid_t thread_id) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread_id) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  return name_end != std::string::npos && name_end + 2 < line.size() &&
         line[name_end + 2] == 'S';
}

}  // namespace

thread_local Schedule::Actor* Schedule::this_actor_ = nullptr;

void Schedule::ComeToPoint() {
  Actor* const actor = this_actor_;
  if (actor == nullptr) return;
  std::unique_lock lock(mutex_);
  if (++actor->point_count != actor->held_at) return;
  actor->state = State::kHeld;
  changed_.notify_all();
  changed_.wait(lock, [actor] { return actor->may_go_on; });
  actor->state = State::kRunning;
}

Schedule::Outcome Schedule::Interleave(const Part& first, const Part& second,
                                       const std::function<void()>& look) {
  Actor one;
  Actor other;
  Start(&one, first);
  AwaitRest(one);
  Outcome outcome{.first_was_held = StateOf(one) == State::kHeld};
  Start(&other, second);
  AwaitRest(other);
  outcome.second_was_held = StateOf(other) == State::kHeld;
  if (outcome.second_was_held) look();
  LetGoOn(&one);
  AwaitRest(one);
  // It may have been waiting for the first until now.
  AwaitRest(other);
  outcome.second_was_held |= StateOf(other) == State::kHeld;
  if (outcome.second_was_held) look();
  LetGoOn(&other);
  one.thread.join();
  other.thread.join();
  return outcome;
}

void Schedule::Start(Actor* actor, const Part& part) {
  PEAT_CHECK(part.call != nullptr);
  actor->held_at = part.held_at;
  std::unique_lock lock(mutex_);
  actor->thread = std::thread([this, actor, call = part.call] {
    {
      const std::lock_guard hold(mutex_);
      actor->thread_id = gettid();
      changed_.notify_all();
    }
    this_actor_ = actor;
    call();
    this_actor_ = nullptr;
    const std::lock_guard hold(mutex_);
    actor->state = State::kEnded;
    changed_.notify_all();
  });
  changed_.wait(lock, [actor] { return actor->thread_id != 0; });
}

void Schedule::AwaitRest(const Actor& actor) {
  const auto deadline = std::chrono::steady_clock::now() + kRestAtMost;
  for (int asleep = 0; asleep < kTimesAsleep;) {
    if (StateOf(actor) != State::kRunning) return;
    asleep = IsAsleep(actor.thread_id) ? asleep + 1 : 0;
    PEAT_CHECK(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

void Schedule::LetGoOn(Actor* actor) {
  const std::lock_guard hold(mutex_);
  actor->may_go_on = true;
  if (actor->state == State::kHeld) actor->state = State::kRunning;
  changed_.notify_all();
}

Schedule::State Schedule::StateOf(const Actor& actor) {
  const std::lock_guard hold(mutex_);
  return actor.state;
}

}  // namespace peat::testing
