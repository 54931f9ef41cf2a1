// What follows the edit that commits a compaction: slots move from inputs to
// outputs, and counts with them. See compaction.h.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/compact/compaction.h"
#include "engine/compact/key_filters.h"
#include "engine/log/manifest_store.h"
#include "engine/os/file_system.h"
#include "engine/read/views.h"
#include "engine/segment/seeded_bug.h"
#include "format/check.h"
#include "format/file_name.h"
#include "index/epoch.h"
#include "index/hash_index.h"
#include "index/ordered_index.h"

namespace peat::engine {
namespace {

using format::Location;
using format::Record;
using index::HashIndex;
using index::Verdict;

// Slots that move under one hold of a shard's lock: some microseconds.
constexpr size_t kPublishSize = 64;

}  // namespace

void Compaction::Publish() {
  for (const Output& output : outputs_) {
    if (output.segment != nullptr) output.segment->Keep();
  }
  for (int shard = 0; shard < HashIndex::kShardCount; ++shard) {
    std::span<const Move> moves(moves_[static_cast<size_t>(shard)]);
    while (!moves.empty()) {
      const size_t count = std::min(kPublishSize, moves.size());
      PublishSome(shard, moves.first(count));
      if (parts_.index->IsSaveBehind()) parts_.index->HelpSave();
      moves = moves.subspan(count);
    }
    std::span<const Leaving> leaving(leaving_[static_cast<size_t>(shard)]);
    while (!leaving.empty()) {
      const size_t count = std::min(kPublishSize, leaving.size());
      PublishLeaving(shard, leaving.first(count));
      if (parts_.index->IsSaveBehind()) parts_.index->HelpSave();
      leaving = leaving.subspan(count);
    }
  }
  for (LiveMove& stub : stubs_) stub.to = outputs_[kAudit].open.get();
  parts_.appender->MoveLive(stubs_);
  // Every slot that led to an input was copied from it, and has moved since,
  // been overwritten, or left with what has expired.
  for (const SealedSegment& input : inputs_) {
    const Segment& segment = *input.segment;
    const SegmentUsage left = segment.raw_usage();
    if (left.live_bytes == 0 && left.live_value_bytes == 0) continue;
    PEAT_CHECK(segment.has_counts_of_image());
    DropImages();
  }
}

// Too little room was made for the records of an input. Only a bug, or an image
// that no writer has made, counts less than there is.
absl::Status Compaction::DistrustCounts(const absl::Status& why) {
  for (const SealedSegment& input : inputs_) {
    if (!input.segment->has_counts_of_image()) continue;
    DropImages();
    // It would fail again; the next open counts anew.
    (void)SetAside(input, absl::DataLossError(""));
  }
  if (!has_set_aside_) return why;
  return absl::DataLossError(absl::StrFormat(
      "%s: the counts of the index image are wrong, which is dropped",
      std::string(why.message())));
}

void Compaction::DropImages() {
  parts_.anchors->are_counts_wrong = true;
  const absl::StatusOr<std::vector<std::string>> names =
      parts_.directory->List();
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const auto parsed = format::ParseFileName(name);
    if (parsed.has_value() && parsed->kind == format::FileKind::kSnapshot) {
      (void)parts_.directory->Unlink(name);
    }
  }
}

void Compaction::SaveKeyFilters() {
  for (Output& output : outputs_) {
    if (output.segment == nullptr || !has_tombstones_) continue;
    SaveKeyFilter(*parts_.directory, parts_.manifest->store_id(),
                  output.segment->entry(), output.filter_hashes);
  }
}

void Compaction::OverwriteSlot(const Move& move, Location to) {
  std::string scratch;
  Record moved;
  Record found;
  if (!outputs_[move.home]
           .open->ReadRecord(move.to_offset, &scratch, &moved)
           .ok()) {
    return;
  }
  const std::string key(moved.key);
  const HashIndex::Position position =
      parts_.index->Locate(move.hash, [&](Location candidate) {
        return parts_.segments->At(candidate.segment())
                           .ReadRecord(candidate.offset(), &scratch, &found)
                           .ok() &&
                       found.key == key
                   ? Verdict::kMatch
                   : Verdict::kOther;
      });
  parts_.index->Set(move.hash, position, to);
}

void Compaction::PublishSome(int shard, std::span<const Move> moves) {
  const index::EpochGuard guard(parts_.index->epochs());
  for (const Move& move : moves) parts_.index->Prefetch(move.hash);
  std::vector<LiveMove> counts(moves.size());
  const HashIndex::ShardLock lock(*parts_.index, shard);
  for (size_t i = 0; i < moves.size(); ++i) {
    const Move& move = moves[i];
    Segment& output = *outputs_[move.home].open;
    const Location to(output.number(), move.to_offset);
    const bool has_moved = parts_.index->ReplaceIf(move.hash, move.from, to);
    if (!has_moved && HasBug(Bug::kMoveWithoutCompare)) OverwriteSlot(move, to);
    if (parts_.config->ordered) {
      Segment& left = has_moved ? *inputs_[move.input].segment : output;
      left.stale().Add(has_moved ? move.from.offset() : move.to_offset);
    }
    if (has_moved) {
      inputs_[move.input].segment->mask_counts().Add(move.state, -1);
      output.mask_counts().Add(move.state, 1);
    }
    // Of one that was superseded meanwhile, a mask's stub is still to stay.
    counts[i] = {.from = inputs_[move.input].segment.get(),
                 .to = &output,
                 .bytes = has_moved ? move.size : move.lasting_size,
                 .value_file_bytes = has_moved ? move.value_file_size : 0};
  }
  parts_.appender->MoveLive(counts);
}

// Keys are needed for open views and the ordered index, and read before the
// lock is taken: a read may go to the disk. A view that is opened after that
// has a later time than this compaction, and needs nothing that leaves.
void Compaction::PublishLeaving(int shard, std::span<const Leaving> leaving) {
  const index::EpochGuard guard(parts_.index->epochs());
  const bool has_views = parts_.views->OldestLsn() != UINT64_MAX;
  std::vector<std::string> keys(leaving.size());
  std::string scratch;
  for (size_t i = 0; i < leaving.size(); ++i) {
    parts_.index->Prefetch(leaving[i].hash);
    if (!has_views && parts_.ordered == nullptr) continue;
    Record record;
    // It was read a moment ago. Nobody can be shown what cannot be read now.
    if (inputs_[leaving[i].input]
            .segment->ReadRecord(leaving[i].from.offset(), &scratch, &record)
            .ok()) {
      keys[i] = record.key;
    }
  }
  std::vector<LiveMove> counts;
  counts.reserve(leaving.size());
  const HashIndex::ShardLock lock(*parts_.index, shard);
  for (size_t i = 0; i < leaving.size(); ++i) {
    if (!TakeOut(leaving[i], keys[i], has_views)) continue;
    counts.push_back({.from = inputs_[leaving[i].input].segment.get(),
                      .bytes = leaving[i].size,
                      .value_file_bytes = leaving[i].value_file_size});
  }
  parts_.appender->MoveLive(counts);
}

bool Compaction::TakeOut(const Leaving& leaving, std::string_view key,
                         bool has_views) {
  const HashIndex::Position position =
      parts_.index->Locate(leaving.hash, [&leaving](Location candidate) {
        return candidate == leaving.from ? Verdict::kMatch : Verdict::kOther;
      });
  if (position.verdict != Verdict::kMatch) return false;
  Segment& segment = *inputs_[leaving.input].segment;
  if (has_views) {
    parts_.views->Save({.key = key,
                        .segment = &segment,
                        .offset = leaving.from.offset(),
                        .lsn = leaving.lsn,
                        .until = parts_.appender->last_lsn() + 1});
  }
  parts_.index->Erase(leaving.hash, position);
  if (parts_.ordered != nullptr) {
    segment.stale().Add(leaving.from.offset());
    parts_.ordered->Erase(key);
  }
  return true;
}

}  // namespace peat::engine
