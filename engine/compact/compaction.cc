#include "engine/compact/compaction.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/compact/key_filters.h"
#include "engine/log/group_commit.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/log/segment_allocator.h"
#include "engine/log/store_clock.h"
#include "engine/log/value_files.h"
#include "engine/os/file_system.h"
#include "engine/read/views.h"
#include "engine/segment/expiry_sum.h"
#include "engine/segment/seeded_bug.h"
#include "engine/segment/segment_scanner.h"
#include "format/check.h"
#include "format/key_filter.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "index/epoch.h"
#include "index/key_hash.h"
#include "index/mutex.h"

namespace peat::engine {
namespace {

using format::ByteView;
using format::Location;
using format::Record;
using format::RecordKind;
using format::SegmentId;
using index::HashIndex;
using index::Verdict;

// Records whose looks at the index overlap, under one epoch guard.
constexpr size_t kMoveGroupSize = 64;

// What stays of a record that shadows others: as it is if it is one already.
Record AsTombstone(const Record& record) {
  return {.header = {.lsn = record.header.lsn,
                     .key_size = record.header.key_size,
                     .kind = RecordKind::kTombstone},
          .key = record.key,
          .value = {}};
}

}  // namespace

Compaction::Compaction(const Core& core, std::vector<SealedSegment> inputs,
                       std::vector<SealedSegment> others)
    : parts_(core),
      inputs_(std::move(inputs)),
      others_(std::move(others)),
      has_tombstones_(core.segments->Sum().tombstone_bytes > 0),
      now_(core.clock->Peek()) {
  PEAT_CHECK(!inputs_.empty());
}

absl::Status Compaction::Run() {
  PEAT_RETURN_IF_ERROR(CheckInputs());
  room_ = RoomForRecords();
  LetWritersPass();
  Reach(CompactionPoint::kPassed);
  // What is current in it is not known, and would be taken for dead.
  if (parts_.index->HasLost()) {
    return absl::DataLossError("a part of the index could not be loaded");
  }
  if (absl::Status status = CopyAll(); !status.ok()) {
    return absl::IsInternal(status) ? DistrustCounts(status) : status;
  }
  PEAT_RETURN_IF_ERROR(FinishOutputs());
  const format::Lsn superseded_by = AwaitSuperseding();
  if (!HasBug(Bug::kSupersededNotDurable)) {
    PEAT_RETURN_IF_ERROR(parts_.syncer->SyncUpTo(superseded_by));
  }
  if (HasBug(Bug::kUnlinkBeforeCommit)) {
    for (const SealedSegment& input : inputs_) {
      (void)parts_.directory->Unlink(input.segment->file_name());
    }
  }
  if (absl::Status status = Commit(); !status.ok()) {
    GiveUpOutputs();
    return status;
  }
  Reach(CompactionPoint::kCommitted);
  Publish();
  Reach(CompactionPoint::kPublished);
  SaveKeyFilters();
  return absl::OkStatus();
}

absl::Status Compaction::CopyAll() {
  for (uint32_t i = 0; i < inputs_.size(); ++i) {
    PEAT_RETURN_IF_ERROR(CopyFrom(i));
  }
  Reach(CompactionPoint::kScanned);
  return CopyTombstones();
}

// The file may have been cut short or removed behind our back: a mapping of it
// is then no place to read from.
absl::Status Compaction::CheckInputs() {
  for (const SealedSegment& input : inputs_) {
    const absl::Status status =
        OpenSegmentFile(*parts_.directory, input.entry,
                        parts_.manifest->store_id(), OpenMode::kRead)
            .status();
    if (absl::IsDataLoss(status)) return SetAside(input, status);
    PEAT_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status Compaction::SetAside(const SealedSegment& input,
                                  const absl::Status& why) {
  PEAT_CHECK(absl::IsDataLoss(why));
  input.segment->SetAside();
  has_set_aside_ = true;
  return why;
}

void Compaction::LetWritersPass() {
  for (int shard = 0; shard < HashIndex::kShardCount; ++shard) {
    parts_.index->EnsureLoaded(shard);
    const HashIndex::ShardLock lock(*parts_.index, shard);
  }
}

// Everything that was not copied has been superseded up to the lsn that this
// returns, and the index does not lead to any of it any more. What was found by
// the index is so already; but an input is also left out when nothing in it
// counts as live, and that is said before the index moves.
format::Lsn Compaction::AwaitSuperseding() {
  if (HasBug(Bug::kCountedEarly)) return parts_.appender->last_lsn();
  const format::Lsn lsn = parts_.appender->AwaitUnit();
  parts_.index->AwaitChanges();
  return lsn;
}

// What is live only gets less from here on. A writer counts the record that it
// supersedes no longer before the index ceases to lead to it; so this is taken
// before those who write are awaited, or what is copied might be more.
uint64_t Compaction::RoomForRecords() const {
  SegmentUsage sum;
  uint64_t expired = 0;
  bool may_be_wrong = false;
  for (const SealedSegment& input : inputs_) {
    sum += input.segment->raw_usage();
    expired += input.segment->expiries().ExpiredBytes(now_);
    may_be_wrong |= input.segment->has_counts_of_image();
  }
  PEAT_CHECK(sum.live_bytes == sum.NotNegative().live_bytes || may_be_wrong);
  PEAT_CHECK(expired <= sum.used_bytes);
  return std::min(sum.NotNegative().live_bytes, sum.used_bytes - expired);
}

uint64_t Compaction::RoomForTombstones() const {
  SegmentUsage sum;
  for (const SealedSegment& input : inputs_) sum += input.segment->usage();
  const uint64_t all = sum.tombstone_bytes;
  // On a full disk the reserve must do, and makes one output.
  const uint64_t all_fit = parts_.supply->base_segment_size();
  if (room_ + all <= all_fit) return all;
  return format::RoundUp<uint64_t>(all - sum.idle_bytes,
                                   format::kRecordAlignment);
}

absl::Status Compaction::CopyFrom(uint32_t number) {
  const SealedSegment& input = inputs_[number];
  const Segment& segment = *input.segment;
  removed_bytes_ += input.entry.end;
  // Nobody needs it, so nobody need read it.
  const SegmentUsage usage = segment.raw_usage();
  if (usage.live_bytes == 0 && usage.tombstone_bytes == 0 &&
      usage.value_bytes == 0) {
    return absl::OkStatus();
  }
  std::vector<std::byte> buffer;
  const absl::StatusOr<ByteView> bytes = segment.ReadAll(&buffer);
  if (absl::IsDataLoss(bytes.status())) return SetAside(input, bytes.status());
  PEAT_RETURN_IF_ERROR(bytes.status());
  segment.WillNeedAll();
  SegmentScanner scanner(*bytes, input.entry.salt, format::kSegmentHeaderSize,
                         input.entry.end);
  std::vector<Scanned> group;
  while (scanner.Next() == SegmentScanner::Step::kRecord) {
    const Record& record = scanner.record();
    if (record.header.kind == RecordKind::kAuditStub) {
      PEAT_RETURN_IF_ERROR(KeepStub(number, record));
    }
    if (!TakesLsn(record.header.kind)) continue;
    const uint64_t hash = (*parts_.hasher)(record.key);
    parts_.index->Prefetch(hash);
    group.push_back({.hash = hash,
                     .location = Location(segment.number(), scanner.offset()),
                     .record = record});
    if (group.size() < kMoveGroupSize) continue;
    PEAT_RETURN_IF_ERROR(CopyGroup(number, group));
    group.clear();
  }
  if (scanner.offset() != input.entry.end) {
    return SetAside(input, segment.DamagedAt(scanner.offset()));
  }
  return CopyGroup(number, group);
}

absl::Status Compaction::CopyGroup(uint32_t input,
                                   std::span<const Scanned> group) {
  const index::EpochGuard guard(parts_.index->epochs());
  for (const Scanned& scanned : group) {
    const Record& record = scanned.record;
    switch (FateOf(scanned)) {
      case Fate::kDrop:
        Drop(record);
        break;
      case Fate::kKeep:
        PEAT_RETURN_IF_ERROR(Keep(input, scanned, kData));
        break;
      case Fate::kKeepForAudit:
        PEAT_RETURN_IF_ERROR(Keep(input, scanned, kAudit));
        break;
      case Fate::kLeaveStub:
        PEAT_RETURN_IF_ERROR(LeaveStub(input, record));
        Drop(record);
        break;
      case Fate::kExpire:
        Leave(input, scanned);
        Drop(record);
        break;
      case Fate::kBuryExpired:
        Leave(input, scanned);
        Drop(record);
        [[fallthrough]];
      case Fate::kAskFilters:
        tombstones_.push_back({.filter_hash = format::FilterHash(record.key),
                               .lsn = record.header.lsn});
        tombstone_places_.push_back(
            {.input = input,
             .size = static_cast<uint32_t>(
                 format::RecordSize(record.key.size(), 0)),
             .offset = scanned.location.offset()});
        break;
    }
  }
  return absl::OkStatus();
}

Compaction::Fate Compaction::FateOf(const Scanned& scanned) const {
  switch (scanned.record.header.kind) {
    case RecordKind::kTombstone:
      return IsSuperseded(scanned) || HasBug(Bug::kTombstonesDropped)
                 ? Fate::kDrop
                 : Fate::kAskFilters;
    case RecordKind::kForget:
      return HasBug(Bug::kMasksDropped) ? Fate::kDrop : Fate::kKeepForAudit;
    case RecordKind::kDisable:
    case RecordKind::kEnable:
      if (IsCurrent(scanned)) return Fate::kKeep;
      return HasBug(Bug::kMasksDropped) ? Fate::kDrop : Fate::kLeaveStub;
    default:
      if (!IsCurrent(scanned)) return Fate::kDrop;
      if (!HasExpired(scanned.record)) return Fate::kKeep;
      return ExpiresWithoutTrace(scanned.record.header) ? Fate::kExpire
                                                        : Fate::kBuryExpired;
  }
}

bool Compaction::IsCurrent(const Scanned& scanned) const {
  return parts_.index->FindUnvalidated(
             scanned.hash, [&scanned](Location candidate) {
               return candidate == scanned.location ? Verdict::kMatch
                                                    : Verdict::kOther;
             }) == Verdict::kMatch;
}

// The index has the key, so its record is newer. One that will leave without a
// trace supersedes nothing: a tombstone may be all that shadows what is older.
bool Compaction::IsSuperseded(const Scanned& tombstone) const {
  std::string scratch;
  Record record;
  return parts_.index->FindUnvalidated(
             tombstone.hash,
             [&](Location candidate) {
               const absl::Status status =
                   parts_.segments->At(candidate.segment())
                       .ReadRecord(candidate.offset(), &scratch, &record);
               // What cannot be read supersedes nothing.
               return status.ok() && record.key == tombstone.record.key
                          ? Verdict::kMatch
                          : Verdict::kOther;
             }) == Verdict::kMatch &&
         !ExpiresWithoutTrace(record.header);
}

void Compaction::Leave(uint32_t input, const Scanned& scanned) {
  const Record& record = scanned.record;
  has_leaving_ = true;
  leaving_[static_cast<size_t>(HashIndex::ShardOf(scanned.hash))].push_back(
      {.hash = scanned.hash,
       .from = scanned.location,
       .lsn = record.header.lsn,
       .input = input,
       .size = static_cast<uint32_t>(RecordSize(record.header)),
       .value_file_size = ValueFileSize(record)});
}

absl::Status Compaction::Keep(uint32_t input, const Scanned& scanned,
                              Home home) {
  Record record = scanned.record;
  if (HasBug(Bug::kMoveWithNewLsn)) {
    record.header.lsn = parts_.appender->last_lsn() + 1;
  }
  PEAT_ASSIGN_OR_RETURN(const uint64_t offset, Append(home, record));
  const uint64_t value_file_size = ValueFileSize(record);
  outputs_[home].value_bytes += value_file_size;
  moves_[static_cast<size_t>(HashIndex::ShardOf(scanned.hash))].push_back(
      {.hash = scanned.hash,
       .from = scanned.location,
       .to_offset = offset,
       .size = static_cast<uint32_t>(RecordSize(record.header)),
       .input = input,
       .value_file_size = value_file_size,
       .lasting_size = static_cast<uint32_t>(format::LastingSize(
           record.header.kind, record.key.size(), record.value)),
       .home = home,
       .state = StateAfter(record.header.kind)});
  return absl::OkStatus();
}

absl::Status Compaction::LeaveStub(uint32_t input, const Record& mask) {
  const std::string value = format::EncodeAuditStub(mask);
  Record stub = mask;
  stub.header.kind = RecordKind::kAuditStub;
  stub.header.flags = 0;
  stub.header.value_size = static_cast<uint32_t>(value.size());
  stub.value = value;
  return KeepStub(input, stub);
}

absl::Status Compaction::KeepStub(uint32_t input, const Record& stub) {
  PEAT_RETURN_IF_ERROR(Append(kAudit, stub).status());
  stubs_.push_back(
      {.from = inputs_[input].segment.get(), .bytes = RecordSize(stub.header)});
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Compaction::Append(Home home, const Record& record) {
  Output& output = outputs_[home];
  const uint64_t size = RecordSize(record.header);
  if (output.segment == nullptr) {
    PEAT_RETURN_IF_ERROR(
        Create(home, home == kData ? room_ + RoomForTombstones() : room_));
  }
  if ((record.header.flags & format::kFlagValueFile) != 0) [[unlikely]] {
    PEAT_ASSIGN_OR_RETURN(
        const format::ValueReference reference,
        format::DecodeValueReference(format::StoredValue(record)));
    output.value_files.push_back(reference.file);
  }
  // What goes to one output will not go to the other.
  room_ -= std::min(size, room_);
  if (has_tombstones_ && IsInKeyFilter(record.header.kind)) {
    output.filter_hashes.push_back(format::FilterHash(record.key));
  }
  return output.segment->Append(record);
}

absl::Status Compaction::Create(Home home, uint64_t size) {
  PEAT_ASSIGN_OR_RETURN(
      outputs_[home].segment,
      OutputSegment::Create(parts_,
                            home == kAudit ? format::SegmentKind::kAudit
                                           : format::SegmentKind::kCompacted,
                            size));
  return absl::OkStatus();
}

void Compaction::Drop(const Record& record) {
  if ((record.header.flags & format::kFlagValueFile) == 0) return;
  const auto reference =
      format::DecodeValueReference(format::StoredValue(record));
  if (reference.ok()) dropped_values_.push_back(reference->file);
}

absl::Status Compaction::CopyTombstones() {
  FindBlockers(*parts_.directory, parts_.manifest->store_id(), others_,
               tombstones_);
  uint64_t size = 0;
  for (size_t i = 0; i < tombstones_.size(); ++i) {
    if (tombstones_[i].blocker != 0) size += tombstone_places_[i].size;
  }
  if (size == 0) return absl::OkStatus();
  const OutputSegment* const data = outputs_[kData].segment.get();
  const Home home =
      data != nullptr && data->room() >= size ? kData : kTombstones;
  if (home == kTombstones) PEAT_RETURN_IF_ERROR(Create(home, size));
  std::string scratch;
  for (size_t i = 0; i < tombstones_.size(); ++i) {
    if (tombstones_[i].blocker == 0) continue;
    const TombstonePlace& place = tombstone_places_[i];
    const SealedSegment& input = inputs_[place.input];
    Record record;
    if (absl::Status status =
            input.segment->ReadRecord(place.offset, &scratch, &record);
        !status.ok()) {
      return absl::IsDataLoss(status) ? SetAside(input, status) : status;
    }
    PEAT_RETURN_IF_ERROR(Append(home, AsTombstone(record)).status());
  }
  return absl::OkStatus();
}

// Makes the outputs durable, names included, and readable.
absl::Status Compaction::FinishOutputs() {
  bool has_any = false;
  for (Output& output : outputs_) {
    if (output.segment == nullptr) continue;
    has_any = true;
    PEAT_RETURN_IF_ERROR(output.segment->Finish());
    PEAT_ASSIGN_OR_RETURN(output.open,
                          output.segment->Open(parts_.config->read_method));
    output.open->counter().Add({.value_bytes = output.value_bytes});
    for (const SegmentId file : output.value_files) {
      output.open->AddValueFile(file);
    }
    written_bytes_ += output.segment->entry().end;
  }
  if (!has_any) return absl::OkStatus();
  if (absl::Status status = parts_.directory->Sync(); !status.ok()) {
    // It may have been the name of a log segment that did not get there.
    return parts_.poison->Set(status);
  }
  return parts_.manifest->Reserve(parts_.manifest->Current().segments.size() +
                                  outputs_.size());
}

std::vector<std::shared_ptr<Segment>> Compaction::outputs() const {
  std::vector<std::shared_ptr<Segment>> outputs;
  for (const Output& output : outputs_) {
    if (output.open != nullptr) outputs.push_back(output.open);
  }
  return outputs;
}

}  // namespace peat::engine
