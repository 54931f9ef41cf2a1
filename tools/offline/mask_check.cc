#include "tools/offline/mask_check.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "format/mask.h"
#include "format/status_macros.h"

namespace peat::tools {
namespace {

using format::Lsn;
using format::Record;
using format::RecordKind;
using Step = RecordWalk::Step;

// The masks of one key, by lsn.
using Timeline = std::vector<std::pair<Lsn, RecordKind>>;
using Timelines = absl::flat_hash_map<std::string, Timeline>;

Timelines Arrange(const std::vector<FoundMask>& masks) {
  Timelines timelines;
  for (const FoundMask& mask : masks) {
    timelines[mask.key].emplace_back(mask.lsn, mask.kind);
  }
  for (auto& [key, timeline] : timelines) {
    std::sort(timeline.begin(), timeline.end());
  }
  return timelines;
}

// What the record must not have been, after those masks; null: it is right.
const char* Breach(const Record& record, const Timeline& timeline,
                   bool is_whole) {
  RecordKind state = RecordKind::kEnable;
  for (const auto& [lsn, kind] : timeline) {
    if (lsn >= record.header.lsn) break;
    if (state != RecordKind::kForget) state = kind;
  }
  const RecordKind kind = record.header.kind;
  if (state == RecordKind::kForget) {
    return "a record of a key behind its forget";
  }
  const bool writes =
      kind == RecordKind::kPut || kind == RecordKind::kTombstone;
  if (is_whole && state == RecordKind::kDisable && writes) {
    return "a record that writes to a disabled key";
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<Findings> CheckMasks(const StoreFiles& files,
                                    const std::vector<FoundMask>& masks,
                                    bool is_whole) {
  Findings findings;
  if (masks.empty()) return findings;
  const Timelines timelines = Arrange(masks);
  std::string key;
  for (const SourceSegment& segment : files.segments) {
    if (segment.flaw.has_value()) continue;
    RecordWalk walk = segment.Walk();
    for (;;) {
      PEAT_ASSIGN_OR_RETURN(const Step step, walk.Next());
      if (step == Step::kDamaged) {
        PEAT_RETURN_IF_ERROR(walk.Resync().status());
        continue;
      }
      if (step != Step::kRecord) break;
      if (!TakesLsn(walk.record().header.kind)) continue;
      key = walk.record().key;
      const auto found = timelines.find(key);
      if (found == timelines.end()) continue;
      const char* const breach = Breach(walk.record(), found->second, is_whole);
      if (breach == nullptr) continue;
      findings.push_back(
          {.file = segment.name(),
           .offset = walk.offset(),
           .size = walk.record_bytes().size(),
           .what = breach,
           .consequence = "the key is in a state that no call can lead to",
           .remedy =
               "peat repair DIR --to NEW --salvage leaves a forgotten key "
               "forgotten"});
    }
  }
  return findings;
}

}  // namespace peat::tools
