#include "tools/offline/live_set.h"

#include <algorithm>
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
  explicit HiddenLsns(const SourceSegment& segment)
      : segment_(segment), is_log_(segment.entry.kind == SegmentKind::kLog) {}

  void NoteRecord(const format::RecordHeader& header) {
    if (header.kind == RecordKind::kLink && is_log_) last_ = header.lsn;
    if (header.kind == RecordKind::kMark) durable_ = header.lsn;
    if (!TakesLsn(header.kind)) return;
    if (segment_.kind == SourceKind::kLoose) lsns_.push_back(header.lsn);
    // In the log lsns are dense: what lay in the gap came right before this.
    if (is_behind_gap_ && is_log_ && header.lsn > last_ + 1) {
      Hide(header.lsn - 1);
    }
    is_behind_gap_ = false;
    last_ = std::max(last_, header.lsn);
  }

  void NoteGap() {
    is_behind_gap_ = true;
    // Outside of the log records are in no order.
    if (!is_log_) Hide(segment_.entry.last_lsn);
  }

  void Finish() {
    if (segment_.kind == SourceKind::kSealed &&
        last_ < segment_.entry.last_lsn) {
      Hide(segment_.entry.last_lsn);
    }
  }

  Lsn hidden_up_to() const { return hidden_up_to_; }
  Lsn durable_lsn() const { return durable_; }
  // Of a loose segment: the lsns that there are.
  const std::vector<Lsn>& lsns() const { return lsns_; }

 private:
  void Hide(Lsn lsn) { hidden_up_to_ = std::max(hidden_up_to_, lsn); }

  const SourceSegment& segment_;
  const bool is_log_;
  bool is_behind_gap_ = false;
  Lsn last_ = 0;
  Lsn durable_ = 0;
  Lsn hidden_up_to_ = 0;
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
    for (bool is_first = true;; is_first = false) {
      hash_last_ = UINT64_MAX;
      bytes_before_ = 0;
      newest_.clear();
      for (size_t i = 0; i < files_.segments.size(); ++i) {
        PEAT_RETURN_IF_ERROR(Scan(i, is_first));
      }
      for (const auto& [name, newest] : newest_) {
        if (newest.kind == RecordKind::kTombstone) continue;
        set_.current_[newest.segment][newest.record] = true;
      }
      if (hash_last_ == UINT64_MAX) break;
      hash_begin_ = hash_last_ + 1;
    }
    FindHidden();
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

  absl::Status Scan(size_t number, bool is_first) {
    const SourceSegment& segment = files_.segments[number];
    if (segment.flaw.has_value()) {
      if (is_first) NoteMissing(segment);
      return absl::OkStatus();
    }
    HiddenLsns hidden(segment);
    RecordWalk walk = segment.Walk();
    uint64_t record = 0;
    for (;;) {
      PEAT_ASSIGN_OR_RETURN(const Step step, walk.Next());
      if (step == Step::kRecord) {
        if (is_first) hidden.NoteRecord(walk.record().header);
        Add(walk.record(), static_cast<uint32_t>(number), record++);
        if ((record & 0xFFFU) == 0) PEAT_RETURN_IF_ERROR(Report(walk.offset()));
        continue;
      }
      if (IsEnd(segment, step, walk)) break;
      PEAT_ASSIGN_OR_RETURN(const Finding gap, PassOver(segment, step, &walk));
      if (is_first) {
        hidden.NoteGap();
        set_.damage_.push_back(gap);
      }
      if (step != Step::kDamaged) break;
    }
    bytes_before_ += segment.end;
    if (is_first) {
      Take(hidden);
      set_.current_[number].resize(record);
    }
    return absl::OkStatus();
  }

  // What one segment's gaps hide.
  void Take(HiddenLsns& hidden) {
    hidden.Finish();
    Hide(hidden.hidden_up_to());
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
    gap.size = end - gap.offset;
    return gap;
  }

  void NoteMissing(const SourceSegment& segment) {
    set_.damage_.push_back({.file = segment.name(),
                            .offset = segment.flaw->offset,
                            .size = segment.end,
                            .what = segment.flaw->what});
    if (segment.kind == SourceKind::kSealed) Hide(segment.entry.last_lsn);
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
    const auto [found, is_new] =
        newest_.try_emplace({hash, second_hasher_(record.key)}, one);
    if (is_new) {
      if (newest_.size() > keys_max_) LeaveHalf();
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
    absl::erase_if(newest_, [this](const auto& one) {
      return one.first.first > hash_last_;
    });
  }

  void Hide(Lsn lsn) { set_.hidden_up_to_ = std::max(set_.hidden_up_to_, lsn); }

  void FindHidden() {
    if (!files_.manifest_status.ok()) {
      // What the manifest would have said may be anything.
      set_.hidden_up_to_ = UINT64_MAX;
      return;
    }
    set_.last_lsn_ = std::max(set_.last_lsn_, files_.tail->sealed_end.last_lsn);
    const bool has_loose =
        std::any_of(files_.segments.begin(), files_.segments.end(),
                    [](const SourceSegment& segment) {
                      return segment.kind == SourceKind::kLoose;
                    });
    if (files_.tail->damage.ok() && !has_loose) return;
    // The log is dense, so what it lacks shows in what there is.
    Lsn last = files_.tail->sealed_end.last_lsn;
    const Lsn durable = std::max(durable_lsn_, files_.manifest->durable_lsn);
    std::sort(loose_lsns_.begin(), loose_lsns_.end());
    for (const Lsn lsn : loose_lsns_) {
      if (lsn > last + 1) Hide(lsn - 1);
      last = std::max(last, lsn);
    }
    if (durable > last) Hide(durable);
    // A segment of the log's end that is not there may have held anything.
    const bool lacks_segment = std::any_of(
        files_.segments.begin(), files_.segments.end(),
        [](const SourceSegment& segment) {
          return segment.kind == SourceKind::kLoose && segment.flaw.has_value();
        });
    if (lacks_segment) Hide(UINT64_MAX);
    set_.last_lsn_ = std::max({set_.last_lsn_, durable});
  }

  const StoreFiles& files_;
  const OnProgress& on_progress_;
  const size_t keys_max_;
  const index::KeyHasher hasher_ = RandomHasher();
  const index::KeyHasher second_hasher_ = RandomHasher();
  LiveSet set_;
  absl::flat_hash_map<KeyName, Newest> newest_;  // of this pass
  uint64_t hash_begin_ = 0;  // hashes of this pass, both inclusive
  uint64_t hash_last_ = UINT64_MAX;
  uint64_t bytes_before_ = 0;  // read in segments before
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
