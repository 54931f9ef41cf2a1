#include "engine/write/writer.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "engine/log/group_commit.h"
#include "engine/log/manifest_store.h"
#include "engine/log/poison.h"
#include "engine/log/segment_allocator.h"
#include "engine/log/store_clock.h"
#include "engine/log/value_files.h"
#include "engine/log/value_references.h"
#include "engine/read/reader.h"
#include "engine/read/views.h"
#include "engine/segment/config.h"
#include "engine/segment/mask_counts.h"
#include "engine/segment/seeded_bug.h"
#include "engine/write/logged_mask.h"
#include "engine/write/logged_value.h"
#include "engine/write/throttle.h"
#include "format/check.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "index/key_hash.h"
#include "index/ordered_index.h"

namespace peat::engine {

using format::Location;
using format::Lsn;
using format::RecordKind;
using index::HashIndex;
using index::Verdict;

template <Writer::Sync kSync, typename Payload>
absl::Status Writer::AppendPayload(uint64_t hash, const Seen& seen, Need need,
                                   Payload& payload, Attempt* attempt) {
  PEAT_RETURN_IF_ERROR(CheckWritable(need));
  PEAT_RETURN_IF_ERROR(payload.Prepare(seen));
  AppendRecord record = payload.record();
  if (seen.has_record) Supersede(seen, &record);
  Appended appended;
  bool wake = false;
  *attempt = TryAppend(hash, seen, record, &appended, &wake);
  switch (*attempt) {
    case Attempt::kDone:
      payload.Keep(appended.lsn);
      if constexpr (kSync == Sync::kByWrite) {
        return Acknowledge(appended.lsn, record.size(), wake);
      }
      Settle(record.size(), wake);
      return absl::OkStatus();
    case Attempt::kChanged:
      return absl::OkStatus();
    case Attempt::kNeedsSegment:
      return parts_.supply->PrepareFor(record.size(), need);
  }
  PEAT_CHECK(false);
}

template <Writer::Sync kSync, typename MakePayload, typename Decide>
absl::Status Writer::ApplyHashed(Operation operation, const HashedKey& key,
                                 MakePayload make_payload, Decide decide) {
  if (parts_.poison->is_set()) [[unlikely]] {
    return parts_.poison->status();
  }
  const Need need = RemovesData(operation) ? Need::kRemoveData : Need::kAddData;
  const uint64_t hash = key.hash;
  const int shard = HashIndex::ShardOf(hash);
  parts_.index->Prefetch(hash);
  decltype(auto) payload = make_payload();
  for (bool has_decided = false;; has_decided = true) {
    const uint64_t version = parts_.index->BatchVersion(shard);
    Seen seen;
    PEAT_RETURN_IF_ERROR(Look(hash, key.bytes, &seen));
    const Ruling ruling = RulingOn(operation, seen.state);
    bool writes = ruling == Ruling::kProceed;
    absl::Status status;
    if (!writes && ruling != Ruling::kNoChange) [[unlikely]] {
      status = StatusOf(ruling, seen.state);
    } else if (!HasBug(Bug::kDecidedOnce) || !has_decided) {
      status = decide(seen, &writes);
    }
    PEAT_DCHECK(!writes || ruling == Ruling::kProceed);
    if (!writes || !status.ok()) {
      // What was seen counts only if it was not half of a batch.
      if (parts_.index->BatchVersionIs(shard, version)) return status;
      continue;
    }
    Attempt attempt = Attempt::kChanged;
    PEAT_RETURN_IF_ERROR(
        AppendPayload<kSync>(hash, seen, need, payload, &attempt));
    if (attempt == Attempt::kDone) return absl::OkStatus();
  }
}

absl::Status Writer::Put(std::string_view key, std::string_view value,
                         format::Millis expiry) {
  return Apply(
      Operation::kPut, key,
      [&] { return LoggedValue(this, key, value, expiry); },
      [](const Seen&, bool*) { return absl::OkStatus(); });
}

absl::StatusOr<bool> Writer::PutIfAbsent(std::string_view key,
                                         std::string_view value,
                                         format::Millis expiry) {
  bool inserted = false;
  PEAT_RETURN_IF_ERROR(Apply(
      Operation::kPutIfAbsent, key,
      [&] { return LoggedValue(this, key, value, expiry); },
      [&](const Seen& seen, bool*) {
        inserted = seen.state == KeyState::kAbsent;
        return absl::OkStatus();
      }));
  return inserted;
}

void Writer::MultiPutIfAbsent(std::span<const KeyValue> pairs,
                              InsertAnswer answer) {
  const bool syncs = parts_.config->sync == SyncPolicy::kEveryWrite;
  std::vector<size_t> inserted;  // those that are to be synced
  std::array<uint64_t, index::kLookupGroupSize> hashes = {};
  for (size_t first = 0; first < pairs.size(); first += hashes.size()) {
    const size_t count = std::min(hashes.size(), pairs.size() - first);
    for (size_t i = 0; i < count; ++i) hashes[i] = Hash(pairs[first + i].key);
    AskFor(std::span(hashes).first(count));
    for (size_t i = 0; i < count; ++i) {
      const absl::StatusOr<bool> is_new = Insert(hashes[i], pairs[first + i]);
      if (syncs && is_new.ok() && *is_new) inserted.push_back(first + i);
      answer(first + i, is_new);
    }
  }
  if (inserted.empty()) return;
  const absl::Status synced =
      parts_.syncer->SyncUpTo(parts_.appender->last_lsn());
  if (synced.ok()) return;
  for (const size_t i : inserted) answer(i, synced);
}

absl::StatusOr<bool> Writer::Insert(uint64_t hash, const KeyValue& pair) {
  bool inserted = false;
  PEAT_RETURN_IF_ERROR(ApplyHashed<Sync::kByCaller>(
      Operation::kPutIfAbsent, {hash, pair.key},
      [&] { return LoggedValue(this, pair.key, pair.value); },
      [&](const Seen& seen, bool*) {
        inserted = seen.state == KeyState::kAbsent;
        return absl::OkStatus();
      }));
  return inserted;
}

absl::StatusOr<std::optional<std::string>> Writer::Update(
    std::string_view key, std::string_view value, format::Millis expiry) {
  bool existed = false;
  std::string previous;
  PEAT_RETURN_IF_ERROR(Apply(
      Operation::kUpdate, key,
      [&] { return LoggedValue(this, key, value, expiry); },
      [&](const Seen& seen, bool*) {
        existed = seen.state == KeyState::kLive;
        if (!existed) return absl::OkStatus();
        return parts_.reader->CopyValue(seen.record, &previous);
      }));
  if (!existed) return std::nullopt;
  return std::optional<std::string>(std::move(previous));
}

absl::StatusOr<bool> Writer::CompareAndSet(
    std::string_view key, std::optional<std::string_view> expected,
    std::string_view desired, format::Millis expiry) {
  bool is_equal = false;
  PEAT_RETURN_IF_ERROR(Apply(
      Operation::kCompareAndSet, key,
      [&] { return LoggedValue(this, key, desired, expiry); },
      [&](const Seen& seen, bool* writes) {
        const bool exists = seen.state == KeyState::kLive;
        is_equal = exists == expected.has_value();
        if (is_equal && exists) {
          std::string value;
          PEAT_RETURN_IF_ERROR(parts_.reader->CopyValue(seen.record, &value));
          is_equal = value == *expected;
        }
        *writes = is_equal;
        return absl::OkStatus();
      }));
  return is_equal;
}

absl::StatusOr<bool> Writer::Delete(std::string_view key) {
  bool existed = false;
  PEAT_RETURN_IF_ERROR(Apply(
      Operation::kDelete, key, [&] { return LoggedTombstone(key); },
      [&](const Seen& seen, bool*) {
        existed = seen.state == KeyState::kLive;
        return absl::OkStatus();
      }));
  return existed;
}

absl::Status Writer::ViewValue(const format::Record& record,
                               std::string* from_file,
                               std::optional<std::string_view>* value) const {
  *value = format::StoredValue(record);
  if ((record.header.flags & format::kFlagValueFile) == 0) {
    return absl::OkStatus();
  }
  PEAT_RETURN_IF_ERROR(parts_.reader->CopyReferred(**value, from_file));
  *value = *from_file;
  return absl::OkStatus();
}

absl::Status Writer::Modify(std::string_view key, Decision decide) {
  PEAT_RETURN_IF_ERROR(parts_.poison->status());
  const uint64_t hash = Hash(key);
  const int shard = HashIndex::ShardOf(hash);
  parts_.index->Prefetch(hash);
  for (;;) {
    const uint64_t version = parts_.index->BatchVersion(shard);
    Seen seen;
    PEAT_RETURN_IF_ERROR(Look(hash, key, &seen));
    const Ruling ruling = RulingOn(Operation::kModify, seen.state);
    if (ruling != Ruling::kProceed) {
      if (!parts_.index->BatchVersionIs(shard, version)) continue;
      return StatusOf(ruling, seen.state);
    }
    const bool exists = seen.state != KeyState::kAbsent;
    std::optional<std::string_view> value;
    std::string from_file;
    if (exists) {
      PEAT_RETURN_IF_ERROR(ViewValue(seen.record, &from_file, &value));
    }
    const absl::StatusOr<Change> change = decide(value);
    const bool writes =
        change.ok() && (change->kind() == Change::Kind::kPut ||
                        (change->kind() == Change::Kind::kDelete && exists));
    if (!writes) {
      // What was seen counts only if it was not half of a batch.
      if (!parts_.index->BatchVersionIs(shard, version)) continue;
      return change.status();
    }
    Attempt attempt = Attempt::kChanged;
    PEAT_RETURN_IF_ERROR(Perform(*change, {hash, key}, seen, &attempt));
    if (attempt == Attempt::kDone) return absl::OkStatus();
  }
}

absl::Status Writer::Perform(const Change& change, const HashedKey& key,
                             const Seen& seen, Attempt* attempt) {
  PEAT_DCHECK(change.kind() != Change::Kind::kKeep);
  if (change.kind() == Change::Kind::kDelete) {
    LoggedTombstone tombstone(key.bytes);
    return AppendPayload<Sync::kByWrite>(key.hash, seen, Need::kRemoveData,
                                         tombstone, attempt);
  }
  // Absolute by now.
  const std::optional<Time>& end = change.options().expires_at;
  LoggedValue value(this, key.bytes, change.value(),
                    end.has_value() ? static_cast<format::Millis>(
                                          end->time_since_epoch().count())
                                    : format::kNever);
  return AppendPayload<Sync::kByWrite>(key.hash, seen, Need::kAddData, value,
                                       attempt);
}

absl::Status Writer::ApplyMask(Operation operation, std::string_view key,
                               LoggedMask& mask) {
  return Apply(
      operation, key, [&]() -> LoggedMask& { return mask; },
      [&](const Seen& seen, bool*) {
        mask.SetLsnBefore(seen.has_record ? seen.record.header.lsn : 0);
        return absl::OkStatus();
      });
}

absl::Status Writer::Disable(std::string_view key, std::string_view reason) {
  LoggedMask mask(this, RecordKind::kDisable, key, reason);
  return ApplyMask(Operation::kDisable, key, mask);
}

absl::Status Writer::Enable(std::string_view key, std::string_view reason) {
  LoggedMask mask(this, RecordKind::kEnable, key, reason);
  return ApplyMask(Operation::kEnable, key, mask);
}

absl::StatusOr<ForgetReceipt> Writer::Forget(std::string_view key,
                                             std::string_view reason) {
  LoggedMask mask(this, RecordKind::kForget, key, reason);
  PEAT_RETURN_IF_ERROR(ApplyMask(Operation::kForget, key, mask));
  ForgetReceipt receipt{.store_id = parts_.manifest->store_id(),
                        .lsn = mask.lsn()};
  if (!mask.was_logged()) return receipt;
  receipt.key_digest = DigestOf(key);
  receipt.value_digest = mask.value_digest();
  return receipt;
}

void Writer::Supersede(const Seen& seen, AppendRecord* record) const {
  PEAT_DCHECK(seen.has_record);
  PEAT_DCHECK(record->superseded == nullptr);
  record->superseded = &parts_.segments->At(seen.position.location.segment());
  record->superseded_lsn = seen.record.header.lsn;
  record->superseded_size =
      RecordSize(seen.record.header) -
      format::LastingSize(seen.record.header.kind, seen.record.key.size(),
                          seen.record.value);
  record->superseded_value_file_size = ValueFileSize(seen.record);
  if ((record->flags & format::kFlagExpires) != 0 &&
      record->kind == RecordKind::kPut &&
      HidesLonger(seen.record, record->expiry)) {
    record->flags |= format::kFlagShadowsLonger;
  }
}

bool Writer::HasExpiredSince(const Seen& seen) const {
  return seen.state == KeyState::kLive &&
         parts_.clock->HasExpiredUnderLock(seen.record);
}

absl::Status Writer::Look(uint64_t hash, std::string_view key,
                          Seen* seen) const {
  absl::Status status;
  seen->position = parts_.index->Locate(hash, [&](Location location) {
    status = parts_.segments->At(location.segment())
                 .ReadRecord(location.offset(), &seen->scratch, &seen->record);
    if (!status.ok()) return Verdict::kStop;
    if (seen->record.key != key && !HasBug(Bug::kKeyNotCompared)) {
      return Verdict::kOther;
    }
    if (!MayBeIndexed(seen->record.header.kind)) [[unlikely]] {
      status =
          parts_.segments->At(location.segment()).DamagedAt(location.offset());
      return Verdict::kStop;
    }
    return Verdict::kMatch;
  });
  PEAT_DCHECK((seen->position.verdict == Verdict::kStop) == !status.ok());
  seen->has_record = seen->position.verdict == Verdict::kMatch;
  if (seen->has_record && !parts_.clock->HasExpiredUnderLock(seen->record)) {
    seen->state = StateAfter(seen->record.header.kind);
  }
  return status;
}

uint64_t Writer::Hash(std::string_view key) const {
  return (*parts_.hasher)(key);
}

void Writer::AskFor(std::span<const uint64_t> hashes) const {
  PEAT_DCHECK(hashes.size() <= index::kLookupGroupSize);
  std::array<index::Probe, index::kLookupGroupSize> probes;
  for (size_t i = 0; i < hashes.size(); ++i) {
    probes[i] = parts_.index->Prepare(hashes[i]);
  }
  for (size_t i = 0; i < hashes.size(); ++i) {
    const Location hint = probes[i].PeekAtHome();
    if (hint.is_none()) continue;
    parts_.segments->At(hint.segment()).Prefetch(hint.offset());
  }
}

Writer::Attempt Writer::TryAppend(uint64_t hash, const Seen& seen,
                                  const AppendRecord& record,
                                  Appended* appended, bool* wake) {
  PEAT_DCHECK(record.is_current);
  PEAT_DCHECK(seen.has_record == (record.superseded != nullptr));
  const HashIndex::ShardLock lock(*parts_.index, HashIndex::ShardOf(hash));
  if (!parts_.index->IsCurrent(hash, seen.position) || HasExpiredSince(seen)) {
    return Attempt::kChanged;
  }
  if (HasBug(Bug::kIndexBeforeAppend) && seen.has_record &&
      record.kind == RecordKind::kTombstone) {
    parts_.index->Erase(hash, seen.position);
    return parts_.appender->Append(record, appended, wake)
               ? Attempt::kDone
               : Attempt::kNeedsSegment;
  }
  if (!parts_.appender->Append(record, appended, wake)) {
    return Attempt::kNeedsSegment;
  }
  if constexpr (kHasWritePoints) {
    if (parts_.config->at_write_point != nullptr) {
      parts_.config->at_write_point();
    }
  }
  PointTo(hash, seen.position, record, *appended);
  CountMasks(seen, StateAfter(record.kind), appended->location);
  return Attempt::kDone;
}

void Writer::CountMasks(const Seen& seen, KeyState after, Location to) const {
  PEAT_DCHECK(!to.is_none());
  PEAT_DCHECK(seen.has_record || seen.state == KeyState::kAbsent);
  const auto is_masked = [](KeyState state) {
    return state == KeyState::kDisabled || state == KeyState::kForgotten;
  };
  if (is_masked(seen.state)) [[unlikely]] {
    parts_.mask_counts->Add(seen.state, -1);
    parts_.segments->At(seen.position.location.segment())
        .mask_counts()
        .Add(seen.state, -1);
  }
  if (is_masked(after)) [[unlikely]] {
    parts_.mask_counts->Add(after, 1);
    parts_.segments->At(to.segment()).mask_counts().Add(after, 1);
  }
}

void Writer::PointTo(uint64_t hash, const HashIndex::Position& position,
                     const AppendRecord& record, const Appended& appended,
                     const View* own_view) {
  PEAT_DCHECK(!appended.location.is_none());
  PEAT_DCHECK(appended.lsn > 0);
  const bool is_new = position.verdict != Verdict::kMatch;
  if (!is_new && record.superseded_lsn <= appended.newest_view) [[unlikely]] {
    parts_.views->Save(
        {.key = record.key,
         .segment = &parts_.segments->At(position.location.segment()),
         .offset = position.location.offset(),
         .lsn = record.superseded_lsn,
         .until = appended.lsn,
         .own_view = own_view});
  }
  if (!is_new && parts_.ordered != nullptr) {
    MarkStale(record.superseded, position.location);
  }
  if (record.kind == RecordKind::kTombstone) {
    PEAT_CHECK(!is_new);
    parts_.index->Erase(hash, position);
    if (parts_.ordered != nullptr) parts_.ordered->Erase(record.key);
    return;
  }
  parts_.index->Set(hash, position, appended.location);
  if (parts_.ordered == nullptr) return;
  const bool is_listed = IsReadable(StateAfter(record.kind));
  if (is_new && is_listed) {
    parts_.ordered->Insert(record.key, appended.location);
  } else if (!is_listed) {
    parts_.ordered->Erase(record.key);
  }
}

void Writer::MarkStale(Segment* segment, Location location) {
  if (HasBug(Bug::kStaleUnmarked)) return;
  PEAT_DCHECK(parts_.ordered != nullptr);
  if (segment == nullptr) segment = &parts_.segments->At(location.segment());
  segment->stale().Add(location.offset());
}

absl::Status Writer::CheckWritable(Need need) {
  if (parts_.poison->is_set()) return parts_.poison->status();
  if (need == Need::kRemoveData || parts_.supply->reserve_complete()) {
    return absl::OkStatus();
  }
  return parts_.supply->RefillReserve();
}

absl::Status Writer::Acknowledge(Lsn lsn, uint64_t bytes, bool wake) {
  PEAT_DCHECK(lsn <= parts_.appender->last_lsn());
  Settle(bytes, wake);
  if (parts_.config->sync == SyncPolicy::kEveryWrite) {
    return parts_.syncer->SyncUpTo(lsn);
  }
  return absl::OkStatus();
}

void Writer::Settle(uint64_t bytes, bool wake) {
  if (wake) parts_.after_wake();
  parts_.clock->TellIfDue();
  if (parts_.index->IsSaveBehind()) [[unlikely]] {
    parts_.index->HelpSave();
  }
  parts_.throttle->Pay(bytes);
}

}  // namespace peat::engine
