// Every write: find and compare, lock the shard, recheck, append, point the
// index at it.
//
// What is found and compared, hashed and checksummed is so outside all locks.
// Under the shard's lock it is only rechecked that nothing has changed, the
// record is appended, and the slot is stored; so the order of the log and the
// order in which readers see writes agree. If something has changed, or a
// segment must be prepared first, the write begins anew without the lock.
//
// The caller holds an epoch guard around each call. Thread-safe.

#ifndef PEAT_ENGINE_WRITE_WRITER_H_
#define PEAT_ENGINE_WRITE_WRITER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/log/appender.h"
#include "engine/log/core.h"
#include "engine/log/segment_allocator.h"
#include "engine/segment/key_state.h"
#include "engine/segment/segment_set.h"
#include "engine/write/batch_conditions.h"
#include "engine/write/digest.h"
#include "format/record.h"
#include "index/hash_index.h"
#include "peat/change.h"
#include "peat/masks.h"

namespace peat::engine {

inline constexpr uint64_t kBatchSizeMax = uint64_t{128} << 20;

class View;

// One operation of a batch: a put, delete, disable, enable or forget.
struct BatchOperation {
  Operation operation = Operation::kPut;
  std::string_view key = {};
  std::string_view value = {};             // of a put
  std::string_view reason = {};            // of a mask
  format::Millis expiry = format::kNever;  // of a put
};

// What a batch comes with, besides its operations.
struct BatchContext {
  // If one of them does not hold, nothing is written.
  std::span<const BatchCondition> conditions = {};
  // The receipts of its forgets are added to it; null: they are not asked for.
  std::vector<ForgetReceipt>* receipts = nullptr;
  // Where the batch's keys were found, and where they will not be looked for
  // again: see Views::Superseded. Null: nowhere.
  const View* own_view = nullptr;
};

class LoggedMask;
class LoggedTombstone;
class LoggedValue;

// Decides what Modify() does from the value that is there; nullopt: the key is
// absent. The view is valid during the call.
using Decision = absl::FunctionRef<absl::StatusOr<Change>(
    std::optional<std::string_view> value)>;

class Writer {
 public:
  explicit Writer(const Core& core) : parts_(core) {}

  // Each as the Store's call of that name.
  absl::Status Put(std::string_view key, std::string_view value,
                   format::Millis expiry = format::kNever);
  absl::StatusOr<bool> PutIfAbsent(std::string_view key, std::string_view value,
                                   format::Millis expiry = format::kNever);
  absl::StatusOr<std::optional<std::string>> Update(
      std::string_view key, std::string_view value,
      format::Millis expiry = format::kNever);
  absl::StatusOr<bool> CompareAndSet(std::string_view key,
                                     std::optional<std::string_view> expected,
                                     std::string_view desired,
                                     format::Millis expiry = format::kNever);
  absl::StatusOr<bool> Delete(std::string_view key);
  absl::Status Disable(std::string_view key, std::string_view reason);
  absl::Status Enable(std::string_view key, std::string_view reason);
  absl::StatusOr<ForgetReceipt> Forget(std::string_view key,
                                       std::string_view reason);
  absl::Status Modify(std::string_view key, Decision decide);
  // Each pair a PutIfAbsent() of its own, in their order; `answer` has theirs.
  using InsertAnswer = absl::FunctionRef<void(
      size_t index, const absl::StatusOr<bool>& inserted)>;
  void MultiPutIfAbsent(std::span<const KeyValue> pairs, InsertAnswer answer);
  absl::Status Write(std::span<const BatchOperation> operations,
                     const BatchContext& context = {});

 private:
  // What a write found. The record's views live as long as the epoch guard and
  // `scratch`.
  struct Seen {
    index::HashIndex::Position position;
    // A forgotten key has one, too, and one that has expired, whose state is
    // kAbsent.
    bool has_record = false;
    KeyState state = KeyState::kAbsent;
    format::Record record;
    std::string scratch;
  };
  struct HashedKey {
    uint64_t hash;
    std::string_view bytes;
  };
  // A batch on its way into the log: see batch_write.cc.
  class Batch;
  friend class LoggedMask;
  friend class LoggedTombstone;
  friend class LoggedValue;

  enum class Attempt { kDone, kChanged, kNeedsSegment };
  // Who sees to it that a write is durable, where each must be: the write, or
  // the caller, once for several.
  enum class Sync { kByWrite, kByCaller };

  // Does `operation`, if the key's state allows it. `make_payload` makes what
  // will be logged (or returns a reference to it). `decide` takes the call's
  // answer from a Seen, and may clear the flag that says whether to write; it
  // may be called more than once, and what it said last holds. A template, so
  // that the plain put pays for no indirection.
  template <typename MakePayload, typename Decide>
  absl::Status Apply(Operation operation, std::string_view key,
                     MakePayload make_payload, Decide decide) {
    return ApplyHashed<Sync::kByWrite>(operation, {Hash(key), key},
                                       make_payload, decide);
  }
  template <Sync kSync, typename MakePayload, typename Decide>
  absl::Status ApplyHashed(Operation operation, const HashedKey& key,
                           MakePayload make_payload, Decide decide);
  // Appends what `payload` makes of `seen`, and tells in `*attempt` whether
  // that could be done. Makes room for the next attempt.
  template <Sync kSync, typename Payload>
  absl::Status AppendPayload(uint64_t hash, const Seen& seen, Need need,
                             Payload& payload, Attempt* attempt);
  // The value of a put or mask where it lies, or as it is in its file.
  absl::Status ViewValue(const format::Record& record, std::string* from_file,
                         std::optional<std::string_view>* value) const;
  absl::Status Perform(const Change& change, const HashedKey& key,
                       const Seen& seen, Attempt* attempt);
  // PutIfAbsent(), not synced yet.
  absl::StatusOr<bool> Insert(uint64_t hash, const KeyValue& pair);
  absl::Status ApplyMask(Operation operation, std::string_view key,
                         LoggedMask& mask);
  // Rechecks `seen` under the shard's lock, appends and publishes.
  Attempt TryAppend(uint64_t hash, const Seen& seen, const AppendRecord& record,
                    Appended* appended, bool* wake);
  // Whether it was alive, and is not any more. With the shard's lock.
  bool HasExpiredSince(const Seen& seen) const;
  // Says in `record` whose place it takes, and if it is a put that expires,
  // whether that lasts longer.
  void Supersede(const Seen& seen, AppendRecord* record) const;
  absl::Status Look(uint64_t hash, std::string_view key, Seen* seen) const;
  uint64_t Hash(std::string_view key) const;
  // Asks for the buckets of all these hashes, then for the records that they
  // lead to, so that the waits for memory overlap. At most kLookupGroupSize.
  void AskFor(std::span<const uint64_t> hashes) const;
  // Whether the store takes this write: not poisoned, and not full.
  absl::Status CheckWritable(Need need);
  // Points the index from what was there to `record`, which has been appended,
  // and saves for views what was there.
  // Counts a key that went from what was seen to the state `after`, whose
  // record lies at `to`.
  void CountMasks(const Seen& seen, KeyState after, format::Location to) const;
  void PointTo(uint64_t hash, const index::HashIndex::Position& position,
               const AppendRecord& record, const Appended& appended,
               const View* own_view = nullptr);
  // The index does not point to `location` any more (see stale_places.h), which
  // is in `segment`; null: that is to be looked up.
  void MarkStale(Segment* segment, format::Location location);
  // Everything about a write of `bytes` that is left to do outside the locks;
  // Settle() is all of it but the sync.
  absl::Status Acknowledge(format::Lsn lsn, uint64_t bytes, bool wake);
  void Settle(uint64_t bytes, bool wake);

  const Core& parts_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_WRITE_WRITER_H_
