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

}  // namespace

void HashIndex::BeginSave() {
  for (Shard& shard : shards_) shard.saved_below = 0;
}

bool HashIndex::SaveShard(int number, std::string* image) {
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
    if (!is_simple) return false;
  }
  const size_t begin = image->size();
  image->resize(begin + HeadSize(tables.size()), '\0');
  auto* const head = reinterpret_cast<std::byte*>(image->data() + begin);
  format::Store<uint32_t>(head + kTableCountOffset,
                          static_cast<uint32_t>(tables.size()));
  std::memcpy(head + kTablesOffset, tables.data(),
              kTableEntrySize * tables.size());
  image->append(slots);
  return true;
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

bool HashIndex::LoadShard(int number, format::ByteView image,
                          absl::FunctionRef<bool(Location)> keep) {
  Shard& shard = shards_[static_cast<size_t>(number)];
  PEAT_CHECK(shard.directory.load(std::memory_order_relaxed) == 0);
  const auto tables = ParseImage(image);
  if (!tables.has_value()) return false;
  uint32_t depth = 0;
  for (const ImageTable& table : *tables) depth = std::max(depth, table.depth);
  if (uint64_t{1} << depth > kImageSlack * tables->size()) return false;
  ResizeDirectory(shard, depth);
  for (const ImageTable& from : *tables) {
    if (from.width == 0) {
      Publish(shard, from.tag, TableRef::None(from.depth));
      continue;
    }
    if (arena_.WantsProvision()) arena_.Provision();
    const TableRef table = MakeTable(&arena_, from.width, from.depth);
    std::memcpy(table.units(), image.data() + from.offset,
                TableBytes(from.width));
    uint64_t key_count = 0;
    for (uint32_t i = 0; i < kBucketCount * from.width; ++i) {
      Slot* const place = table.bucket(0) + i;
      const uint64_t slot = place->load(std::memory_order_relaxed);
      if (IsFree(slot)) continue;
      if (keep(LocationOf(slot))) {
        ++key_count;
      } else {
        ClearSlot(place);
      }
    }
    Publish(shard, from.tag, table);
    shard.key_count.fetch_add(key_count, std::memory_order_relaxed);
  }
  shard.insertions.fetch_add(1, std::memory_order_release);
  return true;
}

void HashIndex::Clear(int number) {
  Shard& shard = shards_[static_cast<size_t>(number)];
  const DirectoryRef directory(shard.directory.load(std::memory_order_relaxed));
  if (directory.is_null()) return;
  for (uint64_t i = 0; i < directory.table_count();) {
    const TableRef table =
        TableRef::FromBits(directory[i].load(std::memory_order_relaxed));
    i += uint64_t{1} << (directory.depth() - table.depth());
    Retire(shard, table);
  }
  shard.directory.store(0, std::memory_order_release);
  shard.key_count.store(0, std::memory_order_relaxed);
  other_memory_bytes_ -= directory.line_count() * sizeof(DirectoryLine);
  DirectoryLine* const lines = directory.lines();
  index::Retire([lines] { (void)std::unique_ptr<DirectoryLine[]>(lines); });
}

}  // namespace peat::index
