// Peat's main header: start here.
//
// A Store is a set of key-value pairs, raw bytes both, in one directory that
// one process writes at a time. What it promises:
//
//   * An acknowledged write survives the end of the process (kill -9), without
//     a system call per write.
//   * Flush() is a real sync: what was acknowledged before the call survives
//     power loss once it has returned OK.
//   * After any crash the store is the result of the first k writes for one k:
//     no holes, over all keys and files. A WriteBatch is one write.
//   * Every byte is verified when it is read. Damage is DataLoss, never
//     NotFound.
//
//   absl::StatusOr<std::unique_ptr<peat::Store>> store =
//       peat::Store::Open("/var/lib/app/state");
//   if (!store.ok()) return store.status();
//   absl::Status put = (*store)->Put("key", "value");
//
// Thread-safe. Calls on one key are linearizable; a batch is atomic to every
// reader. No exceptions: whatever the world can cause is a status,
//
//   NotFound            there is no such key
//   InvalidArgument     a key, value, batch or option that is not allowed
//   DataLoss            bytes are there and wrong; names file and offset
//   Aborted             Write() only: a condition of the batch does not hold;
//                       and reading beside a process that has removed a file
//   AlreadyExists       Checkpoint() only: its directory is there
//   FailedPrecondition  closed; opened read-only; forked; a failed write or
//                       sync earlier (the first failure's message); the key is
//                       disabled or forgotten
//   ResourceExhausted   no disk space, file handles or segments; later calls
//                       succeed once there are
//   PermissionDenied    no right to the files, or a read-only file system
//   Unavailable         the directory is open already
//   Unimplemented       the files are of a newer version
//
// A key goes from absent to live to disabled to forgotten (peat/masks.h), and
// each call asks for its state:
//
//                    absent            live          disabled    forgotten
//   Get (all kinds)  NotFound          value         value       NotFound
//   Put              live              overwrites    refused     refused
//   PutIfAbsent      true              false         false       refused
//   Update           nullopt, live     previous      refused     refused
//   CompareAndSet    nullopt: true     compares      refused     refused
//   Modify           decides           decides       refused     refused
//   Delete           false             true          refused     refused
//   Disable          NotFound          disabled      no change   refused
//   Enable           NotFound          no change     live        refused
//   Forget           forgotten         forgotten     forgotten   no change
//
// and so do the conditions of a batch (peat/write_batch.h):
//
//   RequireAbsent    holds             fails         fails       refused
//   RequireValue     fails             compares      compares    refused
//   RequireLsn       0: holds          compares      compares    compares
//
// Refused is FailedPrecondition; IsDisabled() and IsForgotten() tell which.
//
// A key that was put with an end (peat/time.h) is absent once its time has
// come, to each of these calls and to all others; not while it is disabled.
//
// Keys are 0 to 65,535 bytes, values 0 to 1 GiB, a batch up to 128 MiB.
// After fork() every call in the child is FailedPrecondition.

#ifndef PEAT_API_PEAT_STORE_H_
#define PEAT_API_PEAT_STORE_H_

#if __cplusplus < 202002L
#error "Peat needs C++20: compile with -std=c++20"
#endif

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peat/change.h"
#include "peat/changes.h"
#include "peat/cursor.h"
#include "peat/masks.h"
#include "peat/options.h"
#include "peat/pinned_value.h"
#include "peat/query.h"
#include "peat/snapshot.h"
#include "peat/stats.h"
#include "peat/time.h"
#include "peat/version.h"
#include "peat/write_batch.h"

namespace peat {

class AuditToken;  // peat/audit.h

// One answer of MultiGet(). `value` is meaningful when `status` is OK.
struct Lookup {
  absl::Status status;  // of this key
  PinnedValue value;    // if `status` is OK
};

// What Checkpoint() has made.
struct CheckpointResult {
  Lsn lsn = 0;  // the copy holds everything up to here, and nothing later
  uint64_t linked_bytes = 0;  // of segments and values that it shares
  uint64_t copied_bytes = 0;  // of those that it could not share
};

// An open store: see the head of this file.
class Store {
 public:
  // Opens the store in `path`. After a crash this replays the log and cuts a
  // torn end (GetStats().open tells). Fails with NotFound (nothing there, and
  // not to be made), InvalidArgument (not a directory, bad options),
  // FailedPrecondition (a directory of another program), Unavailable (open
  // elsewhere), DataLoss (damage below what was durable), PermissionDenied,
  // Unimplemented, ResourceExhausted. Costs time in proportion to the store's
  // bytes.
  static absl::StatusOr<std::unique_ptr<Store>> Open(
      const std::filesystem::path& path, const Options& options = {});

  // Closes, ignoring errors; call Close() to see them. In a forked child it
  // does nothing.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Flushes, seals the log and releases the directory; later calls are
  // FailedPrecondition. Waits for calls on other threads. PinnedValues stay
  // valid.
  absl::Status Close();

  // --- Reading. Takes no lock. A miss costs one access to memory, a hit two.

  // Copies the value to `*value`, which is unspecified on failure. NotFound.
  absl::Status Get(std::string_view key, std::string* value) const;

  // The value without a copy. NotFound.
  absl::StatusOr<PinnedValue> GetPinned(std::string_view key) const;

  // Answers keys[i] in results[i], all as of one moment with respect to
  // batches; memory latency is paid once for the group, not once per key. The
  // spans must be of one size (InvalidArgument). A miss is NotFound in its
  // Lookup; the returned status is of the call itself.
  absl::Status MultiGet(std::span<const std::string_view> keys,
                        std::span<Lookup> results) const;

  // A copy of the value. NotFound.
  absl::StatusOr<std::string> Get(std::string_view key) const;

  // Whether Get() would find the key. Reads its record, but no value that lies
  // in a file of its own.
  absl::StatusOr<bool> Contains(std::string_view key) const;

  // What may be done with `key`.
  absl::StatusOr<KeyState> State(std::string_view key) const;

  // All that is known of `key` but its value: an absent key's state is kAbsent.
  // Costs what Contains() costs.
  absl::StatusOr<KeyInfo> Describe(std::string_view key) const;

  // --- Queries.

  // The pairs of `query` as of now. What went wrong is in the cursor's status.
  // peat/query.h says what which query costs; opening a cursor takes a
  // microsecond or two.
  Cursor Scan(const Query& query) const;

  // How many pairs Scan() would list. Costs what it costs with `keys_only`; the
  // number of all keys is in GetStats() at once.
  absl::StatusOr<uint64_t> Count(const Query& query) const;

  // The store as of now, for Get() and several cursors. Never null; what went
  // wrong is in the status of each of its calls.
  std::unique_ptr<Snapshot> OpenSnapshot() const;

  // --- Writing.

  // Inserts or overwrites. `options` say when it ends (peat/time.h): here, and
  // wherever else something is put, InvalidArgument if they cannot be.
  absl::Status Put(std::string_view key, std::string_view value,
                   const PutOptions& options = {});

  // True: inserted. False: the key was there, and is unchanged.
  absl::StatusOr<bool> PutIfAbsent(std::string_view key, std::string_view value,
                                   const PutOptions& options = {});

  // Put() that returns the previous value; nullopt if the key was absent.
  absl::StatusOr<std::optional<std::string>> Update(
      std::string_view key, std::string_view value,
      const PutOptions& options = {});

  // Puts `desired` if the value is `expected` (nullopt: if the key is absent),
  // and tells whether it did.
  absl::StatusOr<bool> CompareAndSet(std::string_view key,
                                     std::optional<std::string_view> expected,
                                     std::string_view desired,
                                     const PutOptions& options = {});

  // Calls `decide` with the value that is there (nullopt: the key is absent;
  // the view is valid during the call) and does what it returns, in one step:
  // if another write of the key was quicker, `decide` is called again. An error
  // of `decide` is returned, and nothing is written. Costs one look at the key
  // and one write. No lock is held meanwhile, but what the store replaces is
  // kept until `decide` returns, and Close() waits for it; it may use the
  // store, but not close it.
  absl::Status Modify(std::string_view key,
                      absl::FunctionRef<absl::StatusOr<Change>(
                          std::optional<std::string_view> value)>
                          decide);

  // PutIfAbsent() of each pair, in the order of the span, each a write of its
  // own: of two equal keys the second is not inserted. What becomes of
  // pairs[i] is in insertions[i], a full disk in the middle included; memory
  // latency is paid once for a group of pairs, and one sync under
  // SyncPolicy::kEveryWrite. The returned status is of the call itself:
  // InvalidArgument (spans of two sizes, or a key or value that is not allowed)
  // or FailedPrecondition; then nothing is inserted.
  absl::Status MultiPutIfAbsent(std::span<const KeyValue> pairs,
                                std::span<Insertion> insertions);

  // True: the key was there.
  absl::StatusOr<bool> Delete(std::string_view key);

  // --- Time (peat/time.h).

  // The store's time: that of its source, or the highest that it has seen, if
  // that is later. It never goes back, not even over a crash, beyond what was
  // asked since the last Flush(). Of a store whose time the program says, and
  // has not said yet: 1970-01-01. Takes no system call.
  Time Now() const;

  // Says what time it is. What ends then or before is absent from now on. An
  // earlier time than Now() changes nothing. FailedPrecondition unless
  // Options::time is kCaller; InvalidArgument beyond 2^53 ms after 1970.
  absl::Status AdvanceTime(Time time);

  // --- Masks. What is masked keeps a copy of its value in the log; a mask
  // costs about as much as a put of that value.

  // The key can be read but not written any more, until it is enabled again.
  absl::Status Disable(std::string_view key, const MaskOptions& options = {});
  // Makes a disabled key one that can be written again.
  absl::Status Enable(std::string_view key, const MaskOptions& options = {});

  // For ever: no call, option, restore or repair makes a forgotten key readable
  // or writable again. What was stored stays, for an AuditReader
  // (peat/audit.h). An absent key can be forgotten, too. Works on a full disk,
  // until a reserve is spent.
  absl::StatusOr<ForgetReceipt> Forget(std::string_view key,
                                       const MaskOptions& options = {});

  // Forgets every key that begins with `prefix` and is live or disabled as the
  // call is made, in batches of up to 1,000 keys. Each batch is atomic; after a
  // failure or crash in the middle, call it again to go on. Costs a query for
  // the keys, and a forget each.
  absl::StatusOr<ForgetAllResult> ForgetAll(
      std::string_view prefix, const ForgetAllOptions& options = {});

  // Applies all of `batch` or nothing. Aborted if one of its conditions does
  // not hold. Blocks other writers of the same shards of the index meanwhile.
  absl::Status Write(const WriteBatch& batch);

  // Deletes the keys that were there as the call was made, from `from` up to
  // `to` and without it, and returns how many.
  // In batches of up to 1,000 keys, each of them atomic, all together not:
  // after a failure or crash in the middle, call it again to go on. A batch
  // with a key that is disabled is refused and ends the call. Costs a query for
  // the keys, and a delete each.
  absl::StatusOr<uint64_t> DeleteRange(std::string_view from,
                                       std::string_view to);
  // As DeleteRange(), for all keys that begin with `prefix`.
  absl::StatusOr<uint64_t> DeletePrefix(std::string_view prefix);

  // Makes everything acknowledged before the call durable, and returns the lsn
  // up to which it is. Callers that wait share one sync. After a failure the
  // store is readable but every write fails: it is not known what is on disk,
  // and a retried sync would hide that.
  absl::StatusOr<Lsn> Flush();

  // Compacts everything now in which space is to be gained, whatever the bound
  // allows; the background does what is needed by itself. Reads and writes go
  // on. DataLoss when a damaged segment had to be left alone (the others were
  // compacted); ResourceExhausted when there is no space to copy to.
  absl::Status Compact();

  // Makes a copy of the store in `new_directory`, whose parent must exist: a
  // store like any other, as of one lsn, while reads and writes go on. By hard
  // links on the same file system, so in milliseconds beyond the Flush() that
  // is a part of it, and with no space but for what either of the two changes
  // later; elsewhere the bytes are copied, and until that is done the store
  // gives no space back. All masks so far are in it. After a crash the copy is
  // complete or not there; NEW_DIRECTORY.tmp may be left, and the next
  // Checkpoint() to the same place takes it over. Fails with AlreadyExists,
  // InvalidArgument (inside the store), NotFound (no parent), Unavailable
  // (another one to the same place is under way), ResourceExhausted, DataLoss
  // (a file is missing); then there is no copy, and the store goes on.
  absl::StatusOr<CheckpointResult> Checkpoint(
      const std::filesystem::path& new_directory);

  // A stream of the writes behind a position, in the order in which they were
  // made (peat/changes.h). Fails with FailedPrecondition (a position of another
  // store, or of another epoch), OutOfRange (compaction has given back what
  // comes next; or the position is behind the end of the log), InvalidArgument
  // (it is within a batch; Next() tells, too). Costs a look at the list of
  // segments, and the first Next() the reading of the segment in which it
  // begins up to there.
  absl::StatusOr<std::unique_ptr<ChangeStream>> OpenChanges(
      const ChangesOptions& options = {});

  // Behind everything that is acknowledged. A reader that begins with a copy of
  // the store takes it from the store that is opened in the copy.
  Position position() const;

  // Brings a store that is open to read only up to now: what a process beside
  // it has written since is seen from then on. Until then it keeps what it
  // opened; where a file has gone in the meantime, calls are Aborted and say
  // so. Calls on other threads go on, with what was there before or after; open
  // cursors and snapshots end with FailedPrecondition, as does an AuditReader.
  // Fails as Open() does, and then nothing has changed; FailedPrecondition if
  // the store is open for writing, or closed. Costs what Open() costs, and
  // memory for both until it returns.
  absl::Status Refresh();

  // What the store counts about itself, as of now. Works in every state of the
  // store.
  Stats GetStats() const;

 private:
  friend class AuditReader;  // peat/audit.h
  friend absl::StatusOr<std::pair<std::unique_ptr<Store>, AuditToken>>
  OpenWithAudit(const std::filesystem::path& path, const Options& options);

  class Impl;
  explicit Store(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_STORE_H_
