// A hint file: what can be known of a sealed segment without reading it. A
// cache, bound to its segment.
//
//   offset  size  field
//   0       8     magic            "PEATHNT\0"
//   8       4     version
//   12      4     section_count    n
//   16      16    store_id
//   32      8     id               of the segment, as are the next four
//   40      8     salt
//   48      8     end
//   56      8     last_lsn
//   64      4     last_checksum
//   68      4     zero
//   72      32*n  sections
//   ...     8     checksum         of everything before it
//
// and each section's entry:
//
//   0       4     kind             2 key filter; others are passed over
//   4       4     zero
//   8       8     offset           of its bytes in the file
//   16      8     size
//   24      8     checksum         of its bytes
//
// Pure functions, safe from any thread.

#ifndef PEAT_FORMAT_HINT_FILE_H_
#define PEAT_FORMAT_HINT_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "format/bytes.h"
#include "format/manifest.h"

namespace peat::format {

inline constexpr uint32_t kHintSectionCountMax = 16;

enum class HintSectionKind : uint32_t { kKeyFilter = 2 };

struct HintSection {
  HintSectionKind kind = HintSectionKind::kKeyFilter;
  std::string bytes;
};

// The hint file of the sealed segment `entry`.
std::string EncodeHintFile(const StoreId& store_id,
                           const ManifestSegment& entry,
                           const std::vector<HintSection>& sections);

// The bytes of the section `kind`, verified; they lie in `bytes`. DataLoss
// when the file is damaged, of a newer version, or of another segment than
// `entry`; NotFound when it has no such section.
absl::StatusOr<ByteView> FindHintSection(ByteView bytes,
                                         const StoreId& store_id,
                                         const ManifestSegment& entry,
                                         HintSectionKind kind);

}  // namespace peat::format

#endif  // PEAT_FORMAT_HINT_FILE_H_
