#include "index/epoch.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "index/mutex.h"

namespace peat::index {

namespace epoch_internal {

constinit std::atomic<uint64_t> current_epoch = 1;
constinit std::atomic<bool> readers_must_fence = true;

}  // namespace epoch_internal

// What Retire() and its kin do with a domain. The fork handlers are those of
// what is retired without one: it is used on both sides of a fork.
class EpochRetirement final {
 public:
  explicit EpochRetirement(EpochDomain* domain);

  void Retire(std::function<void()> reclaim);
  void Reclaim();
  void Drain();

  static void BeforeFork(EpochDomain* domain) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    domain->mutex_.Lock();
  }
  static void AfterForkInParent(EpochDomain* domain)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    domain->mutex_.Unlock();
  }
  static void AfterForkInChild(EpochDomain* domain)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;

 private:
  using List = std::deque<EpochDomain::Retired>;

  // Takes what may run off the list.
  List TakeReclaimable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(domain_->mutex_);
  // Runs them outside the lock, since they may retire more.
  void Run(const List& reclaimable);

  const EpochDomain* const waits_for_;  // null: every guard
  EpochDomain* const domain_;
};

namespace {

using epoch_internal::current_epoch;
using epoch_internal::readers_must_fence;
using epoch_internal::ThreadSlot;

// Retire() looks for what it can run each time this many more wait.
constexpr size_t kReclaimBatch = 32;

// Attempts of DrainRetired() that follow each other at once.
constexpr int kDrainYields = 1000;

// What the process shares. Never destroyed: threads may end after main() does.
struct Registry {
  std::atomic<ThreadSlot*> slots = nullptr;  // slots are added, never removed
  EpochDomain everything;                    // what is retired without a domain
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

void BeforeFork() { EpochRetirement::BeforeFork(&TheRegistry().everything); }

void AfterForkInParent() {
  EpochRetirement::AfterForkInParent(&TheRegistry().everything);
}

// The child has one thread, and no business with what the parent retired.
void AfterForkInChild() {
  Registry& registry = TheRegistry();
  readers_must_fence.store(!RegisterForMembarrier());
  ThreadSlot* slot = registry.slots.load();
  for (; slot != nullptr; slot = slot->next) {
    if (slot == epoch_internal::thread_slot) continue;
    slot->entered.store(0);
    slot->guard_count = 0;
    slot->is_taken.store(false);
  }
  EpochRetirement::AfterForkInChild(&registry.everything);
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

}  // namespace

EpochRetirement::EpochRetirement(EpochDomain* domain)
    : waits_for_(domain),
      domain_(domain != nullptr ? domain : &TheRegistry().everything) {}

void EpochRetirement::AfterForkInChild(EpochDomain* domain) {
  // Left where they are, so that what they own is not destroyed either.
  (void)std::make_unique<List>(std::move(domain->retired_)).release();
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): on purpose
  domain->retired_.clear();
  domain->running_count_ = 0;
  domain->mutex_.Unlock();
}

EpochRetirement::List EpochRetirement::TakeReclaimable() {
  List reclaimable;
  List& retired = domain_->retired_;
  if (retired.empty()) return reclaimable;
  const uint64_t oldest = OldestEpoch(waits_for_);
  while (!retired.empty() && retired.front().stamp < oldest) {
    reclaimable.push_back(std::move(retired.front()));
    retired.pop_front();
  }
  domain_->running_count_ += reclaimable.size();
  return reclaimable;
}

void EpochRetirement::Run(const List& reclaimable) {
  if (reclaimable.empty()) return;
  for (const EpochDomain::Retired& retired : reclaimable) retired.reclaim();
  const MutexLock lock(&domain_->mutex_);
  PEAT_DCHECK(domain_->running_count_ >= reclaimable.size());
  domain_->running_count_ -= reclaimable.size();
  domain_->ran_.SignalAll();
}

void EpochRetirement::Retire(std::function<void()> reclaim) {
  List reclaimable;
  {
    const MutexLock lock(&domain_->mutex_);
    // Stamped under the lock, so that the list is in the order of stamps.
    domain_->retired_.push_back(
        {.stamp = EpochStamp(), .reclaim = std::move(reclaim)});
    if (domain_->retired_.size() % kReclaimBatch == 0) {
      reclaimable = TakeReclaimable();
    }
  }
  Run(reclaimable);
}

void EpochRetirement::Reclaim() {
  List reclaimable;
  {
    const MutexLock lock(&domain_->mutex_);
    reclaimable = TakeReclaimable();
  }
  Run(reclaimable);
}

void EpochRetirement::Drain() {
  const uint64_t end = EpochStamp();
  for (int attempt = 0;; ++attempt) {
    Reclaim();
    {
      const MutexLock lock(&domain_->mutex_);
      const bool all_taken =
          domain_->retired_.empty() || domain_->retired_.front().stamp >= end;
      if (all_taken) {
        while (domain_->running_count_ != 0) {
          domain_->ran_.Wait(&domain_->mutex_);
        }
        return;
      }
    }
    // A guard may last as long as a disk takes to answer.
    if (attempt < kDrainYields) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

ThreadSlot* epoch_internal::RegisterThread() {
  Registry& registry = TheRegistry();
  PEAT_DCHECK(thread_slot == nullptr);
  slot_owner.is_used = true;  // so that it is destroyed with the thread
  thread_slot = TakeSlot(registry);
  PEAT_DCHECK(thread_slot->guard_count == 0);
  return thread_slot;
}

void epoch_internal::ProtectEverything(ThreadSlot* slot) {
  if (slot->domain.load(std::memory_order_relaxed) == nullptr) return;
  slot->domain.store(nullptr, std::memory_order_release);
  // Ordered before what the guard reads next, as the entering of the outermost
  // one is.
  const uint64_t epoch = slot->entered.load(std::memory_order_relaxed);
  PEAT_DCHECK(epoch != 0);
  if (readers_must_fence.load(std::memory_order_relaxed)) {
    slot->entered.exchange(epoch, std::memory_order_seq_cst);
  } else {
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
}

uint64_t EpochStamp() {
  return current_epoch.fetch_add(1, std::memory_order_seq_cst);
}

uint64_t OldestEpoch(const EpochDomain* domain) {
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
    if (entered == 0 || entered >= oldest) continue;
    // Acquire: of a guard that has ended meanwhile, everything has.
    const EpochDomain* const protects =
        slot->domain.load(std::memory_order_acquire);
    const bool concerns =
        domain == nullptr || protects == nullptr || protects == domain;
    if (concerns) oldest = entered;
  }
  PEAT_DCHECK(oldest <= now);
  return oldest;
}

void Retire(EpochDomain* domain, std::function<void()> reclaim) {
  EpochRetirement(domain).Retire(std::move(reclaim));
}

void ReclaimRetired(EpochDomain* domain) { EpochRetirement(domain).Reclaim(); }

void DrainRetired(EpochDomain* domain) {
  PEAT_CHECK(epoch_internal::thread_slot == nullptr ||
             epoch_internal::thread_slot->guard_count == 0);
  EpochRetirement(domain).Drain();
}

}  // namespace peat::index
