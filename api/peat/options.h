// How a store is opened.
//
// The defaults are right for state that must be fast and survive crashes. Each
// field says its unit, its default, and when to change it. Open() validates
// all of them once, with InvalidArgument.

#ifndef PEAT_API_PEAT_OPTIONS_H_
#define PEAT_API_PEAT_OPTIONS_H_

#include <chrono>
#include <cstdint>

#include "peat/time.h"

namespace peat {

// What a store is opened for.
enum class OpenMode {
  // Takes the directory's lock; one process at a time.
  kReadWrite,
  // Takes no lock and writes nothing, also beside a process that writes: shows
  // what is there at the moment of Open(), or of the last Refresh(). Calls that
  // need what that process has removed since are Aborted. Damage fails Open().
  kReadOnly,
  // As kReadOnly, but opens what is sound of a damaged store. What could be
  // hidden or outdated by an unreadable range then answers DataLoss, and
  // cursors
  // go on behind what is damaged (Cursor::CanGoOn). A segment that was cut
  // short is read as far as it goes.
  kReadOnlyDespiteDamage,
};

// When writes become durable against power loss.
enum class SyncPolicy {
  // Flush() makes writes durable against power loss; besides, the background
  // syncs at least every 32 MiB. Acknowledged writes survive the end of the
  // process under every policy.
  kExplicit,
  // Each write returns once it is durable. Writers that wait share a sync.
  kEveryWrite,
  // The background flushes every `sync_interval`.
  kInterval,
};

// How bytes of segments are read.
enum class ReadMethod {
  // Segments are mapped: fastest. A disk that fails under a mapping ends the
  // process with SIGBUS.
  kMapped,
  // Segments are read with pread: a failing disk is a status, and each read
  // costs a system call more. kReadOnly modes always read this way.
  kPositional,
};

// How a store is opened: see the head of this file.
struct Options {
  // Default: read and write.
  OpenMode mode = OpenMode::kReadWrite;

  // Whether Open() makes a store in a directory that is missing (its parent
  // must exist) or empty. Default: true. Set to false where a missing store is
  // a mistake, such as a wrong mount.
  bool create_if_missing = true;

  // How long Open() waits for the directory's lock if another process, or
  // another store of this one, has it: milliseconds, at most 3,600,000.
  // Default: 0, which fails at once, with Unavailable and a message that names
  // the process. Set it where one process takes a store over from another. The
  // kReadOnly modes take no lock.
  std::chrono::milliseconds lock_wait{0};

  // Default: explicit. Change it when callers cannot say when to flush.
  SyncPolicy sync = SyncPolicy::kExplicit;

  // Milliseconds between flushes under kInterval; 1 to 3,600,000. Default:
  // 100. Longer loses more at a power cut and costs less.
  std::chrono::milliseconds sync_interval{100};

  // Default: mapped. Change it when the disk may fail under a running process
  // and the process must live.
  ReadMethod read_method = ReadMethod::kMapped;

  // Bytes that segments may use for each byte that must stay, plus two segments
  // or 8 MiB; above 1, at most 100. Default: 1.5. Less takes less disk and
  // writes more: at 1.5, uniform overwrites write each byte 0.7 times again.
  double max_space_amplification = 1.5;

  // Bytes a second that compaction writes, on average; 0: unlimited, the
  // default. Set it where other users of the disk suffer; writers are slowed
  // when compaction cannot keep up.
  uint64_t compaction_bytes_per_second = 0;

  // Whether a thread, which all stores of the process share, compacts in the
  // background. Default: true. Without it the store grows until Compact().
  bool background_compaction = true;

  // Whether that thread also saves the index to a file, which spares the next
  // Open() most of the log if the process dies: whenever as much has been
  // written as an eighth of the live data, and 32 MiB. Default: true. It costs
  // 10 bytes a key of disk space, twice that while a new one is written, and up
  // to 5 % of the time of puts. Close() saves the index in any case.
  bool background_snapshots = true;

  // Whether to keep the keys in order in memory, for prefixes and ranges.
  // Default: no. It costs at most a key's length and 16 bytes of memory a key,
  // and more time for each insert and delete of a key (none for an overwrite).
  // Without it such queries work, too, but read the whole log.
  //
  // It is not part of the files: any store opens with or without it. After
  // Open() a thread, which all stores of the process share, makes it from the
  // log, about a second for a million keys; meanwhile everything goes on, but
  // for queries that need it, which wait (query.h); the first of them makes it
  // itself, if that thread has not begun with this store. If a record of the
  // log is damaged they fail with DataLoss, and nothing else does. A store that
  // is open to read only has it before Open() returns, which then takes that
  // time and fails.
  bool ordered = false;

  // Who says what time it is, for keys that expire (peat/time.h). Default: the
  // machine's clock. It is not part of the files, but a store's time never goes
  // back: not below what the store has seen, whoever said that.
  TimeSource time = TimeSource::kSystem;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_OPTIONS_H_
