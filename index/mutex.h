// Locks that clang's thread-safety analysis and ThreadSanitizer both
// understand: std::mutex and std::condition_variable under Abseil's
// annotations.
//
// The lowest room with a lock is this one, so they live here. Thread-safe.

#ifndef PEAT_INDEX_MUTEX_H_
#define PEAT_INDEX_MUTEX_H_

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "format/check.h"

namespace peat::index {

// The order in which a thread takes locks: it never takes one while it holds
// one of the same rank or of a later one, save shards, which are taken
// ascending. docs/architecture.md says what each of them guards. Here, since it
// is one order for all rooms; asserted at each Lock() but in Release.
enum class LockRank : uint8_t {
  kStore,
  kClose,
  kIndexImage,
  kCompactor,
  kCommit,
  kGroupCommit,
  kSeal,
  kSegmentAllocator,
  kManifest,
  kShard,
  kShardLoad,
  kOrderedLeaf,
  kOrderedStructure,
  kViews,
  kAppender,
  kSegmentSet,
  kLeaf,  // nothing is taken under it
};
inline constexpr size_t kLockRankCount =
    static_cast<size_t>(LockRank::kLeaf) + 1;

namespace mutex_internal {

#ifdef NDEBUG
struct RankCheck {
  explicit constexpr RankCheck(LockRank) {}
  void BeforeLock() const {}
  void AfterLock() const {}
  void BeforeUnlock() const {}
};
#else
// How many locks of each rank the thread holds.
inline constinit thread_local std::array<uint16_t, kLockRankCount> held = {};

class RankCheck {
 public:
  explicit constexpr RankCheck(LockRank rank)
      : rank_(static_cast<size_t>(rank)) {}

  void BeforeLock() const {
    const bool may_nest = rank_ == static_cast<size_t>(LockRank::kShard);
    for (size_t i = rank_ + (may_nest ? 1 : 0); i < held.size(); ++i) {
      PEAT_CHECK(held[i] == 0);
    }
  }
  void AfterLock() const { ++held[rank_]; }
  void BeforeUnlock() const {
    PEAT_CHECK(held[rank_] > 0);
    --held[rank_];
  }

 private:
  const size_t rank_;
};
#endif

}  // namespace mutex_internal

class ABSL_LOCKABLE Mutex final {
 public:
  explicit constexpr Mutex(LockRank rank = LockRank::kLeaf) : rank_(rank) {}
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  // Tries for about a microsecond before it waits: what is done under the
  // locks of the hot paths is shorter than going to sleep and waking up.
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    rank_.BeforeLock();
    LockNow();
    rank_.AfterLock();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    rank_.BeforeUnlock();
    mutex_.unlock();
  }
  // Waits for nobody, so it may be tried in any order.
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    if (!mutex_.try_lock()) return false;
    rank_.AfterLock();
    return true;
  }

 private:
  friend class CondVar;

  static constexpr int kTries = 40;

  void LockNow() {
    for (int i = 0; i < kTries; ++i) {
      if (mutex_.try_lock()) return;
      Pause();
    }
    mutex_.lock();
  }

  // Tells the processor that this is a waiting loop.
  static void Pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  std::mutex mutex_;
  [[no_unique_address]] const mutex_internal::RankCheck rank_;
};

// Holds a Mutex from construction to destruction, or to Release().
class ABSL_SCOPED_LOCKABLE MutexLock final {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() {
    if (mutex_ != nullptr) mutex_->Unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void Release() ABSL_UNLOCK_FUNCTION() {
    mutex_->Unlock();
    mutex_ = nullptr;
  }

 private:
  Mutex* mutex_;
};

class CondVar final {
 public:
  CondVar() = default;
  CondVar(const CondVar&) = delete;
  CondVar& operator=(const CondVar&) = delete;

  // Releases `*mutex`, waits, acquires it again. May wake for no reason.
  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }

  // The same for at most `timeout`; true when it has passed.
  bool WaitFor(Mutex* mutex, std::chrono::nanoseconds timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    const std::cv_status status = condition_.wait_for(lock, timeout);
    lock.release();
    return status == std::cv_status::timeout;
  }

  void Signal() { condition_.notify_one(); }
  void SignalAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace peat::index

#endif  // PEAT_INDEX_MUTEX_H_
