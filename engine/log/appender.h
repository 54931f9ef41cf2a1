// The end of the log: the one active segment, and the order of writes.
//
// An append is a copy into the page cache through the segment's mapping, which
// the kernel keeps when the process dies. Segments are prepared ahead by the
// segment allocator; the appender only rolls into them:
//
//   prepared --roll--> active --roll--> rolled --synced, sealed--> (released)
//
// It also keeps the live bytes of segments, since its lock makes that cheap.
// It calls nothing and waits for nothing while it holds its lock. Thread-safe.

#ifndef PEAT_ENGINE_LOG_APPENDER_H_
#define PEAT_ENGINE_LOG_APPENDER_H_

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "engine/log/log_end.h"
#include "engine/log/log_signal.h"
#include "engine/log/manifest_store.h"
#include "engine/os/file_system.h"
#include "engine/segment/expiry_sum.h"
#include "engine/segment/segment.h"
#include "format/record.h"
#include "index/mutex.h"

namespace peat::engine {

// A log segment that is not sealed yet, with the file that syncs it. The
// appender moves the fields below `segment` under its lock until the segment is
// rolled; then they are constant.
struct LogFile {
  std::shared_ptr<Segment> segment;
  std::unique_ptr<File> file;
  Mapping* mapping = nullptr;            // to store through
  std::unique_ptr<Mapping> own_mapping;  // that, where the segment has none
  uint64_t end = format::kSegmentHeaderSize;
  format::Lsn first_lsn = 0;
  format::Lsn last_lsn = 0;
  uint32_t last_checksum = 0;
  bool synced = false;         // only of a rolled one, by the log syncer
  uint64_t writeback_end = 0;  // of the background's RunSync alone
};

// What to append. `payload_hash` is format::PayloadHash(key, value), taken
// before any lock.
struct AppendRecord {
  format::RecordKind kind = format::RecordKind::kPut;
  uint8_t flags = 0;
  std::string_view key = {};
  std::string_view value = {};
  uint64_t payload_hash = 0;
  // Of a put with kFlagExpires: what its value begins with.
  format::Millis expiry = format::kNever;

  // The record that this one takes the place of, in the index: its segment,
  // and how many of its bytes may go now. Null: none.
  Segment* superseded = nullptr;
  uint64_t superseded_size = 0;
  // Of the value files that this record and that one refer to.
  uint64_t value_file_size = 0;
  uint64_t superseded_value_file_size = 0;
  format::SegmentId value_file = 0;  // that this record refers to; 0: none
  format::Lsn superseded_lsn = 0;
  // False: a later record of the same batch takes the place of this one.
  bool is_current = true;

  uint64_t size() const { return format::RecordSize(key.size(), value.size()); }
};

struct Appended {
  format::Location location;
  format::Lsn lsn = 0;
  // The newest view that was open then; 0: none. What it shows must be saved
  // before the index changes.
  format::Lsn newest_view = 0;
};

// Where the log ends for a view.
struct ViewPoint {
  format::Lsn lsn = 0;
  format::SegmentNumber active = 0;  // 0: no segment was active
  uint64_t end = 0;                  // of the records in it
};

// Live bytes that move with a record from one segment to another, or are not
// live any more.
struct LiveMove {
  Segment* from = nullptr;
  Segment* to = nullptr;  // null: nowhere
  uint64_t bytes = 0;
  uint64_t value_file_bytes = 0;
};

class Appender {
 public:
  // The log goes on behind `end`, whose segment is sealed. Links say which
  // generation of `manifest`, which must outlive this, came before them.
  Appender(const LogEnd& end, const ManifestStore* manifest);

  // Adds a prepared segment: empty, named by the durable manifest, readable
  // through the segment set.
  void AddPrepared(std::shared_ptr<LogFile> file) ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes the prepared segments back: nothing will be appended any more.
  std::deque<std::shared_ptr<LogFile>> TakePrepared()
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether a roll for records of `size` bytes would find a segment.
  bool HasPrepared(uint64_t size) ABSL_LOCKS_EXCLUDED(mutex_);

  // Appends one record as one unit. False, and nothing has changed, when it
  // needs a prepared segment of at least NeededCapacity(). `*wake` is set when
  // the background has work.
  bool Append(const AppendRecord& record, Appended* appended, bool* wake)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Appends all of `records` as one unit, in a frame, in one segment;
  // `appended` has as many elements.
  bool AppendBatch(std::span<const AppendRecord> records,
                   std::span<Appended> appended, bool* wake)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Appends a record of `time`, outside of any unit. False if the active
  // segment has no room, or no unit: then it would not be part of the log.
  bool AppendTime(format::Millis time) ABSL_LOCKS_EXCLUDED(mutex_);

  // Where the log ends now. Each later append tells its caller of a view of
  // that lsn, until SetNewestView() says otherwise.
  ViewPoint BeginView() ABSL_LOCKS_EXCLUDED(mutex_);
  void SetNewestView(format::Lsn lsn) ABSL_LOCKS_EXCLUDED(mutex_);

  // The capacity of a segment that is sure to take records of `size` bytes.
  static uint64_t NeededCapacity(uint64_t size);
  // Bytes of `records` and their frame.
  static uint64_t BatchSize(std::span<const AppendRecord> records);

  // `file`, of `size` bytes, must be durable before the log is: a record that
  // will be appended refers to it. Call before that append.
  void AddValueFile(std::shared_ptr<File> file, uint64_t size)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Everything that a sync must cover, as of now.
  struct Sample {
    std::vector<std::shared_ptr<File>> value_files;
    std::vector<std::shared_ptr<LogFile>>
        rolled;                       // not yet synced, oldest first
    std::shared_ptr<LogFile> active;  // null: none
    LogEnd end;
    format::Lsn last_forget_lsn = 0;  // since the store was opened; 0: none
  };
  Sample TakeSample() ABSL_LOCKS_EXCLUDED(mutex_);

  // All up to `end` is durable: the next append writes a mark of it first, and
  // the rolled segments up to there may be sealed.
  void SetDurable(const LogEnd& end) ABSL_LOCKS_EXCLUDED(mutex_);

  // The rolled segments that are synced, oldest first; and the same taken out,
  // once they are sealed.
  std::vector<std::shared_ptr<LogFile>> SyncedRolled()
      ABSL_LOCKS_EXCLUDED(mutex_);
  void ReleaseRolled(size_t count) ABSL_LOCKS_EXCLUDED(mutex_);

  // How far the log goes now, and each segment that is not sealed and has
  // records.
  struct State {
    LogEnd end;
    std::vector<LogEnd> unsealed;
  };
  State TakeState() ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends the active segment, if there is one: it counts as rolled from now on,
  // and the next append begins another. Returns the last lsn before that.
  format::Lsn EndActive() ABSL_LOCKS_EXCLUDED(mutex_);

  // How the active segment stands, for the background's decisions.
  struct Progress {
    std::shared_ptr<LogFile> active;  // null: none
    uint64_t tail = 0;
    uint64_t capacity = 0;
    std::vector<std::shared_ptr<LogFile>> prepared;
    std::vector<std::shared_ptr<LogFile>> unsynced_rolled;
    uint64_t appended_bytes = 0;  // since the store was opened
    uint64_t unsynced_bytes = 0;
    bool rolls_early = false;  // as soon as there is a prepared one
    bool starved = false;  // a writer found no prepared segment since the last
  };
  Progress TakeProgress() ABSL_LOCKS_EXCLUDED(mutex_);

  // How the records of the active segment expire, and where they end; 0: there
  // is no active segment.
  struct ActiveExpiries {
    ExpirySum sum;
    uint64_t tail = 0;
  };
  ActiveExpiries TakeActiveExpiries() ABSL_LOCKS_EXCLUDED(mutex_);

  // Counts bytes as live in another segment, where their record lies now. To be
  // called with the lock of the shard under which the index was moved.
  void MoveLive(std::span<const LiveMove> moves) ABSL_LOCKS_EXCLUDED(mutex_);

  // The log segments that are rolled and not sealed yet.
  size_t rolled_count() ABSL_LOCKS_EXCLUDED(mutex_);

  // Bytes of records appended since the store was opened, and of the value
  // files that go with them.
  uint64_t appended_bytes() ABSL_LOCKS_EXCLUDED(mutex_);

  // Tells the active segment where its records end, for statistics.
  void UpdateEnd() ABSL_LOCKS_EXCLUDED(mutex_);

  // Asks for `*wake` once `bytes` more have been appended, or earlier if that
  // was asked for before.
  void WakeAfter(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits for the unit that is being appended, if there is one, and returns the
  // last lsn then. Whatever live bytes the caller has seen go, the unit that
  // took them is in the log, at or below it.
  format::Lsn AwaitUnit() ABSL_LOCKS_EXCLUDED(mutex_);

  // Asks for it at the next unit. False, and nothing is asked for, if there is
  // one behind `lsn` already.
  bool WakeAtNextUnit(format::Lsn lsn) ABSL_LOCKS_EXCLUDED(mutex_);

  // What tells those who follow the log that it has gone on: at each sync, and
  // at the next unit after somebody has asked for that.
  const std::shared_ptr<LogSignal>& signal() const { return signal_; }

  // Asks for it. False, and nothing is asked for, if there is a unit behind
  // `lsn` already. Then the next unit's caller hears of it by `*wake`.
  bool SignalAtNextUnit(format::Lsn lsn) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whom a `*wake` was meant for. Once taken, it is the caller's to do.
  struct Due {
    bool signal = false;
    bool background = false;
  };
  Due TakeDue() {
    return {.signal = signal_due_.exchange(false, std::memory_order_relaxed),
            .background =
                background_due_.exchange(false, std::memory_order_relaxed)};
  }

  // Everything up to here is durable.
  format::Lsn durable_lsn() const {
    return shown_durable_lsn_.load(std::memory_order_acquire);
  }

  // The last unit's lsn: everything acknowledged is at or below it.
  format::Lsn last_lsn() const {
    return last_lsn_.load(std::memory_order_acquire);
  }

 private:
  bool MakeRoom(uint64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoom(uint64_t size) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the active segment's value files are so large that it should not
  // wait to be full: as long as it is active none of them can go.
  bool RefersToMuch() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // In prepared_, or its size if there is none.
  size_t FindPrepared(uint64_t size) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Roll(size_t prepared_index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteMark() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves the live bytes from the superseded record to this one, whose unit is
  // complete.
  void CountLive(const AppendRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountTail(uint64_t tail_before, bool* wake)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Writes a record at the tail and moves the tail behind it; returns where it
  // lies.
  uint64_t Write(const format::RecordHeader& header, uint64_t payload_hash,
                 std::string_view key, std::string_view value)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  format::Location WriteUnitRecord(const AppendRecord& record,
                                   uint8_t extra_flags)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ManifestStore& manifest_;

  index::Mutex mutex_{index::LockRank::kAppender};
  std::shared_ptr<LogFile> active_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<LogFile>> prepared_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<LogFile>> rolled_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<File>> value_files_ ABSL_GUARDED_BY(mutex_);

  LogEnd end_ ABSL_GUARDED_BY(mutex_);  // segment: of the last record
  std::optional<LogEnd> pending_mark_ ABSL_GUARDED_BY(mutex_);
  format::Lsn durable_lsn_ ABSL_GUARDED_BY(mutex_);
  format::Lsn last_forget_lsn_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t appended_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t durable_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t sampled_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t wake_at_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool starved_ ABSL_GUARDED_BY(mutex_) = false;
  format::Lsn newest_view_ ABSL_GUARDED_BY(mutex_) = 0;
  bool signals_next_unit_ ABSL_GUARDED_BY(mutex_) = false;
  const std::shared_ptr<LogSignal> signal_ = std::make_shared<LogSignal>();
  // Set under the lock by the append that also sets its caller's `*wake`.
  // Relaxed: that caller, or one that is quicker, takes them.
  std::atomic<bool> signal_due_{false};
  std::atomic<bool> background_due_{false};

  // Stored under the lock, at the end of each unit; read by Flush() without
  // it. Release, so that whoever sees an lsn may rely on its unit being there.
  std::atomic<format::Lsn> last_lsn_;
  // durable_lsn_, for those who follow the log. Release, so that whoever sees
  // an lsn may rely on the sync behind it.
  std::atomic<format::Lsn> shown_durable_lsn_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_APPENDER_H_
