// Shards of the index in a file: the tables as they are in memory, in any order
// and place, and for each shard an image, which says where. An image is
//
//   offset  size  field
//   0       4     table_count
//   4       4     zero
//   8       16*n  tables, in order of their tags; together they cover all:
//                 0   8   checksum of its slots; 0 where there are none
//                 8   4   where they begin in the file, in units of 64 bytes
//                 12  1   half the width; 0: no slots
//                 13  1   depth
//                 14  2   zero
//
// The slots of a table of width w take 512 w bytes.
//
// Pure functions, safe from any thread; the rest is externally synchronised.

#ifndef PEAT_INDEX_SHARD_IMAGE_H_
#define PEAT_INDEX_SHARD_IMAGE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "format/bytes.h"
#include "index/bucket_table.h"

namespace peat::index {

struct ImageTable {
  uint32_t tag = 0;    // the first that is in it
  uint32_t width = 0;  // 0: no slots
  uint32_t depth = 0;
  uint64_t offset = 0;  // of its slots in the file
  uint64_t checksum = 0;
};

inline constexpr uint64_t kTableAlignment = 64;

constexpr uint64_t SlotBytes(uint32_t width) {
  return uint64_t{width} * kBucketCount * sizeof(Slot);
}

// Of all of them.
uint64_t SlotBytes(const std::vector<ImageTable>& tables);

// In any order; the offsets are multiples of kTableAlignment.
std::string EncodeImage(std::vector<ImageTable> tables);

// Nothing when `image` is malformed, or names what is not in a file of
// `file_size` bytes.
std::optional<std::vector<ImageTable>> ParseImage(format::ByteView image,
                                                  uint64_t file_size);

// Fills `to` with what lies in the image's file from `offset` on; false if it
// cannot. A file may change between two calls, so nothing that was read is
// believed before the copy itself has been verified.
using ReadImage =
    absl::FunctionRef<bool(uint64_t offset, std::span<std::byte> to)>;

// Whether `slots`, a copy of the table's, have its checksum.
bool HasChecksum(const ImageTable& table, format::ByteView slots);

// Whether the slots of all tables have their checksums. `read` reads the file
// that the image was parsed for.
bool IsWhole(const std::vector<ImageTable>& tables, ReadImage read);

// The depth of their directory.
uint32_t DepthOf(const std::vector<ImageTable>& tables);

// Takes tables to a file, one behind the other. Any thread.
class SlotWriter {
 public:
  virtual ~SlotWriter() = default;

  // Copies a table's slots, and returns where in the file they will lie. Called
  // with a shard's lock, so it is to be short, and makes no system call.
  virtual uint64_t Append(format::ByteView slots) = 0;
  // Writes what has gathered. Called without, so it may take its time.
  virtual void WriteOut() = 0;
  // Whether more has gathered than should be in memory, and writes a part of
  // it. Called without a lock, too, by those who have appended it.
  virtual bool IsBehind() const { return false; }
  virtual void WriteSome() {}
};

// A shard that is being saved as it was when that began.
struct ShardSave {
  ShardSave(uint32_t directory_depth, uint64_t keys)
      : depth(directory_depth),
        key_count(keys),
        is_taken(uint64_t{1} << directory_depth, false) {}

  uint32_t NumberOf(uint32_t tag) const { return tag >> (kTagBits - depth); }
  // Whether the table of `tag` is in the file already, or on its way.
  bool IsTaken(uint32_t tag) const { return is_taken[NumberOf(tag)]; }
  // The table that has `tag`, and all that share it, are taken. Returns the
  // first tag.
  uint32_t Take(uint32_t tag, uint32_t table_depth);

  const uint32_t depth;  // of its directory then
  const uint64_t key_count;
  std::vector<bool> is_taken;  // by the number in the directory
  std::vector<ImageTable> tables;
};

}  // namespace peat::index

#endif  // PEAT_INDEX_SHARD_IMAGE_H_
