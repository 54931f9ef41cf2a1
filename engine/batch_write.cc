// Writer::Write: a batch, all or nothing.
//
// All values are hashed, and large ones written, before any lock. Then all
// shards of the batch are locked, what is there is looked up, the records are
// appended as one unit, and the index is moved between BeginPublish and
// EndPublish, so that no reader sees a part of it. Nothing is read from disk
// after the append: it could fail, and the unit is in the log by then.

#include <deque>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/str_format.h"
#include "engine/logged_value.h"
#include "engine/writer.h"
#include "format/check.h"
#include "format/status_macros.h"

namespace peat::engine {

using format::Location;
using format::RecordKind;
using index::HashIndex;
using index::Verdict;

class Writer::Batch {
 public:
  Batch(Writer* writer, std::span<const BatchOperation> operations)
      : writer_(*writer) {
    uint64_t size = 0;
    for (const BatchOperation& operation : operations) {
      Step& step = steps_.emplace_back();
      step.hash = (*writer_.parts_.hasher)(operation.key);
      step.is_put = operation.kind == BatchOperation::Kind::kPut;
      step.value =
          std::make_unique<LoggedValue>(writer, operation.key, operation.value);
      step.key = KeyOf(step.hash, operation.key);
      shard_bits_ |= uint64_t{1} << HashIndex::ShardOf(step.hash);
      adds_data_ |= step.is_put;
      size += step.value->record().size();
    }
    is_too_large_ = size > kBatchSizeMax;
  }

  bool is_too_large() const { return is_too_large_; }
  Action action() const { return adds_data_ ? Action::kPut : Action::kDelete; }

  // Writes large values, and brings what will be looked at under the locks into
  // memory.
  absl::Status Prepare() {
    for (const Step& step : steps_) {
      if (step.is_put) PEAT_RETURN_IF_ERROR(step.value->Prepare());
      writer_.parts_.index->Prefetch(step.hash);
    }
    for (const Key& key : keys_) {
      Seen seen;
      PEAT_RETURN_IF_ERROR(writer_.Look(key.hash, key.bytes, &seen));
    }
    return absl::OkStatus();
  }

  // Bytes that Try() could not append.
  uint64_t logged_size() const { return Appender::BatchSize(records_); }

  absl::StatusOr<Attempt> Try(format::Lsn* lsn, bool* wake) {
    const HashIndex::ManyShardsLock lock(*writer_.parts_.index, shard_bits_);
    PEAT_RETURN_IF_ERROR(LookAtAll());
    ChooseRecords();
    if (records_.empty()) return Attempt::kDone;
    std::vector<Appended> appended(records_.size());
    if (!Append(appended, wake)) return Attempt::kNeedsSegment;
    *lsn = appended.back().lsn;
    for (const Step& step : steps_) {
      if (step.is_put) step.value->Keep();
    }
    Publish(appended);
    return Attempt::kDone;
  }

 private:
  // A distinct key, what was there before the batch, and the last record of it
  // in the batch.
  struct Key {
    uint64_t hash = 0;
    std::string_view bytes = {};
    bool existed = false;
    Location old_location = {};
    uint64_t old_size = 0;
    format::Lsn old_lsn = 0;
    bool exists = false;            // as the batch goes on
    size_t last_record = SIZE_MAX;  // in records_; SIZE_MAX: none
  };
  struct Step {
    uint64_t hash = 0;
    bool is_put = false;
    size_t key = 0;  // in keys_
    std::unique_ptr<LoggedValue> value;
  };

  size_t KeyOf(uint64_t hash, std::string_view bytes) {
    const auto [it, inserted] = key_numbers_.try_emplace(bytes, keys_.size());
    if (inserted) keys_.push_back({.hash = hash, .bytes = bytes});
    return it->second;
  }

  absl::Status LookAtAll() {
    for (Key& key : keys_) {
      Seen seen;
      PEAT_RETURN_IF_ERROR(writer_.Look(key.hash, key.bytes, &seen));
      key.existed = seen.exists;
      key.old_location = seen.exists ? seen.position.location : Location();
      key.old_size = seen.exists ? RecordSize(seen.record.header) : 0;
      key.old_lsn = seen.exists ? seen.record.header.lsn : 0;
      key.exists = seen.exists;
      key.last_record = SIZE_MAX;
    }
    return absl::OkStatus();
  }

  // A delete of a key that is absent, at its turn, writes nothing.
  void ChooseRecords() {
    records_.clear();
    for (const Step& step : steps_) {
      Key& key = keys_[step.key];
      if (!step.is_put && !key.exists) continue;
      key.exists = step.is_put;
      AppendRecord record;
      if (step.is_put) {
        record = step.value->record();
      } else {
        record.kind = RecordKind::kTombstone;
        record.key = key.bytes;
        record.payload_hash = format::PayloadHash(key.bytes, {});
      }
      if (key.last_record != SIZE_MAX) {
        records_[key.last_record].is_current = false;
      } else if (key.existed) {
        record.superseded =
            &writer_.parts_.segments->At(key.old_location.segment());
        record.superseded_size = key.old_size;
      }
      key.last_record = records_.size();
      records_.push_back(record);
    }
  }

  bool Append(std::span<Appended> appended, bool* wake) {
    Appender& appender = *writer_.parts_.appender;
    if (records_.size() == 1) {
      return appender.Append(records_[0], &appended[0], wake);
    }
    return appender.AppendBatch(records_, appended, wake);
  }

  void Publish(std::span<const Appended> appended) {
    HashIndex& index = *writer_.parts_.index;
    index.BeginPublish(shard_bits_);
    for (const Key& key : keys_) {
      if (key.last_record == SIZE_MAX) continue;
      // By its location: needs no look at the record.
      const HashIndex::Position position =
          index.Locate(key.hash, [&key](Location location) {
            return key.existed && location == key.old_location
                       ? Verdict::kMatch
                       : Verdict::kOther;
          });
      PEAT_CHECK((position.verdict == Verdict::kMatch) == key.existed);
      AppendRecord& record = records_[key.last_record];
      record.superseded_lsn = key.old_lsn;
      // A key that is born and dies in the batch never gets into the index.
      if (record.kind == RecordKind::kTombstone && !key.existed) continue;
      writer_.PointTo(key.hash, position, record, appended[key.last_record]);
    }
    index.EndPublish(shard_bits_);
  }

  Writer& writer_;
  std::deque<Step> steps_;
  std::vector<Key> keys_;
  absl::flat_hash_map<std::string_view, size_t, absl::Hash<std::string_view>,
                      std::equal_to<std::string_view>>
      key_numbers_;
  std::vector<AppendRecord> records_;
  uint64_t shard_bits_ = 0;
  bool adds_data_ = false;
  bool is_too_large_ = false;
};

absl::Status Writer::Write(std::span<const BatchOperation> operations) {
  PEAT_RETURN_IF_ERROR(parts_.poison->status());
  if (operations.empty()) return absl::OkStatus();
  Batch batch(this, operations);
  if (batch.is_too_large()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "batch is larger than %d bytes encoded", kBatchSizeMax));
  }
  PEAT_RETURN_IF_ERROR(CheckWritable(batch.action()));
  PEAT_RETURN_IF_ERROR(batch.Prepare());
  for (;;) {
    PEAT_RETURN_IF_ERROR(CheckWritable(batch.action()));
    format::Lsn lsn = 0;
    bool wake = false;
    PEAT_ASSIGN_OR_RETURN(const Attempt attempt, batch.Try(&lsn, &wake));
    if (attempt == Attempt::kDone) return Acknowledge(lsn, wake);
    PEAT_RETURN_IF_ERROR(Prepare(batch.logged_size(), batch.action()));
  }
}

}  // namespace peat::engine
