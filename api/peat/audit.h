// What was masked: for auditors.
//
// An AuditReader lists masks, with key, kind, time and reason, and reads what
// was preserved of forgotten keys. It is a type of its own, so that a program
// can be given a Store without it: nothing else reveals a forgotten value, or
// that there was one, beyond Store::State().
//
//   absl::StatusOr<std::unique_ptr<peat::AuditReader>> reader =
//       peat::AuditReader::Open("/var/lib/app/state");
//   if (!reader.ok()) return reader.status();
//   std::unique_ptr<peat::MaskCursor> masks = (*reader)->Masks();
//   for (; masks->Valid(); masks->Next()) Print(masks->mask());
//   return masks->status();
//
// Statuses are those of peat/store.h.

#ifndef PEAT_API_PEAT_AUDIT_H_
#define PEAT_API_PEAT_AUDIT_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peat/masks.h"
#include "peat/store.h"

namespace peat {

// What a mask does: see peat/masks.h.
enum class MaskKind { kDisable, kEnable, kForget };

// When a mask was set: microseconds since 1970, UTC.
using MaskTime = std::chrono::time_point<std::chrono::system_clock,
                                         std::chrono::microseconds>;

// One mask that was set, be it in force still or not.
struct Mask {
  MaskKind kind = MaskKind::kDisable;  // what it does
  std::string key;                     // the key that it is of
  Lsn lsn = 0;         // its place in the store's order of writes
  MaskTime time;       // by the clock of the machine that set it
  std::string reason;  // any bytes
  // The lsn of the put whose value it preserves or has preserved; 0: none.
  Lsn value_lsn = 0;
  // False for a mask that another record has superseded and compaction has cut
  // down to what is above.
  bool is_whole = true;
};

// Which masks, and in which order. All conditions must hold.
struct MaskQuery {
  std::optional<std::string> key = {};     // of this key
  std::optional<std::string> prefix = {};  // of keys that begin with this
  Lsn first_lsn = 0;                       // from here on
  Lsn last_lsn = UINT64_MAX;               // up to here, and with it
  // Set from this time on.
  MaskTime first_time = MaskTime(std::chrono::microseconds(0));
  MaskTime last_time = MaskTime::max();  // up to this time, and with it
  bool disables = true;                  // show those that disable
  bool enables = true;                   // show those that enable
  bool forgets = true;                   // show those that forget
  bool newest_first = false;             // from the last to the first
};

// How many masks of each kind were set.
struct MaskTally {
  uint64_t disables = 0;  // masks that disabled a key
  uint64_t enables = 0;   // masks that enabled one again
  uint64_t forgets = 0;   // masks that have a key forgotten
};

// A stream of masks, in the order of their lsns, as of when it was opened.
// Keeps the segments that it reads from being reclaimed. Movable; externally
// synchronised. Outlives its reader: then it stops with FailedPrecondition.
class MaskCursor {
 public:
  ~MaskCursor();
  // Goes on where the other was.
  MaskCursor(MaskCursor&&) noexcept;
  // As moving; what was open here is closed.
  MaskCursor& operator=(MaskCursor&&) noexcept;

  // False at the end, and after a failure: status() tells which.
  bool Valid() const;
  // Goes to the next mask. Needs Valid().
  void Next();
  // OK, also at the end; or what the cursor ended with, DataLoss or
  // FailedPrecondition.
  const absl::Status& status() const;

  // The rest needs Valid(). The reference is good until Next().
  const Mask& mask() const;
  // The preserved value. NotFound if none was stored, or if the mask is not
  // whole any more.
  absl::StatusOr<std::string> value() const;
  // Of a forget: what Forget() returned, made anew from what is kept; DataLoss
  // if that is not what was forgotten. Costs two digests and, for a value in a
  // file of its own, a read of that. FailedPrecondition for other kinds.
  absl::StatusOr<ForgetReceipt> receipt() const;

 private:
  friend class AuditReader;
  class Impl;
  explicit MaskCursor(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// Proves that its holder opened the store, and may audit it.
class AuditToken {
 public:
  // Only moved: what was moved from proves nothing any more.
  AuditToken(AuditToken&&) = default;
  // As moving.
  AuditToken& operator=(AuditToken&&) = default;

 private:
  friend class AuditReader;
  friend absl::StatusOr<std::pair<std::unique_ptr<Store>, AuditToken>>
  OpenWithAudit(const std::filesystem::path& path, const Options& options);

  explicit AuditToken(std::shared_ptr<const void> store)
      : store_(std::move(store)) {}

  std::shared_ptr<const void> store_;
};

// Store::Open(), and the token that AuditReader::Attach() asks for. The only
// source of tokens.
absl::StatusOr<std::pair<std::unique_ptr<Store>, AuditToken>> OpenWithAudit(
    const std::filesystem::path& path, const Options& options = {});

// Reads masks, and what they preserve. Thread-safe.
class AuditReader {
 public:
  // Opens the directory to read only, as Store::Open() does with
  // OpenMode::kReadOnly: also beside a process that writes, as of now.
  static absl::StatusOr<std::unique_ptr<AuditReader>> Open(
      const std::filesystem::path& path);

  // Reads an open store: what it contains at each call. PermissionDenied if the
  // token is of another store. Once the store is closed, calls are
  // FailedPrecondition.
  static absl::StatusOr<std::unique_ptr<AuditReader>> Attach(
      const Store& store, const AuditToken& token);

  ~AuditReader();
  AuditReader(const AuditReader&) = delete;
  AuditReader& operator=(const AuditReader&) = delete;

  // Never null: what went wrong is in its status. Costs a pass over the
  // segments with the lsns that are asked for.
  std::unique_ptr<MaskCursor> Masks(const MaskQuery& query = {}) const;
  // How many masks of each kind Masks() would show. Costs as much.
  absl::StatusOr<MaskTally> Count(const MaskQuery& query = {}) const;

  // The preserved value of a key that is disabled or forgotten. NotFound if it
  // is neither, or nothing was stored. Costs as much as Store::Get().
  absl::StatusOr<std::string> Reveal(std::string_view key) const;

 private:
  class Impl;
  explicit AuditReader(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_AUDIT_H_
