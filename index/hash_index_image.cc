// HashIndex: saving it as it was at one moment, and loading its shards.
//
// Saving is copy on write, a table at a time: who changes a table that is not
// in the file yet hands it there first. One bit for each place in the
// directory of that moment says whether its table is taken. As long as it is
// not, the table is as it was: content, width and depth.

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "format/checksum.h"
#include "index/hash_index.h"

namespace peat::index {

bool HashIndex::BeginSave(SlotWriter* writer) {
  for (const Shard& shard : shards_) {
    PEAT_CHECK(!shard.is_pending.load(std::memory_order_relaxed));
    PEAT_CHECK(shard.save == nullptr);
    if (shard.side_list.load(std::memory_order_relaxed) != nullptr) {
      return false;
    }
  }
  slot_writer_ = writer;
  {
    const MutexLock lock(&save_mutex_);
    PEAT_CHECK(helper_count_ == 0);
    helped_writer_ = writer;
  }
  for (Shard& shard : shards_) {
    const DirectoryRef directory(
        shard.directory.load(std::memory_order_relaxed));
    shard.save = std::make_unique<ShardSave>(
        directory.is_null() ? 0 : directory.depth(),
        shard.key_count.load(std::memory_order_relaxed));
  }
  return true;
}

void HashIndex::SaveTable(Shard& shard, uint32_t tag) {
  PEAT_DCHECK(shard.is_locked);
  ShardSave& save = *shard.save;
  if (save.IsTaken(tag)) return;
  const TableRef table = TableFor(shard, tag);
  ImageTable entry = {.tag = save.Take(tag, table.depth()),
                      .width = table.is_null() ? 0 : table.width(),
                      .depth = table.depth()};
  if (entry.width != 0) {
    const format::ByteView slots(table.units(), SlotBytes(table.width()));
    entry.offset = slot_writer_->Append(slots);
    if (slot_writer_->IsBehind()) [[unlikely]] {
      is_save_behind_.store(true, std::memory_order_relaxed);
    }
    entry.checksum = format::Checksum64(slots);
  }
  save.tables.push_back(entry);
}

HashIndex::SavedShard HashIndex::SaveShard(int shard) {
  Shard& it = shards_[static_cast<size_t>(shard)];
  PEAT_CHECK(it.save != nullptr);
  ShardSave& save = *it.save;
  const auto step = uint64_t{1} << (kTagBits - save.depth);
  for (uint64_t tag = 0; tag < uint64_t{1} << kTagBits; tag += step) {
    it.Lock();
    SaveTable(it, static_cast<uint32_t>(tag));
    it.Unlock();
    slot_writer_->WriteOut();
  }
  // All are taken, so nobody adds to these.
  return {.image = EncodeImage(std::move(save.tables)),
          .key_count = save.key_count};
}

void HashIndex::EndSave() {
  for (Shard& shard : shards_) {
    shard.Lock();
    const std::unique_ptr<ShardSave> save = std::move(shard.save);
    shard.Unlock();
  }
  slot_writer_ = nullptr;
  const MutexLock lock(&save_mutex_);
  helped_writer_ = nullptr;
  is_save_behind_.store(false, std::memory_order_relaxed);
  while (helper_count_ > 0) helpers_left_.Wait(&save_mutex_);
}

void HashIndex::HelpSave() {
  SlotWriter* writer = nullptr;
  {
    const MutexLock lock(&save_mutex_);
    writer = helped_writer_;
    if (writer == nullptr) return;
    ++helper_count_;
  }
  writer->WriteSome();
  const MutexLock lock(&save_mutex_);
  PEAT_CHECK(helper_count_ > 0);
  is_save_behind_.store(helped_writer_ != nullptr && writer->IsBehind(),
                        std::memory_order_relaxed);
  if (--helper_count_ == 0) helpers_left_.SignalAll();
}

void HashIndex::LoadShard(int shard, const std::vector<ImageTable>& tables,
                          ReadImage read,
                          absl::FunctionRef<bool(Location)> keep) {
  Shard& it = shards_[static_cast<size_t>(shard)];
  PEAT_CHECK(it.directory.load(std::memory_order_relaxed) == 0);
  std::vector<TableRef> made;
  made.reserve(tables.size());
  uint64_t key_count = 0;
  for (const ImageTable& from : tables) {
    TableRef& table = made.emplace_back(TableRef::None(from.depth));
    if (from.width == 0) continue;
    if (arena_.WantsProvision()) arena_.Provision();
    table = MakeTable(&arena_, from.width, from.depth);
    const std::span<std::byte> slots(table.units(), SlotBytes(from.width));
    if (!read(from.offset, slots) || !HasChecksum(from, slots)) {
      return LoseShard(it, made);
    }
    key_count += Retain(table, keep);
  }
  // Not for others to see before it is complete.
  Shard loaded;
  ResizeDirectory(loaded, DepthOf(tables));
  for (size_t i = 0; i < tables.size(); ++i) {
    Publish(loaded, tables[i].tag, made[i]);
  }
  it.table_count = loaded.table_count;
  it.unit_count.store(loaded.unit_count.load());
  it.key_count.store(key_count, std::memory_order_relaxed);
  it.directory.store(loaded.directory.load(), std::memory_order_release);
  // No insertion: whoever looked before has been waiting for this, so nobody
  // has missed a key yet.
  it.is_pending.store(false, std::memory_order_release);
}

void HashIndex::LoseShard(Shard& shard, std::span<const TableRef> made) {
  for (const TableRef table : made) {
    if (!table.is_null()) arena_.Free(table.units(), table.unit_count());
  }
  shard.key_count.store(0, std::memory_order_relaxed);
  shard.unit_count.store(0, std::memory_order_relaxed);
  shard.is_lost.store(true, std::memory_order_relaxed);
  shard.is_pending.store(false, std::memory_order_release);
}

bool HashIndex::HasLost() const {
  return std::ranges::any_of(shards_, [](const Shard& shard) {
    return shard.is_lost.load(std::memory_order_relaxed);
  });
}

uint64_t HashIndex::Retain(TableRef table,
                           absl::FunctionRef<bool(Location)> keep) {
  uint64_t key_count = 0;
  for (uint32_t i = 0; i < kBucketCount * table.width(); ++i) {
    Slot* const place = table.bucket(0) + i;
    const uint64_t slot = place->load(std::memory_order_relaxed);
    if (IsFree(slot)) continue;
    if (keep(LocationOf(slot))) {
      ++key_count;
    } else {
      ClearSlot(place);
    }
  }
  return key_count;
}

void HashIndex::LoadLater(std::function<void(int)> load,
                          std::span<const PendingShard, kShardCount> shards) {
  load_ = std::move(load);
  for (size_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    shard.key_count.store(shards[i].key_count, std::memory_order_relaxed);
    shard.unit_count.store(shards[i].bytes / Arena::kUnitSize,
                           std::memory_order_relaxed);
    shard.is_pending.store(true, std::memory_order_release);
  }
}

void HashIndex::LoadPending(const Shard& shard) const {
  const MutexLock lock(&shard.pending_mutex);
  if (!shard.is_pending.load(std::memory_order_relaxed)) return;
  const auto number = static_cast<size_t>(&shard - shards_.data());
  load_(static_cast<int>(number));
  PEAT_CHECK(!shard.is_pending.load(std::memory_order_relaxed));
}

}  // namespace peat::index
