// One compaction: the survivors of some sealed segments move to new ones: what
// can be read to one, and what is kept for the audit alone to another, so that
// it is not rewritten along with live data.
//
//   check the inputs' files -> let writers pass -> scan, and copy what the
//   index points to -> ask the filters about tombstones -> sync the outputs and
//   their names -> sync the log -> commit by one manifest edit -> publish
//
// Why nothing comes back and nothing is lost, whatever happens when:
//   - A record is current if and only if the index points to its very place. A
//     writer appends before it changes the index, so at first all shards are
//     locked once, one by one: every writer whose record lies in an input has
//     changed the index by then.
//   - What is not copied has been superseded by what the log holds, and the log
//     is synced behind the scan and before the edit. So no crash can take away
//     what superseded it, and leave nothing. A writer that has superseded what
//     it has not yet taken out of the index is awaited before.
//   - Until the edit is durable the store is what it was; the outputs are
//     orphans. From then on it consists of outputs instead of inputs, which
//     hold the same records with the same lsns, but for those that the log
//     supersedes. Recovery cannot tell the difference, as the lsn decides.
//   - What has expired by the time of the compaction is not copied, although it
//     is current. The edit makes that time durable, and time never goes back:
//     so what it superseded has expired, too, or there is a tombstone for it.
//   - The index moves after the edit: nothing that can fail comes after it, and
//     nothing need be undone. Until then readers use the inputs, which the
//     caller retires when no slot leads to them any more. A slot moves only if
//     it still has the old location: whoever wrote meanwhile wins.
//
// A failure before the edit leaves nothing behind. Used once, by one thread.

#ifndef PEAT_ENGINE_COMPACT_COMPACTION_H_
#define PEAT_ENGINE_COMPACT_COMPACTION_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "engine/compact/output_segment.h"
#include "engine/compact/tombstones.h"
#include "engine/log/appender.h"
#include "engine/log/core.h"
#include "engine/segment/config.h"
#include "engine/segment/key_state.h"
#include "engine/segment/segment_set.h"
#include "format/record.h"
#include "index/hash_index.h"

namespace peat::engine {

class Compaction final {
 public:
  // `others`: every other sealed segment of the store.
  Compaction(const Core& core, std::vector<SealedSegment> inputs,
             std::vector<SealedSegment> others);

  // OK: the inputs are out of the manifest, and no slot leads to them.
  // ResourceExhausted: no space for the output. Anything but OK: nothing has
  // changed, but that a damaged input may have been set aside.
  absl::Status Run();

  // Whether Run() has failed for an input that was damaged or missing.
  bool has_set_aside() const { return has_set_aside_; }

  const std::vector<SealedSegment>& inputs() const { return inputs_; }
  std::vector<std::shared_ptr<Segment>> outputs() const;
  // Bytes of segments written and taken out; what the inputs' records that are
  // gone referred to, once for each. Of a Run() that was OK.
  uint64_t written_bytes() const { return written_bytes_; }
  uint64_t removed_bytes() const { return removed_bytes_; }
  const std::vector<format::SegmentId>& dropped_values() const {
    return dropped_values_;
  }

 private:
  // What becomes of a record.
  enum class Fate {
    kDrop,
    kKeep,          // it is current
    kKeepForAudit,  // for ever: a forget record, or an audit stub
    kLeaveStub,     // a superseded disable or enable record
    kAskFilters,    // a tombstone: stays if it may shadow something elsewhere
    kExpire,        // current, and expired: it leaves the index
    kBuryExpired,  // the same, and what it shadows may live longer: a tombstone
  };
  // The outputs. Tombstones for which there is no room along with the data get
  // one of their own.
  enum Home : uint8_t { kData, kAudit, kTombstones };
  // A record of an input on its way.
  struct Scanned {
    uint64_t hash = 0;
    format::Location location;
    format::Record record;
  };
  // A record that lies in the output too.
  struct Move {
    uint64_t hash = 0;
    format::Location from;
    uint64_t to_offset = 0;
    uint32_t size = 0;
    uint32_t input = 0;
    uint64_t value_file_size = 0;
    uint32_t lasting_size = 0;  // what of `size` stays live if it is superseded
    Home home = kData;
    KeyState state = KeyState::kLive;  // of its key, if it is current
  };
  struct TombstonePlace {
    uint32_t input = 0;
    uint32_t size = 0;
    uint64_t offset = 0;
  };
  // A record that has expired and is current, as far as was seen.
  struct Leaving {
    uint64_t hash = 0;
    format::Location from;
    format::Lsn lsn = 0;
    uint32_t input = 0;
    uint32_t size = 0;
    uint64_t value_file_size = 0;
  };
  struct Output {
    std::unique_ptr<OutputSegment> segment;  // null: nothing went there
    std::shared_ptr<Segment> open;
    uint64_t value_bytes = 0;  // of the value files that it refers to
    std::vector<format::SegmentId> value_files;  // those
    std::vector<uint64_t> filter_hashes;  // if its key filter is to be made
  };

  absl::Status CheckInputs();
  absl::Status CopyAll();
  // Has the index images removed, and sets the inputs aside whose counts are
  // from one. `why` is Internal: there was no room.
  absl::Status DistrustCounts(const absl::Status& why);
  void DropImages();
  absl::Status SetAside(const SealedSegment& input, const absl::Status& why);
  void LetWritersPass();
  format::Lsn AwaitSuperseding();
  uint64_t RoomForRecords() const;
  // As far as is known before the filters are asked.
  uint64_t RoomForTombstones() const;
  absl::Status CopyFrom(uint32_t number);
  absl::Status CopyGroup(uint32_t input, std::span<const Scanned> group);
  Fate FateOf(const Scanned& scanned) const;
  bool IsCurrent(const Scanned& scanned) const;
  bool IsSuperseded(const Scanned& tombstone) const;
  bool HasExpired(const format::Record& record) const {
    return ExpiryOf(record) <= now_;
  }
  void Leave(uint32_t input, const Scanned& scanned);
  absl::Status Keep(uint32_t input, const Scanned& scanned, Home home);
  // Copies what no slot leads to: a stub.
  absl::Status KeepStub(uint32_t input, const format::Record& stub);
  absl::Status LeaveStub(uint32_t input, const format::Record& mask);
  absl::StatusOr<uint64_t> Append(Home home, const format::Record& record);
  // Begins an output for records of `size` bytes.
  absl::Status Create(Home home, uint64_t size);
  void Drop(const format::Record& record);
  absl::Status CopyTombstones();
  absl::Status FinishOutputs();
  absl::Status Commit();
  void GiveUpOutputs();
  void Publish();
  void SaveKeyFilters();
  void PublishSome(int shard, std::span<const Move> moves);
  void PublishLeaving(int shard, std::span<const Leaving> leaving);
  // Takes `leaving` out of the index, unless somebody was quicker; `key` is
  // that of its record.
  bool TakeOut(const Leaving& leaving, std::string_view key, bool has_views);
  // A mistake made on purpose: see seeded_bug.h.
  void OverwriteSlot(const Move& move, format::Location to);
  void Reach(CompactionPoint point) const {
    if (parts_.config->at_compaction_point != nullptr) {
      parts_.config->at_compaction_point(point);
    }
  }

  const Core& parts_;
  const std::vector<SealedSegment> inputs_;
  const std::vector<SealedSegment> others_;
  // Filters will be asked for.
  const bool has_tombstones_;
  // What has expired by then is dropped.
  const format::Millis now_;
  bool has_leaving_ = false;
  uint64_t room_ = 0;              // bytes of records that may yet survive
  std::array<Output, 3> outputs_;  // by Home
  std::vector<LiveMove> stubs_;    // `to` is not known yet
  std::array<std::vector<Move>, index::HashIndex::kShardCount> moves_;
  std::array<std::vector<Leaving>, index::HashIndex::kShardCount> leaving_;
  std::vector<Tombstone> tombstones_;
  std::vector<TombstonePlace> tombstone_places_;  // of each of them
  std::vector<format::SegmentId> dropped_values_;
  bool has_set_aside_ = false;
  uint64_t written_bytes_ = 0;
  uint64_t removed_bytes_ = 0;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_COMPACT_COMPACTION_H_
