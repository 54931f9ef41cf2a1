// Writer::Write: a batch, all or nothing.
//
// Its conditions are asked of the state before it, with its operations. All
// values are hashed, large ones written, all keys looked up and masks made
// before any lock. Then all shards of the batch are locked, it is rechecked
// that what was found is still there, the records are appended as one unit, and
// the index is moved between BeginPublish and EndPublish, so that no reader
// sees a part of it. If something has changed, the locks are left and the batch
// begins anew; but beside writers of the same keys only a few times, then it
// looks and decides under the locks. Nothing is read from disk after the
// append: it could fail, and the unit is in the log by then.

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
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
#include "engine/write/batch_status.h"
#include "engine/write/logged_mask.h"
#include "engine/write/logged_value.h"
#include "engine/write/throttle.h"
#include "engine/write/writer.h"
#include "format/check.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "index/key_hash.h"
#include "index/ordered_index.h"

namespace peat::engine {

using format::Location;
using format::RecordKind;
using index::HashIndex;
using index::Verdict;

namespace {

// How often a batch begins anew before it decides under the locks.
constexpr int kChangedMax = 3;

}  // namespace

class Writer::Batch {
 public:
  Batch(Writer* writer, std::span<const BatchOperation> operations,
        const BatchContext& context)
      : writer_(*writer),
        conditions_(context.conditions),
        own_view_(context.own_view) {
    keys_.reserve(operations.size() + conditions_.size());
    key_numbers_.reserve(operations.size() + conditions_.size());
    records_.reserve(operations.size());
    uint64_t size = 0;
    for (const BatchOperation& operation : operations) {
      Step& step = steps_.emplace_back();
      const uint64_t hash = (*writer_.parts_.hasher)(operation.key);
      step.operation = operation.operation;
      MakePayload(operation, &step);
      step.key = KeyOf(hash, operation.key);
      shard_bits_ |= uint64_t{1} << HashIndex::ShardOf(hash);
      adds_data_ |= !RemovesData(operation.operation);
      size += step.value.has_value()
                  ? step.value->record().size()
                  : format::RecordSize(operation.key.size(),
                                       operation.reason.size());
    }
    is_too_large_ = size > kBatchSizeMax;
    condition_keys_.reserve(conditions_.size());
    for (const BatchCondition& condition : conditions_) {
      const uint64_t hash = (*writer_.parts_.hasher)(condition.key);
      condition_keys_.push_back(KeyOf(hash, condition.key));
      shard_bits_ |= uint64_t{1} << HashIndex::ShardOf(hash);
    }
  }

  bool is_too_large() const { return is_too_large_; }
  Need need() const { return adds_data_ ? Need::kAddData : Need::kRemoveData; }

  // Writes large values.
  absl::Status Prepare() {
    for (Step& step : steps_) {
      if (step.value.has_value()) PEAT_RETURN_IF_ERROR(step.value->Prepare());
    }
    return absl::OkStatus();
  }

  // Looks all keys up, and makes the records and masks that follow from what is
  // there. What answer follows from it, Try() says.
  absl::Status Decide() {
    std::array<uint64_t, index::kLookupGroupSize> hashes = {};
    for (size_t first = 0; first < keys_.size(); first += hashes.size()) {
      const size_t count = std::min(hashes.size(), keys_.size() - first);
      const std::span<Key> group = std::span(keys_).subspan(first, count);
      for (size_t i = 0; i < count; ++i) hashes[i] = group[i].hash;
      writer_.AskFor(std::span(hashes).first(count));
      for (Key& key : group) {
        key.seen = Seen();
        PEAT_RETURN_IF_ERROR(writer_.Look(key.hash, key.bytes, &key.seen));
      }
    }
    answer_ = ChooseAnswer();
    return absl::OkStatus();
  }

  // Bytes that Try() could not append.
  uint64_t logged_size() const { return Appender::BatchSize(records_); }

  // kChanged: something that Decide() found is not so any more, and nothing has
  // been done. Unless `decides`: then that is decided anew, under the locks.
  absl::StatusOr<Attempt> Try(bool decides, format::Lsn* lsn, bool* wake) {
    const HashIndex::ManyShardsLock lock(*writer_.parts_.index, shard_bits_);
    PEAT_ASSIGN_OR_RETURN(const bool is_as_found, Recheck());
    if (!is_as_found) {
      if (!decides) return Attempt::kChanged;
      answer_ = ChooseAnswer();
    }
    PEAT_RETURN_IF_ERROR(answer_);
    if (records_.empty()) {
      NoteLsns({});
      return Attempt::kDone;
    }
    if (logged_size() > kBatchSizeMax) return TooLarge();  // masks hold values
    std::vector<Appended> appended(records_.size());
    if (!Append(appended, wake)) return Attempt::kNeedsSegment;
    *lsn = appended.back().lsn;
    if constexpr (kHasWritePoints) {
      if (writer_.parts_.config->at_write_point != nullptr) {
        writer_.parts_.config->at_write_point();
      }
    }
    for (Step& step : steps_) {
      if (step.value.has_value()) step.value->Keep(*lsn);
      if (step.mask != nullptr) step.mask->Keep(*lsn);
    }
    Publish(appended);
    NoteLsns(appended);
    return Attempt::kDone;
  }

  // Of the forgets, once the batch is done, in their order.
  void TakeReceipts(std::vector<ForgetReceipt>* receipts) const {
    for (const Step& step : steps_) {
      if (step.operation != Operation::kForget) continue;
      ForgetReceipt& receipt = receipts->emplace_back();
      receipt.store_id = writer_.parts_.manifest->store_id();
      receipt.lsn = step.lsn;
      if (step.record == SIZE_MAX) continue;  // it was forgotten already
      receipt.key_digest = DigestOf(keys_[step.key].bytes);
      receipt.value_digest = step.mask->value_digest();
    }
  }

  static absl::Status TooLarge() {
    return absl::InvalidArgumentError(absl::StrFormat(
        "batch is larger than %d bytes encoded", kBatchSizeMax));
  }

 private:
  // A distinct key, what was there before the batch, and the last record of it
  // in the batch.
  struct Key {
    uint64_t hash = 0;
    std::string_view bytes = {};
    Seen seen = {};
    KeyState state = KeyState::kAbsent;      // as the batch goes on
    LoggedMask::Source value = {};           // that a mask would preserve
    format::Millis expiry = format::kNever;  // of that value
    size_t value_record = SIZE_MAX;  // in records_, of the put that wrote it
    size_t last_record = SIZE_MAX;   // in records_; SIZE_MAX: none
  };
  // Of its payloads one at most: none for a delete.
  struct Step {
    Operation operation = Operation::kPut;
    size_t key = 0;  // in keys_
    std::optional<LoggedValue> value;
    std::unique_ptr<LoggedMask> mask;
    size_t record = SIZE_MAX;  // in records_; SIZE_MAX: it changes nothing
    size_t before = SIZE_MAX;  // in records_, of its key; SIZE_MAX: none
    format::Lsn lsn = 0;       // of its record, or of its key's
  };

  // A key's hash is good enough for a table, too.
  struct TakeHash {
    size_t operator()(const HashedKey& key) const { return key.hash; }
  };
  struct EqualKeys {
    bool operator()(const HashedKey& a, const HashedKey& b) const {
      return a.bytes == b.bytes;
    }
  };

  void MakePayload(const BatchOperation& operation, Step* step) {
    const RecordKind kind = RecordKindOf(operation.operation);
    if (kind == RecordKind::kPut) {
      step->value.emplace(&writer_, operation.key, operation.value,
                          operation.expiry);
    } else if (format::IsMask(kind)) {
      step->mask = std::make_unique<LoggedMask>(&writer_, kind, operation.key,
                                                operation.reason);
    }
  }

  size_t KeyOf(uint64_t hash, std::string_view bytes) {
    const auto [it, inserted] =
        key_numbers_.try_emplace(HashedKey{hash, bytes}, keys_.size());
    if (inserted) {
      PEAT_CHECK(keys_.size() < keys_.capacity());
      Key& key = keys_.emplace_back();
      key.hash = hash;
      key.bytes = bytes;
    }
    return it->second;
  }

  // Whether each key is where it was found. Looks those up again that may not
  // be: after a miss, any new key of the shard may be it.
  absl::StatusOr<bool> Recheck() {
    bool is_as_found = true;
    for (Key& key : keys_) {
      if (writer_.parts_.index->IsCurrent(key.hash, key.seen.position)) {
        if (writer_.HasExpiredSince(key.seen)) {
          key.seen.state = KeyState::kAbsent;
          is_as_found = false;
        }
        continue;
      }
      const bool had_record = key.seen.has_record;
      const KeyState state = key.seen.state;
      const Location location = key.seen.position.location;
      key.seen = Seen();
      PEAT_RETURN_IF_ERROR(writer_.Look(key.hash, key.bytes, &key.seen));
      // The same record may have expired.
      is_as_found &= key.seen.has_record == had_record &&
                     key.seen.state == state &&
                     (!had_record || key.seen.position.location == location);
    }
    return is_as_found;
  }

  // What the batch answers, and its records if that is OK.
  absl::Status ChooseAnswer() {
    for (size_t i = 0; i < conditions_.size(); ++i) {
      const Seen& seen = keys_[condition_keys_[i]].seen;
      PEAT_RETURN_IF_ERROR(CheckCondition(
          conditions_[i], i, seen.state,
          seen.state != KeyState::kAbsent ? &seen.record : nullptr,
          *writer_.parts_.reader));
    }
    return ChooseRecords();
  }

  // The records of all operations that write something, or the answer to the
  // first that may not be done.
  absl::Status ChooseRecords() {
    records_.clear();
    for (Key& key : keys_) {
      key.state = key.seen.state;
      key.value = LoggedMask::SourceOf(key.seen);
      key.expiry = key.value.has_value ? format::ExpiryOf(key.seen.record)
                                       : format::kNever;
      key.value_record = SIZE_MAX;
      key.last_record = SIZE_MAX;
    }
    for (size_t i = 0; i < steps_.size(); ++i) {
      Step& step = steps_[i];
      PEAT_DCHECK(step.key < keys_.size());
      Key& key = keys_[step.key];
      step.record = SIZE_MAX;
      step.before = key.last_record;
      const Ruling ruling = RulingOn(step.operation, key.state);
      if (ruling == Ruling::kNoChange) continue;
      if (ruling != Ruling::kProceed) {
        return WithOperation(StatusOf(ruling, key.state), i);
      }
      PEAT_ASSIGN_OR_RETURN(AppendRecord record, RecordOf(step, key));
      step.record = records_.size();
      if (key.last_record != SIZE_MAX) {
        records_[key.last_record].is_current = false;
        if (record.expiry != format::kNever) {
          record.flags |= format::kFlagShadowsLonger;
        }
      } else if (key.seen.has_record) {
        writer_.Supersede(key.seen, &record);
      }
      key.last_record = records_.size();
      if (record.kind == RecordKind::kPut) {
        key.value_record = records_.size();
        key.value = SourceOf(record);
        key.expiry = record.expiry;
      }
      key.state = StateBehind(record.kind, key.expiry);
      records_.push_back(record);
    }
    return absl::OkStatus();
  }

  // What a mask that follows preserves of a put of this batch.
  static LoggedMask::Source SourceOf(const AppendRecord& put) {
    LoggedMask::Source source{
        .has_value = true,
        .value = put.value,
        .in_file = (put.flags & format::kFlagValueFile) != 0,
        .lsn_counts_back = true};
    if (put.expiry != format::kNever) {
      source.behind_expiry = put.value;
      source.value.remove_prefix(format::kExpirySize);
    }
    return source;
  }

  // The state of a key behind a record of the batch, if its value expires then.
  KeyState StateBehind(RecordKind kind, format::Millis expiry) const {
    const KeyState state = StateAfter(kind);
    if (state != KeyState::kLive || expiry == format::kNever) return state;
    return writer_.parts_.clock->HasComeUnderLock(expiry) ? KeyState::kAbsent
                                                          : state;
  }

  absl::StatusOr<AppendRecord> RecordOf(Step& step, const Key& key) {
    PEAT_DCHECK(!step.value.has_value() || step.mask == nullptr);
    if (step.value.has_value()) return step.value->record();
    if (step.mask == nullptr) return LoggedTombstone(key.bytes).record();
    LoggedMask::Source source;
    if (IsReadable(key.state)) source = key.value;
    // A value of this batch has no lsn yet, but a place in it.
    if (source.lsn_counts_back) {
      PEAT_CHECK(key.value_record < records_.size());
      source.lsn = records_.size() - key.value_record;
    }
    PEAT_RETURN_IF_ERROR(step.mask->Prepare(source));
    return step.mask->record();
  }

  bool Append(std::span<Appended> appended, bool* wake) {
    PEAT_DCHECK(!records_.empty());
    PEAT_DCHECK(appended.size() == records_.size());
    Appender& appender = *writer_.parts_.appender;
    if (records_.size() == 1) {
      return appender.Append(records_[0], &appended[0], wake);
    }
    return appender.AppendBatch(records_, appended, wake);
  }

  void Publish(std::span<const Appended> appended) {
    HashIndex& index = *writer_.parts_.index;
    MarkUnindexed(appended);
    index.BeginPublish(shard_bits_);
    for (const Key& key : keys_) {
      if (key.last_record == SIZE_MAX) continue;
      const bool existed = key.seen.has_record;
      // By its location: needs no look at the record.
      const Location old_location = key.seen.position.location;
      const HashIndex::Position position =
          index.Locate(key.hash, [&](Location location) {
            return existed && location == old_location ? Verdict::kMatch
                                                       : Verdict::kOther;
          });
      PEAT_CHECK((position.verdict == Verdict::kMatch) == existed);
      PEAT_CHECK(key.last_record < records_.size());
      AppendRecord& record = records_[key.last_record];
      PEAT_DCHECK(record.is_current);
      if (existed) record.superseded_lsn = key.seen.record.header.lsn;
      // A key that is born and dies in the batch never gets into the index.
      if (record.kind == RecordKind::kTombstone && !existed) continue;
      writer_.PointTo(key.hash, position, record, appended[key.last_record],
                      own_view_);
      writer_.CountMasks(key.seen, key.state,
                         appended[key.last_record].location);
    }
    index.EndPublish(shard_bits_);
  }

  // Whose receipts could be asked for.
  void NoteLsns(std::span<const Appended> appended) {
    for (Step& step : steps_) {
      if (step.operation != Operation::kForget) continue;
      const size_t record = step.record != SIZE_MAX ? step.record : step.before;
      step.lsn = record != SIZE_MAX ? appended[record].lsn
                                    : keys_[step.key].seen.record.header.lsn;
    }
  }

  // What a later record of the batch superseded never gets into the index.
  void MarkUnindexed(std::span<const Appended> appended) {
    if (writer_.parts_.ordered == nullptr) return;
    for (size_t i = 0; i < records_.size(); ++i) {
      if (!records_[i].is_current)
        writer_.MarkStale(nullptr, appended[i].location);
    }
  }

  Writer& writer_;
  const std::span<const BatchCondition> conditions_;
  const View* const own_view_;
  std::deque<Step> steps_;
  std::vector<Key> keys_;  // never grown: a Seen looks into itself
  absl::flat_hash_map<HashedKey, size_t, TakeHash, EqualKeys> key_numbers_;
  std::vector<size_t> condition_keys_;  // in keys_, of each condition
  std::vector<AppendRecord> records_;
  absl::Status answer_;  // of ChooseAnswer()
  uint64_t shard_bits_ = 0;
  bool adds_data_ = false;
  bool is_too_large_ = false;
};

absl::Status Writer::Write(std::span<const BatchOperation> operations,
                           const BatchContext& context) {
  PEAT_RETURN_IF_ERROR(parts_.poison->status());
  if (operations.empty() && context.conditions.empty()) {
    return absl::OkStatus();
  }
  Batch batch(this, operations, context);
  if (batch.is_too_large()) return Batch::TooLarge();
  PEAT_RETURN_IF_ERROR(CheckWritable(batch.need()));
  PEAT_RETURN_IF_ERROR(batch.Prepare());
  PEAT_RETURN_IF_ERROR(batch.Decide());
  for (int changed_count = 0;;) {
    PEAT_RETURN_IF_ERROR(CheckWritable(batch.need()));
    format::Lsn lsn = 0;
    bool wake = false;
    const bool decides = changed_count >= kChangedMax;
    PEAT_ASSIGN_OR_RETURN(const Attempt attempt,
                          batch.Try(decides, &lsn, &wake));
    switch (attempt) {
      case Attempt::kDone:
        if (context.receipts != nullptr) batch.TakeReceipts(context.receipts);
        return Acknowledge(lsn, batch.logged_size(), wake);
      case Attempt::kChanged:
        ++changed_count;
        PEAT_RETURN_IF_ERROR(batch.Decide());
        break;
      case Attempt::kNeedsSegment:
        PEAT_RETURN_IF_ERROR(
            parts_.supply->PrepareFor(batch.logged_size(), batch.need()));
        break;
    }
  }
}

}  // namespace peat::engine
