// What peat inspect counts in a store: which bytes of which segment are for
// what, how large keys and values are, and when what is live was written.
//
// "When" is the order of lsns: puts bear no time; masks do.
//
// Plain values, and one function that reads.

#ifndef PEAT_TOOLS_OFFLINE_INSPECTION_H_
#define PEAT_TOOLS_OFFLINE_INSPECTION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "format/record.h"
#include "tools/json_bytes.h"
#include "tools/offline/live_set.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

// Counts by powers of two: class 0 is size 0, class n sizes from 2^(n-1) to
// 2^n - 1.
struct Histogram {
  static constexpr size_t kClassCount = 32;
  std::array<uint64_t, kClassCount> counts = {};
  std::array<uint64_t, kClassCount> bytes = {};

  void Add(uint64_t size);
  static uint64_t LowestOf(size_t size_class);
  static uint64_t HighestOf(size_t size_class);
};

// The columns that lsns are sorted into, from the first to the last lsn.
inline constexpr size_t kLsnColumnCount = 96;

struct SegmentInspection {
  std::string name;
  const char* kind = "";
  const char* state = "";
  format::Lsn first_lsn = 0;  // 0: nothing in it takes one
  format::Lsn last_lsn = 0;
  uint64_t record_count = 0;
  // Bytes of the file: they add up to its size, but for damage.
  uint64_t live_bytes = 0;       // current puts
  uint64_t mask_bytes = 0;       // current masks, forgets and stubs
  uint64_t tombstone_bytes = 0;  // all of them
  uint64_t dead_bytes = 0;       // superseded
  uint64_t structure_bytes = 0;  // header, links, marks and frames
  uint64_t damaged_bytes = 0;
  uint64_t free_bytes = 0;  // behind the records
  // Live and mask bytes by the lsns of their records.
  std::array<uint64_t, kLsnColumnCount> columns = {};

  uint64_t used_bytes() const {
    return live_bytes + mask_bytes + tombstone_bytes + dead_bytes +
           structure_bytes + damaged_bytes;
  }
};

struct MaskMoment {
  uint64_t time = 0;  // microseconds since 1970-01-01 UTC
  format::RecordKind kind = format::RecordKind::kForget;
};

struct Inspection {
  std::string store_id;  // hexadecimal
  uint64_t generation = 0;
  std::vector<SegmentInspection> segments;
  SegmentInspection total;
  std::map<std::string, uint64_t> kinds;  // records of each
  uint64_t live_count = 0;                // keys that can be read
  uint64_t disabled_count = 0;
  uint64_t forgotten_count = 0;
  Histogram key_sizes;    // of the keys that can be read
  Histogram value_sizes;  // of their values, large ones too
  uint64_t value_file_count = 0;
  uint64_t value_file_bytes = 0;
  uint64_t live_value_file_bytes = 0;
  std::vector<MaskMoment> masks;  // by time
  uint64_t gap_count = 0;         // damaged ranges

  // Used bytes over those that must stay: of live records, of masks, and of
  // tombstones as if none could go; with their value files.
  double amplification() const;
};

absl::StatusOr<Inspection> InspectStore(const StoreFiles& files,
                                        const OnProgress& on_progress = {});

// All of it, for programs and for the map.
OrderedJson InspectionJson(const Inspection& inspection);
// Tables, for people.
std::string InspectionText(const Inspection& inspection);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_INSPECTION_H_
