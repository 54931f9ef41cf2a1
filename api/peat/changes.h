// The changes of a store, in the order in which they were made: for caches,
// indexes and copies that follow a store instead of asking it again and again.
//
//   absl::StatusOr<std::unique_ptr<peat::ChangeStream>> stream =
//       store->OpenChanges({.after = position});
//   if (!stream.ok()) return stream.status();
//   for (;;) {
//     const auto changes = (*stream)->Next(std::chrono::seconds(1));
//     if (!changes.ok()) return changes.status();
//     for (const peat::ChangeRecord& change : *changes) Apply(change);
//     Remember((*stream)->position().ToString());
//   }
//
// A stream reads the log itself, so it costs writers nothing but the wake-up of
// who waits for them, and it needs no thread. It shows every write once, none
// twice, and never passes over one: what it cannot show, because compaction has
// given that part of the log back, is OutOfRange. A checkpoint, and the changes
// behind the position of the store that is opened in it, are the store: that is
// how a reader begins, and begins anew.

#ifndef PEAT_API_PEAT_CHANGES_H_
#define PEAT_API_PEAT_CHANGES_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peat/time.h"

namespace peat {

// A log sequence number: a write's position in the store's order of writes.
using Lsn = uint64_t;

// A place between two writes of one store.
struct Position {
  std::string store_id;  // 32 hexadecimal digits
  // Restoring and repairing a store give it another one, so that positions in
  // what it was are not taken for positions in what it is.
  uint64_t epoch = 0;
  Lsn lsn = 0;  // of the last write before it

  // As text without spaces, for Parse(): "STORE_ID:EPOCH:LSN".
  std::string ToString() const;
  // InvalidArgument unless it is exactly what ToString() returns.
  static absl::StatusOr<Position> Parse(std::string_view text);

  friend bool operator==(const Position&, const Position&) = default;
};

// What a write did to its key.
enum class ChangeKind : uint8_t { kPut, kDelete, kDisable, kEnable, kForget };

// One write. Its views live until the stream's next Next(), or its end.
struct ChangeRecord {
  ChangeKind kind = ChangeKind::kPut;  // what it did
  std::string_view key;                // to which key
  // Of a put, whole, also if it lies in a file of its own; of all others empty.
  std::string_view value;
  Lsn lsn = 0;                     // its place in the store's order of writes
  std::optional<Time> expires_at;  // of a put; no value: never
  // It is the last one of its batch, or a write of its own: what came before it
  // may be applied together with it.
  bool ends_unit = true;
};

// How Store::OpenChanges() begins, and what its stream shows.
struct ChangesOptions {
  // Begin behind this position, which a stream of this store has returned, or
  // Store::position(). Without it: at the end of the log, so with what is
  // written from now on.
  std::optional<Position> after = {};
  // Show only what is durable. False: what is acknowledged, too, and so at
  // once; a power loss may then undo what was shown, and the lsns of that are
  // given out again. With it a stream sees a write once a sync has covered it:
  // after Flush(), or when the background has synced (Options::sync).
  bool durable_only = true;
};

// The changes of a store, one unit after the other. Not thread-safe: one thread
// at a time. May outlive the store; then every call
// of Next() is FailedPrecondition.
class ChangeStream {
 public:
  // For the engine.
  class Impl;
  // For the engine.
  explicit ChangeStream(std::unique_ptr<Impl> impl);

  ~ChangeStream();
  ChangeStream(const ChangeStream&) = delete;
  ChangeStream& operator=(const ChangeStream&) = delete;

  // The next writes, whole units: some thousand records at most, but a batch is
  // never parted. Waits up to `wait` for the first; empty: nothing new in that
  // time. Keeps no call of the store from going on, except Close() for as long
  // as it takes to read one answer; Close() ends the waiting. What is returned
  // lives until the next call, and may be read after the store is closed.
  // OutOfRange (with the first lsn that is still there): compaction has given
  // back what comes next; begin anew. DataLoss: the log is damaged there. Both
  // stay so. Of a store that is open to read only it gives what Open() or
  // Refresh() has found, without waiting; after a Refresh() it is
  // FailedPrecondition, and another one goes on from its position().
  absl::StatusOr<std::span<const ChangeRecord>> Next(
      std::chrono::milliseconds wait);

  // Behind the last unit that Next() has returned.
  Position position() const;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_CHANGES_H_
