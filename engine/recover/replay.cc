#include "engine/recover/replay.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/log/value_files.h"
#include "engine/os/worker.h"
#include "engine/segment/key_state.h"
#include "engine/segment/seeded_bug.h"
#include "engine/segment/segment_scanner.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/mask.h"
#include "format/record.h"
#include "format/status_macros.h"
#include "index/epoch.h"

namespace peat::engine {
namespace {

using format::ByteView;
using format::Location;
using format::Lsn;
using format::ManifestSegment;
using format::Record;
using format::RecordKind;
using index::HashIndex;
using index::Verdict;

// Bytes of segments whose records are listed before they are put into the
// index. Larger: fewer passes over the index's tables; more memory.
constexpr uint64_t kReplayGroupSize = uint64_t{256} << 20;

// How far ahead of its turn a key's record is asked for, and as far ahead of
// that its bucket.
constexpr size_t kPrefetchDistance = 8;

// Records put into the index under one epoch guard: what growing replaces is
// kept as long as a guard is.
constexpr size_t kGuardSize = 512;

struct Found {
  uint64_t hash;
  Location location;
  Lsn lsn;
  uint32_t size;
  RecordKind kind;
  bool refers;  // to a value file
};

struct FoundTombstone {
  uint64_t hash;
  Location location;
  uint32_t size;
};
using ShardLists = std::array<std::vector<Found>, HashIndex::kShardCount>;

// Reads segments and lists their records by shard. One per thread.
class SourceReader {
 public:
  explicit SourceReader(const ReplayParts& parts) : parts_(parts) {}

  absl::Status Read(const ReplaySource& source) {
    PEAT_ASSIGN_OR_RETURN(const ByteView bytes,
                          source.segment->ReadAll(&buffer_));
    SegmentScanner scanner(bytes, source.entry.salt, source.begin,
                           source.entry.end);
    return parts_.despite_damage ? ScanDespiteDamage(source, scanner)
                                 : Scan(source, scanner);
  }

  ShardLists& lists() { return lists_; }
  ReplayResult& result() { return result_; }
  // Of the unsealed part of a damaged log: lsns, and what was durable.
  const std::vector<Lsn>& loose_lsns() const { return loose_lsns_; }
  Lsn last_mark() const { return last_mark_; }

 private:
  // Everything up to the end, or an error.
  absl::Status Scan(const ReplaySource& source, SegmentScanner& scanner) {
    const ManifestSegment& entry = source.entry;
    Lsn last_lsn = source.lsn_before;
    uint32_t last_checksum = entry.last_checksum;
    while (scanner.Next() == SegmentScanner::Step::kRecord) {
      PEAT_RETURN_IF_ERROR(Note(*source.segment, scanner));
      last_checksum = scanner.checksum();
      if (TakesLsn(scanner.record().header.kind)) {
        last_lsn = std::max(last_lsn, scanner.record().header.lsn);
      }
    }
    if (HasBug(Bug::kCutSealed)) return absl::OkStatus();
    if (scanner.offset() != entry.end) {
      return source.segment->DamagedAt(scanner.offset());
    }
    if (last_lsn != entry.last_lsn || last_checksum != entry.last_checksum) {
      return absl::DataLossError(absl::StrFormat(
          "%s: last lsn is %d, the manifest says %d%s; an older copy?",
          source.segment->file_name(), last_lsn, entry.last_lsn,
          last_lsn == entry.last_lsn ? " of another record" : ""));
    }
    result_.byte_count += entry.end - source.begin;
    return absl::OkStatus();
  }

  struct Salvage {  // how far a scan despite damage has come
    bool behind_gap = false;
    Lsn last_lsn = 0;
    uint32_t last_checksum = 0;
  };

  // What validates, and the ranges between.
  absl::Status ScanDespiteDamage(const ReplaySource& source,
                                 SegmentScanner& scanner) {
    const bool is_loose = source.entry.last_lsn == kUnknownLsn;
    Salvage salvage{.last_lsn = source.lsn_before,
                    .last_checksum = source.entry.last_checksum};
    uint64_t damaged_bytes = 0;
    for (;;) {
      const SegmentScanner::Step step = scanner.Next();
      if (step == SegmentScanner::Step::kRecord) {
        PEAT_RETURN_IF_ERROR(Note(*source.segment, scanner));
        NoteSalvaged(scanner, is_loose, &salvage);
        continue;
      }
      const uint64_t begin = scanner.offset();
      const bool goes_on = step == SegmentScanner::Step::kDamaged;
      const uint64_t end = goes_on ? scanner.Resync() : source.entry.end;
      if (begin < end) {
        salvage.behind_gap = true;
        // Outside of the log records are in no order.
        if (source.entry.kind != format::SegmentKind::kLog) {
          Hide(source.entry.last_lsn);
        }
        result_.damaged.push_back(
            {source.segment->file_name(), begin, end - begin});
        damaged_bytes += end - begin;
      }
      if (end >= source.entry.end) break;
    }
    result_.byte_count += source.entry.end - source.begin - damaged_bytes;
    if (is_loose) return absl::OkStatus();
    const bool is_whole = !salvage.behind_gap &&
                          salvage.last_lsn >= source.entry.last_lsn &&
                          salvage.last_checksum == source.entry.last_checksum;
    if (!is_whole) Hide(source.entry.last_lsn);
    return absl::OkStatus();
  }

  void NoteSalvaged(const SegmentScanner& scanner, bool is_loose,
                    Salvage* salvage) {
    const format::RecordHeader& header = scanner.record().header;
    salvage->last_checksum = scanner.checksum();
    if (header.kind == RecordKind::kMark) {
      last_mark_ = std::max(last_mark_, header.lsn);
    }
    if (!TakesLsn(header.kind)) return;
    if (is_loose) loose_lsns_.push_back(header.lsn);
    salvage->last_lsn = std::max(salvage->last_lsn, header.lsn);
    // What lay in the gap came before this record.
    if (salvage->behind_gap) Hide(header.lsn - 1);
    salvage->behind_gap = false;
  }

  void Hide(Lsn lsn) {
    result_.hidden_up_to = std::max(result_.hidden_up_to, lsn);
  }

  absl::Status Note(Segment& segment, const SegmentScanner& scanner) {
    const Record& record = scanner.record();
    const RecordKind kind = record.header.kind;
    if (kind == RecordKind::kAuditStub) {
      segment.counter().Add({.live_bytes = RecordSize(record.header)});
    }
    if (!TakesLsn(kind)) return absl::OkStatus();
    ++result_.record_count;
    result_.last_lsn = std::max(result_.last_lsn, record.header.lsn);
    const uint64_t size = RecordSize(record.header);
    if (kind == RecordKind::kTombstone) {
      segment.counter().Add({.tombstone_bytes = size});
    }
    PEAT_DCHECK(segment.number() != 0);
    const uint64_t hash = (*parts_.hasher)(record.key);
    if ((record.header.flags & format::kFlagValueFile) != 0) {
      const auto reference =
          format::DecodeValueReference(format::StoredValue(record));
      if (reference.ok()) segment.AddValueFile(reference->file);
      segment.counter().Add({.value_bytes = ValueFileSize(record)});
    }
    lists_[static_cast<size_t>(HashIndex::ShardOf(hash))].push_back(
        {.hash = hash,
         .location = Location(segment.number(), scanner.offset()),
         .lsn = record.header.lsn,
         .size = static_cast<uint32_t>(size),
         .kind = kind,
         .refers = (record.header.flags & format::kFlagValueFile) != 0});
    return absl::OkStatus();
  }

  const ReplayParts& parts_;
  ShardLists lists_;
  ReplayResult result_;
  std::vector<Lsn> loose_lsns_;
  Lsn last_mark_ = 0;
  std::vector<std::byte> buffer_;
};

// Puts listed records into one shard of the index.
class ShardFiller {
 public:
  ShardFiller(const ReplayParts& parts, int shard,
              std::vector<FoundTombstone>* tombstones)
      : parts_(parts), shard_(shard), tombstones_(*tombstones) {}

  absl::Status Fill(std::span<const Found> list) {
    while (!list.empty()) {
      const size_t count = std::min(kGuardSize, list.size());
      PEAT_RETURN_IF_ERROR(FillUnderGuard(list.first(count)));
      list = list.subspan(count);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status FillUnderGuard(std::span<const Found> list) {
    // Before anything is located: loading a shard makes positions outdated.
    parts_.index->EnsureLoaded(shard_);
    const index::EpochGuard guard(parts_.index->epochs());
    const HashIndex::ShardLock lock(*parts_.index, shard_);
    for (size_t i = 0; i < list.size(); ++i) {
      if (i + 2 * kPrefetchDistance < list.size()) {
        parts_.index->Prefetch(list[i + 2 * kPrefetchDistance].hash);
      }
      if (i + kPrefetchDistance < list.size()) {
        PrefetchRecords(list[i + kPrefetchDistance]);
      }
      PEAT_RETURN_IF_ERROR(Put(list[i]));
    }
    return absl::OkStatus();
  }

  // A key that is there already will be compared, record by record.
  void PrefetchRecords(const Found& found) const {
    const Location candidate = parts_.index->Peek(found.hash);
    if (candidate.is_none()) return;
    for (const Location location : {candidate, found.location}) {
      parts_.segments->At(location.segment()).Prefetch(location.offset());
    }
  }

  absl::Status Put(const Found& found) {
    PEAT_DCHECK(HashIndex::ShardOf(found.hash) == shard_);
    std::optional<std::string> key;  // read when first compared
    Record old;
    absl::Status status;
    const HashIndex::Position position =
        parts_.index->Locate(found.hash, [&](Location candidate) {
          status = Compare(found, candidate, &key, &old);
          if (!status.ok()) return Verdict::kStop;
          return old.key == *key ? Verdict::kMatch : Verdict::kOther;
        });
    PEAT_RETURN_IF_ERROR(status);
    const bool is_known = position.verdict == Verdict::kMatch;
    // A record listed twice has its own lsn.
    const bool is_newer =
        !is_known || (HasBug(Bug::kOrderByFileAge)
                          ? AgeAt(found.location) > AgeAt(position.location)
                          : found.lsn > old.header.lsn);
    if (!is_newer) return CountSuperseded(found, old.header.lsn);
    if (is_known) {
      Segment& segment = parts_.segments->At(position.location.segment());
      segment.counter().Remove(
          {.live_bytes =
               RecordSize(old.header) -
               format::LastingSize(old.header.kind, old.key.size(), old.value),
           .live_value_bytes = ValueFileSize(old)});
      segment.mask_counts().Add(StateAfter(old.header.kind), -1);
      parts_.mask_counts->Add(StateAfter(old.header.kind), -1);
    }
    Segment& segment = parts_.segments->At(found.location.segment());
    segment.mask_counts().Add(StateAfter(found.kind), 1);
    parts_.mask_counts->Add(StateAfter(found.kind), 1);
    segment.counter().Add({.live_bytes = found.size});
    if (found.refers) [[unlikely]] {
      Record record;
      PEAT_RETURN_IF_ERROR(
          segment.ReadRecord(found.location.offset(), &scratch_, &record));
      segment.counter().Add({.live_value_bytes = ValueFileSize(record)});
    }
    parts_.index->Set(found.hash, position, found.location);
    if (found.kind == RecordKind::kTombstone) {
      tombstones_.push_back({found.hash, found.location, found.size});
    }
    return absl::OkStatus();
  }

  // Of the file, which says nothing about the record.
  std::pair<format::SegmentId, uint64_t> AgeAt(Location location) const {
    return {parts_.segments->At(location.segment()).identity().id,
            location.offset()};
  }

  // Of a record that a newer one came before: what lasts of it.
  absl::Status CountSuperseded(const Found& found, Lsn newer) {
    if (!format::IsMask(found.kind) || newer == found.lsn) {
      return absl::OkStatus();
    }
    Segment& segment = parts_.segments->At(found.location.segment());
    Record record;
    PEAT_RETURN_IF_ERROR(
        segment.ReadRecord(found.location.offset(), &scratch_, &record));
    segment.counter().Add({.live_bytes = format::LastingSize(
                               found.kind, record.key.size(), record.value)});
    return absl::OkStatus();
  }

  // Reads the record at `candidate`, and the key of `found` if need be.
  absl::Status Compare(const Found& found, Location candidate,
                       std::optional<std::string>* key, Record* old) {
    if (!key->has_value()) {
      Record record;
      PEAT_RETURN_IF_ERROR(
          parts_.segments->At(found.location.segment())
              .ReadRecord(found.location.offset(), &scratch_, &record));
      *key = std::string(record.key);
    }
    return parts_.segments->At(candidate.segment())
        .ReadRecord(candidate.offset(), &scratch_, old);
  }

  const ReplayParts& parts_;
  const int shard_;
  std::vector<FoundTombstone>& tombstones_;
  std::string scratch_;
};

// One replay from first to last group.
class Replayer {
 public:
  explicit Replayer(const ReplayParts& parts) : parts_(parts) {
    for (int i = 0; i < parts.thread_count; ++i) {
      readers_.push_back(std::make_unique<SourceReader>(parts_));
    }
  }

  absl::Status Run(const std::vector<ReplaySource>& sources) {
    size_t end = GroupEnd(sources, 0);
    AskFor(sources, 0, end);
    for (size_t begin = 0; begin < sources.size();) {
      // The disk reads the next group while this one is worked on.
      const size_t next_end = GroupEnd(sources, end);
      AskFor(sources, end, next_end);
      PEAT_RETURN_IF_ERROR(ReadGroup(sources, begin, end));
      PEAT_RETURN_IF_ERROR(FillShards());
      begin = end;
      end = next_end;
    }
    RemoveTombstones();
    return absl::OkStatus();
  }

  ReplayResult TakeResult(const std::vector<ReplaySource>& sources) {
    ReplayResult all;
    for (const std::unique_ptr<SourceReader>& reader : readers_) {
      ReplayResult& one = reader->result();
      all.record_count += one.record_count;
      all.byte_count += one.byte_count;
      all.last_lsn = std::max(all.last_lsn, one.last_lsn);
      all.hidden_up_to = std::max(all.hidden_up_to, one.hidden_up_to);
      all.damaged.insert(all.damaged.end(), one.damaged.begin(),
                         one.damaged.end());
    }
    if (parts_.log_damage.has_value()) {
      all.damaged.push_back(parts_.log_damage->where);
      all.hidden_up_to = std::max(all.hidden_up_to, LastMissingLsn(sources));
    }
    return all;
  }

 private:
  // The log is dense, so what it lacks shows in what there is: whole segments
  // may be gone without a gap in any other.
  Lsn LastMissingLsn(const std::vector<ReplaySource>& sources) const {
    Lsn last = 0;
    for (const ReplaySource& source : sources) {
      if (source.entry.last_lsn == kUnknownLsn) continue;
      last = std::max(last, source.entry.last_lsn);
    }
    std::vector<Lsn> lsns;
    Lsn durable = parts_.log_damage->durable_lsn;
    for (const std::unique_ptr<SourceReader>& reader : readers_) {
      lsns.insert(lsns.end(), reader->loose_lsns().begin(),
                  reader->loose_lsns().end());
      durable = std::max(durable, reader->last_mark());
    }
    std::sort(lsns.begin(), lsns.end());
    Lsn missing = 0;
    for (const Lsn lsn : lsns) {
      if (lsn > last + 1) missing = lsn - 1;
      last = std::max(last, lsn);
    }
    return durable > last ? durable : missing;
  }

  static size_t GroupEnd(const std::vector<ReplaySource>& sources,
                         size_t begin) {
    uint64_t size = 0;
    size_t end = begin;
    while (end < sources.size() && size < kReplayGroupSize) {
      size += sources[end++].entry.end;
    }
    return end;
  }

  static void AskFor(const std::vector<ReplaySource>& sources, size_t begin,
                     size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const Mapping* const mapping = sources[i].segment->mapping();
      if (mapping != nullptr) mapping->WillNeed(0, sources[i].entry.end);
    }
  }

  // Calls work(thread, i) for each i in [begin, end), on all threads.
  absl::Status ForEach(
      size_t begin, size_t end,
      absl::FunctionRef<absl::Status(size_t thread, size_t i)> work) {
    std::atomic<size_t> next{begin};
    std::vector<absl::Status> statuses(readers_.size());
    RunInParallel(static_cast<int>(readers_.size()), [&](int thread) {
      const auto t = static_cast<size_t>(thread);
      for (size_t i = next++; i < end && statuses[t].ok(); i = next++) {
        statuses[t] = work(t, i);
      }
    });
    for (const absl::Status& status : statuses) {
      PEAT_RETURN_IF_ERROR(status);
    }
    return absl::OkStatus();
  }

  absl::Status ReadGroup(const std::vector<ReplaySource>& sources, size_t begin,
                         size_t end) {
    return ForEach(begin, end, [&](size_t thread, size_t i) {
      return readers_[thread]->Read(sources[i]);
    });
  }

  absl::Status FillShards() {
    return ForEach(0, HashIndex::kShardCount, [&](size_t, size_t shard) {
      ShardFiller filler(parts_, static_cast<int>(shard), &tombstones_[shard]);
      for (const std::unique_ptr<SourceReader>& reader : readers_) {
        std::vector<Found>& list = reader->lists()[shard];
        PEAT_RETURN_IF_ERROR(filler.Fill(list));
        list.clear();
      }
      return absl::OkStatus();
    });
  }

  // A tombstone that is still current leaves; its key is absent.
  void RemoveTombstones() {
    for (size_t shard = 0; shard < tombstones_.size(); ++shard) {
      const index::EpochGuard guard(parts_.index->epochs());
      const HashIndex::ShardLock lock(*parts_.index, static_cast<int>(shard));
      for (const FoundTombstone& tombstone : tombstones_[shard]) {
        const HashIndex::Position position =
            parts_.index->Locate(tombstone.hash, [&](Location candidate) {
              return candidate == tombstone.location ? Verdict::kMatch
                                                     : Verdict::kOther;
            });
        if (position.verdict != Verdict::kMatch) continue;
        Segment& segment = parts_.segments->At(tombstone.location.segment());
        segment.counter().Remove({.live_bytes = tombstone.size});
        parts_.index->Erase(tombstone.hash, position);
      }
    }
  }

  const ReplayParts& parts_;
  std::vector<std::unique_ptr<SourceReader>> readers_;
  std::array<std::vector<FoundTombstone>, HashIndex::kShardCount> tombstones_;
};

}  // namespace

absl::StatusOr<ReplayResult> Replay(const std::vector<ReplaySource>& sources,
                                    const ReplayParts& parts) {
  PEAT_CHECK(parts.index != nullptr);
  PEAT_CHECK(parts.thread_count >= 1);
  Replayer replayer(parts);
  PEAT_RETURN_IF_ERROR(replayer.Run(sources));
  return replayer.TakeResult(sources);
}

}  // namespace peat::engine
