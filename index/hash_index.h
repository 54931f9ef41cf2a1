// The index: which record of the log is the newest of each key.
//
//   hash -> shard (of 64) -> directory[top tag bits] -> table -> bucket -> slot
//
// It keeps 8-byte slots (a tag of the hash and a location) and no keys. A
// lookup yields candidates, and the caller compares the key in the log. Each
// shard grows one small table at a time: a table is built anew, two slots a
// bucket wider, or once it is 24 wide, in two halves by the next tag bit.
// Shards have unequal shares of the keys, spread evenly over a factor of two,
// so that at any size some shards' tables are freshly split while others are
// about to be: memory per key hardly depends on the number of keys. When many
// keys have left, Shrink() makes tables narrower, or one of two.
//
// Invariants, asserted where they are kept and tested in tests/index/:
//   - A key that is in the index is found by every look, also while its table
//     widens, splits, is joined with another or is placed anew.
//   - An insert builds one table anew at most, save in a table whose keys
//     share tags; then it is a bounded number.
//   - Location 0 is never stored.
//   - ListShard lists each key, and once if nobody writes.
//
// Thread-safe: looks take no lock, and need an EpochGuard around them and
// around the use of what they return; changes need the shard's lock. A guard
// should last for one operation: what growing replaces is kept until guards
// that are older than it end.

#ifndef PEAT_INDEX_HASH_INDEX_H_
#define PEAT_INDEX_HASH_INDEX_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "format/bytes.h"
#include "format/check.h"
#include "format/location.h"
#include "format/segment_header.h"
#include "index/arena.h"
#include "index/bucket_table.h"
#include "index/epoch.h"
#include "index/mutex.h"
#include "index/shard_directory.h"
#include "index/shard_image.h"
#include "index/side_list.h"

namespace peat::index {

// Keys looked up together, whose memory accesses overlap: enough for the
// processor's outstanding misses, few enough that what was fetched stays in
// the first-level cache.
inline constexpr size_t kLookupGroupSize = 64;

// The candidate for every hash of a shard that could not be loaded: in segment
// 0, which no key has. Who reads there finds an error, and so never takes a key
// for absent.
inline constexpr Location kNowhere(0, format::kSegmentHeaderSize);

// What the caller of a look says about a candidate.
enum class Verdict : uint8_t {
  kOther,  // another key with the same tag: look on
  kMatch,  // the key that is looked for
  kStop,   // an error was met: give up
};

class HashIndex final {
 private:
  struct Shard;

 public:
  static constexpr int kShardCount = 64;

  // The shard of a key: shares of the hash space that grow by 2^(1/64) from
  // one shard to the next, nearly. Uses hash bits 48 to 63 alone.
  static constexpr int ShardOf(uint64_t hash) {
    // log2(1 + x) for x in [0, 1), to 0.8 %: x + 0.345 x (1 - x).
    const uint64_t x = hash >> 48;
    const uint64_t y = x + ((x * ((1 << 16) - x) * kShardBend) >> 32);
    return static_cast<int>(y >> 10);
  }

  // Readers hold guards of `epochs` (null: of any), and have left at the end.
  explicit HashIndex(EpochDomain* epochs = nullptr);
  ~HashIndex();
  HashIndex(const HashIndex&) = delete;
  HashIndex& operator=(const HashIndex&) = delete;
  EpochDomain* epochs() const { return epochs_; }

  // --- Looking. The caller holds an EpochGuard.

  // Calls match(Location) on each candidate until it does not say kOther, and
  // returns what it said last; kOther is a miss. Never sees half of a batch:
  // waits while one is published, and calls match anew if one was meanwhile.
  template <typename Match>
  Verdict Find(uint64_t hash, Match&& match) const;

  // The same for callers who look up several keys at one moment: take the
  // BatchVersion (waits while a batch is being published) of each shard first,
  // then look, then ask whether all of them are still the same.
  template <typename Match>
  Verdict FindUnvalidated(uint64_t hash, Match&& match) const;
  uint64_t BatchVersion(int shard) const;
  bool BatchVersionIs(int shard, uint64_t version) const;

  // Asks for the cache lines that a look at `hash` will read.
  void Prefetch(uint64_t hash) const;

  // The first candidate, or none: a hint, for prefetching its record.
  Location Peek(uint64_t hash) const;

  // Where the look begins, whose lines it asks for; PeekAtHome() comes later.
  Probe Prepare(uint64_t hash) const;

  // --- Changing.

  // What Locate found. Valid under the guard under which it was made.
  struct Position {
    Verdict verdict = Verdict::kOther;
    Location location;  // of the last candidate, unless kOther

   private:
    friend class HashIndex;
    Slot* slot_ = nullptr;     // of that candidate
    uint64_t container_ = 0;   // the table (its bits) or side list (address)
    uint64_t insertions_ = 0;  // of the shard before the look
  };

  // Looks like FindUnvalidated; meant for writers, with the shard's lock or
  // before it is taken.
  template <typename Match>
  Position Locate(uint64_t hash, Match&& match) const;

  // Holds one shard's lock until it ends or is released.
  class [[nodiscard]] ShardLock final {
   public:
    ShardLock(HashIndex& index, int shard)
        : shard_(&index.shards_[static_cast<size_t>(shard)]) {
      shard_->Lock();
    }
    ~ShardLock() {
      if (shard_ != nullptr) shard_->Unlock();
    }
    ShardLock(const ShardLock&) = delete;
    ShardLock& operator=(const ShardLock&) = delete;

    void Release() {
      shard_->Unlock();
      shard_ = nullptr;
    }

   private:
    Shard* shard_;
  };

  // Holds the locks of all shards whose bit (1 << shard) is set. Taken in
  // ascending order, released together.
  class [[nodiscard]] ManyShardsLock final {
   public:
    ManyShardsLock(HashIndex& index, uint64_t shard_bits);
    ~ManyShardsLock();
    ManyShardsLock(const ManyShardsLock&) = delete;
    ManyShardsLock& operator=(const ManyShardsLock&) = delete;

   private:
    HashIndex& index_;
    const uint64_t shard_bits_;
  };

  // The rest needs the lock of the hash's shard, and a guard since Locate.

  // True if what Locate found still holds: the key that matched is still in
  // that slot with that location, or after a miss, no key was added to the
  // shard. (Moving or overwriting other keys does not matter.)
  bool IsCurrent(uint64_t hash, const Position& position) const;

  // Points the key that was found at `to`, or adds it when it was a miss. The
  // position is current, and is not any more after an insert. What readers see
  // changes by one atomic store.
  void Set(uint64_t hash, const Position& position, Location to);

  // Removes the key that was found.
  void Erase(uint64_t hash, const Position& position);

  // Points a key of this hash from `from` to `to`; false if no key is there.
  bool ReplaceIf(uint64_t hash, Location from, Location to);

  // Returns once every shard's lock has been free at some moment since the
  // call: what its holders did before the call to anything else that the caller
  // has seen, they have done to the index. Costs a look at each shard.
  void AwaitChanges();

  // Between these two, readers of these shards wait (Find) or look again.
  void BeginPublish(uint64_t shard_bits);
  void EndPublish(uint64_t shard_bits);

  // Adds the location of each key of the shard to `locations`, in no order. If
  // others change the shard meanwhile: of each key that is there all the time,
  // perhaps twice. Holds the shard's lock for one table at a time, some us.
  void ListShard(int shard, std::vector<Location>* locations);

  // --- Images: the index as it was at one moment, in a file (shard_image.h).

  // The moment. From here to EndSave(), whoever is the first to change a table
  // hands it to `writer` as it was: some us. False, and nothing has begun, when
  // keys that no image can hold are there: many that share one hash. Nobody
  // else changes any shard meanwhile, and none is pending.
  bool BeginSave(SlotWriter* writer);
  // Hands on what nobody has yet, and returns the image of the shard. Holds the
  // shard's lock for one table at a time, some us.
  struct SavedShard {
    std::string image;
    uint64_t key_count = 0;
  };
  SavedShard SaveShard(int shard);
  // Nobody uses the writer any more.
  void EndSave();

  // For those who change the index, once they hold no lock: whether what they
  // have handed to the writer waits to be written, and writes a part of it.
  bool IsSaveBehind() const {
    return is_save_behind_.load(std::memory_order_relaxed);
  }
  void HelpSave() ABSL_LOCKS_EXCLUDED(save_mutex_);

  // Whose shards are empty, and are to be loaded when they are first used:
  // load(shard) will call LoadShard(shard). They have so many keys, and their
  // tables so many bytes. Nobody else uses the index meanwhile.
  struct PendingShard {
    uint64_t key_count = 0;
    uint64_t bytes = 0;
  };
  void LoadLater(std::function<void(int)> load,
                 std::span<const PendingShard, kShardCount> shards);

  // Loads the shard now, if that is still to be done.
  void EnsureLoaded(int shard) const {
    const Shard& it = shards_[static_cast<size_t>(shard)];
    if (it.is_pending.load(std::memory_order_acquire)) LoadPending(it);
  }

  // Makes `shard`, which is empty, what `tables` say, but for the keys whose
  // location `keep` refuses. Each table is read, and verified where it lies
  // then. If one cannot be read or does not have its checksum, the shard is
  // lost: until the end a look there finds kNowhere, it has nothing to list
  // but that, and nothing is to be changed or saved there. Nobody else uses
  // this shard meanwhile, or it is pending.
  void LoadShard(int shard, const std::vector<ImageTable>& tables,
                 ReadImage read, absl::FunctionRef<bool(Location)> keep);

  // Whether a shard is lost, of those that have been loaded.
  bool HasLost() const;

  // --- Any time, any thread.

  uint64_t size() const;
  uint64_t memory_bytes() const;

  // For a background thread: memory before writers need it, and huge pages (see
  // Arena). Call each when Wants...() says so, which is cheap to ask.
  bool WantsProvision() const { return arena_.WantsProvision(); }
  void Provision() { arena_.Provision(); }
  bool WantsCollapse() const { return arena_.WantsCollapse(); }
  void Collapse() { arena_.Collapse(); }

  // For a background thread: gives memory back that keys have left. Call it
  // when WantsShrink() says so, which costs a look at each shard. Holds a
  // shard's lock for one table at a time, some 10 us.
  bool WantsShrink() const;
  void Shrink();

 private:
  static constexpr uint64_t kShardBend = 22'610;  // 0.345 * 2^16
  static constexpr uint32_t kDepthMax = kTagBits;

  struct alignas(64) Shard {
    void Lock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      mutex.Lock();
      PEAT_DCHECK(!is_locked.load(std::memory_order_relaxed));
      is_locked.store(true, std::memory_order_relaxed);
    }
    void Unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      PEAT_DCHECK(is_locked.load(std::memory_order_relaxed));
      is_locked.store(false, std::memory_order_release);
      mutex.Unlock();
    }

    // For readers; rarely changed. Stored with release, loaded with acquire.
    std::atomic<uint64_t> batch_version = 0;  // odd: being published
    std::atomic<uint64_t> directory = 0;      // DirectoryRef's bits
    std::atomic<SideList*> side_list = nullptr;
    std::atomic<bool> is_pending = false;  // its keys are still to be loaded
    // They could not be. Set before `is_pending` is cleared, and never cleared.
    std::atomic<bool> is_lost = false;
    // For writers, and as rarely changed; null: it is not being saved.
    std::unique_ptr<ShardSave> save;

    // For writers, on a line of their own; changed under the lock only.
    alignas(64) std::atomic<uint64_t> insertions = 0;
    std::atomic<uint64_t> key_count = 0;
    std::atomic<uint64_t> unit_count = 0;  // of all tables
    // Nothing is to be gained by shrinking with as many keys or more.
    std::atomic<uint64_t> shrink_below = ~uint64_t{0};
    uint32_t table_count = 0;
    // Stored by the lock's holder. Release at its end, for AwaitChanges().
    std::atomic<bool> is_locked = false;
    Mutex mutex{LockRank::kShard};
    // Held while the shard is loaded, perhaps with its lock.
    mutable Mutex pending_mutex ABSL_ACQUIRED_AFTER(mutex){
        LockRank::kShardLoad};
  };

  // Hash bits: 48 to 63 shard, 27 to 47 tag, 0 to 5 bucket.
  static constexpr Placement PlacementOf(uint64_t hash) {
    return {.home = static_cast<uint32_t>(hash) % kBucketCount,
            .tag = static_cast<uint32_t>(hash >> 27) % (1 << kTagBits)};
  }

  const Shard& ShardFor(uint64_t hash) const {
    return shards_[static_cast<size_t>(ShardOf(hash))];
  }
  Shard& ShardFor(uint64_t hash) {
    return shards_[static_cast<size_t>(ShardOf(hash))];
  }

  // Null when the shard has no table for `tag`.
  static TableRef TableFor(const Shard& shard, uint32_t tag) {
    const DirectoryRef directory(
        shard.directory.load(std::memory_order_acquire));
    if (directory.is_null()) return TableRef();
    return TableRef::FromBits(
        directory[directory.NumberOf(tag)].load(std::memory_order_acquire));
  }

  // Calls visit(Slot*, uint64_t slot, uint64_t container) on each candidate
  // until it returns true.
  template <typename Visit>
  void Look(const Shard& shard, uint64_t hash, Visit&& visit) const {
    const Placement placement = PlacementOf(hash);
    const TableRef table = TableFor(shard, placement.tag);
    if (!table.is_null()) {
      table.Prefetch(placement.home);
      if (table.Look(placement, [&](Slot* place, uint64_t slot) {
            return visit(place, slot, table.bits());
          })) {
        return;
      }
    } else if (shard.is_pending.load(std::memory_order_acquire)) [[unlikely]] {
      LoadPending(shard);
      return Look(shard, hash, visit);
    } else if (shard.is_lost.load(std::memory_order_relaxed)) [[unlikely]] {
      visit(&nowhere_, kNowhere.bits(), 0);
      return;
    }
    const SideList* const side_list =
        shard.side_list.load(std::memory_order_acquire);
    if (side_list == nullptr) [[likely]]
      return;
    side_list->Look(hash, [&](Slot* place, uint64_t slot) {
      return visit(place, slot, reinterpret_cast<uintptr_t>(side_list));
    });
  }

  static uint64_t WaitForBatch(const Shard& shard);
  void LoadPending(const Shard& shard) const;

  void Insert(Shard& shard, uint64_t hash, Location location);
  void InsertAside(Shard& shard, uint64_t hash, Location location);
  // Before the table of `tag` is changed.
  void Preserve(Shard& shard, uint32_t tag) {
    if (shard.save != nullptr) [[unlikely]]
      SaveTable(shard, tag);
  }
  void SaveTable(Shard& shard, uint32_t tag);
  // Makes room in the table of `tag`; false when growing cannot.
  bool Grow(Shard& shard, uint32_t tag);
  bool MayDoubleDirectory(const Shard& shard) const;
  void ResizeDirectory(Shard& shard, uint32_t depth);
  // Makes `table` the one of all tags that agree with `tag` in its depth.
  static void Publish(Shard& shard, uint32_t tag, TableRef table);
  // For a table that Publish has replaced, or that is null.
  void Retire(Shard& shard, TableRef table);
  static bool IsSparse(const Shard& shard);
  void ShrinkShard(Shard& shard);
  // Joins the table of `tag` with the next, or makes it narrower; false if
  // neither is of use.
  bool ShrinkTable(Shard& shard, uint32_t tag);
  // Removes the keys that `keep` refuses from a table that nobody else sees.
  // Returns how many stay.
  static uint64_t Retain(TableRef table,
                         absl::FunctionRef<bool(Location)> keep);
  // A table could not be loaded; those of the shard that were made go again.
  void LoseShard(Shard& shard, std::span<const TableRef> made);
  // Halves the directory as often as no table needs it so large.
  void ShrinkDirectory(Shard& shard);
  static void ListTable(TableRef table, std::vector<Location>* locations);

  EpochDomain* const epochs_;
  Arena arena_;
  mutable Slot nowhere_ = kNowhere.bits();
  std::function<void(int)> load_;      // set before any shard is pending
  SlotWriter* slot_writer_ = nullptr;  // while the index is being saved
  // The same writer, for HelpSave().
  Mutex save_mutex_;
  CondVar helpers_left_;
  SlotWriter* helped_writer_ ABSL_GUARDED_BY(save_mutex_) = nullptr;
  uint64_t helper_count_ ABSL_GUARDED_BY(save_mutex_) = 0;
  std::atomic<bool> is_save_behind_ = false;  // a hint
  // Of directories and side lists.
  std::atomic<uint64_t> other_memory_bytes_ = 0;
  std::array<Shard, kShardCount> shards_;
};

inline uint64_t HashIndex::BatchVersion(int shard) const {
  const Shard& it = shards_[static_cast<size_t>(shard)];
  const uint64_t version = it.batch_version.load(std::memory_order_acquire);
  if ((version & 1) == 0) [[likely]]
    return version;
  return WaitForBatch(it);
}

inline bool HashIndex::BatchVersionIs(int shard, uint64_t version) const {
  // What was read before this was loaded with acquire, so stays before it.
  return shards_[static_cast<size_t>(shard)].batch_version.load(
             std::memory_order_acquire) == version;
}

template <typename Match>
Verdict HashIndex::FindUnvalidated(uint64_t hash, Match&& match) const {
  Verdict verdict = Verdict::kOther;
  Look(ShardFor(hash), hash, [&](Slot*, uint64_t slot, uint64_t) {
    verdict = match(LocationOf(slot));
    return verdict != Verdict::kOther;
  });
  return verdict;
}

template <typename Match>
Verdict HashIndex::Find(uint64_t hash, Match&& match) const {
  const int shard = ShardOf(hash);
  for (;;) {
    const uint64_t version = BatchVersion(shard);
    const Verdict verdict = FindUnvalidated(hash, match);
    if (BatchVersionIs(shard, version)) [[likely]]
      return verdict;
  }
}

template <typename Match>
HashIndex::Position HashIndex::Locate(uint64_t hash, Match&& match) const {
  const Shard& shard = ShardFor(hash);
  Position position;
  position.insertions_ = shard.insertions.load(std::memory_order_acquire);
  Look(shard, hash, [&](Slot* place, uint64_t slot, uint64_t container) {
    position.verdict = match(LocationOf(slot));
    if (position.verdict == Verdict::kOther) return false;
    position.location = LocationOf(slot);
    position.slot_ = place;
    position.container_ = container;
    return true;
  });
  return position;
}

inline void HashIndex::Prefetch(uint64_t hash) const {
  const Placement placement = PlacementOf(hash);
  const TableRef table = TableFor(ShardFor(hash), placement.tag);
  if (!table.is_null()) table.Prefetch(placement.home);
}

inline Probe HashIndex::Prepare(uint64_t hash) const {
  const Placement placement = PlacementOf(hash);
  const Probe probe{TableFor(ShardFor(hash), placement.tag), placement};
  if (!probe.table.is_null()) probe.table.Prefetch(placement.home);
  return probe;
}

inline Location HashIndex::Peek(uint64_t hash) const {
  Location location;
  Look(ShardFor(hash), hash, [&](Slot*, uint64_t slot, uint64_t) {
    location = LocationOf(slot);
    return true;
  });
  return location;
}

}  // namespace peat::index

#endif  // PEAT_INDEX_HASH_INDEX_H_
