#include "engine/save/index_image_writer.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "engine/log/manifest_store.h"
#include "engine/os/file_system.h"
#include "engine/segment/config.h"
#include "engine/segment/seeded_bug.h"
#include "engine/segment/segment_set.h"
#include "format/check.h"
#include "format/checksum.h"
#include "format/file_name.h"
#include "format/status_macros.h"
#include "index/hash_index.h"
#include "index/key_hash.h"

namespace peat::engine {
namespace {

using format::ByteView;
using format::IndexImage;
using format::Manifest;
using format::ManifestSegment;
using format::SegmentId;
using format::SegmentState;
using format::SnapshotSegment;
using index::HashIndex;

static_assert(format::kSnapshotShardCount == HashIndex::kShardCount);

// With fewer bytes to replay nobody waits for them.
constexpr uint64_t kWorkMin = uint64_t{32} << 20;
constexpr uint64_t kWorkShare = 8;  // of the live data

// As it is at this moment; the manifest knows the rest.
SnapshotSegment CountsOf(Segment& segment) {
  const SegmentUsage usage = segment.usage();
  return {.id = segment.identity().id,
          .salt = segment.identity().salt,
          .number = segment.number(),
          .live_bytes = usage.live_bytes,
          .tombstone_bytes = usage.tombstone_bytes,
          .value_bytes = usage.value_bytes,
          .live_value_bytes = usage.live_value_bytes,
          .disabled = segment.mask_counts().disabled(),
          .forgotten = segment.mask_counts().forgotten(),
          .values = segment.value_files()};
}

}  // namespace

IndexImageWriter::IndexImageWriter(const Core& core, Compactor* compactor,
                                   const CurrentSnapshot& found)
    : parts_(core), compactor_(compactor), current_(found) {}

uint64_t IndexImageWriter::WorkDone() const {
  return parts_.appender->appended_bytes() +
         compactor_->counters().written_bytes;
}

bool IndexImageWriter::IsDue() const {
  const uint64_t work =
      WorkDone() - work_before_.load(std::memory_order_relaxed);
  return work >= kWorkMin && work >= parts_.segments->LiveBytes() / kWorkShare;
}

absl::Status IndexImageWriter::Save() {
  const index::MutexLock lock(&mutex_);
  if (parts_.anchors->are_counts_wrong) return absl::OkStatus();
  const format::Lsn last_lsn = parts_.appender->last_lsn();
  const uint64_t compactions = compactor_->counters().compaction_count;
  if (last_lsn == 0 ||
      (last_lsn == current_.last_lsn && compactions == compactions_before_)) {
    return absl::OkStatus();
  }
  parts_.appender->UpdateEnd();
  if (parts_.segments->Sum().used_bytes < parts_.config->snapshot_bytes_min) {
    return absl::OkStatus();
  }
  work_before_.store(WorkDone(), std::memory_order_relaxed);
  const std::string temporary = "index.snap.tmp";
  (void)parts_.directory->Unlink(temporary);
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                        parts_.directory->Create(temporary));
  SlotFile slots(file.get());
  IndexImage head;
  absl::Status status = SaveTo(slots, &head);
  std::string name;
  if (status.ok()) {
    // Not synced: whatever a crash leaves of it does not match its checksums.
    name = format::SnapshotFileName(head.log_segment);
    status = parts_.directory->Rename(temporary, name);
  }
  if (!status.ok()) {
    (void)parts_.directory->Unlink(temporary);
    parts_.anchors->next = 0;
    return status;
  }
  parts_.anchors->current = head.log_segment;
  parts_.anchors->next = 0;
  current_ = {
      .name = name, .last_lsn = head.last_lsn, .log_segment = head.log_segment};
  compactions_before_ = compactions;
  for (const std::string& other : ListIndexImages(*parts_.directory)) {
    if (other != name) (void)parts_.directory->Unlink(other);
  }
  snapshot_count_.fetch_add(1, std::memory_order_relaxed);
  written_bytes_.fetch_add(slots.size(), std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status IndexImageWriter::SaveTo(SlotFile& file, IndexImage* head) {
  LoadShards(1, parts_.index);
  if (parts_.index->HasLost()) {
    return absl::DataLossError("a part of the index could not be loaded");
  }
  PEAT_RETURN_IF_ERROR(compactor_->AtRest([&] { return Begin(file, head); }));
  if (parts_.config->at_snapshot_point != nullptr) {
    parts_.config->at_snapshot_point();
  }
  for (int shard = 0; shard < HashIndex::kShardCount; ++shard) {
    const HashIndex::SavedShard saved = parts_.index->SaveShard(shard);
    const ByteView image = format::AsBytes(saved.image);
    head->images[static_cast<size_t>(shard)] = {
        .offset = file.Append(image),
        .size = image.size(),
        .checksum = format::Checksum64(image),
        .key_count = saved.key_count};
  }
  parts_.index->EndSave();
  return file.Finish(EncodeSnapshotHead(*head));
}

absl::Status IndexImageWriter::Begin(SlotFile& file, IndexImage* head) const {
  Appender::State log;
  {
    const HashIndex::ManyShardsLock lock(*parts_.index, ~uint64_t{0});
    log = parts_.appender->TakeState();
    for (const std::shared_ptr<Segment>& segment : parts_.segments->All()) {
      head->segments.push_back(CountsOf(*segment));
    }
    file.ReserveHead(SnapshotHeadSize(*head));
    if (!parts_.index->BeginSave(&file)) {
      return absl::UnimplementedError("many keys share one hash");
    }
  }
  if (HasBug(Bug::kSnapshotEndsLate) && parts_.config->at_snapshot_point) {
    parts_.config->at_snapshot_point();
    log = parts_.appender->TakeState();
  }
  Complete(log, head);
  return absl::OkStatus();
}

void IndexImageWriter::Complete(const Appender::State& log,
                                IndexImage* head) const {
  parts_.anchors->next = log.end.segment;
  head->last_lsn = log.end.last_lsn;
  head->log_segment = log.end.segment;
  head->log_end = log.end.end;
  head->hash_check = HashCheck(*parts_.hasher);
  // No segment has been taken out since; but what was unsealed then, or not
  // begun, may be sealed by now.
  const Manifest manifest = parts_.manifest->Current();
  head->store_id = manifest.store_id;
  head->generation = manifest.generation;
  absl::flat_hash_map<SegmentId, LogEnd> ends;
  for (const ManifestSegment& entry : manifest.segments) {
    if (entry.state != SegmentState::kSealed) continue;
    if (entry.kind == format::SegmentKind::kLog &&
        entry.first_lsn > head->last_lsn) {
      continue;
    }
    ends[entry.id] = {.segment = entry.id,
                      .end = entry.end,
                      .last_lsn = entry.last_lsn,
                      .last_checksum = entry.last_checksum};
  }
  for (const LogEnd& end : log.unsealed) ends[end.segment] = end;
  std::erase_if(head->segments, [&ends](const SnapshotSegment& segment) {
    return !ends.contains(segment.id);  // not begun
  });
  std::sort(head->segments.begin(), head->segments.end(),
            [](const SnapshotSegment& a, const SnapshotSegment& b) {
              return a.id < b.id;
            });
  for (SnapshotSegment& segment : head->segments) {
    const LogEnd& end = ends[segment.id];
    segment.end = end.end;
    segment.last_lsn = end.last_lsn;
    segment.last_checksum = end.last_checksum;
    if (segment.id == head->log_segment) head->log_salt = segment.salt;
  }
  PEAT_CHECK(FindSegment(*head, head->log_segment) != nullptr);
}

}  // namespace peat::engine
