#include "index/epoch.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "index/mutex.h"

namespace peat::index {

namespace epoch_internal {

constinit std::atomic<uint64_t> current_epoch = 1;
constinit std::atomic<bool> readers_must_fence = true;

}  // namespace epoch_internal

namespace {

using epoch_internal::current_epoch;
using epoch_internal::readers_must_fence;
using epoch_internal::ThreadSlot;

// Retire() looks for what it can run each time this many more wait.
constexpr size_t kReclaimBatch = 32;

struct Retired {
  uint64_t stamp;
  std::function<void()> reclaim;
};

// What the process shares. Never destroyed: threads may end after main() does.
struct Registry {
  std::atomic<ThreadSlot*> slots = nullptr;  // slots are added, never removed
  Mutex mutex;
  std::deque<Retired> retired ABSL_GUARDED_BY(mutex);
  // Functions that some thread has taken off the list and is running.
  uint64_t running_count ABSL_GUARDED_BY(mutex) = 0;
  CondVar ran;
};

void BeforeFork();
void AfterForkInParent();
void AfterForkInChild();

bool RegisterForMembarrier() {
  // ThreadSanitizer does not know what membarrier orders.
  if (PEAT_INDEX_TSAN != 0) return false;
  return ::syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
                   0, 0) == 0;
}

Registry& TheRegistry() {
  static Registry* const kRegistry = [] {
    readers_must_fence.store(!RegisterForMembarrier());
    const int error =
        ::pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild);
    PEAT_CHECK(error == 0);
    return std::make_unique<Registry>().release();
  }();
  return *kRegistry;
}

void BeforeFork() ABSL_NO_THREAD_SAFETY_ANALYSIS { TheRegistry().mutex.Lock(); }

void AfterForkInParent() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  TheRegistry().mutex.Unlock();
}

// The child has one thread, and no business with what the parent retired.
void AfterForkInChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Registry& registry = TheRegistry();
  readers_must_fence.store(!RegisterForMembarrier());
  ThreadSlot* slot = registry.slots.load();
  for (; slot != nullptr; slot = slot->next) {
    if (slot == epoch_internal::thread_slot) continue;
    slot->entered.store(0);
    slot->guard_count = 0;
    slot->is_taken.store(false);
  }
  // Left where they are, so that what they own is not destroyed either.
  (void)std::make_unique<std::deque<Retired>>(std::move(registry.retired))
      .release();
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): on purpose
  registry.retired.clear();
  registry.running_count = 0;
  registry.mutex.Unlock();
}

// Returns the slot of a thread when the thread ends.
struct SlotOwner {
  ~SlotOwner() {
    ThreadSlot* const slot = epoch_internal::thread_slot;
    if (slot == nullptr) return;
    PEAT_CHECK(slot->guard_count == 0);
    epoch_internal::thread_slot = nullptr;
    slot->is_taken.store(false, std::memory_order_release);
  }
  bool is_used = false;
};
thread_local SlotOwner slot_owner;

ThreadSlot* TakeSlot(Registry& registry) {
  ThreadSlot* slot = registry.slots.load(std::memory_order_acquire);
  for (; slot != nullptr; slot = slot->next) {
    if (slot->is_taken.load(std::memory_order_relaxed)) continue;
    if (!slot->is_taken.exchange(true, std::memory_order_acquire)) return slot;
  }
  slot = std::make_unique<ThreadSlot>().release();
  slot->is_taken.store(true, std::memory_order_relaxed);
  slot->next = registry.slots.load(std::memory_order_relaxed);
  while (!registry.slots.compare_exchange_weak(slot->next, slot,
                                               std::memory_order_acq_rel)) {
  }
  return slot;
}

// Takes what may run off the list.
std::deque<Retired> TakeReclaimable(Registry& registry)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(registry.mutex) {
  std::deque<Retired> reclaimable;
  if (registry.retired.empty()) return reclaimable;
  const uint64_t oldest = OldestEpoch();
  while (!registry.retired.empty() && registry.retired.front().stamp < oldest) {
    reclaimable.push_back(std::move(registry.retired.front()));
    registry.retired.pop_front();
  }
  registry.running_count += reclaimable.size();
  return reclaimable;
}

// Runs them outside the lock, since they may retire more.
void Run(Registry& registry, const std::deque<Retired>& reclaimable) {
  if (reclaimable.empty()) return;
  for (const Retired& retired : reclaimable) retired.reclaim();
  const MutexLock lock(&registry.mutex);
  PEAT_DCHECK(registry.running_count >= reclaimable.size());
  registry.running_count -= reclaimable.size();
  registry.ran.SignalAll();
}

}  // namespace

ThreadSlot* epoch_internal::RegisterThread() {
  Registry& registry = TheRegistry();
  PEAT_DCHECK(thread_slot == nullptr);
  slot_owner.is_used = true;  // so that it is destroyed with the thread
  thread_slot = TakeSlot(registry);
  PEAT_DCHECK(thread_slot->guard_count == 0);
  return thread_slot;
}

uint64_t EpochStamp() {
  return current_epoch.fetch_add(1, std::memory_order_seq_cst);
}

uint64_t OldestEpoch() {
  Registry& registry = TheRegistry();
  const uint64_t now = current_epoch.load(std::memory_order_seq_cst);
  const bool must_fence = readers_must_fence.load(std::memory_order_relaxed);
  if (!must_fence) {
    // Every other thread passes a full fence: a guard that began before it is
    // seen below; one that begins after it sees what was unlinked before.
    const auto result =
        ::syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    PEAT_CHECK(result == 0);
  }
  uint64_t oldest = now;
  ThreadSlot* slot = registry.slots.load(std::memory_order_acquire);
  for (; slot != nullptr; slot = slot->next) {
    // Without membarrier this and the guard's exchange are in one order, and
    // the later of the two sees what the other thread did before it.
    const uint64_t entered =
        must_fence ? slot->entered.fetch_add(0, std::memory_order_seq_cst)
                   : slot->entered.load(std::memory_order_acquire);
    if (entered != 0) oldest = std::min(oldest, entered);
  }
  PEAT_DCHECK(oldest <= now);
  return oldest;
}

void Retire(std::function<void()> reclaim) {
  Registry& registry = TheRegistry();
  std::deque<Retired> reclaimable;
  {
    const MutexLock lock(&registry.mutex);
    // Stamped under the lock, so that the list is in the order of stamps.
    registry.retired.push_back(
        {.stamp = EpochStamp(), .reclaim = std::move(reclaim)});
    if (registry.retired.size() % kReclaimBatch == 0) {
      reclaimable = TakeReclaimable(registry);
    }
  }
  Run(registry, reclaimable);
}

void ReclaimRetired() {
  Registry& registry = TheRegistry();
  std::deque<Retired> reclaimable;
  {
    const MutexLock lock(&registry.mutex);
    reclaimable = TakeReclaimable(registry);
  }
  Run(registry, reclaimable);
}

void DrainRetired() {
  Registry& registry = TheRegistry();
  PEAT_CHECK(epoch_internal::thread_slot == nullptr ||
             epoch_internal::thread_slot->guard_count == 0);
  const uint64_t end = EpochStamp();
  for (;;) {
    ReclaimRetired();
    {
      const MutexLock lock(&registry.mutex);
      const bool all_taken =
          registry.retired.empty() || registry.retired.front().stamp >= end;
      if (all_taken) {
        while (registry.running_count != 0) registry.ran.Wait(&registry.mutex);
        return;
      }
    }
    std::this_thread::yield();
  }
}

}  // namespace peat::index
