#include "engine/os/worker.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "engine/os/fork.h"
#include "format/check.h"
#include "index/mutex.h"

namespace peat::engine {
namespace {

using Clock = std::chrono::steady_clock;

// The signals that a store's thread leaves to the application's threads: all
// but those that an instruction of the thread itself brings about, which would
// otherwise end the process past the application's handler.
sigset_t SignalsToBlock() {
  sigset_t signals;
  sigfillset(&signals);
  for (const int own :
       {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP}) {
    sigdelset(&signals, own);
  }
  return signals;
}

// A thread that may fail to start, which std::thread tells by throwing. It
// takes none of the signals that are sent to the process.
bool StartThread(std::function<void()> body, pthread_t* thread) {
  auto owned = std::make_unique<std::function<void()>>(std::move(body));
  const auto run = [](void* argument) -> void* {
    const std::unique_ptr<std::function<void()>> mine(
        static_cast<std::function<void()>*>(argument));
    (*mine)();
    return nullptr;
  };
  // A new thread has its creator's mask from its first instruction on.
  const sigset_t blocked = SignalsToBlock();
  sigset_t mask_before = {};
  PEAT_CHECK(pthread_sigmask(SIG_BLOCK, &blocked, &mask_before) == 0);
  const int error = pthread_create(thread, nullptr, run, owned.get());
  PEAT_CHECK(pthread_sigmask(SIG_SETMASK, &mask_before, nullptr) == 0);
  if (error != 0) return false;
  (void)owned.release();  // the thread's
  return true;
}

// How many runs of a lane are under way at a time, those that are stuck apart.
// One may be in a sync while the other prepares a segment for somebody else;
// and one compaction, or one index that is built, at a time is enough for the
// whole process.
constexpr int PlaceCount(Lane lane) { return lane == Lane::kShort ? 2 : 1; }

// A run that has lasted this long is stuck: it keeps its worker, but its place
// is free. A sync of a disk in order takes less, or the others of the lane can
// do with one run more beside them; a compaction may take seconds.
constexpr Clock::duration StuckAfter(Lane lane) {
  return lane == Lane::kShort ? std::chrono::milliseconds(100)
                              : std::chrono::milliseconds(1000);
}

// Of a lane, whatever hangs: more than a process has volumes.
constexpr int kThreadCountMax = 64;

}  // namespace

struct BackgroundTask::State {
  std::function<void()> run;
  Lane lane = Lane::kShort;
  uint64_t volume = 0;
  // All guarded by the pool's mutex.
  Clock::time_point began;  // the run under way
  bool queued = false;
  bool running = false;
  bool again = false;  // woken while running
  bool ended = false;
};

namespace {

// Made at the first use and never destroyed: workers end with the process.
template <typename State>
class WorkerPool {
 public:
  static WorkerPool& Get(Lane lane) {
    // A forked child has none of its parent's threads, and perhaps a locked
    // mutex: it leaves the parent's pool alone and makes its own.
    static std::array<std::atomic<WorkerPool*>, 3> pools = {};
    static index::Mutex mutex;
    std::atomic<WorkerPool*>& pool = pools[static_cast<size_t>(lane)];
    WorkerPool* current = pool.load(std::memory_order_acquire);
    if (current != nullptr && current->fork_generation_ == ForkGeneration()) {
      return *current;
    }
    index::MutexLock lock(&mutex);
    current = pool.load(std::memory_order_relaxed);
    if (current == nullptr || current->fork_generation_ != ForkGeneration()) {
      current = std::make_unique<WorkerPool>(lane).release();
      pool.store(current, std::memory_order_release);
    }
    return *current;
  }

  void Wake(const std::shared_ptr<State>& state) {
    index::MutexLock lock(&mutex_);
    Enqueue(state);
  }

  void WakeAfter(const std::shared_ptr<State>& state,
                 std::chrono::milliseconds delay) {
    index::MutexLock lock(&mutex_);
    if (state->ended) return;
    timers_.emplace(Clock::now() + delay, state);
    changed_.Signal();
  }

  void End(const std::shared_ptr<State>& state) {
    index::MutexLock lock(&mutex_);
    state->ended = true;
    while (state->running) idle_.Wait(&mutex_);
  }

  explicit WorkerPool(Lane lane)
      : place_count_(PlaceCount(lane)),
        stuck_after_(StuckAfter(lane)),
        fork_generation_(ForkGeneration()) {}

  // One worker will do if there can be no more now.
  bool StartFirstThread() {
    index::MutexLock lock(&mutex_);
    return thread_count_ > 0 || StartWorker();
  }

 private:
  void Enqueue(const std::shared_ptr<State>& state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (state->ended || state->queued) return;
    if (state->running) {
      state->again = true;
      return;
    }
    state->queued = true;
    queue_.push_back(state);
    changed_.Signal();
  }

  bool StartWorker() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (thread_count_ >= kThreadCountMax) return false;
    pthread_t thread;
    if (!StartThread([this] { Work(); }, &thread)) return false;
    pthread_detach(thread);
    ++thread_count_;
    ++idle_count_;
    return true;
  }

  void Work() {
    index::MutexLock lock(&mutex_);
    for (;;) {
      EnqueueDue();
      const std::shared_ptr<State> state = TakeRunnable();
      if (state == nullptr) {
        Wait();
        continue;
      }
      // Somebody stays behind to see whether this run gets stuck. Where no
      // thread can be started, nobody does.
      if (idle_count_ == 1) (void)StartWorker();
      --idle_count_;
      state->running = true;
      state->began = Clock::now();
      running_.push_back(state.get());
      mutex_.Unlock();
      state->run();
      mutex_.Lock();
      std::erase(running_, state.get());
      state->running = false;
      ++idle_count_;
      if (std::exchange(state->again, false)) Enqueue(state);
      idle_.SignalAll();
      // What was held back for this one's place or volume may run now, here.
      if (idle_count_ > place_count_ + 1) break;
    }
    // It had taken the place of one that was stuck.
    --idle_count_;
    --thread_count_;
    changed_.Signal();
  }

  // Takes the first task that may run now, or null.
  std::shared_ptr<State> TakeRunnable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Clock::time_point stuck_since = Clock::now() - stuck_after_;
    const auto busy_count = std::count_if(running_.begin(), running_.end(),
                                          [stuck_since](const State* running) {
                                            return running->began > stuck_since;
                                          });
    if (busy_count >= place_count_) return nullptr;
    std::erase_if(queue_, [](const std::shared_ptr<State>& state) {
      if (state->ended) state->queued = false;
      return state->ended;
    });
    auto found = queue_.begin();
    while (found != queue_.end() &&
           RunCount((*found)->volume) >= place_count_) {
      ++found;
    }
    if (found == queue_.end()) return nullptr;
    std::shared_ptr<State> state = std::move(*found);
    queue_.erase(found);
    state->queued = false;
    return state;
  }

  // Runs under way on a volume, stuck or not. Of what is on no known one,
  // nothing is known.
  std::ptrdiff_t RunCount(uint64_t volume) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (volume == 0) return 0;
    return std::count_if(
        running_.begin(), running_.end(),
        [volume](const State* running) { return running->volume == volume; });
  }

  void EnqueueDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Clock::time_point now = Clock::now();
    while (!timers_.empty() && timers_.begin()->first <= now) {
      const std::shared_ptr<State> state = timers_.begin()->second;
      timers_.erase(timers_.begin());
      Enqueue(state);
    }
  }

  // Until something has changed, the next timer has run out, or a run that
  // others wait for has become stuck.
  void Wait() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Clock::time_point now = Clock::now();
    Clock::time_point until = Clock::time_point::max();
    if (!timers_.empty()) until = timers_.begin()->first;
    for (const State* running : running_) {
      if (queue_.empty()) break;
      const Clock::time_point stuck_at = running->began + stuck_after_;
      if (stuck_at > now) until = std::min(until, stuck_at);
    }
    if (until == Clock::time_point::max()) {
      changed_.Wait(&mutex_);
    } else {
      (void)changed_.WaitFor(&mutex_, until - now);
    }
  }

  const int place_count_;
  const Clock::duration stuck_after_;
  const uint64_t fork_generation_;
  index::Mutex mutex_;
  index::CondVar changed_;  // of queue_ and timers_
  index::CondVar idle_;     // a task has stopped running
  std::deque<std::shared_ptr<State>> queue_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Clock::time_point, std::shared_ptr<State>> timers_
      ABSL_GUARDED_BY(mutex_);
  std::vector<State*> running_ ABSL_GUARDED_BY(mutex_);  // in no order
  int thread_count_ ABSL_GUARDED_BY(mutex_) = 0;
  int idle_count_ ABSL_GUARDED_BY(mutex_) = 0;  // of them, in no run
};

}  // namespace

BackgroundTask::BackgroundTask(std::function<void()> run, Lane lane,
                               uint64_t volume)
    : state_(std::make_shared<State>()) {
  PEAT_CHECK(run != nullptr);
  state_->run = std::move(run);
  state_->lane = lane;
  state_->volume = volume;
}

BackgroundTask::~BackgroundTask() { End(); }

void BackgroundTask::End() { WorkerPool<State>::Get(state_->lane).End(state_); }

void BackgroundTask::Wake() {
  WorkerPool<State>::Get(state_->lane).Wake(state_);
}

void BackgroundTask::WakeAfter(std::chrono::milliseconds delay) {
  WorkerPool<State>::Get(state_->lane).WakeAfter(state_, delay);
}

absl::Status BackgroundTask::StartWorkers(Lane lane) {
  if (WorkerPool<State>::Get(lane).StartFirstThread()) return absl::OkStatus();
  return absl::ResourceExhaustedError("no thread for the background");
}

void RunInParallel(int count, absl::FunctionRef<void(int)> work) {
  std::vector<pthread_t> threads;
  std::vector<int> not_started = {0};
  for (int i = 1; i < count; ++i) {
    pthread_t thread;
    if (StartThread([i, work] { work(i); }, &thread)) {
      threads.push_back(thread);
    } else {
      not_started.push_back(i);
    }
  }
  for (const int i : not_started) work(i);
  for (const pthread_t thread : threads) {
    PEAT_CHECK(pthread_join(thread, nullptr) == 0);
  }
}

}  // namespace peat::engine
