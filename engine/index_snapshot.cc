#include "engine/index_snapshot.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <string_view>
#include <utility>

#include "engine/fs/mapping.h"
#include "engine/log_tail.h"
#include "engine/worker.h"
#include "format/check.h"
#include "format/checksum.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::ByteView;
using format::FileKind;
using format::FileName;
using format::IndexSnapshot;
using format::Location;
using format::Manifest;
using format::ManifestSegment;
using format::SegmentId;
using format::SegmentState;
using format::SnapshotImage;
using format::SnapshotSegment;
using index::HashIndex;

static_assert(format::kSnapshotShardCount == HashIndex::kShardCount);

// Images begin where pages do.
constexpr uint64_t kImageAlignment = 4096;

// What the key hash gives for each key of one byte, as one number.
uint64_t HashCheck(const index::KeyHasher& hasher) {
  std::array<std::byte, 256 * sizeof(uint64_t)> hashes = {};
  for (size_t i = 0; i < 256; ++i) {
    const auto key = static_cast<char>(i);
    format::Store<uint64_t>(hashes.data() + i * sizeof(uint64_t),
                            hasher(std::string_view(&key, 1)));
  }
  return format::Checksum64(hashes);
}

const ManifestSegment* FindEntry(const Manifest& manifest, SegmentId id) {
  const auto at =
      std::lower_bound(manifest.segments.begin(), manifest.segments.end(), id,
                       [](const ManifestSegment& entry, SegmentId wanted) {
                         return entry.id < wanted;
                       });
  return at != manifest.segments.end() && at->id == id ? &*at : nullptr;
}

// Whether the segment begins with what the snapshot saw of it.
bool Continues(const ManifestSegment& entry, uint64_t salt, uint64_t end,
               format::Lsn last_lsn) {
  return entry.salt == salt && entry.state == SegmentState::kSealed &&
         entry.end >= end && (entry.end > end || entry.last_lsn == last_lsn);
}

bool Fits(const IndexSnapshot& snapshot, const Manifest& manifest,
          const index::KeyHasher& hasher) {
  if (snapshot.store_id != manifest.store_id ||
      snapshot.hash_check != HashCheck(hasher)) {
    return false;
  }
  const ManifestSegment* const log = FindEntry(manifest, snapshot.log_segment);
  if (log == nullptr || log->kind != format::SegmentKind::kLog ||
      !Continues(*log, snapshot.log_salt, snapshot.log_end,
                 snapshot.last_lsn)) {
    return false;
  }
  return std::all_of(
      snapshot.segments.begin(), snapshot.segments.end(),
      [&manifest](const SnapshotSegment& segment) {
        const ManifestSegment* const entry = FindEntry(manifest, segment.id);
        if (entry == nullptr) return true;  // compacted since
        return Continues(*entry, segment.salt, segment.end, segment.last_lsn) &&
               (entry->end > segment.end ||
                entry->last_checksum == segment.last_checksum);
      });
}

absl::StatusOr<std::vector<std::byte>> Read(const File& file, uint64_t offset,
                                            uint64_t size) {
  std::vector<std::byte> bytes(size);
  PEAT_ASSIGN_OR_RETURN(const size_t got, file.ReadAt(offset, bytes));
  if (got < size) return absl::DataLossError("index snapshot: cut short");
  return bytes;
}

absl::StatusOr<FoundSnapshot> ReadHead(const Directory& directory,
                                       const std::string& name) {
  FoundSnapshot found;
  found.name = name;
  PEAT_ASSIGN_OR_RETURN(found.file, directory.Open(name, OpenMode::kRead));
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::byte> prefix,
                        Read(*found.file, 0, format::kSnapshotPrefixSize));
  PEAT_ASSIGN_OR_RETURN(const uint64_t size,
                        format::DecodeSnapshotHeadSize(prefix));
  PEAT_ASSIGN_OR_RETURN(const std::vector<std::byte> head,
                        Read(*found.file, 0, size));
  PEAT_ASSIGN_OR_RETURN(found.head, format::DecodeSnapshotHead(head));
  return found;
}

// The names of all snapshots, the newest first.
std::vector<std::pair<SegmentId, std::string>> ListSnapshots(
    const Directory& directory) {
  std::vector<std::pair<SegmentId, std::string>> names;
  const absl::StatusOr<std::vector<std::string>> all = directory.List();
  if (!all.ok()) return names;
  for (const std::string& name : *all) {
    const std::optional<FileName> parsed = format::ParseFileName(name);
    if (parsed.has_value() && parsed->kind == FileKind::kSnapshot) {
      names.emplace_back(parsed->id, name);
    }
  }
  std::sort(names.rbegin(), names.rend());
  return names;
}

SnapshotSegment DescribeSegment(const ManifestSegment& entry,
                                Segment* segment) {
  return {.id = entry.id,
          .salt = entry.salt,
          .end = entry.end,
          .last_lsn = entry.last_lsn,
          .last_checksum = entry.last_checksum,
          .number = segment->number(),
          .live_bytes = NotNegative(segment->live_bytes()),
          .tombstone_bytes = NotNegative(segment->tombstone_bytes()),
          .value_bytes = NotNegative(segment->value_bytes()),
          .live_value_bytes = NotNegative(segment->live_value_bytes()),
          .disabled = segment->mask_counts().disabled(),
          .forgotten = segment->mask_counts().forgotten(),
          .values = segment->value_files()};
}

// Writes the images, one after the other, and notes where they lie.
absl::Status WriteImages(File& file, HashIndex* index, IndexSnapshot* head) {
  uint64_t offset = format::SnapshotHeadSize(*head);
  std::string image;
  index->BeginSave();
  for (int shard = 0; shard < HashIndex::kShardCount; ++shard) {
    image.clear();
    const std::optional<uint64_t> key_count = index->SaveShard(shard, &image);
    if (!key_count.has_value()) {
      return absl::UnimplementedError("many keys share one hash");
    }
    offset = format::RoundUp(offset, kImageAlignment);
    PEAT_RETURN_IF_ERROR(file.WriteAt(offset, format::AsBytes(image)));
    head->images[static_cast<size_t>(shard)] = {
        .offset = offset,
        .size = image.size(),
        .checksum = format::Checksum64(format::AsBytes(image)),
        .key_count = *key_count};
    offset += image.size();
  }
  return absl::OkStatus();
}

// The images of a snapshot, in memory as far as they are looked at.
struct Images {
  // False when one is damaged.
  bool Map(const FoundSnapshot& snapshot, int thread_count) {
    all = snapshot.head.images;
    const absl::StatusOr<uint64_t> size = snapshot.file->Size();
    if (!size.ok()) return false;
    for (const SnapshotImage& image : all) {
      if (image.offset > *size || image.size > *size - image.offset) {
        return false;
      }
    }
    auto mapped = snapshot.file->Map(*size, MapMode::kRead);
    if (!mapped.ok()) return false;
    mapping = *std::move(mapped);
    mapping->WillNeed(0, *size);
    std::atomic<size_t> next = 0;
    std::atomic<bool> is_sound = true;
    RunInParallel(thread_count, [&](int) {
      for (size_t i = next++; i < all.size() && is_sound; i = next++) {
        if (format::Checksum64(BytesOf(i)) != all[i].checksum ||
            !HashIndex::IsImage(BytesOf(i))) {
          is_sound = false;
        }
      }
    });
    return is_sound;
  }

  ByteView BytesOf(size_t shard) const {
    return {mapping->data() + all[shard].offset, all[shard].size};
  }

  std::array<SnapshotImage, format::kSnapshotShardCount> all = {};
  std::unique_ptr<Mapping> mapping;
  std::atomic<int> left = HashIndex::kShardCount;  // to be loaded
  // Where the records of each segment number end; 0: it has no segment any
  // more.
  std::vector<uint64_t> ends;
};

}  // namespace

std::optional<FoundSnapshot> FindIndexSnapshot(const Directory& directory,
                                               const Manifest& manifest,
                                               const index::KeyHasher& hasher) {
  for (const auto& [id, name] : ListSnapshots(directory)) {
    absl::StatusOr<FoundSnapshot> found = ReadHead(directory, name);
    if (found.ok() && Fits(found->head, manifest, hasher)) {
      return *std::move(found);
    }
  }
  return std::nullopt;
}

absl::Status CheckIndexSnapshot(const Directory& directory,
                                const std::string& name,
                                const Manifest& manifest,
                                const index::KeyHasher& hasher) {
  PEAT_ASSIGN_OR_RETURN(const FoundSnapshot found, ReadHead(directory, name));
  if (!Images().Map(found, 1)) {
    return absl::DataLossError("index snapshot: an image is damaged");
  }
  if (!Fits(found.head, manifest, hasher)) {
    return absl::FailedPreconditionError(
        "index snapshot: of another store or history");
  }
  return absl::OkStatus();
}

bool LoadIndexSnapshot(const FoundSnapshot& snapshot, const Manifest& manifest,
                       int thread_count, HashIndex* index) {
  auto images = std::make_shared<Images>();
  if (!images->Map(snapshot, thread_count)) return false;
  images->ends.resize(format::kSegmentNumberMax + 1);
  for (const SnapshotSegment& segment : snapshot.head.segments) {
    const ManifestSegment* const entry = FindEntry(manifest, segment.id);
    if (entry != nullptr) images->ends[segment.number] = entry->end;
  }
  std::array<uint64_t, HashIndex::kShardCount> key_counts = {};
  for (size_t i = 0; i < key_counts.size(); ++i) {
    key_counts[i] = images->all[i].key_count;
  }
  index->LoadLater(
      [images = std::move(images), index](int shard) {
        const bool is_loaded = index->LoadShard(
            shard, images->BytesOf(static_cast<size_t>(shard)),
            [&images](Location location) {
              return location.offset() >= format::kSegmentHeaderSize &&
                     location.offset() < images->ends[location.segment()];
            });
        PEAT_CHECK(is_loaded);
        if (--images->left == 0) images->mapping.reset();
      },
      key_counts);
  return true;
}

void LoadShards(int thread_count, HashIndex* index) {
  std::atomic<int> next = 0;
  RunInParallel(thread_count, [&](int) {
    for (int shard = next++; shard < HashIndex::kShardCount; shard = next++) {
      index->EnsureLoaded(shard);
    }
  });
}

const SnapshotSegment* FindSegment(const IndexSnapshot& snapshot,
                                   SegmentId id) {
  const auto at =
      std::lower_bound(snapshot.segments.begin(), snapshot.segments.end(), id,
                       [](const SnapshotSegment& segment, SegmentId wanted) {
                         return segment.id < wanted;
                       });
  return at != snapshot.segments.end() && at->id == id ? &*at : nullptr;
}

absl::Status SaveIndexSnapshot(
    Directory& directory, const Manifest& manifest,
    const std::vector<std::shared_ptr<Segment>>& segments,
    const index::KeyHasher& hasher, HashIndex* index) {
  const LogEnd end = SealedEnd(manifest);
  const ManifestSegment* const log = FindEntry(manifest, end.segment);
  PEAT_CHECK(log != nullptr);
  IndexSnapshot head{.store_id = manifest.store_id,
                     .hash_check = HashCheck(hasher),
                     .first_lsn = end.last_lsn,
                     .last_lsn = end.last_lsn,
                     .log_segment = end.segment,
                     .log_salt = log->salt,
                     .log_end = end.end};
  for (const std::shared_ptr<Segment>& segment : segments) {
    const ManifestSegment* const entry =
        FindEntry(manifest, segment->identity().id);
    if (entry == nullptr || entry->state != SegmentState::kSealed) continue;
    head.segments.push_back(DescribeSegment(*entry, segment.get()));
  }
  std::sort(head.segments.begin(), head.segments.end(),
            [](const SnapshotSegment& a, const SnapshotSegment& b) {
              return a.id < b.id;
            });
  const std::string name = format::SnapshotFileName(end.segment);
  const std::string temporary = name + ".tmp";
  (void)directory.Unlink(temporary);
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                        directory.Create(temporary));
  absl::Status status = WriteImages(*file, index, &head);
  // Not synced: whatever a crash leaves of it does not match its checksums.
  if (status.ok()) {
    status = file->WriteAt(0, format::AsBytes(EncodeSnapshotHead(head)));
  }
  if (status.ok()) status = directory.Rename(temporary, name);
  if (!status.ok()) {
    (void)directory.Unlink(temporary);
    return status;
  }
  for (const auto& [id, other] : ListSnapshots(directory)) {
    if (other != name) (void)directory.Unlink(other);
  }
  return absl::OkStatus();
}

}  // namespace peat::engine
