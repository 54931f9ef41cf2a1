#include "engine/segment/segment_scanner.h"

#include <algorithm>
#include <cstring>

#include "engine/segment/seeded_bug.h"
#include "format/check.h"

namespace peat::engine {
namespace {

using format::ByteView;
using format::Frame;
using format::Lsn;
using format::Record;
using format::RecordCheck;
using format::RecordHeader;
using format::RecordKind;

// Where a record header keeps its sizes, and its kind: enough to pass over most
// offsets.
constexpr size_t kValueSizeOffset = 16;
constexpr size_t kKeySizeOffset = 20;
constexpr size_t kKindOffset = 22;

// Of a record whose header is not to be believed.
uint64_t ClaimedSize(ByteView bytes) {
  if (bytes.size() < format::kRecordHeaderSize) return bytes.size();
  return format::RecordSize(format::Load<uint16_t>(bytes, kKeySizeOffset),
                            format::Load<uint32_t>(bytes, kValueSizeOffset));
}

}  // namespace

SegmentScanner::SegmentScanner(ByteView bytes, uint64_t salt, uint64_t begin,
                               uint64_t end)
    : bytes_(bytes),
      salt_(salt),
      end_(std::min<uint64_t>(end, bytes.size())),
      next_(begin),
      offset_(begin) {
  PEAT_CHECK(begin % format::kRecordAlignment == 0);
}

RecordCheck SegmentScanner::CheckAt(uint64_t offset, Record* record) const {
  const uint64_t place = HasBug(Bug::kChecksumWithoutOffset) ? 0 : offset;
  return CheckRecord(bytes_.subspan(offset, end_ - offset), {salt_, place},
                     record);
}

SegmentScanner::Step SegmentScanner::Next() {
  if (stopped_.has_value()) return *stopped_;
  offset_ = next_;
  if (offset_ >= end_) {
    stopped_ = Step::kEnd;
    return Step::kEnd;
  }
  if (CheckAt(offset_, &record_) == RecordCheck::kValid) {
    next_ = offset_ + RecordSize(record_.header);
    PEAT_DCHECK(next_ <= end_);
    return Step::kRecord;
  }
  const bool zeros = EndOfNonZero(bytes_.first(end_), offset_) == offset_;
  if (HasBug(Bug::kSizeBelieved) && !zeros) {
    const uint64_t claimed = ClaimedSize(bytes_.first(end_).subspan(offset_));
    if (claimed <= end_ - offset_) {
      next_ = offset_ + claimed;
      return Next();
    }
  }
  stopped_ = zeros ? Step::kZeros : Step::kDamaged;
  return *stopped_;
}

uint64_t SegmentScanner::Resync() {
  PEAT_CHECK(stopped_ == Step::kDamaged);
  stopped_.reset();
  Record ignored;
  for (next_ = offset_ + format::kRecordAlignment; next_ < end_;
       next_ += format::kRecordAlignment) {
    if (CheckAt(next_, &ignored) == RecordCheck::kValid) return next_;
  }
  next_ = end_;
  return end_;
}

bool FrameIsComplete(ByteView bytes, uint64_t salt, uint64_t begin,
                     const Frame& frame, Lsn last_lsn) {
  if (frame.members_size > bytes.size() - begin) return false;
  SegmentScanner scanner(bytes, salt, begin, begin + frame.members_size);
  Lsn expected = frame.first_lsn;
  uint32_t count = 0;
  while (scanner.Next() == SegmentScanner::Step::kRecord) {
    const RecordHeader& header = scanner.record().header;
    if ((header.flags & format::kFlagInFrame) == 0) return false;
    if (header.lsn != expected) return false;
    ++expected;
    ++count;
  }
  return scanner.Next() == SegmentScanner::Step::kEnd &&
         scanner.offset() == begin + frame.members_size &&
         count == frame.member_count && expected == last_lsn + 1;
}

std::optional<uint64_t> FindMarkAbove(ByteView bytes, uint64_t salt,
                                      uint64_t begin, Lsn lsn) {
  constexpr uint64_t kMarkSize = format::RecordSize(0, format::kMarkValueSize);
  constexpr auto kMarkByte = static_cast<std::byte>(RecordKind::kMark);
  Record record;
  for (uint64_t offset = begin; offset + kMarkSize <= bytes.size();
       offset += format::kRecordAlignment) {
    if (bytes[offset + kKindOffset] != kMarkByte) continue;
    const uint64_t place = HasBug(Bug::kChecksumWithoutOffset) ? 0 : offset;
    if (CheckRecord(bytes.subspan(offset), {salt, place}, &record) !=
        RecordCheck::kValid) {
      continue;
    }
    if (record.header.lsn > lsn) return offset;
  }
  return std::nullopt;
}

uint64_t EndOfNonZero(ByteView bytes, uint64_t begin) {
  uint64_t end = std::max<uint64_t>(bytes.size(), begin);
  // By words as long as they are zero, then by bytes.
  while (end >= begin + 8 && format::Load<uint64_t>(bytes, end - 8) == 0) {
    end -= 8;
  }
  while (end > begin && bytes[end - 1] == std::byte{0}) --end;
  return end;
}

}  // namespace peat::engine
