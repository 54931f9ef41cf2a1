#include "engine/writer.h"

#include <utility>

#include "engine/logged_value.h"
#include "engine/seeded_bug.h"
#include "format/check.h"
#include "format/status_macros.h"

namespace peat::engine {

using format::Location;
using format::Lsn;
using format::RecordKind;
using index::HashIndex;
using index::Verdict;

template <typename Decide>
absl::Status Writer::Apply(std::string_view key, std::string_view value,
                           Decide decide) {
  if (parts_.poison->is_set()) [[unlikely]] {
    return parts_.poison->status();
  }
  const uint64_t hash = (*parts_.hasher)(key);
  const int shard = HashIndex::ShardOf(hash);
  parts_.index->Prefetch(hash);
  LoggedValue logged(this, key, value);
  for (;;) {
    const uint64_t version = parts_.index->BatchVersion(shard);
    Seen seen;
    PEAT_RETURN_IF_ERROR(Look(hash, key, &seen));
    Action action;
    PEAT_RETURN_IF_ERROR(decide(seen, &action));
    if (action == Action::kNothing) {
      // What was seen counts only if it was not half of a batch.
      if (parts_.index->BatchVersionIs(shard, version)) return absl::OkStatus();
      continue;
    }
    PEAT_RETURN_IF_ERROR(CheckWritable(action));
    if (action == Action::kPut) PEAT_RETURN_IF_ERROR(logged.Prepare());
    AppendRecord record = logged.record();
    if (seen.exists) {
      record.superseded =
          &parts_.segments->At(seen.position.location.segment());
      record.superseded_size = RecordSize(seen.record.header);
      record.superseded_lsn = seen.record.header.lsn;
    }
    if (action == Action::kDelete) {
      PEAT_DCHECK(value.empty());
      record.kind = RecordKind::kTombstone;
    }
    Appended appended;
    bool wake = false;
    switch (TryAppend(hash, seen, record, &appended, &wake)) {
      case Attempt::kDone:
        if (action == Action::kPut) logged.Keep();
        return Acknowledge(appended.lsn, wake);
      case Attempt::kChanged:
        continue;
      case Attempt::kNeedsSegment:
        PEAT_RETURN_IF_ERROR(Prepare(record.size(), action));
        continue;
    }
  }
}

absl::Status Writer::Put(std::string_view key, std::string_view value) {
  return Apply(key, value, [](const Seen&, Action* action) {
    *action = Action::kPut;
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> Writer::PutIfAbsent(std::string_view key,
                                         std::string_view value) {
  bool inserted = false;
  PEAT_RETURN_IF_ERROR(Apply(key, value, [&](const Seen& seen, Action* action) {
    inserted = !seen.exists;
    *action = inserted ? Action::kPut : Action::kNothing;
    return absl::OkStatus();
  }));
  return inserted;
}

absl::StatusOr<std::optional<std::string>> Writer::Update(
    std::string_view key, std::string_view value) {
  bool existed = false;
  std::string previous;
  PEAT_RETURN_IF_ERROR(Apply(key, value, [&](const Seen& seen, Action* action) {
    *action = Action::kPut;
    existed = seen.exists;
    if (!existed) return absl::OkStatus();
    return parts_.reader->CopyValue(seen.record, &previous);
  }));
  if (!existed) return std::nullopt;
  return std::optional<std::string>(std::move(previous));
}

absl::StatusOr<bool> Writer::CompareAndSet(
    std::string_view key, std::optional<std::string_view> expected,
    std::string_view desired) {
  bool is_equal = false;
  PEAT_RETURN_IF_ERROR(
      Apply(key, desired, [&](const Seen& seen, Action* action) {
        is_equal = seen.exists == expected.has_value();
        if (is_equal && seen.exists) {
          std::string value;
          PEAT_RETURN_IF_ERROR(parts_.reader->CopyValue(seen.record, &value));
          is_equal = value == *expected;
        }
        *action = is_equal ? Action::kPut : Action::kNothing;
        return absl::OkStatus();
      }));
  return is_equal;
}

absl::StatusOr<bool> Writer::Delete(std::string_view key) {
  bool existed = false;
  PEAT_RETURN_IF_ERROR(Apply(key, {}, [&](const Seen& seen, Action* action) {
    existed = seen.exists;
    *action = existed ? Action::kDelete : Action::kNothing;
    return absl::OkStatus();
  }));
  return existed;
}

absl::Status Writer::Look(uint64_t hash, std::string_view key,
                          Seen* seen) const {
  absl::Status status;
  seen->position = parts_.index->Locate(hash, [&](Location location) {
    status = parts_.segments->At(location.segment())
                 .ReadRecord(location.offset(), &seen->scratch, &seen->record);
    if (!status.ok()) return Verdict::kStop;
    return seen->record.key == key || HasBug(Bug::kKeyNotCompared)
               ? Verdict::kMatch
               : Verdict::kOther;
  });
  seen->exists = seen->position.verdict == Verdict::kMatch;
  return status;
}

Writer::Attempt Writer::TryAppend(uint64_t hash, const Seen& seen,
                                  const AppendRecord& record,
                                  Appended* appended, bool* wake) {
  const HashIndex::ShardLock lock(*parts_.index, HashIndex::ShardOf(hash));
  if (!parts_.index->IsCurrent(hash, seen.position)) return Attempt::kChanged;
  if (HasBug(Bug::kIndexBeforeAppend) && seen.exists &&
      record.kind == RecordKind::kTombstone) {
    parts_.index->Erase(hash, seen.position);
    return parts_.appender->Append(record, appended, wake)
               ? Attempt::kDone
               : Attempt::kNeedsSegment;
  }
  if (!parts_.appender->Append(record, appended, wake)) {
    return Attempt::kNeedsSegment;
  }
  PointTo(hash, seen.position, record, *appended);
  return Attempt::kDone;
}

void Writer::PointTo(uint64_t hash, const HashIndex::Position& position,
                     const AppendRecord& record, const Appended& appended) {
  const bool is_new = position.verdict != Verdict::kMatch;
  if (!is_new && record.superseded_lsn <= appended.newest_view) [[unlikely]] {
    parts_.views->Save(
        {.key = record.key,
         .segment = &parts_.segments->At(position.location.segment()),
         .offset = position.location.offset(),
         .lsn = record.superseded_lsn,
         .until = appended.lsn});
  }
  if (record.kind == RecordKind::kTombstone) {
    PEAT_CHECK(!is_new);
    parts_.index->Erase(hash, position);
    if (parts_.ordered != nullptr) parts_.ordered->Erase(record.key);
    return;
  }
  parts_.index->Set(hash, position, appended.location);
  if (is_new && parts_.ordered != nullptr) {
    parts_.ordered->Insert(record.key, appended.location);
  }
}

absl::Status Writer::CheckWritable(Action action) {
  if (parts_.poison->is_set()) return parts_.poison->status();
  if (action == Action::kDelete || parts_.supply->reserve_complete()) {
    return absl::OkStatus();
  }
  return parts_.supply->RefillReserve();
}

absl::Status Writer::Prepare(uint64_t size, Action action) {
  return parts_.supply->PrepareFor(
      size, action == Action::kDelete ? Need::kRemoveData : Need::kAddData);
}

absl::Status Writer::Acknowledge(Lsn lsn, bool wake) {
  if (wake) parts_.wake_background();
  if (parts_.sync_policy == SyncPolicy::kEveryWrite) {
    return parts_.syncer->SyncUpTo(lsn);
  }
  return absl::OkStatus();
}

}  // namespace peat::engine
