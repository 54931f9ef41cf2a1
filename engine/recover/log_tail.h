// Where the log ends: the unsealed segments, in order, and what of them counts.
//
// The log goes on behind the last sealed segment through those unsealed ones
// whose link names exactly what precedes them. It ends before the first record
// that is missing, torn, out of order, or refers to a value file that is not
// whole. Whether that end is a torn tail or damage is decided here too:
//
//   a later mark (or the manifest) says that more was durable  -> DataLoss
//   otherwise                                                   -> torn: cut
//
// Reads only. Externally synchronised.

#ifndef PEAT_ENGINE_RECOVER_LOG_TAIL_H_
#define PEAT_ENGINE_RECOVER_LOG_TAIL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/log/log_end.h"
#include "engine/os/file_system.h"
#include "engine/segment/expiry_sum.h"
#include "format/manifest.h"
#include "format/record.h"
#include "peat/stats.h"

namespace peat::engine {

// An unsealed segment and its bytes.
struct TailSegment {
  format::ManifestSegment entry;
  std::unique_ptr<File> file;
  std::unique_ptr<Mapping> mapping;  // or, when opened to read only,
  std::vector<std::byte> buffer;     // a copy
  format::ByteView bytes;

  // What of it belongs to the log; `end` is 0 when nothing does.
  uint64_t end = 0;
  format::Lsn first_lsn = 0;
  format::Lsn last_lsn = 0;
  uint32_t last_checksum = 0;
  ExpirySum expiries;
};

struct LogTail {
  std::vector<TailSegment> used;     // in the order of the log
  std::vector<TailSegment> unused;   // never written to
  std::vector<TailSegment> dropped;  // written to, but behind the end
  LogEnd sealed_end;                 // of the last sealed segment
  LogEnd end;
  bool has_expiring = false;  // a record that expires
  format::Millis time = 0;    // the latest that its time records say; 0: none
  LogEnd last_mark;           // what the last mark says; or sealed_end
  // Value files that records above the last mark refer to: whole, but perhaps
  // not durable.
  std::vector<format::ValueReference> unproven_values;
  std::vector<CutRange> cut;
  absl::Status damage;  // not OK: below what was durable something is missing
};

// Reads all unsealed segments that `manifest` names. kReadWrite maps them for
// mending. A failure to read is the returned status; damage is in the result.
absl::StatusOr<LogTail> FindLogTail(const Directory& directory,
                                    const format::Manifest& manifest,
                                    OpenMode mode);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_RECOVER_LOG_TAIL_H_
