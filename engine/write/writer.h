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
#include "engine/write/digest.h"
#include "format/record.h"
#include "index/hash_index.h"
#include "peat/masks.h"

namespace peat::engine {

inline constexpr uint64_t kBatchSizeMax = uint64_t{128} << 20;

// One operation of a batch: a put, delete, disable, enable or forget.
struct BatchOperation {
  Operation operation = Operation::kPut;
  std::string_view key = {};
  std::string_view value = {};   // of a put
  std::string_view reason = {};  // of a mask
};

class View;
class LoggedMask;
class LoggedTombstone;
class LoggedValue;

class Writer {
 public:
  explicit Writer(const Core& core) : parts_(core) {}

  // Each as the Store's call of that name.
  absl::Status Put(std::string_view key, std::string_view value);
  absl::StatusOr<bool> PutIfAbsent(std::string_view key,
                                   std::string_view value);
  absl::StatusOr<std::optional<std::string>> Update(std::string_view key,
                                                    std::string_view value);
  absl::StatusOr<bool> CompareAndSet(std::string_view key,
                                     std::optional<std::string_view> expected,
                                     std::string_view desired);
  absl::StatusOr<bool> Delete(std::string_view key);
  absl::Status Disable(std::string_view key, std::string_view reason);
  absl::Status Enable(std::string_view key, std::string_view reason);
  absl::StatusOr<ForgetReceipt> Forget(std::string_view key,
                                       std::string_view reason);
  // Adds the receipts of its forgets to `*receipts`, unless that is null.
  // `own_view`, if it is not null, is where the batch's keys were found, and
  // where they will not be looked for again: see Views::Superseded.
  absl::Status Write(std::span<const BatchOperation> operations,
                     std::vector<ForgetReceipt>* receipts = nullptr,
                     const View* own_view = nullptr);

 private:
  // What a write found. The record's views live as long as the epoch guard and
  // `scratch`.
  struct Seen {
    index::HashIndex::Position position;
    bool has_record = false;  // a forgotten key has one, too
    KeyState state = KeyState::kAbsent;
    format::Record record;
    std::string scratch;
  };
  // A batch on its way into the log: see batch_write.cc.
  class Batch;
  friend class LoggedMask;
  friend class LoggedTombstone;
  friend class LoggedValue;

  enum class Attempt { kDone, kChanged, kNeedsSegment };

  // Does `operation`, if the key's state allows it. `make_payload` makes what
  // will be logged (or returns a reference to it). `decide` takes the call's
  // answer from a Seen, and may clear the flag that says whether to write; it
  // may be called more than once, and what it said last holds. A template, so
  // that the plain put pays for no indirection.
  template <typename MakePayload, typename Decide>
  absl::Status Apply(Operation operation, std::string_view key,
                     MakePayload make_payload, Decide decide);
  absl::Status ApplyMask(Operation operation, std::string_view key,
                         LoggedMask& mask);
  // Rechecks `seen` under the shard's lock, appends and publishes.
  Attempt TryAppend(uint64_t hash, const Seen& seen, const AppendRecord& record,
                    Appended* appended, bool* wake);
  // Says in `record` whose place it takes.
  void Supersede(const Seen& seen, AppendRecord* record) const;
  absl::Status Look(uint64_t hash, std::string_view key, Seen* seen) const;
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
  // Everything about a write of `bytes` that is left to do outside the locks.
  absl::Status Acknowledge(format::Lsn lsn, uint64_t bytes, bool wake);

  const Core& parts_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_WRITE_WRITER_H_
