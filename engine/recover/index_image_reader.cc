#include "engine/recover/index_image_reader.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>
#include <string_view>
#include <utility>

#include "engine/os/worker.h"
#include "engine/segment/seeded_bug.h"
#include "format/check.h"
#include "format/checksum.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::ByteView;
using format::FileKind;
using format::FileName;
using format::IndexImage;
using format::Location;
using format::Manifest;
using format::ManifestSegment;
using format::SegmentId;
using format::SegmentState;
using format::SnapshotImage;
using format::SnapshotSegment;
using index::HashIndex;

static_assert(format::kSnapshotShardCount == HashIndex::kShardCount);

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
         entry.end >= end && entry.last_lsn >= last_lsn &&
         (entry.end > end || entry.last_lsn == last_lsn);
}

bool Fits(const IndexImage& snapshot, const Manifest& manifest,
          const index::KeyHasher& hasher) {
  // An older manifest may name segments that the snapshot has seen compacted.
  if (snapshot.store_id != manifest.store_id ||
      snapshot.hash_check != HashCheck(hasher) ||
      snapshot.generation > manifest.generation) {
    return false;
  }
  if (HasBug(Bug::kSnapshotUnbound)) return true;
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
  if (got < size) return absl::DataLossError("index image: cut short");
  return bytes;
}

// An image whose shards are loaded when they are first used. It is read with
// pread, never through a mapping: where its file is cut short meanwhile, that
// is an error and no signal.
struct Images {
  // False when something is damaged.
  bool Check(const IndexImage& head, int thread_count) {
    const absl::StatusOr<uint64_t> size = file->Size();
    if (!size.ok()) return false;
    std::atomic<size_t> next = 0;
    std::atomic<bool> is_sound = true;
    RunInParallel(thread_count, [&](int) {
      for (size_t i = next++; i < tables.size() && is_sound; i = next++) {
        if (!CheckShard(head.images[i], *size, &tables[i])) is_sound = false;
      }
    });
    uint64_t size_in_memory = 0;
    for (const auto& one : tables) size_in_memory += index::SlotBytes(one);
    // Tables do not overlap, so that memory is bounded by what is there.
    return is_sound && size_in_memory <= *size;
  }

  bool CheckShard(const SnapshotImage& image, uint64_t file_size,
                  std::vector<index::ImageTable>* found) const {
    if (image.offset > file_size || image.size > file_size - image.offset) {
      return false;
    }
    const auto bytes = Read(*file, image.offset, image.size);
    if (!bytes.ok() || format::Checksum64(*bytes) != image.checksum) {
      return false;
    }
    auto parsed = index::ParseImage(*bytes, file_size);
    if (!parsed.has_value()) return false;
    if (image.key_count > index::SlotBytes(*parsed) / sizeof(index::Slot)) {
      return false;
    }
    const auto read = [this](uint64_t offset, std::span<std::byte> to) {
      return ReadAt(offset, to);
    };
    if (!index::IsWhole(*parsed, read)) return false;
    *found = *std::move(parsed);
    return true;
  }

  // A read that fails is tried once more: what is lost now stays lost until the
  // store is opened anew.
  bool ReadAt(uint64_t offset, std::span<std::byte> to) const {
    absl::StatusOr<size_t> got = file->ReadAt(offset, to);
    if (!got.ok()) got = file->ReadAt(offset, to);
    return got.ok() && *got == to.size();
  }

  std::unique_ptr<File> file;
  std::array<std::vector<index::ImageTable>, HashIndex::kShardCount> tables;
  std::atomic<int> left = HashIndex::kShardCount;  // to be loaded
  // Where the records of each segment number end; 0: it has no segment any
  // more.
  std::vector<uint64_t> ends;
};

}  // namespace

std::optional<FoundSnapshot> FindIndexImage(const Directory& directory,
                                            const Manifest& manifest,
                                            const index::KeyHasher& hasher) {
  for (const std::string& name : ListIndexImages(directory)) {
    absl::StatusOr<FoundSnapshot> found = ReadIndexImage(directory, name);
    if (found.ok() && Fits(found->head, manifest, hasher)) {
      return *std::move(found);
    }
  }
  return std::nullopt;
}

absl::StatusOr<FoundSnapshot> ReadIndexImage(const Directory& directory,
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

bool LoadIndexImage(const IndexImage& head, std::unique_ptr<File> file,
                    const Manifest& manifest, int thread_count,
                    HashIndex* index) {
  auto images = std::make_shared<Images>();
  images->file = std::move(file);
  if (!images->Check(head, thread_count)) return false;
  images->ends.resize(format::kSegmentNumberMax + 1);
  for (const SnapshotSegment& segment : head.segments) {
    const ManifestSegment* const entry = FindEntry(manifest, segment.id);
    if (entry != nullptr) images->ends[segment.number] = entry->end;
  }
  std::array<HashIndex::PendingShard, HashIndex::kShardCount> shards = {};
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i] = {.key_count = head.images[i].key_count,
                 .bytes = index::SlotBytes(images->tables[i])};
  }
  index->LoadLater(
      [images = std::move(images), index](int shard) {
        std::vector<index::ImageTable>& tables =
            images->tables[static_cast<size_t>(shard)];
        index->LoadShard(
            shard, tables,
            [&images](uint64_t offset, std::span<std::byte> to) {
              return images->ReadAt(offset, to);
            },
            [&images](Location location) {
              return location.offset() >= format::kSegmentHeaderSize &&
                     location.offset() < images->ends[location.segment()];
            });
        tables = {};
        if (--images->left == 0) images->file.reset();
      },
      shards);
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

const SnapshotSegment* FindSegment(const IndexImage& snapshot, SegmentId id) {
  const auto at =
      std::lower_bound(snapshot.segments.begin(), snapshot.segments.end(), id,
                       [](const SnapshotSegment& segment, SegmentId wanted) {
                         return segment.id < wanted;
                       });
  return at != snapshot.segments.end() && at->id == id ? &*at : nullptr;
}

std::vector<std::string> ListIndexImages(const Directory& directory) {
  const absl::StatusOr<std::vector<std::string>> all = directory.List();
  if (!all.ok()) return {};
  std::vector<std::pair<SegmentId, std::string>> found;
  for (const std::string& name : *all) {
    const std::optional<FileName> parsed = format::ParseFileName(name);
    if (parsed.has_value() && parsed->kind == FileKind::kSnapshot) {
      found.emplace_back(parsed->id, name);
    }
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> names;
  names.reserve(found.size());
  for (auto& [id, name] : found) names.push_back(std::move(name));
  return names;
}

uint64_t HashCheck(const index::KeyHasher& hasher) {
  std::array<std::byte, 256 * sizeof(uint64_t)> hashes = {};
  for (size_t i = 0; i < 256; ++i) {
    const auto key = static_cast<char>(i);
    format::Store<uint64_t>(hashes.data() + i * sizeof(uint64_t),
                            hasher(std::string_view(&key, 1)));
  }
  return format::Checksum64(hashes);
}

}  // namespace peat::engine
