#include "engine/tombstones.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "engine/key_filters.h"
#include "engine/segment_scanner.h"
#include "format/key_filter.h"
#include "format/record.h"
#include "format/status_macros.h"

namespace peat::engine {

using format::ByteView;
using format::Lsn;
using format::RecordKind;

namespace {

// Gives the share to about 4 %.
constexpr size_t kSampleSize = 512;

// At most kSampleSize of the segment's tombstones, evenly spread.
absl::StatusOr<std::vector<Tombstone>> Sample(const SealedSegment& from) {
  std::vector<std::byte> buffer;
  PEAT_ASSIGN_OR_RETURN(const ByteView bytes, from.segment->ReadAll(&buffer));
  std::vector<Tombstone> sample;
  uint64_t count = 0;
  uint64_t stride = 1;
  SegmentScanner scanner(bytes, from.entry.salt, format::kSegmentHeaderSize,
                         from.entry.end);
  while (scanner.Next() == SegmentScanner::Step::kRecord) {
    const format::Record& record = scanner.record();
    if (record.header.kind != RecordKind::kTombstone) continue;
    if (count++ % stride != 0) continue;
    if (sample.size() == kSampleSize) {
      for (size_t i = 0; 2 * i < kSampleSize; ++i) sample[i] = sample[2 * i];
      sample.resize(kSampleSize / 2);
      stride *= 2;
    }
    sample.push_back({.filter_hash = format::FilterHash(record.key),
                      .lsn = record.header.lsn});
  }
  if (scanner.offset() != from.entry.end) {
    return from.segment->DamagedAt(scanner.offset());
  }
  return sample;
}

}  // namespace

absl::StatusOr<double> EstimateIdleShare(
    Directory& directory, const format::StoreId& store_id,
    const SealedSegment& segment, const std::vector<SealedSegment>& others) {
  PEAT_ASSIGN_OR_RETURN(std::vector<Tombstone> sample, Sample(segment));
  if (sample.empty()) return 0.0;
  MarkThoseThatStay(directory, store_id, others, sample);
  const auto idle = std::ranges::count(sample, false, &Tombstone::must_stay);
  return static_cast<double>(idle) / static_cast<double>(sample.size());
}

void MarkThoseThatStay(Directory& directory, const format::StoreId& store_id,
                       const std::vector<SealedSegment>& others,
                       std::span<Tombstone> tombstones) {
  for (const SealedSegment& other : others) {
    const Lsn oldest = other.entry.first_lsn;
    const auto is_open_question = [oldest](const Tombstone& tombstone) {
      return !tombstone.must_stay && tombstone.lsn > oldest;
    };
    if (oldest == 0 || std::ranges::none_of(tombstones, is_open_question)) {
      continue;
    }
    // One filter at a time, and all tombstones against it: it is in the cache
    // then, and no filter stays in memory.
    const absl::StatusOr<format::KeyFilter> filter =
        FindKeyFilter(directory, store_id, other.entry, *other.segment);
    for (Tombstone& tombstone : tombstones) {
      if (!is_open_question(tombstone)) continue;
      // A segment that cannot be read can hold anything.
      tombstone.must_stay =
          !filter.ok() || filter->MayContain(tombstone.filter_hash);
    }
  }
}

}  // namespace peat::engine
