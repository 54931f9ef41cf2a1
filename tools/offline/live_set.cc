#include "tools/offline/live_set.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "format/check.h"
#include "format/mask.h"
#include "format/status_macros.h"
#include "index/key_hash.h"

namespace peat::tools {

using format::Lsn;
using format::Record;
using format::RecordKind;
using format::SegmentKind;
using Step = RecordWalk::Step;

namespace {

index::KeyHasher RandomHasher() {
  std::random_device device;
  index::KeyHasher::Seed seed = {};
  for (std::byte& byte : seed) byte = static_cast<std::byte>(device());
  return index::KeyHasher(seed);
}

// What gaps in one segment hide, from the records around them.
class HiddenLsns final {
 public:
  // `image_end`: up to where the index image has seen the segment.
  HiddenLsns(const SourceSegment& segment, bool has_manifest,
             uint64_t image_end)
      : segment_(segment),
        is_log_(segment.entry.kind == SegmentKind::kLog),
        has_manifest_(has_manifest),
        image_end_(image_end) {}

  void NoteRecord(const format::RecordHeader& header, uint64_t offset) {
    if (header.kind == RecordKind::kLink && is_log_) last_ = header.lsn;
    if (header.kind == RecordKind::kMark) durable_ = header.lsn;
    if (!TakesLsn(header.kind)) return;
    ++lsn_count_;
    if (is_loose()) lsns_.push_back(header.lsn);
    if (offset < image_end_) Count(header);
    // In the log lsns are dense: what lay in the gap came right before this.
    if (is_behind_gap_ && is_log_ && header.lsn > last_ + 1) {
      Hide(header.lsn - 1);
      missing_count_ += header.lsn - 1 - last_;
    }
    is_behind_gap_ = false;
    last_ = std::max(last_, header.lsn);
  }

  // `header`: of a record that begins the gap, if it alone is sound.
  void NoteGap(uint64_t size,
               const std::optional<format::RecordHeader>& header) {
    is_behind_gap_ = true;
    ++gap_count_;
    if (header.has_value() && RecordSize(*header) == size) {
      if (TakesLsn(header->kind)) ++known_count_;
      has_forget_ |= header->kind == RecordKind::kForget;
      has_tombstone_ |= header->kind == RecordKind::kTombstone;
    } else {
      has_forget_ = true;
      has_tombstone_ = true;
    }
    // Outside of the log records are in no order.
    if (!is_log_) Hide(is_loose() ? UINT64_MAX : segment_.entry.last_lsn);
  }

  void Finish() {
    if (segment_.kind == SourceKind::kSealed &&
        last_ < segment_.entry.last_lsn) {
      Hide(segment_.entry.last_lsn);
    }
    // Nothing else says how far it went.
    if (is_behind_gap_ && is_loose() && !has_manifest_) Hide(UINT64_MAX);
  }

  // What is hidden in the segment alone; of the end of a log whose manifest is
  // there, the lsns of all its segments tell.
  std::optional<HiddenPart> part(size_t number) const {
    if (hidden_up_to_ == 0 || (is_loose() && has_manifest_)) {
      return std::nullopt;
    }
    HiddenPart part{.segment = number, .last_lsn = hidden_up_to_};
    const format::ManifestSegment& entry = segment_.entry;
    if (is_log_ && segment_.kind == SourceKind::kSealed &&
        entry.first_lsn != 0) {
      const uint64_t count = entry.last_lsn - entry.first_lsn + 1;
      part.record_count = count - std::min(count, lsn_count_);
      part.is_exact = true;
      const bool are_known = part.record_count == known_count_;
      part.may_hold_forgets = has_forget_ || !are_known;
      part.may_hold_tombstones = has_tombstone_ || !are_known;
    } else {
      part.record_count = std::max(missing_count_, gap_count_);
    }
    return part;
  }

  Lsn durable_lsn() const { return durable_; }
  // Of a loose segment: the lsns that there are.
  const std::vector<Lsn>& lsns() const { return lsns_; }
  const SeenCounts& counts() const { return counts_; }

 private:
  bool is_loose() const { return segment_.kind == SourceKind::kLoose; }
  void Hide(Lsn lsn) { hidden_up_to_ = std::max(hidden_up_to_, lsn); }

  void Count(const format::RecordHeader& header) {
    if (header.kind == RecordKind::kForget) ++counts_.forget_count;
    if (header.kind == RecordKind::kTombstone) {
      counts_.tombstone_bytes += RecordSize(header);
    }
  }

  const SourceSegment& segment_;
  const bool is_log_;
  const bool has_manifest_;
  const uint64_t image_end_;
  bool is_behind_gap_ = false;
  Lsn last_ = 0;
  Lsn durable_ = 0;
  Lsn hidden_up_to_ = 0;
  uint64_t lsn_count_ = 0;
  uint64_t missing_count_ = 0;
  uint64_t gap_count_ = 0;
  uint64_t known_count_ = 0;  // damaged records of which the headers are sound
  bool has_forget_ = false;   // in a gap, perhaps
  bool has_tombstone_ = false;
  SeenCounts counts_;
  std::vector<Lsn> lsns_;
};

}  // namespace

class LiveSetMaker final {
 public:
  LiveSetMaker(const StoreFiles& files, const OnProgress& on_progress,
               size_t keys_max)
      : files_(files), on_progress_(on_progress), keys_max_(keys_max) {}

  absl::StatusOr<LiveSet> Run() {
    set_.current_.resize(files_.segments.size());
    counts_.resize(files_.segments.size());
    PEAT_RETURN_IF_ERROR(FindStrayForgets());
    for (bool is_first = true;; is_first = false) {
      // As much of the hashes as had room before.
      hash_last_ =
          width_ > UINT64_MAX - hash_begin_ ? UINT64_MAX : hash_begin_ + width_;
      bytes_before_ = 0;
      newest_.clear();
      for (size_t i = 0; i < files_.segments.size(); ++i) {
        PEAT_RETURN_IF_ERROR(Scan(i, is_first));
      }
      for (const auto& [lsn, stray] : strays_) newest_.erase(stray.key);
      for (const auto& [name, newest] : newest_) {
        if (newest.kind == RecordKind::kTombstone) continue;
        set_.current_[newest.segment][newest.record] = true;
      }
      if (hash_last_ == UINT64_MAX) break;
      hash_begin_ = hash_last_ + 1;
    }
    for (const auto& [lsn, stray] : strays_) {
      set_.stray_forgets_.push_back(stray.place);
      set_.last_lsn_ = std::max(set_.last_lsn_, lsn);
    }
    FindHidden();
    set_.doubt_ = Doubt(files_, hidden_, counts_, std::move(image_));
    return std::move(set_);
  }

 private:
  // A key, by 128 bits of keyed hash: that two of 2^32 keys agree in them has a
  // chance of 2^-65.
  using KeyName = std::pair<uint64_t, uint64_t>;

  struct Newest {
    Lsn lsn = 0;
    uint32_t segment = 0;
    uint32_t record = 0;  // a segment has room for some 11 million
    RecordKind kind = RecordKind::kNone;
  };

  // Whether nothing is missing where the walk stands, without a record.
  static bool IsEnd(const SourceSegment& segment, Step step,
                    const RecordWalk& walk) {
    // The end of a segment that is not sealed.
    if (step == Step::kZeros && segment.kind != SourceKind::kSealed) {
      return true;
    }
    return walk.offset() >= segment.end;
  }

  // Of the record that cannot be read; nullopt: that is damaged, too.
  static std::optional<format::RecordHeader> HeaderAt(const RecordWalk& walk) {
    return walk.damaged_header().has_value() ? walk.damaged_header()
                                             : walk.cut_short_header();
  }

  absl::Status Scan(size_t number, bool is_first) {
    const SourceSegment& segment = files_.segments[number];
    if (segment.flaw.has_value()) {
      if (is_first) NoteMissing(number);
      return absl::OkStatus();
    }
    HiddenLsns hidden(segment, files_.manifest_status.ok(),
                      ImageEnd(segment.entry.id));
    RecordWalk walk = segment.Walk();
    uint64_t record = 0;
    for (;;) {
      PEAT_ASSIGN_OR_RETURN(const Step step, walk.Next());
      if (step == Step::kRecord) {
        if (is_first) Note(walk, &hidden);
        Add(walk.record(), static_cast<uint32_t>(number), record++);
        if ((record & 0xFFFU) == 0) PEAT_RETURN_IF_ERROR(Report(walk.offset()));
        continue;
      }
      if (IsEnd(segment, step, walk)) break;
      const std::optional<format::RecordHeader> header = HeaderAt(walk);
      PEAT_ASSIGN_OR_RETURN(const Finding gap, PassOver(segment, step, &walk));
      if (is_first) {
        hidden.NoteGap(gap.size, header);
        set_.damage_.push_back(gap);
      }
      if (gap.offset + gap.size >= segment.end) break;
    }
    bytes_before_ += segment.end;
    if (is_first) {
      Take(number, hidden);
      set_.current_[number].resize(record);
    }
    return absl::OkStatus();
  }

  uint64_t ImageEnd(format::SegmentId id) const {
    const format::SnapshotSegment* const known =
        image_ == nullptr ? nullptr : image_->Of(id);
    return known == nullptr ? 0 : known->end;
  }

  // What is looked at in the first pass alone.
  void Note(const RecordWalk& walk, HiddenLsns* hidden) {
    const Record& record = walk.record();
    hidden->NoteRecord(record.header, walk.offset());
    if (strays_.empty() || !TakesLsn(record.header.kind)) return;
    // A copy of it, or what got its lsn because it never counted.
    strays_.erase(record.header.lsn);
  }

  absl::Status FindStrayForgets() {
    for (size_t i = 0; i < files_.strays.size(); ++i) {
      RecordWalk walk = files_.strays[i].Walk();
      for (;;) {
        PEAT_ASSIGN_OR_RETURN(const Step step, walk.Next());
        if (step == Step::kDamaged) {
          PEAT_RETURN_IF_ERROR(walk.Resync().status());
          continue;
        }
        if (step != Step::kRecord) break;
        const Record& record = walk.record();
        if (record.header.kind != RecordKind::kForget) continue;
        strays_.try_emplace(
            record.header.lsn,
            Stray{.place = {.lsn = record.header.lsn,
                            .stray = i,
                            .offset = walk.offset()},
                  .key = {hasher_(record.key), second_hasher_(record.key)}});
      }
    }
    return absl::OkStatus();
  }

  // What one segment's gaps hide.
  void Take(size_t number, HiddenLsns& hidden) {
    hidden.Finish();
    counts_[number] = hidden.counts();
    if (const std::optional<HiddenPart> part = hidden.part(number);
        part.has_value()) {
      hidden_.push_back(*part);
    }
    durable_lsn_ = std::max(durable_lsn_, hidden.durable_lsn());
    if (!files_.manifest_status.ok()) return;
    loose_lsns_.insert(loose_lsns_.end(), hidden.lsns().begin(),
                       hidden.lsns().end());
  }

  // The range that holds no record, which the walk goes on behind.
  static absl::StatusOr<Finding> PassOver(const SourceSegment& segment,
                                          Step step, RecordWalk* walk) {
    Finding gap{.file = segment.name(),
                .offset = walk->offset(),
                .size = segment.end - walk->offset(),
                .what = "the records end too soon"};
    if (step != Step::kDamaged) return gap;
    gap.what = WhatIsWrong(walk->check());
    PEAT_ASSIGN_OR_RETURN(const uint64_t end, walk->Resync());
    // Nothing follows where the file ends too soon.
    if (end < walk->end()) gap.size = end - gap.offset;
    return gap;
  }

  void NoteMissing(size_t number) {
    const SourceSegment& segment = files_.segments[number];
    set_.damage_.push_back({.file = segment.name(),
                            .offset = segment.flaw->offset,
                            .size = segment.end,
                            .what = segment.flaw->what});
    const format::ManifestSegment& entry = segment.entry;
    if (segment.kind != SourceKind::kSealed) return;
    const bool is_log = entry.kind == SegmentKind::kLog && entry.first_lsn != 0;
    hidden_.push_back(
        {.segment = number,
         .last_lsn = entry.last_lsn,
         .record_count = is_log ? entry.last_lsn - entry.first_lsn + 1 : 1,
         .is_exact = is_log});
  }

  absl::Status Report(uint64_t offset) {
    if (on_progress_ == nullptr) return absl::OkStatus();
    return on_progress_(bytes_before_ + offset, files_.size_bytes())
               ? absl::OkStatus()
               : absl::CancelledError("interrupted");
  }

  void Add(const Record& record, uint32_t segment, uint64_t number) {
    if (number >= set_.current_[segment].size()) {
      set_.current_[segment].resize(
          std::max<size_t>(1024, 2 * set_.current_[segment].size()));
    }
    const RecordKind kind = record.header.kind;
    if (!TakesLsn(kind)) return;
    set_.last_lsn_ = std::max(set_.last_lsn_, record.header.lsn);
    const uint64_t hash = hasher_(record.key);
    if (hash < hash_begin_ || hash > hash_last_) return;
    const Newest one{.lsn = record.header.lsn,
                     .segment = segment,
                     .record = static_cast<uint32_t>(number),
                     .kind = kind};
    const KeyName name = {hash, second_hasher_(record.key)};
    const auto found = newest_.find(name);
    if (found == newest_.end()) {
      // One more would make the table grow.
      while (newest_.size() >= keys_max_ && hash <= hash_last_) LeaveHalf();
      if (hash <= hash_last_) newest_.emplace(name, one);
      return;
    }
    Newest& newest = found->second;
    const bool is_forget = kind == RecordKind::kForget;
    if (is_forget != (newest.kind == RecordKind::kForget)) {
      if (is_forget) newest = one;
      return;
    }
    // Of two copies, from a compaction, the first.
    if (one.lsn > newest.lsn) newest = one;
  }

  // The upper half of the hashes waits for another pass.
  void LeaveHalf() {
    PEAT_CHECK(hash_last_ > hash_begin_);
    hash_last_ = hash_begin_ + (hash_last_ - hash_begin_) / 2;
    width_ = hash_last_ - hash_begin_;
    absl::erase_if(newest_, [this](const auto& one) {
      return one.first.first > hash_last_;
    });
  }

  // What the end of the log lacks. (Without a manifest, it may be anything.)
  void FindHidden() {
    if (!files_.manifest_status.ok()) return;
    set_.last_lsn_ = std::max(set_.last_lsn_, files_.tail->sealed_end.last_lsn);
    const bool has_loose =
        std::any_of(files_.segments.begin(), files_.segments.end(),
                    [](const SourceSegment& segment) {
                      return segment.kind == SourceKind::kLoose;
                    });
    if (files_.tail->damage.ok() && !has_loose) return;
    HiddenPart part{.is_exact = true};
    const auto hide = [&part](Lsn last, uint64_t count) {
      part.last_lsn = std::max(part.last_lsn, last);
      part.record_count += count;
    };
    // The log is dense, so what it lacks shows in what there is.
    Lsn last = files_.tail->sealed_end.last_lsn;
    const Lsn durable = std::max(durable_lsn_, files_.manifest->durable_lsn);
    std::sort(loose_lsns_.begin(), loose_lsns_.end());
    for (const Lsn lsn : loose_lsns_) {
      if (lsn > last + 1) hide(lsn - 1, lsn - 1 - last);
      last = std::max(last, lsn);
    }
    if (durable > last) hide(durable, durable - last);
    // A segment of the log's end that is not there may have held anything.
    const bool lacks_segment = std::any_of(
        files_.segments.begin(), files_.segments.end(),
        [](const SourceSegment& segment) {
          return segment.kind == SourceKind::kLoose && segment.flaw.has_value();
        });
    if (lacks_segment) {
      hide(UINT64_MAX, 0);
      part.is_exact = false;
    }
    if (part.last_lsn != 0) hidden_.push_back(part);
    set_.last_lsn_ = std::max({set_.last_lsn_, durable});
  }

  const StoreFiles& files_;
  const OnProgress& on_progress_;
  const size_t keys_max_;
  const index::KeyHasher hasher_ = RandomHasher();
  const index::KeyHasher second_hasher_ = RandomHasher();
  struct Stray {
    LiveSet::StrayForget place;
    KeyName key;
  };
  std::map<Lsn, Stray> strays_;
  std::unique_ptr<ImageProof> image_ = ImageProof::Find(files_);
  std::vector<HiddenPart> hidden_;
  std::vector<SeenCounts> counts_;  // of each segment
  LiveSet set_;
  absl::flat_hash_map<KeyName, Newest> newest_;  // of this pass
  uint64_t hash_begin_ = 0;  // hashes of this pass, both inclusive
  uint64_t hash_last_ = UINT64_MAX;
  uint64_t width_ = UINT64_MAX;  // of what had room, without one
  uint64_t bytes_before_ = 0;    // read in segments before
  std::vector<Lsn> loose_lsns_;
  Lsn durable_lsn_ = 0;
};

absl::StatusOr<LiveSet> LiveSet::Make(const StoreFiles& files,
                                      const OnProgress& on_progress,
                                      size_t keys_max) {
  return LiveSetMaker(files, on_progress, keys_max).Run();
}

const char* WhatIsWrong(format::RecordCheck check) {
  switch (check) {
    case format::RecordCheck::kHeaderDamaged:
      return "record header checksum mismatch";
    case format::RecordCheck::kPayloadDamaged:
      return "record payload checksum mismatch";
    case format::RecordCheck::kCutShort:
      return "record is cut short";
    case format::RecordCheck::kValid:
      break;
  }
  return "record is out of place";
}

}  // namespace peat::tools
