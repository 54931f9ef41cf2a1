// What peat repair does: makes a new store of what is sound of another one,
// which it does not touch.
//
// The new store holds each key's current record, every forget record that
// validates anywhere in the directory, and of other masks the record or its
// audit stub; all with their lsns. It never holds a record that a valid
// tombstone or mask shadows. What validates and is proved to be the newest of
// its key (doubt.h) is kept. A key is *withheld* if something newer of it could
// lie in what cannot be read. Without a manifest that is true of every key, as
// files that were no part of the store any more may lie in the directory. A
// withheld key is absent; of its mask a stub stays. Of different records with
// one lsn one is kept, a forget rather than others.
//
// Accepting what is unproven keeps also records of which something newer may be
// lost, but none of a key that may have been forgotten: no forget record of it
// can lie in what is known to be damaged. (That no file is missing of a store
// without a manifest is up to who accepts.)
//
// Written to a directory of its own beside `to`, verified there, and renamed,
// so that there is a whole new store or none.

#ifndef PEAT_TOOLS_OFFLINE_REPAIR_H_
#define PEAT_TOOLS_OFFLINE_REPAIR_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "format/record.h"
#include "tools/offline/finding.h"
#include "tools/offline/live_set.h"

namespace peat::tools {

struct RepairPaths {
  std::filesystem::path from;
  std::filesystem::path to;  // must not be there
};

struct RepairOptions {
  bool salvage = false;          // despite damage: keep what validates
  bool accept_unproven = false;  // withhold only what may be forgotten
};

// A record that is not in the new store as it was.
struct Loss {
  enum class Kind {
    kWithheld,   // something newer may be hidden
    kNoValue,    // its value's file is missing or damaged
    kShadowed,   // written behind a forget, which stays
    kMisplaced,  // another record has its lsn, or it is out of order
  };
  Kind kind = Kind::kWithheld;
  std::string file;
  uint64_t offset = 0;
  format::RecordHeader header;
  std::string key;
};
const char* NameOf(Loss::Kind kind);

struct RepairResult {
  // What verification found in the old store, torn tails included.
  Findings findings;
  bool is_written = false;  // false: there is damage, and salvage was not asked
  uint64_t kept_count = 0;  // records of keys, masks and stubs
  uint64_t loss_count = 0;  // those that were told, and what is hidden
  // Of those, records that cannot be read, as their lsns tell; at least so many
  // if it is not exact.
  uint64_t hidden_count = 0;
  bool is_exact = true;
  format::Lsn hidden_up_to = 0;  // 0: nothing was
};

// Tells of each loss.
using OnLoss = absl::FunctionRef<void(const Loss&)>;

// AlreadyExists if `to` is there; Unavailable if a process writes to `from`;
// ResourceExhausted, and no trace, if the disk is full. Cancelled, and no
// trace, if `on_progress` says so.
absl::StatusOr<RepairResult> RepairStore(engine::FileSystem& file_system,
                                         const RepairPaths& paths,
                                         const RepairOptions& options,
                                         const OnProgress& on_progress,
                                         OnLoss on_loss);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_REPAIR_H_
