#include "engine/read/reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>
#include <vector>

#include "engine/log/store_clock.h"
#include "engine/log/value_files.h"
#include "engine/read/proven.h"
#include "engine/read/read_ahead.h"
#include "engine/segment/seeded_bug.h"
#include "format/check.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "index/key_hash.h"

namespace peat::engine {
namespace {

using format::Location;
using format::RecordKind;
using index::HashIndex;
using index::kLookupGroupSize;
using index::Verdict;

// How often a multi-get is tried without locks: beside batches that follow one
// another it would not end.
constexpr int kMultiGetAttempts = 2;

}  // namespace

inline Verdict Reader::Match(std::string_view key, Location location,
                             Found* found, absl::Status* status) const {
  found->segment = &parts_.segments->At(location.segment());
  if (absl::Status read = found->segment->ReadRecord(
          location.offset(), &found->scratch, &found->record);
      !read.ok()) [[unlikely]] {
    *status = std::move(read);
    return Verdict::kStop;
  }
  if (found->record.key != key) return Verdict::kOther;
  if (!MayBeIndexed(found->record.header.kind)) [[unlikely]] {
    *status = found->segment->DamagedAt(location.offset());
    return Verdict::kStop;
  }
  return Verdict::kMatch;
}

inline absl::Status Reader::ConcludeRecord(Verdict verdict, const Found& found,
                                           std::string_view key,
                                           absl::Status&& status) const {
  if (verdict == Verdict::kStop) [[unlikely]] {
    return std::move(status);
  }
  if (gaps_.is_damaged && MayBeHidden(verdict, found, key)) [[unlikely]] {
    return absl::DataLossError(
        "an unreadable range of the store could hold this key");
  }
  if (verdict == Verdict::kOther) return absl::NotFoundError("");
  PEAT_DCHECK(MayBeIndexed(found.record.header.kind));
  return absl::OkStatus();
}

bool Reader::MayBeHidden(Verdict verdict, const Found& found,
                         std::string_view key) const {
  const uint64_t hash = (*parts_.hasher)(key);
  if (verdict == Verdict::kOther) return !IsProvenAbsent(gaps_.proven, hash);
  // Nothing that is hidden can undo a forget.
  if (found.record.header.lsn >= gaps_.hidden_up_to ||
      found.record.header.kind == RecordKind::kForget) {
    return false;
  }
  Found again;
  absl::Status status;
  Location here;
  parts_.index->FindUnvalidated(hash, [&](Location location) {
    here = location;
    return Match(key, location, &again, &status);
  });
  return !IsProvenNewest(gaps_.proven, hash, here);
}

inline absl::Status Reader::Conclude(Verdict verdict, const Found& found,
                                     std::string_view key,
                                     absl::Status&& status) const {
  PEAT_RETURN_IF_ERROR(ConcludeRecord(verdict, found, key, std::move(status)));
  if (!IsReadable(StateAfter(found.record.header.kind)) &&
      !HasBug(Bug::kForgottenVisible)) [[unlikely]] {
    return absl::NotFoundError("");
  }
  return absl::OkStatus();
}

inline absl::Status Reader::FindRecord(std::string_view key,
                                       Found* found) const {
  absl::Status status;
  const Verdict verdict = parts_.index->Find(
      (*parts_.hasher)(key),
      [&](Location location) { return Match(key, location, found, &status); });
  return ConcludeRecord(verdict, *found, key, std::move(status));
}

inline absl::Status Reader::Find(std::string_view key, Found* found) const {
  absl::Status status;
  const Verdict verdict = parts_.index->Find(
      (*parts_.hasher)(key),
      [&](Location location) { return Match(key, location, found, &status); });
  PEAT_RETURN_IF_ERROR(Conclude(verdict, *found, key, std::move(status)));
  if (!format::Expires(found->record.header)) [[likely]] {
    return absl::OkStatus();
  }
  PEAT_RETURN_IF_ERROR(CheckLive(key, found));
  return IsReadable(StateAfter(found->record.header.kind))
             ? absl::OkStatus()
             : absl::NotFoundError("");
}

absl::Status Reader::CheckLive(std::string_view key, Found* found) const {
  if (!parts_.clock->HasExpired(found->record)) return absl::OkStatus();
  // A writer that has seen the key alive may be about to change the index, and
  // whoever asks later than this must not see less than that: it has the
  // shard's lock.
  {
    const HashIndex::ShardLock lock(*parts_.index,
                                    HashIndex::ShardOf((*parts_.hasher)(key)));
  }
  PEAT_RETURN_IF_ERROR(FindRecord(key, found));
  return parts_.clock->HasExpired(found->record) ? absl::NotFoundError("")
                                                 : absl::OkStatus();
}

absl::Status Reader::Get(std::string_view key, std::string* value) const {
  Found found;
  PEAT_RETURN_IF_ERROR(Find(key, &found));
  return CopyValue(found.record, value);
}

absl::Status Reader::CopyValue(const format::Record& record,
                               std::string* value) const {
  const std::string_view stored = format::StoredValue(record);
  if ((record.header.flags & format::kFlagValueFile) != 0) [[unlikely]] {
    return CopyReferred(stored, value);
  }
  value->assign(stored);
  return absl::OkStatus();
}

absl::Status Reader::CopyReferred(std::string_view stored,
                                  std::string* value) const {
  PEAT_ASSIGN_OR_RETURN(const format::ValueReference reference,
                        format::DecodeValueReference(stored));
  return ReadValueFile(*parts_.directory, parts_.manifest->store_id(),
                       reference, value);
}

absl::StatusOr<Pinned> Reader::GetPinned(std::string_view key) const {
  Found found;
  PEAT_RETURN_IF_ERROR(Find(key, &found));
  Pinned pinned;
  PEAT_RETURN_IF_ERROR(Pin(found, &pinned));
  return pinned;
}

inline absl::Status Reader::Pin(const Found& found, Pinned* pinned) const {
  const bool in_file =
      (found.record.header.flags & format::kFlagValueFile) != 0;
  if (!in_file && found.segment->is_mapped()) [[likely]] {
    pinned->owner = found.segment->shared_from_this();
    pinned->value = format::StoredValue(found.record);
    return absl::OkStatus();
  }
  auto copy = std::make_shared<std::string>();
  PEAT_RETURN_IF_ERROR(CopyValue(found.record, copy.get()));
  pinned->value = *copy;
  pinned->owner = std::move(copy);
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Reader::ValueSize(std::string_view key) const {
  Found found;
  PEAT_RETURN_IF_ERROR(Find(key, &found));
  return SizeOf(found.record);
}

absl::StatusOr<uint64_t> Reader::SizeOf(const format::Record& record) {
  const std::string_view stored = format::StoredValue(record);
  if ((record.header.flags & format::kFlagValueFile) == 0) {
    return stored.size();
  }
  PEAT_ASSIGN_OR_RETURN(const format::ValueReference reference,
                        format::DecodeValueReference(stored));
  return reference.size;
}

absl::StatusOr<KeyInfo> Reader::Describe(std::string_view key) const {
  Found found;
  const absl::Status status = FindRecord(key, &found);
  if (absl::IsNotFound(status)) return KeyInfo();
  PEAT_RETURN_IF_ERROR(status);
  const absl::Status live = CheckLive(key, &found);
  if (absl::IsNotFound(live)) return KeyInfo();
  PEAT_RETURN_IF_ERROR(live);
  KeyInfo facts{.state = StateAfter(found.record.header.kind),
                .lsn = found.record.header.lsn};
  if (const format::Millis expiry = format::ExpiryOf(found.record);
      expiry != format::kNever && IsReadable(facts.state)) {
    facts.expires_at = Time(std::chrono::milliseconds(expiry));
  }
  if (IsReadable(facts.state)) {
    PEAT_ASSIGN_OR_RETURN(facts.value_size, SizeOf(found.record));
  }
  return facts;
}

absl::StatusOr<KeyState> Reader::State(std::string_view key) const {
  Found found;
  const absl::Status status = FindRecord(key, &found);
  if (absl::IsNotFound(status)) return KeyState::kAbsent;
  PEAT_RETURN_IF_ERROR(status);
  const absl::Status live = CheckLive(key, &found);
  if (absl::IsNotFound(live)) return KeyState::kAbsent;
  PEAT_RETURN_IF_ERROR(live);
  return StateAfter(found.record.header.kind);
}

absl::Status Reader::Reveal(std::string_view key, std::string* value) const {
  Found found;
  PEAT_RETURN_IF_ERROR(FindRecord(key, &found));
  const RecordKind kind = found.record.header.kind;
  if (kind != RecordKind::kDisable && kind != RecordKind::kForget) {
    return absl::NotFoundError("the key is neither disabled nor forgotten");
  }
  if (!format::DecodeMask(found.record).has_value()) {
    return absl::NotFoundError("nothing was stored");
  }
  return CopyValue(found.record, value);
}

void Reader::MultiGet(std::span<const std::string_view> keys,
                      Answer answer) const {
  ShardVersions seen;
  for (int attempt = 0; attempt < kMultiGetAttempts; ++attempt) {
    seen.shard_bits = 0;
    GroupWatch watch(parts_.read_ahead, keys.size());
    for (size_t first = 0; first < keys.size(); first += kLookupGroupSize) {
      KeyGroup group = GroupAt(keys, first);
      MultiGetGroup(group, watch, answer, &seen);
    }
    if (IsUnchanged(seen)) return;
  }
  MultiGetLocked(keys, seen.shard_bits, answer);
}

Reader::KeyGroup Reader::GroupAt(std::span<const std::string_view> keys,
                                 size_t first) {
  PEAT_DCHECK(first < keys.size());
  const size_t count = std::min(kLookupGroupSize, keys.size() - first);
  return {.keys = keys.subspan(first, count), .first = first};
}

// A batch that is seen in part has changed the shard of a key that was looked
// up before it since that shard's version was taken.
bool Reader::IsUnchanged(const ShardVersions& seen) const {
  for (uint64_t bits = seen.shard_bits; bits != 0; bits &= bits - 1) {
    const int shard = std::countr_zero(bits);
    if (!parts_.index->BatchVersionIs(
            shard, seen.versions[static_cast<size_t>(shard)])) {
      return false;
    }
  }
  return true;
}

// In stages, so that the misses of all keys overlap: buckets, then records,
// then answers.
void Reader::MultiGetGroup(KeyGroup& group, GroupWatch& watch, Answer answer,
                           ShardVersions* seen) const {
  const std::span<const std::string_view> keys = group.keys;
  std::array<uint64_t, kLookupGroupSize> hashes = {};
  std::array<index::Probe, kLookupGroupSize> probes = {};
  for (size_t i = 0; i < keys.size(); ++i) {
    hashes[i] = (*parts_.hasher)(keys[i]);
    const int shard = HashIndex::ShardOf(hashes[i]);
    const uint64_t bit = uint64_t{1} << shard;
    if ((seen->shard_bits & bit) == 0) {
      seen->shard_bits |= bit;
      seen->versions[static_cast<size_t>(shard)] =
          parts_.index->BatchVersion(shard);
    }
    probes[i] = parts_.index->Prepare(hashes[i]);
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    group.hints[i] = probes[i].PeekAtHome();
    if (group.hints[i].is_none()) continue;
    parts_.segments->At(group.hints[i].segment())
        .Prefetch(group.hints[i].offset());
  }
  AnswerGroup(group, watch, answer, [&](size_t i, auto&& match) {
    // The first candidate is nearly always the one.
    const Verdict verdict =
        group.hints[i].is_none() ? Verdict::kOther : match(group.hints[i]);
    return verdict == Verdict::kOther
               ? parts_.index->FindUnvalidated(hashes[i], match)
               : verdict;
  });
}

template <typename Look>
void Reader::AnswerGroup(const KeyGroup& group, GroupWatch& watch,
                         Answer answer, Look look) const {
  const std::span<const std::string_view> keys = group.keys;
  if (const uint64_t size = watch.record_size(); size > 0) [[unlikely]] {
    for (const Location hint : std::span(group.hints).first(keys.size())) {
      if (hint.is_none()) continue;
      parts_.segments->At(hint.segment()).WillNeed(hint.offset(), size);
    }
    watch.Restart();
  }
  uint64_t bytes = 0;
  Found found;
  for (size_t i = 0; i < keys.size(); ++i) {
    absl::Status status;
    const Verdict verdict = look(i, [&](Location location) {
      return Match(keys[i], location, &found, &status);
    });
    status = Conclude(verdict, found, keys[i], std::move(status));
    if (status.ok() && parts_.clock->HasExpired(found.record)) [[unlikely]] {
      status = absl::NotFoundError("");
    }
    Pinned value;
    if (status.ok()) status = Pin(found, &value);
    bytes += keys[i].size() + value.value.size();
    answer(group.first + i, std::move(status), std::move(value));
  }
  watch.End(keys.size(), bytes);
}

// Under the locks only the index is read, some 50 ns a key. What lies where it
// pointed then does not change and stays readable.
void Reader::MultiGetLocked(std::span<const std::string_view> keys,
                            uint64_t shard_bits, Answer answer) const {
  std::vector<uint64_t> hashes(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    hashes[i] = (*parts_.hasher)(keys[i]);
    parts_.index->EnsureLoaded(HashIndex::ShardOf(hashes[i]));
  }
  // Of key i: those from ends[i - 1] to ends[i].
  std::vector<Location> candidates;
  std::vector<size_t> ends(keys.size());
  candidates.reserve(2 * keys.size());
  {
    const HashIndex::ManyShardsLock lock(*parts_.index, shard_bits);
    for (size_t i = 0; i < keys.size(); ++i) {
      (void)parts_.index->FindUnvalidated(hashes[i], [&](Location candidate) {
        candidates.push_back(candidate);
        return Verdict::kOther;
      });
      ends[i] = candidates.size();
    }
  }
  const auto begin_of = [&](size_t key) {
    return key == 0 ? 0 : ends[key - 1];
  };
  GroupWatch watch(parts_.read_ahead, keys.size());
  for (size_t first = 0; first < keys.size(); first += kLookupGroupSize) {
    KeyGroup group = GroupAt(keys, first);
    for (size_t i = 0; i < group.keys.size(); ++i) {
      if (begin_of(first + i) == ends[first + i]) continue;
      group.hints[i] = candidates[begin_of(first + i)];
      parts_.segments->At(group.hints[i].segment())
          .Prefetch(group.hints[i].offset());
    }
    AnswerGroup(group, watch, answer, [&](size_t i, auto&& match) {
      Verdict verdict = Verdict::kOther;
      for (size_t at = begin_of(first + i);
           at < ends[first + i] && verdict == Verdict::kOther; ++at) {
        verdict = match(candidates[at]);
      }
      return verdict;
    });
  }
}

}  // namespace peat::engine
