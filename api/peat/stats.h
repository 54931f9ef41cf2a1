// What a store counts about itself. Plain numbers, taken at one call.

#ifndef PEAT_API_PEAT_STATS_H_
#define PEAT_API_PEAT_STATS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace peat {

// A stretch of the log that recovery did not take, because it was torn by a
// crash or damaged behind everything known to be durable.
struct CutRange {
  std::string file;     // its name
  uint64_t offset = 0;  // bytes
  uint64_t size = 0;    // bytes up to the last one that is not zero
};

// How the last Open() went.
struct OpenStats {
  bool clean = true;  // the log had been closed
  // Taken from an index image, which an earlier process had left; 0: there
  // was none that fitted, and all of the log was replayed.
  uint64_t keys_loaded = 0;
  uint64_t records_replayed = 0;  // those that are younger than it
  uint64_t bytes_replayed = 0;    // the bytes of these records
  uint64_t milliseconds = 0;      // what Open() took
  // What the ordered index took once it is complete, mostly after Open().
  uint64_t ordered_milliseconds = 0;
  std::vector<CutRange> cut;      // what was cut away as torn
  std::vector<CutRange> damaged;  // kReadOnlyDespiteDamage: unreadable ranges
};

// One segment. Bytes.
struct SegmentStats {
  // Who wrote it: writers; compaction; compaction, for what only the audit
  // reads.
  enum class Kind { kLog, kCompacted, kAudit };
  uint64_t id = 0;               // its number, as in its file's name
  Kind kind = Kind::kLog;        // who wrote it
  uint64_t used_bytes = 0;       // up to where its records end
  uint64_t live_bytes = 0;       // of records that the index points to
  uint64_t tombstone_bytes = 0;  // of deletes that may not be dropped yet
  uint64_t mask_bytes = 0;       // of what audit keeps beyond live records
  uint64_t dead_bytes = 0;       // the rest: what compaction would gain
  uint64_t age = 0;              // writes since its newest record
  bool is_set_aside = false;     // damaged or missing: not compacted
};

// What Store::GetStats() tells.
struct Stats {
  // Keys that Get() would find.
  uint64_t key_count = 0;

  uint64_t disabled_key_count = 0;   // of these, those that are disabled
  uint64_t forgotten_key_count = 0;  // keys that are forgotten

  // Bytes of records that must stay: of keys that can be read, masks, and what
  // the audit needs of superseded masks.
  uint64_t live_bytes = 0;
  // Bytes of all others that lie in segments but tombstones: superseded ones,
  // and what holds the log together.
  uint64_t dead_bytes = 0;

  // Bytes of segments up to where their records end.
  uint64_t used_bytes = 0;
  // Bytes of disk allocated beyond that: the rest of the active segment,
  // segments prepared ahead, the reserve for a full disk, the manifest.
  uint64_t spare_bytes = 0;

  uint64_t segment_count = 0;  // segments, the active one included

  // Values that lie in files of their own, superseded ones included.
  uint64_t value_file_count = 0;
  uint64_t value_file_bytes = 0;  // the bytes of these files

  // Memory of the index, in bytes.
  uint64_t index_bytes = 0;

  // Memory of the ordered index, in bytes; 0 without one.
  uint64_t ordered_index_bytes = 0;
  // Whether all keys are in the ordered index: until then the queries that need
  // it wait.
  bool ordered_index_complete = false;

  // Since the store was opened: how often all of the log was read for a query
  // that wanted a part of it, because there is no ordered index. If it grows,
  // open the store with Options::ordered.
  uint64_t full_log_scans = 0;

  uint64_t view_count = 0;  // open cursors and snapshots
  // Records that they keep because keys have changed since, and the memory for
  // that in bytes.
  uint64_t view_saved_count = 0;
  uint64_t view_saved_bytes = 0;  // see view_saved_count
  // Bytes of segments that the store has given up and only they keep.
  uint64_t view_held_bytes = 0;

  uint64_t last_lsn = 0;     // the last write's place in the order of writes
  uint64_t durable_lsn = 0;  // up to where writes are known to be durable

  uint64_t flush_count = 0;  // syncs of the log

  // Under SyncPolicy::kInterval: by how much the oldest write that is not yet
  // durable has waited longer than sync_interval; 0: none has. Some
  // milliseconds are what a sync takes; seconds say that the disk does not
  // answer, while writes to memory go on and no call fails.
  uint64_t flush_overdue_milliseconds = 0;

  // Whether the reserve for a full disk is complete. While it is not, writes
  // that add data fail with ResourceExhausted.
  bool reserve_complete = true;

  // Bytes of tombstones, in segments.
  uint64_t tombstone_bytes = 0;

  // Bytes of segments and of the value files that their records refer to, over
  // what of both must stay. Held below max_space_amplification by compaction,
  // but for two segments or 8 MiB.
  double space_amplification = 1;

  // The next six are since the store was opened. Compactions that were done.
  uint64_t compaction_count = 0;
  uint64_t compaction_written_bytes = 0;  // of segments that these wrote
  uint64_t compaction_removed_bytes = 0;  // of segments that these took out
  uint64_t appended_bytes = 0;     // written to the log and to value files
  double write_amplification = 1;  // appended and compacted over appended
  // How long writers were slowed, all together, because the bound on space was
  // in danger.
  double slowed_seconds = 0;

  uint64_t index_image_count = 0;  // how often the index was saved since
  uint64_t index_image_bytes = 0;  // the bytes of these images

  // By id. In a store that is open to read only all tombstones count as if they
  // could not go.
  std::vector<SegmentStats> segments;

  OpenStats open;  // how the store was opened

  // All numbers but those of single segments, in the text format of Prometheus
  // (version 0.0.4): peat_NAME with its type and a line of help. A program with
  // several stores adds a label to tell them apart.
  std::string ToPrometheus() const;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_STATS_H_
