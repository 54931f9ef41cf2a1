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

#ifndef PEAT_ENGINE_WRITER_H_
#define PEAT_ENGINE_WRITER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/appender.h"
#include "engine/config.h"
#include "engine/log_syncer.h"
#include "engine/manifest_store.h"
#include "engine/poison.h"
#include "engine/reader.h"
#include "engine/segment_set.h"
#include "engine/segment_supply.h"
#include "engine/views.h"
#include "format/record.h"
#include "index/hash_index.h"
#include "index/key_hash.h"
#include "index/ordered_index.h"

namespace peat::engine {

inline constexpr uint64_t kBatchSizeMax = uint64_t{128} << 20;

// One operation of a batch.
struct BatchOperation {
  enum class Kind { kPut, kDelete };
  Kind kind = Kind::kPut;
  std::string_view key = {};
  std::string_view value = {};
};

class LoggedValue;

class Writer {
 public:
  // Everything pointed to must outlive this.
  struct Parts {
    FileSystem* file_system;
    Directory* directory;
    ManifestStore* manifest;
    index::HashIndex* index;
    const index::KeyHasher* hasher;
    const SegmentSet* segments;
    Appender* appender;
    SegmentSupply* supply;
    LogSyncer* syncer;
    const Reader* reader;
    const Poison* poison;
    Views* views;
    index::OrderedIndex* ordered;  // null: there is none
    SyncPolicy sync_policy = SyncPolicy::kExplicit;
    std::function<void()> wake_background;
  };
  explicit Writer(const Parts& parts) : parts_(parts) {}

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
  absl::Status Write(std::span<const BatchOperation> operations);

 private:
  // What a write does, once it knows what is there.
  enum class Action { kNothing, kPut, kDelete };

  // What a write found. The record's views live as long as the epoch guard and
  // `scratch`.
  struct Seen {
    index::HashIndex::Position position;
    bool exists = false;
    format::Record record;
    std::string scratch;
  };
  // A batch on its way into the log: see batch_write.cc.
  class Batch;
  friend class LoggedValue;

  enum class Attempt { kDone, kChanged, kNeedsSegment };

  // `decide` tells, of a Seen, the Action or an error; it may be called more
  // than once, and what it said last holds. A template, so that the plain put
  // pays for no indirection.
  template <typename Decide>
  absl::Status Apply(std::string_view key, std::string_view value,
                     Decide decide);
  // Rechecks `seen` under the shard's lock, appends and publishes.
  Attempt TryAppend(uint64_t hash, const Seen& seen, const AppendRecord& record,
                    Appended* appended, bool* wake);
  absl::Status Look(uint64_t hash, std::string_view key, Seen* seen) const;
  // Whether the store takes this write: not poisoned, and not full.
  absl::Status CheckWritable(Action action);
  // Points the index from what was there to `record`, which has been appended,
  // and saves for views what was there.
  void PointTo(uint64_t hash, const index::HashIndex::Position& position,
               const AppendRecord& record, const Appended& appended);
  absl::Status Prepare(uint64_t size, Action action);
  absl::Status Acknowledge(format::Lsn lsn, bool wake);

  const Parts parts_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_WRITER_H_
