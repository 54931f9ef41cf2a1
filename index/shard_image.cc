#include "index/shard_image.h"

#include <algorithm>
#include <bit>

#include "format/check.h"
#include "format/checksum.h"

namespace peat::index {

static_assert(std::endian::native == std::endian::little);

namespace {

constexpr size_t kTableCountOffset = 0;
constexpr size_t kZeroOffset = 4;
constexpr size_t kTablesOffset = 8;
constexpr size_t kEntrySize = 16;
constexpr size_t kEntryPlaceOffset = 8;
constexpr size_t kEntryWidthOffset = 12;
constexpr size_t kEntryDepthOffset = 13;
constexpr size_t kEntryZeroOffset = 14;
// Tables of keys with a good hash are within few bits of each other in depth.
constexpr uint64_t kDirectoryPerTableMax = 1 << 12;

}  // namespace

uint64_t SlotBytes(const std::vector<ImageTable>& tables) {
  uint64_t bytes = 0;
  for (const ImageTable& table : tables) bytes += SlotBytes(table.width);
  return bytes;
}

std::string EncodeImage(std::vector<ImageTable> tables) {
  std::sort(
      tables.begin(), tables.end(),
      [](const ImageTable& a, const ImageTable& b) { return a.tag < b.tag; });
  std::string image(kTablesOffset + kEntrySize * tables.size(), '\0');
  auto* to = reinterpret_cast<std::byte*>(image.data());
  format::Store<uint32_t>(to + kTableCountOffset,
                          static_cast<uint32_t>(tables.size()));
  to += kTablesOffset;
  for (const ImageTable& table : tables) {
    PEAT_CHECK(table.offset % kTableAlignment == 0);
    format::Store<uint64_t>(to, table.checksum);
    format::Store<uint32_t>(
        to + kEntryPlaceOffset,
        static_cast<uint32_t>(table.offset / kTableAlignment));
    format::Store<uint8_t>(to + kEntryWidthOffset,
                           static_cast<uint8_t>(table.width / 2));
    format::Store<uint8_t>(to + kEntryDepthOffset,
                           static_cast<uint8_t>(table.depth));
    to += kEntrySize;
  }
  return image;
}

std::optional<std::vector<ImageTable>> ParseImage(format::ByteView image,
                                                  uint64_t file_size) {
  if (image.size() < kTablesOffset) return std::nullopt;
  const auto count = format::Load<uint32_t>(image, kTableCountOffset);
  if (image.size() - kTablesOffset != kEntrySize * uint64_t{count}) {
    return std::nullopt;
  }
  if (format::Load<uint32_t>(image, kZeroOffset) != 0) return std::nullopt;
  std::vector<ImageTable> tables(count);
  uint64_t tag = 0;
  size_t at = kTablesOffset;
  for (ImageTable& table : tables) {
    table.tag = static_cast<uint32_t>(tag);
    table.checksum = format::Load<uint64_t>(image, at);
    table.offset = kTableAlignment * uint64_t{format::Load<uint32_t>(
                                         image, at + kEntryPlaceOffset)};
    table.width =
        2 * uint32_t{format::Load<uint8_t>(image, at + kEntryWidthOffset)};
    table.depth = format::Load<uint8_t>(image, at + kEntryDepthOffset);
    if (format::Load<uint16_t>(image, at + kEntryZeroOffset) != 0) {
      return std::nullopt;
    }
    at += kEntrySize;
    if (table.width > kWidthMax || table.depth > kTagBits) return std::nullopt;
    const uint64_t bytes = SlotBytes(table.width);
    if (bytes > file_size || table.offset > file_size - bytes) {
      return std::nullopt;
    }
    const uint64_t tags = uint64_t{1} << (kTagBits - table.depth);
    if (tag % tags != 0 || tag + tags > uint64_t{1} << kTagBits) {
      return std::nullopt;
    }
    tag += tags;
  }
  if (tag != uint64_t{1} << kTagBits) return std::nullopt;
  if (uint64_t{1} << DepthOf(tables) > kDirectoryPerTableMax * count) {
    return std::nullopt;
  }
  return tables;
}

bool HasChecksum(const ImageTable& table, format::ByteView slots) {
  PEAT_CHECK(slots.size() == SlotBytes(table.width));
  return format::Checksum64(slots) == table.checksum;
}

bool IsWhole(const std::vector<ImageTable>& tables, ReadImage read) {
  std::vector<std::byte> copy(SlotBytes(kWidthMax));
  return std::ranges::all_of(tables, [&](const ImageTable& table) {
    if (table.width == 0) return true;
    const std::span<std::byte> slots =
        std::span(copy).first(SlotBytes(table.width));
    return read(table.offset, slots) && HasChecksum(table, slots);
  });
}

uint32_t DepthOf(const std::vector<ImageTable>& tables) {
  uint32_t depth = 0;
  for (const ImageTable& table : tables) depth = std::max(depth, table.depth);
  return depth;
}

uint32_t ShardSave::Take(uint32_t tag, uint32_t table_depth) {
  PEAT_CHECK(table_depth <= depth);
  const uint32_t copies_log2 = depth - table_depth;
  const uint32_t first = NumberOf(tag) >> copies_log2 << copies_log2;
  const uint32_t end = first + (uint32_t{1} << copies_log2);
  for (uint32_t i = first; i < end; ++i) {
    PEAT_CHECK(!is_taken[i]);
    is_taken[i] = true;
  }
  return first << (kTagBits - depth);
}

}  // namespace peat::index
