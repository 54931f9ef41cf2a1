// Memory for the small tables of one index.
//
//   chunk, 2 MiB  [ head 1 KiB | unit | unit | unit ... | not touched yet ]
//
// Tables are runs of 1 to 12 units of 1 KiB. Free runs are joined with their
// free neighbours and kept by length, so that the short tables of a young
// index become the long ones of an old one. Release() gives the pages of long
// free runs back to the system; chunks go only when the arena does.
//
// The cost that matters is the page fault: 3 to 9 us for 4 KiB, 0.5 to 3 ms
// for 2 MiB. So the first chunks are of small pages, which cost memory only as
// far as they have been used; from 32 MiB on they are of huge ones. Provision()
// takes faults ahead, in the background, and maps the next chunk before the
// newest is full, so that writers make no system call with a shard's lock; one
// that is ahead of the background all the same maps a chunk of small pages,
// so that it never waits for a huge fault.
// Once a chunk of small pages is full, Collapse() makes one huge page of them,
// so that a look at a table need not walk the page tables.
//
// Thread-safe. A retired table is reused once all readers that could look at it
// have left (epoch.h).

#ifndef PEAT_INDEX_ARENA_H_
#define PEAT_INDEX_ARENA_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "index/epoch.h"
#include "index/mutex.h"

namespace peat::index {

class Arena final {
 public:
  static constexpr size_t kUnitSize = 1024;
  static constexpr uint32_t kUnitCountMax = 12;  // of one allocation

  // What is retired waits for the guards of `epochs`, which must outlive this;
  // null: for all.
  explicit Arena(const EpochDomain* epochs = nullptr) : epochs_(epochs) {}
  // No reader may be left.
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // `unit_count` units, aligned to one, all zero.
  std::byte* Allocate(uint32_t unit_count) ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes back what Allocate gave and readers were led away from.
  void Retire(std::byte* units, uint32_t unit_count)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes back what no reader has ever seen.
  void Free(std::byte* units, uint32_t unit_count) ABSL_LOCKS_EXCLUDED(mutex_);

  // True when Provision() has something to do. Cheap.
  bool WantsProvision() const {
    return wants_provision_.load(std::memory_order_relaxed);
  }

  // Takes the page faults of what will be used next. For a background thread;
  // takes up to some milliseconds, and holds no lock meanwhile.
  void Provision() ABSL_LOCKS_EXCLUDED(mutex_);

  // True when Collapse() has something to do. Cheap.
  bool WantsCollapse() const {
    return wants_collapse_.load(std::memory_order_relaxed);
  }

  // Makes one huge page of a full chunk's small ones, where the kernel can
  // (Linux 6.1). For a background thread: takes a millisecond, during which
  // others may wait for that chunk, but for no lock.
  void Collapse() ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives free memory back to the system if there is much of it. For a
  // background thread; holds the lock for some 10 us at a time.
  void Release() ABSL_LOCKS_EXCLUDED(mutex_);

  // All memory that is or has been in use, or was made ready, but what was
  // released.
  uint64_t memory_bytes() const {
    return memory_bytes_.load(std::memory_order_relaxed);
  }

 private:
  const EpochDomain* const epochs_;

  struct FreeRun;
  struct Chunk;
  struct Retired {
    std::byte* units;
    uint32_t unit_count;
    uint64_t stamp;
  };
  static constexpr uint32_t kBinCount = kUnitCountMax + 1;

  static Chunk* ChunkOf(const void* address);
  static Chunk* MapChunk(bool is_huge);
  void AddChunk(Chunk* chunk) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  FreeRun* FindRun(uint32_t unit_count) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeRun(FreeRun* run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PutRun(Chunk* chunk, uint32_t first, uint32_t unit_count)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Touch(Chunk* chunk, uint32_t end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FreeLocked(std::byte* units, uint32_t unit_count)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Reclaim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasMuchFree() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The free runs of `chunk` from unit `first` on, some at a time. Returns
  // where to go on.
  uint32_t ReleaseSome(Chunk* chunk, uint32_t first)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Counts the pages of units that are to be written again.
  void Restore(Chunk* chunk, uint32_t first, uint32_t unit_count)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The units of the newest chunk to make ready, if it is of small pages.
  uint32_t StepUnits() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether there is to be another chunk soon, and none is ready.
  bool WantsSpare() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether pages of the newest chunk are to be made ready.
  bool WantsPages() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UpdateWantsProvision() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  // Free runs by length: of exactly i + 1 units; the last bin: longer ones.
  std::array<FreeRun*, kBinCount> bins_ ABSL_GUARDED_BY(mutex_) = {};
  std::vector<Chunk*> chunks_ ABSL_GUARDED_BY(mutex_);
  Chunk* spare_ ABSL_GUARDED_BY(mutex_) = nullptr;  // made by Provision()
  bool is_provisioning_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Chunk*> to_collapse_ ABSL_GUARDED_BY(mutex_);
  Chunk* collapsing_ ABSL_GUARDED_BY(mutex_) = nullptr;  // by Collapse()
  std::deque<Retired> retired_ ABSL_GUARDED_BY(mutex_);
  uint64_t retired_units_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t long_units_ ABSL_GUARDED_BY(mutex_) = 0;  // free, in the last bin
  uint64_t used_units_ ABSL_GUARDED_BY(mutex_) = 0;

  // Counters that others read at any time; no order is needed.
  std::atomic<uint64_t> memory_bytes_ = 0;
  std::atomic<bool> wants_provision_ = false;
  std::atomic<bool> wants_collapse_ = false;
};

}  // namespace peat::index

#endif  // PEAT_INDEX_ARENA_H_
