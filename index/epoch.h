// Epoch-based reclamation: memory and segments that lock-free readers may
// still be looking at are freed only after those readers have left.
//
//   reader                      whoever replaces something
//   EpochGuard guard(domain);   store the new pointer
//   load a pointer, use it      Retire(domain, [old] { free old; })
//   (guard ends)                ... runs once every guard of the domain that
//                               existed at the call is gone
//
// A domain is what a guard protects: a store has one, so that no store waits
// for the guards of another, one of which may be held by a thread that a disk
// holds up for ever. Without a domain (null) a guard protects everything, and
// what is retired waits for every guard.
//
// The epoch counter is the process's, and so is a slot of a cache line for each
// thread that ever took a guard (reused when the thread ends). Entering costs a
// load and two stores to one line, no fence: whoever reclaims pays for the
// ordering with membarrier(2). Where that is missing, entering is an atomic
// exchange.
//
// A guard is held for one call, not for a scan or a replay: nothing that was
// retired after it began is freed before it ends. All functions are
// thread-safe. After fork() the child starts with no guards but its own; what
// the parent had retired is forgotten there, not run.

#ifndef PEAT_INDEX_EPOCH_H_
#define PEAT_INDEX_EPOCH_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "format/check.h"
#include "index/mutex.h"

#if defined(__SANITIZE_THREAD__)
#define PEAT_INDEX_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PEAT_INDEX_TSAN 1
#endif
#endif
#ifndef PEAT_INDEX_TSAN
#define PEAT_INDEX_TSAN 0
#endif

namespace peat::index {

class EpochDomain;

namespace epoch_internal {

struct alignas(64) ThreadSlot {
  // The epoch at which the outermost guard began; 0 outside of any guard.
  std::atomic<uint64_t> entered = 0;
  // What the thread's guards protect; null: everything. Never followed.
  std::atomic<const EpochDomain*> domain = nullptr;
  uint32_t guard_count = 0;  // touched by the owning thread only
  std::atomic<bool> is_taken = false;
  ThreadSlot* next = nullptr;  // constant once the slot is in the list
};

extern constinit std::atomic<uint64_t> current_epoch;

// Constant once the first thread has registered: false where membarrier works.
extern constinit std::atomic<bool> readers_must_fence;

inline constinit thread_local ThreadSlot* thread_slot = nullptr;

// Gives the calling thread its slot.
ThreadSlot* RegisterThread();

// Has the guards of `slot` protect everything, until the outermost ends.
void ProtectEverything(ThreadSlot* slot);

}  // namespace epoch_internal

class [[nodiscard]] EpochGuard final {
 public:
  // `domain` need not outlive the guard.
  explicit EpochGuard(const EpochDomain* domain = nullptr)
      : slot_(epoch_internal::thread_slot) {
    using epoch_internal::current_epoch;
    if (slot_ == nullptr) [[unlikely]]
      slot_ = epoch_internal::RegisterThread();
    if (slot_->guard_count++ != 0) {
      if (slot_->domain.load(std::memory_order_relaxed) != domain) [[unlikely]]
        epoch_internal::ProtectEverything(slot_);
      return;
    }
    PEAT_DCHECK(slot_->entered.load(std::memory_order_relaxed) == 0);
    // Before the epoch, so that whoever sees this guard's epoch sees its domain
    // or a later one. Release: whoever sees the domain knows that the guard
    // before has ended.
    slot_->domain.store(domain, std::memory_order_release);
    // Acquire: whoever sees an epoch sees what was unlinked before it began.
    // Release: whoever sees this guard knows that the one before has ended.
    const uint64_t epoch = current_epoch.load(std::memory_order_acquire);
    if (epoch_internal::readers_must_fence.load(std::memory_order_relaxed))
        [[unlikely]] {
      slot_->entered.exchange(epoch, std::memory_order_seq_cst);
    } else {
      slot_->entered.store(epoch, std::memory_order_release);
      // The processor's half of this fence is the reclaimer's membarrier.
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  }

  ~EpochGuard() {
    PEAT_DCHECK(slot_->guard_count > 0);
    if (--slot_->guard_count == 0) {
      slot_->entered.store(0, std::memory_order_release);
    }
  }

  EpochGuard(const EpochGuard&) = delete;
  EpochGuard& operator=(const EpochGuard&) = delete;

 private:
  epoch_internal::ThreadSlot* slot_;
};

// What has been retired and waits for the guards of one domain. Thread-safe.
//
// A domain that was made before a fork is not to be used in the child, but for
// guards. When it ends, what still waits is forgotten, not run.
class EpochDomain final {
 public:
  EpochDomain() = default;
  EpochDomain(const EpochDomain&) = delete;
  EpochDomain& operator=(const EpochDomain&) = delete;

 private:
  friend class EpochRetirement;

  struct Retired {
    uint64_t stamp = 0;
    std::function<void()> reclaim;
  };

  Mutex mutex_;
  std::deque<Retired> retired_ ABSL_GUARDED_BY(mutex_);
  // Functions that some thread has taken off the list and is running.
  uint64_t running_count_ ABSL_GUARDED_BY(mutex_) = 0;
  CondVar ran_;
};

// Runs `reclaim` once every guard that protects `domain` now is gone: in a
// later call of Retire, ReclaimRetired or DrainRetired for the domain, on that
// call's thread, in the order of the Retire calls. `reclaim` may itself call
// Retire. Call it after what leads readers to the retired object has been
// changed.
void Retire(EpochDomain* domain, std::function<void()> reclaim);
inline void Retire(std::function<void()> reclaim) {
  Retire(nullptr, std::move(reclaim));
}

// Runs what can be run; never waits for a guard.
void ReclaimRetired(EpochDomain* domain = nullptr);

// Waits until everything that was retired before the call has run. The caller
// holds no guard. For tests and for close.
void DrainRetired(EpochDomain* domain = nullptr);

// For owners that keep a list of their own instead of a function per object.
// EpochStamp: call it after the object was unlinked. The object may be freed
// once its stamp is below OldestEpoch() of its domain (which costs a system
// call and a walk over all threads' slots).
uint64_t EpochStamp();
uint64_t OldestEpoch(const EpochDomain* domain = nullptr);

}  // namespace peat::index

#endif  // PEAT_INDEX_EPOCH_H_
