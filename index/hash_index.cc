#include "index/hash_index.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <optional>
#include <utility>

namespace peat::index {

namespace {

// A directory may have so many times more tables than exist: splitting keys
// that share their tags in vain must not double it for ever. Keys of a good
// hash need four.
constexpr uint64_t kDirectorySlack = 16;
constexpr uint32_t kSideListCapacityMin = 16;
constexpr int kSpinCount = 64;
constexpr uint32_t kWidthMin = 2;

constexpr uint64_t kSlotsPerUnit = Arena::kUnitSize / sizeof(Slot);
// A shard whose slots are used to a smaller share is shrunk, to 70 % or more.
// Keys that come and go at a constant number leave 67 %.
constexpr uint64_t kSparsePercent = 60;

template <typename Visit>
void ForEachBit(uint64_t bits, Visit&& visit) {
  for (; bits != 0; bits &= bits - 1) {
    visit(static_cast<size_t>(std::countr_zero(bits)));
  }
}

void Add(std::atomic<uint64_t>* counter, uint64_t difference) {
  counter->store(counter->load(std::memory_order_relaxed) + difference,
                 std::memory_order_release);
}

}  // namespace

HashIndex::HashIndex(EpochDomain* epochs) : epochs_(epochs), arena_(epochs) {
  // The process's first guard registers with the kernel, which takes 10 ms
  // when there are threads: now, not in the first write.
  const EpochGuard guard(epochs_);
}

HashIndex::~HashIndex() {
  for (Shard& shard : shards_) {
    PEAT_CHECK(!shard.is_locked);
    const DirectoryRef directory(shard.directory.load());
    (void)std::unique_ptr<DirectoryLine[]>(directory.lines());
    (void)std::unique_ptr<SideList>(shard.side_list.load());
  }
}

HashIndex::ManyShardsLock::ManyShardsLock(HashIndex& index, uint64_t shard_bits)
    : index_(index), shard_bits_(shard_bits) {
  ForEachBit(shard_bits_, [this](size_t i) { index_.shards_[i].Lock(); });
}

HashIndex::ManyShardsLock::~ManyShardsLock() {
  ForEachBit(shard_bits_, [this](size_t i) { index_.shards_[i].Unlock(); });
}

bool HashIndex::IsCurrent(uint64_t hash, const Position& position) const {
  const Shard& shard = ShardFor(hash);
  PEAT_DCHECK(shard.is_locked);
  if (position.slot_ == nullptr) {
    return shard.insertions.load(std::memory_order_relaxed) ==
           position.insertions_;
  }
  // First that the slot is still part of the index: an old table keeps its
  // slots as they were.
  const TableRef table = TableFor(shard, PlacementOf(hash).tag);
  if (table.bits() != position.container_ &&
      reinterpret_cast<uintptr_t>(shard.side_list.load(
          std::memory_order_relaxed)) != position.container_) {
    return false;
  }
  // One location is one record of one key, so it is that key.
  return LocationOf(position.slot_->load(std::memory_order_relaxed)) ==
         position.location;
}

void HashIndex::Set(uint64_t hash, const Position& position, Location to) {
  PEAT_DCHECK(IsCurrent(hash, position));
  Shard& shard = ShardFor(hash);
  Preserve(shard, PlacementOf(hash).tag);
  if (position.slot_ != nullptr) {
    PEAT_DCHECK(position.verdict == Verdict::kMatch);
    StoreLocation(position.slot_, to);
    return;
  }
  Insert(shard, hash, to);
  Add(&shard.key_count, 1);
  Add(&shard.insertions, 1);
}

void HashIndex::Erase(uint64_t hash, const Position& position) {
  PEAT_CHECK(position.verdict == Verdict::kMatch);
  PEAT_DCHECK(IsCurrent(hash, position));
  Shard& shard = ShardFor(hash);
  PEAT_DCHECK(shard.key_count.load(std::memory_order_relaxed) > 0);
  Preserve(shard, PlacementOf(hash).tag);
  ClearSlot(position.slot_);
  Add(&shard.key_count, ~uint64_t{0});
}

bool HashIndex::ReplaceIf(uint64_t hash, Location from, Location to) {
  PEAT_CHECK(!from.is_none());
  Shard& shard = ShardFor(hash);
  PEAT_DCHECK(shard.is_locked);
  Preserve(shard, PlacementOf(hash).tag);
  bool is_replaced = false;
  Look(shard, hash, [&](Slot* place, uint64_t slot, uint64_t) {
    if (LocationOf(slot) != from) return false;
    StoreLocation(place, to);
    is_replaced = true;
    return true;
  });
  return is_replaced;
}

void HashIndex::AwaitChanges() {
  for (Shard& shard : shards_) {
    // A holder that matters took the lock before what the caller has seen of
    // it, so what is read here is `true`, or of after its end.
    if (!shard.is_locked.load(std::memory_order_acquire)) continue;
    shard.Lock();
    shard.Unlock();
  }
}

void HashIndex::BeginPublish(uint64_t shard_bits) {
  ForEachBit(shard_bits, [this](size_t i) {
    PEAT_DCHECK(shards_[i].is_locked);
    PEAT_CHECK(shards_[i].batch_version.load() % 2 == 0);
    // Every later store to a slot is a release, so none is seen before this.
    Add(&shards_[i].batch_version, 1);
  });
}

void HashIndex::EndPublish(uint64_t shard_bits) {
  ForEachBit(shard_bits, [this](size_t i) {
    PEAT_DCHECK(shards_[i].is_locked);
    PEAT_CHECK(shards_[i].batch_version.load() % 2 == 1);
    Add(&shards_[i].batch_version, 1);
  });
}

void HashIndex::ListShard(int shard, std::vector<Location>* locations) {
  constexpr size_t kTableSizeMax = size_t{kBucketCount} * kWidthMax;
  EnsureLoaded(shard);
  Shard& it = shards_[static_cast<size_t>(shard)];
  if (it.is_lost.load(std::memory_order_relaxed)) {
    locations->push_back(kNowhere);
    return;
  }
  // A key's tag stays, so who goes through all tags meets it, whatever becomes
  // of the tables.
  for (uint64_t tag = 0; tag < uint64_t{1} << kTagBits;) {
    // Not under the lock.
    if (locations->capacity() - locations->size() < kTableSizeMax) {
      locations->reserve(2 * locations->size() + kTableSizeMax);
    }
    it.Lock();
    const TableRef table = TableFor(it, static_cast<uint32_t>(tag));
    ListTable(table, locations);
    it.Unlock();
    const uint32_t rest_bits = kTagBits - table.depth();
    tag = ((tag >> rest_bits) + 1) << rest_bits;
  }
  it.Lock();
  const SideList* const side = it.side_list.load(std::memory_order_relaxed);
  if (side != nullptr) {
    side->ForEach([locations](Slot*, uint64_t slot) {
      locations->push_back(LocationOf(slot));
    });
  }
  it.Unlock();
}

void HashIndex::ListTable(TableRef table, std::vector<Location>* locations) {
  if (table.is_null()) return;
  for (uint32_t i = 0; i < kBucketCount * table.width(); ++i) {
    const uint64_t slot =
        (table.bucket(0) + i)->load(std::memory_order_relaxed);
    if (!IsFree(slot)) locations->push_back(LocationOf(slot));
  }
}

uint64_t HashIndex::size() const {
  uint64_t size = 0;
  for (const Shard& shard : shards_) {
    size += shard.key_count.load(std::memory_order_relaxed);
  }
  return size;
}

uint64_t HashIndex::memory_bytes() const {
  uint64_t pending_bytes = 0;
  for (const Shard& shard : shards_) {
    if (!shard.is_pending.load(std::memory_order_acquire)) continue;
    pending_bytes +=
        Arena::kUnitSize * shard.unit_count.load(std::memory_order_relaxed);
  }
  return sizeof(*this) + arena_.memory_bytes() + pending_bytes +
         other_memory_bytes_.load(std::memory_order_relaxed);
}

uint64_t HashIndex::WaitForBatch(const Shard& shard) {
  for (int i = 0;; ++i) {
    const uint64_t version =
        shard.batch_version.load(std::memory_order_acquire);
    if ((version & 1) == 0) return version;
    if (i >= kSpinCount) std::this_thread::yield();
  }
}

void HashIndex::Insert(Shard& shard, uint64_t hash, Location location) {
  const Placement placement = PlacementOf(hash);
  for (;;) {
    const TableRef table = TableFor(shard, placement.tag);
    if (!table.is_null() && index::Insert(table, placement, location)) return;
    if (!Grow(shard, placement.tag)) break;
  }
  InsertAside(shard, hash, location);
}

void HashIndex::InsertAside(Shard& shard, uint64_t hash, Location location) {
  SideList* list = shard.side_list.load(std::memory_order_relaxed);
  if (list != nullptr && list->Insert(hash, location)) return;
  std::unique_ptr<SideList> longer =
      list != nullptr ? list->Longer()
                      : std::make_unique<SideList>(kSideListCapacityMin);
  const bool has_room = longer->Insert(hash, location);
  PEAT_CHECK(has_room);
  other_memory_bytes_ += longer->memory_bytes();
  if (list != nullptr) other_memory_bytes_ -= list->memory_bytes();
  shard.side_list.store(longer.release(), std::memory_order_release);
  if (list != nullptr) {
    index::Retire(epochs_, [list] { (void)std::unique_ptr<SideList>(list); });
  }
}

bool HashIndex::Grow(Shard& shard, uint32_t tag) {
  PEAT_DCHECK(shard.is_locked);
  if (shard.directory.load(std::memory_order_relaxed) == 0) {
    ResizeDirectory(shard, 0);
  }
  const TableRef table = TableFor(shard, tag);
  if (table.is_null()) {
    Publish(shard, tag, MakeTable(&arena_, kWidthMin, table.depth()));
  } else if (table.width() < kWidthMax) {
    Publish(shard, tag, Widen(table, &arena_));
  } else {
    const DirectoryRef directory(shard.directory.load());
    if (table.depth() == directory.depth()) {
      if (!MayDoubleDirectory(shard)) return false;
      ResizeDirectory(shard, directory.depth() + 1);
    }
    const auto [lower, upper] = Split(table, &arena_);
    const uint32_t bit = uint32_t{1} << (kTagBits - lower.depth());
    PEAT_CHECK(!lower.is_null() || !upper.is_null());
    Publish(shard, tag & ~bit, lower);
    Publish(shard, tag | bit, upper);
  }
  Add(&shard.insertions, 1);
  Retire(shard, table);
  shard.shrink_below.store(~uint64_t{0}, std::memory_order_relaxed);
  return true;
}

bool HashIndex::MayDoubleDirectory(const Shard& shard) const {
  const DirectoryRef directory(shard.directory.load());
  if (directory.depth() == kDepthMax) return false;
  return 2 * directory.table_count() <= kDirectorySlack * shard.table_count;
}

void HashIndex::ResizeDirectory(Shard& shard, uint32_t depth) {
  const DirectoryRef old(shard.directory.load(std::memory_order_relaxed));
  const uint64_t line_count = ((uint64_t{1} << depth) + 7) / 8;
  auto lines = std::make_unique<DirectoryLine[]>(line_count);
  other_memory_bytes_ += line_count * sizeof(DirectoryLine);
  // Owned by the shard from here on, as bits.
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks)
  const DirectoryRef directory(lines.release(), depth);
  for (uint64_t i = 0; !old.is_null() && i < directory.table_count(); ++i) {
    const uint64_t from = (i << old.depth()) >> depth;
    directory[i].store(old[from].load(std::memory_order_relaxed),
                       std::memory_order_relaxed);
  }
  shard.directory.store(directory.bits(), std::memory_order_release);
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks)
  if (old.is_null()) return;
  other_memory_bytes_ -= old.line_count() * sizeof(DirectoryLine);
  DirectoryLine* const old_lines = old.lines();
  index::Retire(epochs_, [old_lines] {
    (void)std::unique_ptr<DirectoryLine[]>(old_lines);
  });
}

void HashIndex::Publish(Shard& shard, uint32_t tag, TableRef table) {
  const DirectoryRef directory(shard.directory.load(std::memory_order_relaxed));
  PEAT_DCHECK(table.depth() <= directory.depth());
  const uint32_t copies_log2 = directory.depth() - table.depth();
  const uint64_t first = directory.NumberOf(tag) >> copies_log2 << copies_log2;
  for (uint64_t i = first; i < first + (uint64_t{1} << copies_log2); ++i) {
    directory[i].store(table.bits(), std::memory_order_release);
  }
  if (table.is_null()) return;
  Add(&shard.unit_count, table.unit_count());
  ++shard.table_count;
}

void HashIndex::Retire(Shard& shard, TableRef table) {
  if (table.is_null()) return;
  arena_.Retire(table.units(), table.unit_count());
  Add(&shard.unit_count, ~uint64_t{table.unit_count()} + 1);
  --shard.table_count;
}

bool HashIndex::IsSparse(const Shard& shard) {
  const uint64_t keys = shard.key_count.load(std::memory_order_relaxed);
  const uint64_t slots =
      kSlotsPerUnit * shard.unit_count.load(std::memory_order_relaxed);
  // Its narrowest table may be as good as empty.
  return keys + kSlotsPerUnit < slots * kSparsePercent / 100 &&
         keys < shard.shrink_below.load(std::memory_order_relaxed);
}

bool HashIndex::WantsShrink() const {
  return std::ranges::any_of(shards_, IsSparse);
}

void HashIndex::Shrink() {
  for (Shard& shard : shards_) {
    if (IsSparse(shard)) ShrinkShard(shard);
  }
  arena_.Release();
}

void HashIndex::ShrinkShard(Shard& shard) {
  for (bool has_changed = true; std::exchange(has_changed, false);) {
    for (uint64_t tag = 0; tag < uint64_t{1} << kTagBits;) {
      shard.Lock();
      const auto at = static_cast<uint32_t>(tag);
      has_changed |= ShrinkTable(shard, at);
      // Past the table that is there now.
      const uint32_t rest_bits = kTagBits - TableFor(shard, at).depth();
      tag = ((tag >> rest_bits) + 1) << rest_bits;
      shard.Unlock();
    }
  }
  shard.Lock();
  ShrinkDirectory(shard);
  // Again when a sixteenth of what is left has left.
  const uint64_t keys = shard.key_count.load(std::memory_order_relaxed);
  shard.shrink_below.store(keys - keys / 16, std::memory_order_relaxed);
  shard.Unlock();
}

bool HashIndex::ShrinkTable(Shard& shard, uint32_t tag) {
  PEAT_DCHECK(shard.is_locked);
  if (shard.directory.load(std::memory_order_relaxed) == 0) return false;
  const TableRef table = TableFor(shard, tag);
  const uint32_t depth = table.depth();
  const uint32_t bit = depth > 0 ? uint32_t{1} << (kTagBits - depth) : 0;
  const TableRef next = TableFor(shard, tag | bit);
  const bool is_lower = depth > 0 && (tag & bit) == 0;
  std::optional<TableRef> smaller;
  if (is_lower && next.depth() == depth) smaller = Join(table, next, &arena_);
  const bool is_joined = smaller.has_value();
  if (!is_joined) smaller = Narrow(table, &arena_);
  if (!smaller.has_value()) return false;
  Preserve(shard, tag);
  if (is_joined) Preserve(shard, tag | bit);
  Publish(shard, tag, *smaller);
  Add(&shard.insertions, 1);
  Retire(shard, table);
  if (is_joined) Retire(shard, next);
  return true;
}

void HashIndex::ShrinkDirectory(Shard& shard) {
  PEAT_DCHECK(shard.is_locked);
  for (;;) {
    const DirectoryRef directory(
        shard.directory.load(std::memory_order_relaxed));
    if (directory.is_null() || directory.depth() == 0) return;
    for (uint64_t i = 0; i < directory.table_count(); ++i) {
      const TableRef table =
          TableRef::FromBits(directory[i].load(std::memory_order_relaxed));
      if (table.depth() == directory.depth()) return;
    }
    ResizeDirectory(shard, directory.depth() - 1);
  }
}

}  // namespace peat::index
