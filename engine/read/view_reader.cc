#include "engine/read/view_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "absl/strings/str_format.h"
#include "engine/log/store_clock.h"
#include "engine/read/proven.h"
#include "engine/read/read_ahead.h"
#include "engine/segment/key_state.h"
#include "engine/segment/seeded_bug.h"
#include "format/check.h"
#include "format/status_macros.h"
#include "index/key_hash.h"

namespace peat::engine {
namespace {

using format::Location;
using format::Record;
using index::KeyGroup;
using index::kLookupGroupSize;
using index::Verdict;

// Of a group, so many records are asked for whole ahead of the one that is
// looked at: what computing takes of a record hides the wait for the next ones.
constexpr size_t kRecordsAhead = 8;

bool IsForgotten(const Record& record) {
  return !IsReadable(StateAfter(record.header.kind)) &&
         !HasBug(Bug::kForgottenVisible);
}

// A file that is gone is not a key that is absent.
[[gnu::always_inline]] inline absl::Status ReadRecord(
    const Segment& segment, uint64_t offset, ViewReader::Found* found) {
  absl::Status status =
      segment.ReadRecord(offset, &found->scratch, &found->record);
  if (status.ok()) [[likely]]
    return status;
  if (!absl::IsNotFound(status)) return status;
  return absl::DataLossError(
      absl::StrFormat("%s is missing", segment.file_name()));
}

}  // namespace

absl::Status ViewReader::Find(const View& view, std::string_view key,
                              Found* found) const {
  absl::Status failure;
  switch (FindHashed(view, {.key = key, .hash = Hash(key)}, found, &failure)) {
    case Answer::kFound:
      return absl::OkStatus();
    case Answer::kAbsent:
      return absl::NotFoundError("");
    case Answer::kFailed:
      return failure;
  }
  PEAT_CHECK(false);
}

[[gnu::always_inline]] inline Verdict ViewReader::Match(
    std::string_view key, Location location, Found* found,
    absl::Status* failure) const {
  found->segment = &parts_.segments->At(location.segment());
  if (absl::Status read = ReadRecord(*found->segment, location.offset(), found);
      !read.ok()) [[unlikely]] {
    *failure = std::move(read);
    return Verdict::kStop;
  }
  if (found->record.key != key) return Verdict::kOther;
  if (!MayBeIndexed(found->record.header.kind)) [[unlikely]] {
    *failure = found->segment->DamagedAt(location.offset());
    return Verdict::kStop;
  }
  return Verdict::kMatch;
}

inline bool ViewReader::HasExpired(const View& view,
                                   const Record& record) const {
  if (!format::Expires(record.header)) [[likely]] {
    return false;
  }
  if (LiveUntil(record) > view.time()) return false;
  parts_.clock->Raise(view.time());
  return true;
}

[[gnu::always_inline]] inline ViewReader::Answer ViewReader::FindHashed(
    const View& view, const HashedKey& wanted, Found* found,
    absl::Status* failure) const {
  Verdict verdict = wanted.candidate.is_none()
                        ? Verdict::kOther
                        : Match(wanted.key, wanted.candidate, found, failure);
  if (verdict == Verdict::kOther) [[unlikely]] {
    verdict =
        parts_.index->FindUnvalidated(wanted.hash, [&](Location location) {
          return Match(wanted.key, location, found, failure);
        });
  }
  if (verdict == Verdict::kStop) [[unlikely]] {
    return Answer::kFailed;
  }
  if (verdict == Verdict::kMatch) {
    if (IsForgotten(found->record)) return Answer::kAbsent;
    const format::Lsn lsn = found->record.header.lsn;
    if (lsn < hidden_up_to_ && MayBeOutdated(wanted.key, wanted.hash))
        [[unlikely]] {
      return Answer::kAbsent;
    }
    if (lsn <= view.lsn()) [[likely]] {
      if (HasExpired(view, found->record)) return Answer::kAbsent;
      found->owner.reset();
      if (!view.Holds(*found->segment)) [[unlikely]] {
        found->owner = found->segment->shared_from_this();
      }
      return Answer::kFound;
    }
  }
  return FindSaved(view, wanted.key, found, failure);
}

bool ViewReader::MayBeOutdated(std::string_view key, uint64_t hash) const {
  Found again;
  absl::Status failure;
  Location here;
  parts_.index->FindUnvalidated(hash, [&](Location location) {
    here = location;
    return Match(key, location, &again, &failure);
  });
  return !IsProvenNewest(proven_, hash, here);
}

ViewReader::Answer ViewReader::FindSaved(const View& view, std::string_view key,
                                         Found* found,
                                         absl::Status* failure) const {
  std::optional<SavedRecord> saved = parts_.views->Find(view, key);
  if (!saved.has_value()) return Answer::kAbsent;
  *failure = ReadRecord(*saved->segment, saved->offset, found);
  if (!failure->ok()) return Answer::kFailed;
  // The file may have been exchanged since the record was saved.
  if (found->record.key != key || found->record.header.lsn != saved->lsn)
      [[unlikely]] {
    *failure = saved->segment->DamagedAt(saved->offset);
    return Answer::kFailed;
  }
  if (HasExpired(view, found->record)) return Answer::kAbsent;
  found->segment = saved->segment.get();
  found->owner = std::move(saved->segment);
  return Answer::kFound;
}

inline Segment* ViewReader::SegmentIfCurrent(const View& view,
                                             std::string_view key,
                                             Location hint) const {
  // What was hidden by damage counts as superseding all that is older.
  if (hidden_up_to_ != 0) [[unlikely]] {
    return nullptr;
  }
  Segment* const segment = view.SegmentAt(hint.segment());
  if (segment == nullptr) return nullptr;
  // The number may have come to stand for another segment, in which anything
  // lies there, or nothing.
  if (hint.offset() + format::RecordSize(key.size(), 0) >
      view.EndOf(*segment)) {
    return nullptr;
  }
  if (segment->stale().MayHave(hint.offset())) return nullptr;
  if (segment->has_used_number() &&
      !segment->MayHaveKeyAt(hint.offset(), key)) {
    return nullptr;
  }
  return segment;
}

inline void ViewReader::Begin(const View& view, const KeyGroup& keys,
                              size_t first, std::span<GroupKey> group) const {
  // Where the record was is nearly always where it is. In a loop of its own,
  // so that the processor looks up many pages at a time.
  for (size_t i = 0; i < group.size(); ++i) {
    const Location hint = keys.hint(first + i);
    const Segment* const segment = view.SegmentAt(hint.segment());
    if (segment != nullptr) segment->PrefetchBegin(hint.offset());
  }
  for (size_t i = 0; i < std::min(kRecordsAhead, group.size()); ++i) {
    const Location hint = keys.hint(first + i);
    const Segment* const segment = view.SegmentAt(hint.segment());
    if (segment != nullptr) segment->Prefetch(hint.offset());
  }
  bool all_known = true;
  for (size_t i = 0; i < group.size(); ++i) {
    group[i].key = keys[first + i];
    group[i].candidate = keys.hint(first + i);
    group[i].segment = SegmentIfCurrent(view, group[i].key, group[i].candidate);
    all_known &= group[i].segment != nullptr;
  }
  if (all_known) [[likely]]
    return;
  for (GroupKey& wanted : group) {
    if (wanted.segment != nullptr) continue;
    wanted.hash = Hash(wanted.key);
    wanted.probe = parts_.index->Prepare(wanted.hash);
  }
  for (GroupKey& wanted : group) {
    if (wanted.segment != nullptr) continue;
    wanted.candidate = wanted.probe.PeekAtHome();
    if (wanted.candidate.is_none()) continue;
    parts_.segments->At(wanted.candidate.segment())
        .PrefetchBegin(wanted.candidate.offset());
  }
}

[[gnu::always_inline]] inline ViewReader::Answer ViewReader::FindInGroup(
    const View& view, const GroupKey& wanted, Found* found,
    absl::Status* failure) const {
  if (wanted.segment == nullptr) {
    return FindHashed(view, {wanted.key, wanted.hash, wanted.candidate}, found,
                      failure);
  }
  // An error is one only if the index leads there, too.
  if (ReadRecord(*wanted.segment, wanted.candidate.offset(), found).ok() &&
      found->record.header.kind == format::RecordKind::kPut &&
      found->record.key == wanted.key && found->record.header.lsn <= view.lsn())
      [[likely]] {
    if (HasExpired(view, found->record)) return Answer::kAbsent;
    found->segment = wanted.segment;
    found->owner.reset();
    PEAT_DCHECK(IsShown(view, *found));
    return Answer::kFound;
  }
  return FindHashed(view, {.key = wanted.key, .hash = Hash(wanted.key)}, found,
                    failure);
}

bool ViewReader::IsShown(const View& view, const Found& found) const {
  const std::string_view key = found.record.key;
  Found shown;
  absl::Status failure;
  switch (FindHashed(view, {.key = key, .hash = Hash(key)}, &shown, &failure)) {
    case Answer::kFound:
      return shown.record.header.lsn == found.record.header.lsn;
    case Answer::kAbsent:  // unless it was forgotten meanwhile
      return IsForgotten(shown.record);
    case Answer::kFailed:
      return true;
  }
  PEAT_CHECK(false);
}

inline const Segment* ViewReader::CandidateSegment(
    const GroupKey& wanted) const {
  if (wanted.segment != nullptr) return wanted.segment;
  if (wanted.candidate.is_none()) return nullptr;
  return &parts_.segments->At(wanted.candidate.segment());
}

absl::Status ViewReader::FindGroup(const View& view, const KeyGroup& keys,
                                   Show show) const {
  std::array<GroupKey, kLookupGroupSize> group;
  Found found;
  absl::Status failure;
  GroupWatch watch(parts_.read_ahead, keys.size());
  for (size_t first = 0; first < keys.size(); first += kLookupGroupSize) {
    const size_t count = std::min(kLookupGroupSize, keys.size() - first);
    Begin(view, keys, first, std::span(group).first(count));
    if (const uint64_t size = watch.record_size(); size > 0) [[unlikely]] {
      AskForPages(std::span(group).first(count), size);
      watch.Restart();
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; ++i) {
      if (i + kRecordsAhead < count) {
        const GroupKey& ahead = group[i + kRecordsAhead];
        const Segment* const segment = CandidateSegment(ahead);
        if (segment != nullptr) segment->Prefetch(ahead.candidate.offset());
      }
      const Answer answer = FindInGroup(view, group[i], &found, &failure);
      if (answer == Answer::kAbsent) continue;
      if (answer == Answer::kFailed) [[unlikely]] {
        return failure;
      }
      bytes += found.record.key.size() + found.record.value.size();
      show(found);
    }
    watch.End(count, bytes);
  }
  return absl::OkStatus();
}

void ViewReader::AskForPages(std::span<const GroupKey> group,
                             uint64_t record_size) const {
  for (const GroupKey& wanted : group) {
    const Segment* const segment = CandidateSegment(wanted);
    if (segment == nullptr) continue;
    segment->WillNeed(wanted.candidate.offset(), record_size);
  }
}

absl::StatusOr<bool> ViewReader::Shows(const View& view, const Segment& segment,
                                       uint64_t offset, uint64_t hash,
                                       const Record& record) const {
  const format::Lsn lsn = record.header.lsn;
  if (lsn > view.lsn()) return false;
  const Location here(segment.number(), offset);
  if (lsn < hidden_up_to_ && !IsProvenNewest(proven_, hash, here))
      [[unlikely]] {
    return false;
  }
  bool may_be_moved = false;
  if (parts_.index->FindUnvalidated(hash, [&](Location location) {
        if (location == here && parts_.segments->Has(segment)) {
          return Verdict::kMatch;
        }
        may_be_moved |=
            parts_.segments->At(location.segment()).identity().kind !=
            format::SegmentKind::kLog;
        return Verdict::kOther;
      }) == Verdict::kMatch) {
    return !HasExpired(view, record);
  }
  // What the index points to in the log, if it is this key, was written later.
  // So this record is shown only if it was moved, or saved for the view.
  if (!may_be_moved && !parts_.views->Find(view, record.key).has_value()) {
    return false;
  }
  Found shown;
  absl::Status failure;
  const Answer answer =
      FindHashed(view, {.key = record.key, .hash = hash}, &shown, &failure);
  if (answer == Answer::kFailed) return failure;
  return answer == Answer::kFound && shown.record.header.lsn == lsn;
}

}  // namespace peat::engine
