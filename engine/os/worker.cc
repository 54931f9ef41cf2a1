#include "engine/os/worker.h"

#include <pthread.h>

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

// One worker may be in a sync while the other prepares a segment for somebody
// else; and one compaction, or one index that is built, at a time is enough for
// the whole process.
constexpr int WorkerCount(Lane lane) { return lane == Lane::kShort ? 2 : 1; }

}  // namespace

struct BackgroundTask::State {
  std::function<void()> run;
  Lane lane = Lane::kShort;
  // All guarded by the pool's mutex.
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
      current = std::make_unique<WorkerPool>(WorkerCount(lane)).release();
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

  explicit WorkerPool(int worker_count)
      : worker_count_(worker_count), fork_generation_(ForkGeneration()) {}

  // One worker will do if there can be no more now.
  bool StartThreads() {
    index::MutexLock lock(&mutex_);
    for (; thread_count_ < worker_count_; ++thread_count_) {
      pthread_t thread;
      if (!StartThread([this] { Work(); }, &thread)) break;
      pthread_detach(thread);
    }
    return thread_count_ > 0;
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

  void Work() {
    index::MutexLock lock(&mutex_);
    for (;;) {
      EnqueueDue();
      if (queue_.empty()) {
        Wait();
        continue;
      }
      const std::shared_ptr<State> state = std::move(queue_.front());
      queue_.pop_front();
      state->queued = false;
      if (state->ended) continue;
      state->running = true;
      mutex_.Unlock();
      state->run();
      mutex_.Lock();
      state->running = false;
      if (std::exchange(state->again, false)) Enqueue(state);
      idle_.SignalAll();
    }
  }

  void EnqueueDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Clock::time_point now = Clock::now();
    while (!timers_.empty() && timers_.begin()->first <= now) {
      const std::shared_ptr<State> state = timers_.begin()->second;
      timers_.erase(timers_.begin());
      Enqueue(state);
    }
  }

  void Wait() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (timers_.empty()) {
      changed_.Wait(&mutex_);
    } else {
      (void)changed_.WaitFor(&mutex_, timers_.begin()->first - Clock::now());
    }
  }

  const int worker_count_;
  const uint64_t fork_generation_;
  index::Mutex mutex_;
  index::CondVar changed_;  // of queue_ and timers_
  index::CondVar idle_;     // a task has stopped running
  std::deque<std::shared_ptr<State>> queue_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Clock::time_point, std::shared_ptr<State>> timers_
      ABSL_GUARDED_BY(mutex_);
  int thread_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

BackgroundTask::BackgroundTask(std::function<void()> run, Lane lane)
    : state_(std::make_shared<State>()) {
  PEAT_CHECK(run != nullptr);
  state_->run = std::move(run);
  state_->lane = lane;
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
  if (WorkerPool<State>::Get(lane).StartThreads()) return absl::OkStatus();
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
