#include "tools/offline/mask_check.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "format/mask.h"
#include "format/status_macros.h"

namespace peat::tools {

using Step = RecordWalk::Step;

namespace {

using format::Lsn;
using format::Record;
using format::RecordKind;

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

// What is known of the record's key by the masks before it.
RecordKind StateBefore(const Record& record, const Timeline& timeline) {
  RecordKind state = RecordKind::kEnable;
  for (const auto& [lsn, kind] : timeline) {
    if (lsn >= record.header.lsn) break;
    if (state != RecordKind::kForget) state = kind;
  }
  return state;
}

// What the record breaks; nullopt: nothing.
std::optional<Finding> Breach(const Record& record, const Timeline& timeline) {
  const RecordKind state = StateBefore(record, timeline);
  if (state == RecordKind::kForget) {
    return Finding{
        .what = "a record of a key behind its forget",
        .consequence = "the key is in a state that no call can lead to",
        .remedy =
            "peat repair DIR --to NEW --salvage leaves a forgotten key "
            "forgotten"};
  }
  const RecordKind kind = record.header.kind;
  const bool writes =
      kind == RecordKind::kPut || kind == RecordKind::kTombstone;
  if (state != RecordKind::kDisable || !writes) return std::nullopt;
  return Finding{.severity = Severity::kNote,
                 .what = "a record that writes to a disabled key",
                 .consequence =
                     "none for readers: the record of when the key "
                     "was enabled is missing, as damage may leave it",
                 .remedy = "none"};
}

absl::Status CheckMasksIn(const SourceSegment& segment,
                          const Timelines& timelines, Findings* findings) {
  RecordWalk walk = segment.Walk();
  std::string key;
  for (;;) {
    PEAT_ASSIGN_OR_RETURN(const Step step, walk.Next());
    if (step == Step::kDamaged) {
      PEAT_RETURN_IF_ERROR(walk.Resync().status());
      continue;
    }
    if (step != Step::kRecord) return absl::OkStatus();
    if (!TakesLsn(walk.record().header.kind)) continue;
    key = walk.record().key;
    const auto found = timelines.find(key);
    if (found == timelines.end()) continue;
    std::optional<Finding> breach = Breach(walk.record(), found->second);
    if (!breach.has_value()) continue;
    breach->file = segment.name();
    breach->offset = walk.offset();
    breach->size = walk.record_bytes().size();
    findings->push_back(*std::move(breach));
  }
}

}  // namespace

absl::StatusOr<Findings> CheckMasks(const StoreFiles& files,
                                    const std::vector<FoundMask>& masks) {
  Findings findings;
  if (masks.empty()) return findings;
  const Timelines timelines = Arrange(masks);
  for (const SourceSegment& segment : files.segments) {
    if (segment.flaw.has_value()) continue;
    PEAT_RETURN_IF_ERROR(CheckMasksIn(segment, timelines, &findings));
  }
  return findings;
}

}  // namespace peat::tools
