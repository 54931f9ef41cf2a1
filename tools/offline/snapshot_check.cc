#include "tools/offline/snapshot_check.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/log/manifest_store.h"
#include "engine/os/worker.h"
#include "format/checksum.h"
#include "format/file_name.h"
#include "index/key_hash.h"
#include "index/shard_image.h"

namespace peat::tools {
namespace {

using engine::FoundSnapshot;
using format::IndexImage;
using format::ManifestSegment;
using format::SegmentKind;
using format::SegmentState;
using format::SnapshotImage;
using format::SnapshotSegment;

// What follows from a snapshot that is not as it should be.
enum class Effect {
  kNone,     // as a crash leaves it; the store opens without it
  kIgnored,  // the store opens without it
  kBelieved  // the store may open with it
};

struct SnapshotFlaw {
  std::string what = {};
  Effect effect = Effect::kIgnored;
  uint64_t offset = 0;
  uint64_t size = 0;
};

Finding FindingOf(const std::string& name, SnapshotFlaw flaw) {
  Finding finding{
      .severity = Severity::kFlaw,
      .file = name,
      .offset = flaw.offset,
      .size = flaw.size,
      .what = std::move(flaw.what),
      .consequence = "none: the store opens without it, more slowly",
      .remedy = "delete the file; it is made again when it is due"};
  if (flaw.effect == Effect::kNone) {
    finding.severity = Severity::kNote;
    finding.remedy = "none: the next one takes its place";
  } else if (flaw.effect == Effect::kBelieved) {
    finding.severity = Severity::kDamage;
    finding.consequence =
        "the store may open with it, and show or compact the wrong records";
    finding.remedy = "delete the file before the store is opened";
  }
  return finding;
}

// --- Images and tables.

// No shard has more tables than there are tags.
constexpr uint64_t kImageSizeMax = 8 + (uint64_t{16} << index::kTagBits);

// Whether the file has these bytes, with this checksum.
std::optional<SnapshotFlaw> CheckBytes(const engine::File& file,
                                       uint64_t offset, uint64_t size,
                                       uint64_t checksum,
                                       std::vector<std::byte>* bytes) {
  bytes->resize(size);
  const absl::StatusOr<size_t> got = file.ReadAt(offset, *bytes);
  std::string what;
  if (!got.ok()) {
    what = std::string(got.status().message());
  } else if (*got < size) {
    what = "the file ends within a shard of the index";
  } else if (format::Checksum64(*bytes) != checksum) {
    what = "checksum mismatch in a shard of the index";
  } else {
    return std::nullopt;
  }
  return SnapshotFlaw{.what = std::move(what), .offset = offset, .size = size};
}

std::optional<SnapshotFlaw> CheckShard(const engine::File& file,
                                       uint64_t file_size,
                                       const SnapshotImage& image) {
  if (image.size > kImageSizeMax) {
    return SnapshotFlaw{.what = "a shard of the index has an impossible size"};
  }
  std::vector<std::byte> bytes;
  std::optional<SnapshotFlaw> flaw =
      CheckBytes(file, image.offset, image.size, image.checksum, &bytes);
  if (flaw.has_value()) return flaw;
  const auto tables = index::ParseImage(bytes, file_size);
  if (!tables.has_value()) {
    return SnapshotFlaw{.what = "the image of a shard is malformed",
                        .offset = image.offset,
                        .size = image.size};
  }
  for (const index::ImageTable& table : *tables) {
    if (table.width == 0) continue;
    flaw = CheckBytes(file, table.offset, index::SlotBytes(table.width),
                      table.checksum, &bytes);
    if (flaw.has_value()) return flaw;
  }
  return std::nullopt;
}

std::optional<SnapshotFlaw> CheckShards(const FoundSnapshot& snapshot,
                                        int thread_count) {
  const absl::StatusOr<uint64_t> size = snapshot.file->Size();
  if (!size.ok()) return SnapshotFlaw{std::string(size.status().message())};
  std::array<std::optional<SnapshotFlaw>, format::kSnapshotShardCount> flaws;
  std::atomic<size_t> next = 0;
  engine::RunInParallel(thread_count, [&](int) {
    for (size_t i = next++; i < flaws.size(); i = next++) {
      flaws[i] = CheckShard(*snapshot.file, *size, snapshot.head.images[i]);
    }
  });
  for (std::optional<SnapshotFlaw>& flaw : flaws) {
    if (flaw.has_value()) return std::move(flaw);
  }
  return std::nullopt;
}

// --- The store that a snapshot is of.

std::vector<format::SegmentId> Sorted(std::vector<format::SegmentId> ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

class StoreComparison {
 public:
  StoreComparison(const StoreFiles& files, const SegmentPrefixes& prefixes)
      : manifest_(*files.manifest), prefixes_(prefixes) {
    for (const SourceSegment& source : files.segments) {
      sources_[source.entry.id] = &source;
    }
  }

  std::optional<SnapshotFlaw> Check(const IndexImage& head) const {
    const index::KeyHasher hasher(manifest_.hash_seed);
    if (head.store_id != manifest_.store_id ||
        head.hash_check != engine::HashCheck(hasher)) {
      return SnapshotFlaw{"of another store"};
    }
    if (head.generation > manifest_.generation) {
      return SnapshotFlaw{absl::StrFormat(
          "of generation %d of the manifest, which has generation %d",
          head.generation, manifest_.generation)};
    }
    const SnapshotSegment* const log =
        engine::FindSegment(head, head.log_segment);
    if (log == nullptr || log->salt != head.log_salt ||
        log->end != head.log_end || log->last_lsn != head.last_lsn) {
      return SnapshotFlaw{
          "its head says otherwise than its row of the segment "
          "in which it ends",
          Effect::kBelieved};
    }
    if (FindEntry(head.log_segment) == nullptr) {
      return SnapshotFlaw{
          "it ends in a segment of the log that the store has "
          "not, as when a crash has cut the log",
          Effect::kNone};
    }
    for (size_t i = 0; i < head.segments.size(); ++i) {
      std::optional<SnapshotFlaw> flaw = CheckRow(head.segments[i]);
      if (!flaw.has_value()) continue;
      flaw->offset =
          format::kSnapshotSegmentsOffset + i * format::kSnapshotSegmentSize;
      flaw->size = format::kSnapshotSegmentSize;
      return flaw;
    }
    return std::nullopt;
  }

 private:
  const ManifestSegment* FindEntry(format::SegmentId id) const {
    const auto found = std::lower_bound(
        manifest_.segments.begin(), manifest_.segments.end(), id,
        [](const ManifestSegment& entry, format::SegmentId wanted) {
          return entry.id < wanted;
        });
    const bool is_there = found != manifest_.segments.end() && found->id == id;
    return is_there ? &*found : nullptr;
  }

  // Where the segment's records end; nullopt: damage leaves that open.
  std::optional<uint64_t> EndOf(const ManifestSegment& entry) const {
    if (entry.state == SegmentState::kSealed) return entry.end;
    const auto source = sources_.find(entry.id);
    if (source == sources_.end()) return format::kSegmentHeaderSize;
    if (source->second->kind != SourceKind::kTail) return std::nullopt;
    return source->second->end;
  }

  std::optional<SnapshotFlaw> CheckRow(const SnapshotSegment& row) const {
    const ManifestSegment* const entry = FindEntry(row.id);
    if (entry == nullptr) {
      // It may have been compacted since.
      if (row.id < manifest_.next_id) return std::nullopt;
      return SnapshotFlaw{
          absl::StrFormat("segment %d has never been in the store", row.id),
          Effect::kBelieved};
    }
    if (entry->salt != row.salt) {
      return SnapshotFlaw{
          absl::StrFormat("segment %d is not the one that it is of", row.id)};
    }
    const std::optional<uint64_t> end = EndOf(*entry);
    if (!end.has_value()) return std::nullopt;
    if (row.end > *end) {
      return SnapshotFlaw{
          absl::StrFormat("segment %d ends at %d, it goes on to %d, as when a "
                          "crash has cut the log",
                          row.id, *end, row.end),
          entry->kind == SegmentKind::kLog ? Effect::kNone : Effect::kIgnored};
    }
    const auto found = prefixes_.find(row.id);
    if (found == prefixes_.end()) return std::nullopt;  // damaged
    return CheckPrefix(row, found->second,
                       row.end == *end ? Effect::kIgnored : Effect::kBelieved);
  }

  // `effect` is that of another last record.
  static std::optional<SnapshotFlaw> CheckPrefix(
      const SnapshotSegment& row, const std::vector<SegmentPrefix>& prefixes,
      Effect effect) {
    if (row.end <= format::kSegmentHeaderSize) {
      return CheckCounts(row, {.end = format::kSegmentHeaderSize});
    }
    const auto prefix = std::find_if(
        prefixes.begin(), prefixes.end(),
        [&row](const SegmentPrefix& one) { return one.end == row.end; });
    if (prefix == prefixes.end()) {
      return SnapshotFlaw{absl::StrFormat("no record of segment %d ends at %d",
                                          row.id, row.end),
                          Effect::kBelieved};
    }
    if (prefix->last_lsn != row.last_lsn ||
        prefix->last_checksum != row.last_checksum) {
      return SnapshotFlaw{
          absl::StrFormat("the record of segment %d that ends at %d is "
                          "another one",
                          row.id, row.end),
          effect};
    }
    return CheckCounts(row, *prefix);
  }

  static std::optional<SnapshotFlaw> CheckCounts(const SnapshotSegment& row,
                                                 const SegmentPrefix& prefix) {
    struct Count {
      const char* what = "";
      uint64_t counted = 0;
      uint64_t most = 0;
      bool is_exact = false;
    };
    const uint64_t size = prefix.end - format::kSegmentHeaderSize;
    const Count counts[] = {
        {"bytes of tombstones", row.tombstone_bytes, prefix.tombstone_bytes,
         true},
        {"bytes of values in files", row.value_bytes, prefix.value_bytes, true},
        {"live bytes", row.live_bytes, size - prefix.tombstone_bytes},
        {"live bytes of values in files", row.live_value_bytes,
         prefix.value_bytes},
        {"disabled keys", row.disabled, prefix.disable_count},
        {"forgotten keys", row.forgotten, prefix.forget_count}};
    for (const Count& count : counts) {
      const bool fits = count.is_exact ? count.counted == count.most
                                       : count.counted <= count.most;
      if (fits) continue;
      return SnapshotFlaw{
          absl::StrFormat("it counts %d %s in segment %d, where there are %s%d",
                          count.counted, count.what, row.id,
                          count.is_exact ? "" : "at most ", count.most),
          Effect::kBelieved};
    }
    if (Sorted(row.values) == Sorted(prefix.values)) return std::nullopt;
    return SnapshotFlaw{
        absl::StrFormat("it names other value files than segment %d", row.id),
        Effect::kBelieved};
  }

  const format::Manifest& manifest_;
  const SegmentPrefixes& prefixes_;
  std::map<format::SegmentId, const SourceSegment*> sources_;
};

// A process that writes has changed what the snapshot was compared with.
bool HasNewManifest(const StoreFiles& files) {
  const absl::StatusOr<engine::NewestManifest> now =
      engine::ReadManifest(*files.directory);
  return now.ok() && now->manifest.generation != files.manifest->generation;
}

}  // namespace

SnapshotChecker::SnapshotChecker(const StoreFiles& files) : files_(files) {
  if (!files.manifest_status.ok()) return;
  for (const std::string& name : files.names) {
    const auto parsed = format::ParseFileName(name);
    if (!parsed.has_value() || parsed->kind != format::FileKind::kSnapshot) {
      continue;
    }
    absl::StatusOr<FoundSnapshot> found =
        engine::ReadIndexImage(*files.directory, name);
    // A process that writes has put another one in its place.
    if (absl::IsNotFound(found.status())) continue;
    if (found.ok()) {
      snapshots_.push_back(*std::move(found));
    } else {
      unreadable_.push_back(
          FindingOf(name, {std::string(found.status().message())}));
    }
  }
}

std::vector<uint64_t> SnapshotChecker::EndsIn(format::SegmentId id) const {
  std::vector<uint64_t> ends;
  for (const FoundSnapshot& snapshot : snapshots_) {
    const SnapshotSegment* const row = engine::FindSegment(snapshot.head, id);
    if (row != nullptr) ends.push_back(row->end);
  }
  std::sort(ends.begin(), ends.end());
  return ends;
}

Findings SnapshotChecker::Check(const SegmentPrefixes& prefixes,
                                int thread_count) const {
  Findings findings = unreadable_;
  if (snapshots_.empty()) return findings;
  const StoreComparison store(files_, prefixes);
  for (const FoundSnapshot& snapshot : snapshots_) {
    std::optional<SnapshotFlaw> flaw = CheckShards(snapshot, thread_count);
    if (!flaw.has_value()) {
      flaw = store.Check(snapshot.head);
      if (flaw.has_value() && HasNewManifest(files_)) continue;
    }
    if (!flaw.has_value()) continue;
    findings.push_back(FindingOf(snapshot.name, *std::move(flaw)));
  }
  return findings;
}

}  // namespace peat::tools
