// What peat dump prints: records of a store or of one segment, as a table for
// people, as lines of JSON for programs, or as bytes with their fields named.
//
// What a Store would not show is not shown: values of records that are not
// current, or may not be (damage could hide what is newer), all values of a
// file alone, values of forgotten keys, and the reasons of masks, unless
// `reveal`.
//
// Externally synchronised.

#ifndef PEAT_TOOLS_OFFLINE_DUMP_H_
#define PEAT_TOOLS_OFFLINE_DUMP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/record.h"
#include "tools/offline/live_set.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

enum class DumpForm { kTable, kJson, kRaw };

struct DumpOptions {
  DumpForm form = DumpForm::kTable;
  bool keys_only = false;
  bool live_only = false;  // current records; of a store alone
  bool reveal = false;
  size_t columns = 120;  // of a table
  int thread_count = 1;
  // What a thread makes at a time: a multiple of 8.
  uint64_t part_size = uint64_t{1} << 18;
  // Which records; all conditions must hold.
  std::set<format::RecordKind> kinds = {};  // empty: all
  std::optional<std::string> key = {};
  std::optional<std::string> prefix = {};
  format::Lsn first_lsn = 0;
  format::Lsn last_lsn = UINT64_MAX;
};

struct DumpCounts {
  uint64_t records = 0;  // shown
  uint64_t gaps = 0;     // ranges that hold no valid record
  uint64_t values = 0;   // large ones whose file is missing or damaged
};

// Takes what is printed, some at a time.
using Sink = absl::FunctionRef<absl::Status(std::string_view)>;

// Prints the records of `files`, in the order of their lsns. Cancelled if
// `on_progress` says so. It and the sink are called by one thread at a time.
// Memory: for each thread a part and what is printed of it, or a record if that
// is larger; what the merging of runs takes (lsn_order.h); the live set, if
// values are shown or what is current is asked for.
absl::StatusOr<DumpCounts> DumpStore(const StoreFiles& files,
                                     const DumpOptions& options,
                                     const OnProgress& on_progress, Sink sink);

// The same of one segment, called `name`, in the order of its file.
absl::StatusOr<DumpCounts> DumpSegment(const SourceSegment& segment,
                                       const std::string& name,
                                       const DumpOptions& options,
                                       const OnProgress& on_progress,
                                       Sink sink);

// "put", "tombstone", ...
std::string_view NameOf(format::RecordKind kind);
// The kind of that name; nullopt: there is none.
std::optional<format::RecordKind> KindNamed(std::string_view name);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_DUMP_H_
