// How many bytes of a segment's records expire, and when: what the choice of
// what to compact needs to know, without a look at the records.
//
// Of records that leave no trace when they expire, alone: puts with
// kFlagExpires and without kFlagShadowsLonger. The times are rounded up, so
// that a few numbers do: what ExpiredBytes() tells has expired for sure, and
// more may have. Superseded records count, too.
//
// Externally synchronised: added to by whoever writes or replays the segment,
// and read once that is over and the segment is sealed.

#ifndef PEAT_ENGINE_SEGMENT_EXPIRY_SUM_H_
#define PEAT_ENGINE_SEGMENT_EXPIRY_SUM_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "format/check.h"
#include "format/manifest.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace peat::engine {

// Whether a record of this header is gone without a trace once it has expired.
constexpr bool ExpiresWithoutTrace(const format::RecordHeader& header) {
  return header.kind == format::RecordKind::kPut && Expires(header) &&
         (header.flags & format::kFlagShadowsLonger) == 0;
}

class ExpirySum final {
 public:
  // Nothing expires.
  ExpirySum() = default;

  // `bytes` of records expire from `first` to `last`, as a manifest has it.
  ExpirySum(uint64_t bytes, format::Millis first, format::Millis last) {
    if (bytes == 0) return;
    PEAT_DCHECK(first <= last);
    first_ = first;
    last_ = last;
    steps_[0] = {.until = last, .bytes = bytes};
    count_ = 1;
  }

  // Adds `bytes` of a record that expires at `expiry`.
  void Add(format::Millis expiry, uint64_t bytes) {
    PEAT_DCHECK(expiry > 0);
    PEAT_DCHECK(expiry <= format::kMillisMax);
    first_ = count_ == 0 ? expiry : std::min(first_, expiry);
    last_ = std::max(last_, expiry);
    while (!TryAdd(expiry, bytes)) Coarsen();
  }

  // What has expired for sure at `now`, and the sum of all.
  uint64_t ExpiredBytes(format::Millis now) const {
    uint64_t bytes = 0;
    for (size_t i = 0; i < count_; ++i) {
      if (std::min(steps_[i].until, last_) <= now) bytes += steps_[i].bytes;
    }
    return bytes;
  }
  uint64_t all_bytes() const { return ExpiredBytes(format::kMillisMax); }

  // The next time behind `now` at which ExpiredBytes() grows; kNever: it does
  // not.
  format::Millis NextExpiry(format::Millis now) const {
    format::Millis next = format::kNever;
    for (size_t i = 0; i < count_; ++i) {
      const format::Millis until = std::min(steps_[i].until, last_);
      if (until > now) next = std::min(next, until);
    }
    return next;
  }

  // Of all that were added; 0: there are none.
  format::Millis first() const { return first_; }
  format::Millis last() const { return last_; }

 private:
  // Bytes that expire up to a time: a multiple of the granularity, but for what
  // a manifest had.
  struct Step {
    format::Millis until = 0;
    uint64_t bytes = 0;
  };

  bool TryAdd(format::Millis expiry, uint64_t bytes) {
    const format::Millis until = RoundUp(expiry);
    for (size_t i = count_; i > 0; --i) {
      if (steps_[i - 1].until != until) continue;
      steps_[i - 1].bytes += bytes;
      return true;
    }
    if (count_ == steps_.size()) return false;
    steps_[count_++] = {.until = until, .bytes = bytes};
    return true;
  }

  void Coarsen() {
    granularity_ *= 2;
    const std::array<Step, kStepCount> before = steps_;
    const size_t count = count_;
    count_ = 0;
    for (size_t i = 0; i < count; ++i) {
      const bool is_added = TryAdd(before[i].until, before[i].bytes);
      PEAT_CHECK(is_added);
    }
  }

  format::Millis RoundUp(format::Millis expiry) const {
    return (expiry + granularity_ - 1) / granularity_ * granularity_;
  }

  static constexpr size_t kStepCount = 16;

  std::array<Step, kStepCount> steps_ = {};
  size_t count_ = 0;
  format::Millis granularity_ = 1000;
  format::Millis first_ = 0;
  format::Millis last_ = 0;
};

// Writes `sum` into the entry of a sealed segment; and what it says again.
inline void NoteExpiries(const ExpirySum& sum, format::ManifestSegment* entry) {
  PEAT_CHECK(format::kSegmentHeaderSize + sum.all_bytes() <= entry->end);
  entry->lasting_bytes =
      entry->end - format::kSegmentHeaderSize - sum.all_bytes();
  entry->first_expiry = sum.first();
  entry->last_expiry = sum.last();
}
inline ExpirySum ExpiriesOf(const format::ManifestSegment& entry) {
  if (entry.last_expiry == 0) return {};
  return {entry.end - format::kSegmentHeaderSize - entry.lasting_bytes,
          entry.first_expiry, entry.last_expiry};
}

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_EXPIRY_SUM_H_
