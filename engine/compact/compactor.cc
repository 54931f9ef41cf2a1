#include "engine/compact/compactor.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "engine/log/appender.h"
#include "engine/log/file_pins.h"
#include "engine/log/log_end.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/log/sealer.h"
#include "engine/log/segment_allocator.h"
#include "engine/log/store_clock.h"
#include "engine/log/value_references.h"
#include "engine/read/views.h"
#include "engine/segment/seeded_bug.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/status_macros.h"
#include "index/epoch.h"

namespace peat::engine {
namespace {

using format::ManifestSegment;
using format::SegmentId;
using format::SegmentState;

// An active segment that is smaller is not ended because it has expired.
constexpr uint64_t kWorthEnding = uint64_t{64} << 10;

// `log_end` is the last sealed segment of the log, which proves what follows.
bool MayBeInput(const ManifestSegment& entry, const Segment& segment,
                SegmentId log_end, const ImageAnchors& anchors) {
  return entry.state == SegmentState::kSealed && entry.id != log_end &&
         !anchors.Has(entry.id) && !segment.is_set_aside();
}

// What has expired counts as dead: `expired` bytes of records, current or not.
void TakeExpired(uint64_t expired, SegmentFacts* fact) {
  PEAT_CHECK(expired <= fact->used_bytes);
  const uint64_t live =
      std::min(fact->live_bytes,
               fact->used_bytes - format::kSegmentHeaderSize - expired);
  fact->expired_bytes = fact->live_bytes - live;
  fact->live_bytes = live;
}

}  // namespace

absl::Status Compactor::CheckGoesOn() const {
  if (is_stopped_.load(std::memory_order_acquire))
    return absl::FailedPreconditionError("the store is closed");
  return parts_.poison->status();
}

absl::StatusOr<Compactor::Step> Compactor::RunOnce() {
  index::MutexLock lock(&mutex_);
  PEAT_RETURN_IF_ERROR(CheckGoesOn());
  Reclaim();
  if (!parts_.supply->reserve_complete()) {
    // Without it there may be space enough for what follows all the same.
    (void)parts_.supply->RefillReserve();
  }
  const std::vector<Known> known = KnownSegments();
  WatchTombstones(known);
  const std::vector<SegmentFacts> facts = CautiousFactsOf(known);
  const std::vector<SegmentId> inputs = PickInputs(facts, Goal());
  if (!inputs.empty()) {
    const bool was_short_of_space = is_short_of_space_;
    const absl::Status status = Compact(known, inputs).status();
    if (is_short_of_space_ && !was_short_of_space) return Step::kDone;
    PEAT_RETURN_IF_ERROR(status);
    return Step::kDone;
  }
  if (IsOverAllowance(facts, Goal()) && parts_.appender->rolled_count() > 0) {
    PEAT_RETURN_IF_ERROR(parts_.sealer->SyncAndSeal());
    return parts_.appender->rolled_count() > 0 ? Step::kNothing : Step::kDone;
  }
  if (EndExpiredActive()) {
    PEAT_RETURN_IF_ERROR(parts_.sealer->SyncAndSeal());
    return Step::kDone;
  }
  NoteNextExpiry(known, facts);
  return retired_.empty() ? Step::kNothing : Step::kWaiting;
}

bool Compactor::EndExpiredActive() const {
  const Appender::ActiveExpiries active = parts_.appender->TakeActiveExpiries();
  if (active.tail < kWorthEnding) return false;
  if (active.sum.ExpiredBytes(parts_.clock->Peek()) < active.tail / 2) {
    return false;
  }
  if (!parts_.supply->PrepareFor(0, Need::kAddData).ok()) return false;
  (void)parts_.appender->EndActive();
  return true;
}

std::optional<std::chrono::milliseconds> Compactor::UntilExpiry() const {
  const format::Millis next = next_expiry_.load(std::memory_order_relaxed);
  if (next == format::kNever || parts_.clock->source() == TimeSource::kCaller) {
    return std::nullopt;
  }
  const format::Millis now = parts_.clock->Peek();
  return std::chrono::milliseconds(next > now ? next - now : 0);
}

void Compactor::NoteNextExpiry(const std::vector<Known>& known,
                               const std::vector<SegmentFacts>& facts) {
  PEAT_DCHECK(known.size() == facts.size());
  const format::Millis now = parts_.clock->Peek();
  format::Millis next =
      parts_.appender->TakeActiveExpiries().sum.NextExpiry(now);
  for (size_t i = 0; i < known.size(); ++i) {
    if (!facts[i].may_be_input) continue;
    next = std::min(next, known[i].segment->expiries().NextExpiry(now));
  }
  next_expiry_.store(next, std::memory_order_relaxed);
}

absl::Status Compactor::JoinSmall() {
  index::MutexLock lock(&mutex_);
  // Closing the store, which has stopped all others, asks for it.
  PEAT_RETURN_IF_ERROR(parts_.poison->status());
  const std::vector<Known> known = KnownSegments();
  const std::vector<SegmentId> inputs =
      PickToJoin(CautiousFactsOf(known), Goal());
  if (inputs.empty()) return absl::OkStatus();
  return Compact(known, inputs).status();
}

// Their records are few bytes, so the segment would be active for long. Where
// there is no space for another, it goes on.
void Compactor::EndActiveForValues() const {
  const Appender::Progress progress = parts_.appender->TakeProgress();
  if (progress.active == nullptr) return;
  const SegmentUsage usage = progress.active->segment->usage();
  if (usage.value_bytes <= usage.live_value_bytes) return;
  if (!parts_.supply->PrepareFor(0, Need::kAddData).ok()) return;
  (void)parts_.appender->EndActive();
}

absl::Status Compactor::CompactAll() {
  EndActiveForValues();
  PEAT_RETURN_IF_ERROR(parts_.sealer->SyncAndSeal());
  absl::Status damage;
  std::optional<SegmentId> last_id;
  for (;;) {
    // Held for one compaction at a time, so that closing need not wait long.
    index::MutexLock lock(&mutex_);
    PEAT_RETURN_IF_ERROR(CheckGoesOn());
    Reclaim();
    const std::vector<Known> known = KnownSegments();
    if (!last_id.has_value()) {
      last_id = known.empty() ? 0 : known.back().entry.id;
    }
    const std::vector<SegmentId> inputs =
        PickForFullPass(CautiousFactsOf(known), Goal(), *last_id);
    if (inputs.empty()) return damage;
    const bool was_short_of_space = is_short_of_space_;
    const absl::StatusOr<bool> is_compacted = Compact(known, inputs);
    if (is_short_of_space_ && !was_short_of_space) continue;
    PEAT_RETURN_IF_ERROR(is_compacted.status());
    if (!*is_compacted) damage.Update(damage_);
  }
}

absl::Status Compactor::AtRest(absl::FunctionRef<absl::Status()> work) {
  index::MutexLock lock(&mutex_);
  return work();
}

void Compactor::Stop() {
  StopSoon();
  index::MutexLock lock(&mutex_);
  Reclaim();
}

std::vector<SegmentFacts> Compactor::Facts() const {
  return FactsOf(KnownSegments());
}

Compactor::Counters Compactor::counters() const {
  return {.compaction_count = compaction_count_.load(),
          .written_bytes = written_bytes_.load(),
          .removed_bytes = removed_bytes_.load()};
}

CompactionGoal Compactor::Goal() const {
  const uint64_t base = parts_.supply->base_segment_size();
  return {.max_space_amplification = parts_.config->max_space_amplification,
          .space_extra_min = parts_.config->space_extra_min,
          .segment_size = base,
          // On a full disk, what the reserve holds.
          .output_size = is_short_of_space_
                             ? base
                             : std::max(parts_.supply->current_segment_size(),
                                        parts_.config->space_extra_min / 2),
          .last_lsn = parts_.appender->last_lsn()};
}

std::vector<Compactor::Known> Compactor::KnownSegments() const {
  parts_.appender->UpdateEnd();
  absl::flat_hash_map<SegmentId, std::shared_ptr<Segment>> open;
  for (std::shared_ptr<Segment>& segment : parts_.segments->All()) {
    const SegmentId id = segment->identity().id;
    open[id] = std::move(segment);
  }
  std::vector<Known> known;
  for (const ManifestSegment& entry : parts_.manifest->Current().segments) {
    const auto found = open.find(entry.id);
    // One that is being prepared is named before it is open.
    if (found == open.end()) continue;
    known.push_back({.entry = entry, .segment = found->second});
  }
  return known;
}

std::vector<SegmentFacts> Compactor::FactsOf(
    const std::vector<Known>& known) const {
  const SegmentId log_end = SealedEnd(parts_.manifest->Current()).segment;
  const format::Millis now = parts_.clock->Peek();
  std::vector<SegmentFacts> facts;
  for (const Known& one : known) {
    const Segment& segment = *one.segment;
    SegmentFacts& fact = facts.emplace_back(SegmentFacts{segment.usage()});
    if (one.entry.state == SegmentState::kSealed) {
      TakeExpired(segment.expiries().ExpiredBytes(now), &fact);
    }
    fact.id = one.entry.id;
    fact.kind = one.entry.kind;
    // What lies there is kept for ever, current or not.
    if (fact.kind == format::SegmentKind::kAudit) {
      fact.audit_bytes = std::exchange(fact.live_bytes, 0);
    }
    fact.first_lsn = one.entry.first_lsn;
    fact.last_lsn = one.entry.last_lsn;
    fact.is_set_aside = segment.is_set_aside();
    fact.may_be_input =
        MayBeInput(one.entry, segment, log_end, *parts_.anchors);
  }
  return facts;
}

std::vector<SegmentFacts> Compactor::CautiousFactsOf(
    const std::vector<Known>& known) const {
  std::vector<SegmentFacts> facts = FactsOf(known);
  if (is_short_of_space_) {
    for (SegmentFacts& fact : facts) fact.idle_bytes = 0;
  }
  return facts;
}

absl::StatusOr<bool> Compactor::Compact(const std::vector<Known>& known,
                                        const std::vector<SegmentId>& ids) {
  const absl::flat_hash_set<SegmentId> wanted(ids.begin(), ids.end());
  std::vector<SealedSegment> inputs;
  std::vector<SealedSegment> others;
  for (const Known& one : known) {
    if (one.entry.state != SegmentState::kSealed) continue;
    (wanted.contains(one.entry.id) ? inputs : others).push_back(one);
  }
  PEAT_CHECK(inputs.size() == wanted.size());
  Compaction compaction(parts_, std::move(inputs), std::move(others));
  const absl::Status status = compaction.Run();
  is_short_of_space_ = absl::IsResourceExhausted(status);
  if (compaction.has_set_aside()) {
    damage_ = status;
    return false;
  }
  PEAT_RETURN_IF_ERROR(status);
  Retire(compaction);
  Reclaim();
  return true;
}

void Compactor::Retire(const Compaction& compaction) {
  Retired retired;
  for (const SealedSegment& input : compaction.inputs()) {
    retired.segments.push_back(input.segment);
  }
  parts_.segments->Exchange(retired.segments, compaction.outputs());
  for (const SegmentId file : compaction.dropped_values()) {
    parts_.references->Remove(file);
  }
  retired.value_files = parts_.references->TakeUnreferenced();
  retired.last_lsn = parts_.appender->last_lsn();
  retired.stamp = index::EpochStamp();
  retired_.push_back(std::move(retired));
  ++compaction_count_;
  removed_bytes_ += compaction.removed_bytes();
  written_bytes_ += compaction.written_bytes();
}

void Compactor::Reclaim() {
  for (const LeavingFile& file : std::exchange(pinned_, {})) Unlink(file);
  std::vector<std::shared_ptr<Segment>> held;
  for (std::shared_ptr<Segment>& segment : held_) {
    if (segment.use_count() == 1) {
      Unlink({.id = segment->identity().id});
    } else {
      held.push_back(std::move(segment));
    }
  }
  held_ = std::move(held);
  if (retired_.empty()) return ReclaimValues();
  const uint64_t oldest = index::OldestEpoch(parts_.index->epochs());
  while (!retired_.empty() && retired_.front().stamp < oldest) {
    for (std::shared_ptr<Segment>& segment : retired_.front().segments) {
      parts_.segments->Release(*segment);
      if (segment->is_mapped() || segment.use_count() == 1) {
        Unlink({.id = segment->identity().id});
      } else {
        held_.push_back(std::move(segment));
      }
    }
    if (!retired_.front().value_files.empty()) {
      retired_values_.push_back(
          {retired_.front().last_lsn, std::move(retired_.front().value_files)});
    }
    retired_.pop_front();
  }
  ReclaimValues();
}

void Compactor::ReclaimValues() {
  const format::Lsn oldest_view = parts_.views->OldestLsn();
  while (!retired_values_.empty() &&
         retired_values_.front().last_lsn <= oldest_view) {
    for (const SegmentId file : retired_values_.front().files) {
      Unlink({.id = file, .is_value = true});
    }
    retired_values_.pop_front();
  }
}

// What cannot be removed now is an orphan, and removed at open.
void Compactor::Unlink(const LeavingFile& file) {
  if (parts_.pins->Has(file.id)) {
    pinned_.push_back(file);
  } else if (file.is_value) {
    (void)parts_.directory->Unlink(format::ValueFileName(file.id));
  } else {
    (void)parts_.directory->Unlink(format::SegmentFileName(file.id));
    (void)parts_.directory->Unlink(format::HintFileName(file.id));
  }
}

void Compactor::WatchTombstones(const std::vector<Known>& known) {
  std::vector<SealedSegment> sealed;
  for (const Known& one : known) {
    if (one.entry.state == SegmentState::kSealed) sealed.push_back(one);
  }
  tombstones_.Update(*parts_.directory, parts_.manifest->store_id(), sealed);
}

}  // namespace peat::engine
