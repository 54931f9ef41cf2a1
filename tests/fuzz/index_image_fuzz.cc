// Fuzzes index images: the head, the images of the shards, their tables.
//
// The first byte of the input is a switch: if odd, the checksums are repaired
// where head and images say that they are, so that mutations get past them. The
// rest is the file. Promised: no crash; a head or an image that decodes encodes
// again to the same bytes; a shard takes whatever tables have their checksums,
// lists what was kept of them, and loses none of it, and no key that is added,
// when it grows.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "format/check.h"
#include "format/checksum.h"
#include "format/index_image.h"
#include "index/epoch.h"
#include "index/hash_index.h"
#include "index/shard_image.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/image_bytes.h"
#include "tests/support/reseal.h"

namespace peat::index {
namespace {

using format::AsBytes;
using format::AsString;
using format::ByteView;
using format::Checksum64;

// Enough for tables to widen, few enough to be quick.
constexpr uint64_t kAddedCount = 100;

bool IsWithin(uint64_t offset, uint64_t size, ByteView file) {
  return offset <= file.size() && size <= file.size() - offset;
}

// Hashes whose shard is `shard`, nearly all of different tags.
std::vector<uint64_t> HashesOf(int shard) {
  uint64_t prefix = 0;
  while (HashIndex::ShardOf(prefix << 48) != shard) ++prefix;
  std::vector<uint64_t> hashes;
  hashes.reserve(kAddedCount);
  for (uint64_t i = 1; i <= kAddedCount; ++i) {
    hashes.push_back((prefix << 48) |
                     ((i * 0x9e3779b97f4a7c15u) & ((uint64_t{1} << 48) - 1)));
  }
  return hashes;
}

std::vector<uint64_t> Listed(HashIndex& index, int shard) {
  std::vector<Location> locations;
  {
    const EpochGuard guard;
    index.ListShard(shard, &locations);
  }
  std::vector<uint64_t> bits;
  bits.reserve(locations.size());
  for (const Location location : locations) bits.push_back(location.bits());
  std::sort(bits.begin(), bits.end());
  return bits;
}

void CheckShard(int shard, const std::vector<ImageTable>& tables,
                ByteView file) {
  HashIndex index;
  index.LoadShard(shard, tables, testing::ReadsFrom(file),
                  [](Location location) {
                    return location.offset() >= format::kSegmentHeaderSize;
                  });
  std::vector<uint64_t> expected = Listed(index, shard);
  PEAT_CHECK(expected.size() == index.size());
  const std::vector<uint64_t> hashes = HashesOf(shard);
  for (const uint64_t hash : hashes) {
    const EpochGuard guard;
    const HashIndex::ShardLock lock(index, shard);
    // No candidate of the file's is this key.
    const HashIndex::Position position =
        index.Locate(hash, [](Location) { return Verdict::kOther; });
    const Location added(1, format::kSegmentHeaderSize + 8 * (hash % 4096));
    index.Set(hash, position, added);
    expected.push_back(added.bits());
  }
  std::sort(expected.begin(), expected.end());
  PEAT_CHECK(Listed(index, shard) == expected);
  for (const uint64_t hash : hashes) {
    const EpochGuard guard;
    const Location added(1, format::kSegmentHeaderSize + 8 * (hash % 4096));
    PEAT_CHECK(index.Find(hash, [added](Location location) {
      return location.bits() == added.bits() ? Verdict::kMatch
                                             : Verdict::kOther;
    }) == Verdict::kMatch);
  }
}

void CheckBytes(ByteView file) {
  const absl::StatusOr<uint64_t> size = format::DecodeSnapshotHeadSize(file);
  if (!size.ok() || *size > file.size()) return;
  const ByteView head = file.first(*size);
  const auto snapshot = format::DecodeSnapshotHead(head);
  if (!snapshot.ok()) return;
  PEAT_CHECK(format::EncodeSnapshotHead(*snapshot) == AsString(head));
  for (size_t i = 0; i < snapshot->images.size(); ++i) {
    const format::SnapshotImage& image = snapshot->images[i];
    if (!IsWithin(image.offset, image.size, file)) continue;
    const ByteView bytes = file.subspan(image.offset, image.size);
    if (Checksum64(bytes) != image.checksum) continue;
    const auto tables = ParseImage(bytes, file.size());
    if (!tables.has_value()) continue;
    PEAT_CHECK(EncodeImage(*tables) == AsString(bytes));
    // Many rows may name one image: what differs is of interest.
    if (i > 0 && image == snapshot->images[i - 1]) continue;
    if (IsWhole(*tables, testing::ReadsFrom(file)))
      CheckShard(static_cast<int>(i), *tables, file);
  }
}

}  // namespace
}  // namespace peat::index

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1) != 0) peat::testing::ResealImage(&bytes);
  peat::index::CheckBytes(peat::format::AsBytes(bytes));
  return 0;
}
