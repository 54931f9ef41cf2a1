#include "engine/compact/tombstone_watch.h"

#include <algorithm>
#include <utility>

#include "engine/compact/key_filters.h"
#include "engine/segment/segment_scanner.h"
#include "format/key_filter.h"
#include "format/record.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::SegmentId;

// Tombstones of less than this share of a segment are not watched: it is not
// rewritten for their sake.
constexpr uint64_t kTombstoneShareMin = 64;

// In one update, so that a large store that has just been opened is not read
// as a whole.
constexpr uint64_t kScannedBytesMax = uint64_t{32} << 20;

// Gives the share to 6 %.
constexpr size_t kSampleSize = 64;

bool IsWatched(const SealedSegment& one) {
  const uint64_t size = one.segment->usage().tombstone_bytes;
  return !one.segment->is_set_aside() && size > 0 &&
         size >= one.segment->end() / kTombstoneShareMin;
}

// At most kSampleSize of the tombstones in `from`, evenly spread. Makes its key
// filter on the way, which the tombstones of later segments ask for.
absl::StatusOr<std::vector<Tombstone>> SampleOf(Directory& directory,
                                                const format::StoreId& store_id,
                                                const SealedSegment& from) {
  const bool has_filter = HasKeyFilter(directory, store_id, from.entry);
  std::vector<uint64_t> filter_hashes;
  std::vector<std::byte> buffer;
  from.segment->WillNeedAll();
  PEAT_ASSIGN_OR_RETURN(const format::ByteView bytes,
                        from.segment->ReadAll(&buffer));
  std::vector<Tombstone> sample;
  uint64_t count = 0;
  uint64_t stride = 1;
  SegmentScanner scanner(bytes, from.entry.salt, format::kSegmentHeaderSize,
                         from.entry.end);
  while (scanner.Next() == SegmentScanner::Step::kRecord) {
    const format::Record& record = scanner.record();
    if (!has_filter && IsInKeyFilter(record.header.kind)) {
      filter_hashes.push_back(format::FilterHash(record.key));
    }
    if (record.header.kind != format::RecordKind::kTombstone) continue;
    if (count++ % stride != 0) continue;
    if (sample.size() == kSampleSize) {
      for (size_t i = 0; 2 * i < kSampleSize; ++i) sample[i] = sample[2 * i];
      sample.resize(kSampleSize / 2);
      stride *= 2;
    }
    sample.push_back({.filter_hash = format::FilterHash(record.key),
                      .lsn = record.header.lsn,
                      .home = from.entry.id});
  }
  if (scanner.offset() != from.entry.end) {
    return from.segment->DamagedAt(scanner.offset());
  }
  if (!has_filter) {
    SaveKeyFilter(directory, store_id, from.entry, filter_hashes);
  }
  return sample;
}

}  // namespace

void TombstoneWatch::Update(Directory& directory,
                            const format::StoreId& store_id,
                            const std::vector<SealedSegment>& sealed) {
  absl::flat_hash_set<SegmentId> ids;
  for (const SealedSegment& one : sealed) ids.insert(one.entry.id);
  if (ids == sealed_ids_ && is_complete_) return;
  sealed_ids_ = std::move(ids);
  absl::erase_if(samples_, [this](const auto& sample) {
    return !sealed_ids_.contains(sample.first);
  });
  uint64_t scanned_bytes = 0;
  is_complete_ = true;
  for (const SealedSegment& one : sealed) {
    if (!IsWatched(one) || samples_.contains(one.entry.id)) continue;
    if (scanned_bytes >= kScannedBytesMax) {
      is_complete_ = false;
      break;
    }
    scanned_bytes += one.entry.end;
    absl::StatusOr<std::vector<Tombstone>> found =
        SampleOf(directory, store_id, one);
    // What could not be read for another reason is tried again next time.
    if (!found.ok() && !absl::IsDataLoss(found.status())) {
      is_complete_ = false;
      continue;
    }
    Sample& sample = samples_[one.entry.id];
    // Damage is for the compaction of the segment to meet: it looks as if
    // nothing had to stay.
    if (found.ok()) sample.blocked = *std::move(found);
    sample.size = std::max<size_t>(sample.blocked.size(), 1);
  }
  FindBlockersOfAll(directory, store_id, sealed);
  for (const SealedSegment& one : sealed) {
    const auto at = samples_.find(one.entry.id);
    if (at == samples_.end()) continue;
    const Sample& sample = at->second;
    const uint64_t bytes = one.segment->usage().tombstone_bytes;
    one.segment->counter().set_idle_bytes(
        bytes * (sample.size - sample.blocked.size()) / sample.size);
  }
}

void TombstoneWatch::FindBlockersOfAll(
    Directory& directory, const format::StoreId& store_id,
    const std::vector<SealedSegment>& sealed) {
  // Together, so that each filter is read once.
  std::vector<Tombstone> open;
  for (auto& [id, sample] : samples_) {
    std::erase_if(sample.blocked, [&](Tombstone& tombstone) {
      if (sealed_ids_.contains(tombstone.blocker)) return false;
      tombstone.blocker = 0;
      open.push_back(tombstone);
      return true;
    });
  }
  FindBlockers(directory, store_id, sealed, open);
  for (const Tombstone& tombstone : open) {
    if (tombstone.blocker == 0) continue;
    samples_[tombstone.home].blocked.push_back(tombstone);
  }
}

}  // namespace peat::engine
