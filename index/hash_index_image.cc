// Shards of the index as bytes. An image is
//
//   offset  size  field
//   0       4     table_count
//   4       4     zero
//   8       2*n   tables: half the width (0: no table), and the depth << 8
//   ...           zeros, to a multiple of 64
//   ...           the slots of each table, as they are in memory
//
// The tables are in order of their tags, and together cover all tags.

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "index/hash_index.h"

namespace peat::index {

static_assert(std::endian::native == std::endian::little);

namespace {

constexpr size_t kTableCountOffset = 0;
constexpr size_t kTablesOffset = 8;
constexpr size_t kTableEntrySize = 2;
constexpr uint64_t kImageAlignment = 64;
// Tables of keys with a good hash are within few bits of each other in depth.
constexpr uint64_t kImageSlack = 1 << 12;

constexpr uint64_t TableBytes(uint32_t width) {
  return uint64_t{width} * kBucketCount * sizeof(Slot);
}

constexpr uint64_t HeadSize(uint64_t table_count) {
  return format::RoundUp<uint64_t>(
      kTablesOffset + kTableEntrySize * table_count, kImageAlignment);
}

uint64_t CountKeys(format::ByteView slots) {
  uint64_t count = 0;
  for (size_t at = 0; at < slots.size(); at += sizeof(Slot)) {
    count += IsFree(format::Load<uint64_t>(slots, at)) ? 0U : 1U;
  }
  return count;
}

}  // namespace

void HashIndex::BeginSave() {
  for (Shard& shard : shards_) shard.saved_below = 0;
}

std::optional<uint64_t> HashIndex::SaveShard(int number, std::string* image) {
  EnsureLoaded(number);
  const MutexLock layout_lock(&layout_mutex_);
  Shard& shard = shards_[static_cast<size_t>(number)];
  std::vector<uint16_t> tables;
  std::string slots;
  slots.reserve(shard.unit_count.load(std::memory_order_relaxed) *
                Arena::kUnitSize * 9 / 8);
  for (uint64_t tag = 0; tag < uint64_t{1} << kTagBits;) {
    shard.Lock();
    const TableRef table = TableFor(shard, static_cast<uint32_t>(tag));
    const bool is_simple =
        shard.side_list.load(std::memory_order_relaxed) == nullptr;
    tables.push_back(static_cast<uint16_t>(
        (table.is_null() ? 0 : table.width() / 2) | table.depth() << 8));
    if (!table.is_null()) {
      slots.append(reinterpret_cast<const char*>(table.units()),
                   TableBytes(table.width()));
    }
    tag += uint64_t{1} << (kTagBits - table.depth());
    shard.saved_below = static_cast<uint32_t>(tag);
    shard.Unlock();
    if (!is_simple) return std::nullopt;
  }
  const size_t begin = image->size();
  image->resize(begin + HeadSize(tables.size()), '\0');
  auto* const head = reinterpret_cast<std::byte*>(image->data() + begin);
  format::Store<uint32_t>(head + kTableCountOffset,
                          static_cast<uint32_t>(tables.size()));
  std::memcpy(head + kTablesOffset, tables.data(),
              kTableEntrySize * tables.size());
  image->append(slots);
  return CountKeys(format::AsBytes(slots));
}

std::optional<std::vector<HashIndex::ImageTable>> HashIndex::ParseImage(
    format::ByteView image) {
  if (image.size() < HeadSize(0)) return std::nullopt;
  const auto count = format::Load<uint32_t>(image, kTableCountOffset);
  if (count > uint64_t{1} << kTagBits || image.size() < HeadSize(count)) {
    return std::nullopt;
  }
  std::vector<ImageTable> tables(count);
  uint64_t tag = 0;
  uint64_t offset = HeadSize(count);
  for (size_t i = 0; i < count; ++i) {
    const auto entry =
        format::Load<uint16_t>(image, kTablesOffset + kTableEntrySize * i);
    ImageTable& table = tables[i];
    table.tag = static_cast<uint32_t>(tag);
    table.width = 2 * uint32_t{static_cast<uint8_t>(entry)};
    table.depth = entry >> 8;
    table.offset = offset;
    if (table.width > kWidthMax || table.depth > kDepthMax) return std::nullopt;
    const uint64_t tags = uint64_t{1} << (kTagBits - table.depth);
    if (tag % tags != 0 || tag + tags > uint64_t{1} << kTagBits) {
      return std::nullopt;
    }
    tag += tags;
    offset += TableBytes(table.width);
  }
  if (tag != uint64_t{1} << kTagBits || offset != image.size()) {
    return std::nullopt;
  }
  return tables;
}

// The depth of their directory; nothing if it would be far too large.
std::optional<uint32_t> HashIndex::DepthOf(
    const std::vector<ImageTable>& tables) {
  uint32_t depth = 0;
  for (const ImageTable& table : tables) depth = std::max(depth, table.depth);
  if (uint64_t{1} << depth > kImageSlack * tables.size()) return std::nullopt;
  return depth;
}

bool HashIndex::IsImage(format::ByteView image) {
  const auto tables = ParseImage(image);
  return tables.has_value() && DepthOf(*tables).has_value();
}

bool HashIndex::LoadShard(int number, format::ByteView image,
                          absl::FunctionRef<bool(Location)> keep) {
  Shard& shard = shards_[static_cast<size_t>(number)];
  PEAT_CHECK(shard.directory.load(std::memory_order_relaxed) == 0);
  const auto tables = ParseImage(image);
  if (!tables.has_value()) return false;
  const std::optional<uint32_t> depth = DepthOf(*tables);
  if (!depth.has_value()) return false;
  // Not for others to see before it is complete.
  Shard loaded;
  ResizeDirectory(loaded, *depth);
  uint64_t key_count = 0;
  for (const ImageTable& from : *tables) {
    TableRef table = TableRef::None(from.depth);
    if (from.width != 0) {
      if (arena_.WantsProvision()) arena_.Provision();
      table = MakeTable(&arena_, from.width, from.depth);
      std::memcpy(table.units(), image.data() + from.offset,
                  TableBytes(from.width));
      key_count += Retain(table, keep);
    }
    Publish(loaded, from.tag, table);
  }
  shard.table_count = loaded.table_count;
  shard.unit_count.store(loaded.unit_count.load());
  shard.key_count.store(key_count, std::memory_order_relaxed);
  shard.directory.store(loaded.directory.load(), std::memory_order_release);
  // No insertion: whoever looked before has been waiting for this, so nobody
  // has missed a key yet.
  shard.is_pending.store(false, std::memory_order_release);
  return true;
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
                          std::span<const uint64_t, kShardCount> key_counts) {
  load_ = std::move(load);
  for (size_t i = 0; i < shards_.size(); ++i) {
    shards_[i].key_count.store(key_counts[i], std::memory_order_relaxed);
    shards_[i].is_pending.store(true, std::memory_order_release);
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
