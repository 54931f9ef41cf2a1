// What an engine counts about itself. api/peat/stats.h says what each field
// means; the door copies them.

#ifndef PEAT_ENGINE_SEGMENT_STATS_H_
#define PEAT_ENGINE_SEGMENT_STATS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "format/segment_header.h"

namespace peat::engine {

struct CutRange {
  std::string file;
  uint64_t offset = 0;
  uint64_t size = 0;
};

struct OpenStats {
  bool clean = true;
  uint64_t keys_loaded = 0;  // from an index image
  uint64_t records_replayed = 0;
  uint64_t bytes_replayed = 0;
  uint64_t milliseconds = 0;
  uint64_t ordered_milliseconds = 0;
  uint64_t last_lsn = 0;  // the engine's alone
  std::vector<CutRange> cut;
  std::vector<CutRange> damaged;
};

struct SegmentStats {
  uint64_t id = 0;
  format::SegmentKind kind = format::SegmentKind::kLog;
  uint64_t used_bytes = 0;
  uint64_t live_bytes = 0;
  uint64_t tombstone_bytes = 0;
  uint64_t mask_bytes = 0;
  uint64_t dead_bytes = 0;
  uint64_t age = 0;
  bool is_set_aside = false;
};

struct Stats {
  uint64_t key_count = 0;
  uint64_t disabled_key_count = 0;
  uint64_t forgotten_key_count = 0;
  uint64_t live_bytes = 0;
  uint64_t dead_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t spare_bytes = 0;
  uint64_t segment_count = 0;
  uint64_t value_file_count = 0;
  uint64_t value_file_bytes = 0;
  uint64_t index_bytes = 0;
  uint64_t last_lsn = 0;
  uint64_t durable_lsn = 0;
  uint64_t flush_count = 0;
  bool reserve_complete = true;

  uint64_t tombstone_bytes = 0;
  double space_amplification = 1;
  uint64_t compaction_count = 0;
  uint64_t compaction_written_bytes = 0;
  uint64_t compaction_removed_bytes = 0;
  uint64_t appended_bytes = 0;
  double write_amplification = 1;
  double slowed_seconds = 0;
  uint64_t index_image_count = 0;
  uint64_t index_image_bytes = 0;
  std::vector<SegmentStats> segments;

  uint64_t ordered_index_bytes = 0;
  bool ordered_index_complete = false;
  uint64_t view_count = 0;
  uint64_t view_saved_count = 0;
  uint64_t view_saved_bytes = 0;
  uint64_t view_held_bytes = 0;
  OpenStats open;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_STATS_H_
