// Mistakes that engines of this kind have made, to be made on purpose by a test
// build, so that the tests which must notice them are tested too.
//
// In production HasBug() is constant false and leaves no trace. A test build
// (-DPEAT_SEEDED_BUGS) makes the one mistake that SetSeededBug() names.

#ifndef PEAT_ENGINE_SEGMENT_SEEDED_BUG_H_
#define PEAT_ENGINE_SEGMENT_SEEDED_BUG_H_

namespace peat::engine {

enum class Bug {
  kNone,
  kFlushOnlyActive,        // no sync of rolled segments
  kNoDirectorySync,        // of a new segment's name
  kNoValueSync,            // the log is synced, its value files are not
  kNoValueDirectorySync,   // nor their names
  kNoManifestSync,         // an lsn is given out before the cut is durable
  kManifestUnconfirmed,    // a manifest that was read is taken for durable
  kManifestNewerFirst,     // an edit overwrites the only good copy
  kAppendAfterTear,        // what lies behind the log's end is written over
  kCutSealed,              // a sealed segment ends at its first bad record
  kReplayOverGap,          // a link's lsn and end are not compared
  kFsyncRetried,           // a second fsync is believed
  kPoisonForgotten,        // writes go on after a failed sync
  kTailNotStoredAgain,     // recovery only syncs
  kMendNotSynced,          // recovery does not even sync
  kIndexBeforeAppend,      // a delete leaves the index, then finds no space
  kReadErrorIsEnd,         // what cannot be read is taken for zeros
  kChecksumWithoutOffset,  // of records
  kIdReused,               // ids are given out before that is durable
  kFrameIgnored,           // a torn batch counts
  kKeyNotCompared,         // on write
  kPartialOnFull,          // a batch leaves its frame where it does not fit
  kValuesUnproven,         // recovery believes that value files are whole
  kForgottenVisible,       // reads do not ask whether the key is forgotten
  kEnableUnforgets,        // a forgotten key is enabled
  kForgetNotRecorded,      // in the manifest, by the flush that covers it
  kTombstonesDropped,      // by a compaction that leaves what they shadow
  kSupersededNotDurable,   // compaction drops it all the same
  kMoveWithoutCompare,     // a compaction overwrites what was written since
  kMoveWithNewLsn,         // a moved record is newer than it was
  kMasksDropped,           // superseded, or forget records, by compaction
  kUnlinkBeforeCommit,     // inputs go before the edit is durable
  kSnapshotUnbound,        // taken for this log, whatever was cut of that
  kSnapshotEndsLate,       // it says that it reflects more than it does
  kHintTrusted,            // a hint file whose checksum is wrong counts
  kPayloadNotVerified,     // reads check a record's header alone
  kSizeBelieved,           // of a damaged record: what lies behind it is read
  kOrderByFileAge,         // replay takes the record of the newer file
  kLockDropped,            // an open that is refused removes the lock's file
  kStaleUnmarked,          // a range takes a record that was superseded
  kDecidedOnce,            // a write that lost a race does not look again
  kCountedEarly,           // a batch supersedes before it is whole in the log
  kCount,
};

#ifdef PEAT_SEEDED_BUGS
inline Bug seeded_bug = Bug::kNone;
inline bool HasBug(Bug bug) { return bug == seeded_bug; }
inline void SetSeededBug(Bug bug) { seeded_bug = bug; }
#else
constexpr bool HasBug(Bug) { return false; }
#endif

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_SEEDED_BUG_H_
