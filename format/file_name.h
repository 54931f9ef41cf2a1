// The names of a store's files. Names are built from ids only.
//
//   LOCK                    held by the process that writes; never unlinked
//   MANIFEST-0, MANIFEST-1  the two copies of the manifest
//   000042.seg              segment 42 (at least six decimal digits)
//   000042.val              value file 42
//   RESERVE-0, RESERVE-1    preallocated, for a full disk: log, compaction
//   000042.hint             what is known of segment 42; derived
//   000042.snap             the index as of an lsn in segment 42; derived
//   *.tmp                   leftovers
//
// Derived files and leftovers may be deleted at any time.
//
// Pure functions, safe from any thread.

#ifndef PEAT_FORMAT_FILE_NAME_H_
#define PEAT_FORMAT_FILE_NAME_H_

#include <optional>
#include <string>
#include <string_view>

#include "format/location.h"

namespace peat::format {

inline constexpr char kLockFileName[] = "LOCK";
inline constexpr char kManifestFileNames[2][11] = {"MANIFEST-0", "MANIFEST-1"};
inline constexpr char kReserveFileNames[2][10] = {"RESERVE-0", "RESERVE-1"};

std::string SegmentFileName(SegmentId id);
std::string ValueFileName(SegmentId id);
std::string HintFileName(SegmentId id);
std::string SnapshotFileName(SegmentId id);

enum class FileKind {
  kLock,
  kManifest,
  kSegment,
  kValue,
  kReserve,
  kHint,
  kSnapshot,
  kTemporary,
};

struct FileName {
  FileKind kind = FileKind::kTemporary;
  SegmentId id = 0;  // of a segment, value file, hint or snapshot
};

// Nullopt for a name that is none of Peat's. A name with superfluous leading
// zeros or a number over 2^63 is none of Peat's: one file, one name.
std::optional<FileName> ParseFileName(std::string_view name);

}  // namespace peat::format

#endif  // PEAT_FORMAT_FILE_NAME_H_
