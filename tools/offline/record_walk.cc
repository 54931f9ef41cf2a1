#include "tools/offline/record_walk.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "format/check.h"
#include "format/status_macros.h"

namespace peat::tools {

using format::ByteView;
using format::RecordCheck;

RecordWalk::RecordWalk(const engine::File* file, const Bounds& bounds,
                       size_t window_size)
    : window_size_(window_size) {
  Open(file, bounds);
}

RecordWalk::RecordWalk(ByteView bytes, const Bounds& bounds) : window_size_(0) {
  Open(bytes, bounds);
}

void RecordWalk::Open(const engine::File* file, const Bounds& bounds) {
  PEAT_CHECK(file != nullptr);
  file_ = file;
  window_ = {};
  window_begin_ = bounds.begin;
  Begin(bounds, bounds.end);
}

void RecordWalk::Open(ByteView bytes, const Bounds& bounds) {
  const uint64_t end = std::min<uint64_t>(bounds.end, bytes.size());
  file_ = nullptr;
  window_ = bytes.first(end);
  window_begin_ = 0;
  Begin(bounds, end);
}

void RecordWalk::Begin(const Bounds& bounds, uint64_t end) {
  PEAT_CHECK(bounds.begin % format::kRecordAlignment == 0);
  salt_ = bounds.salt;
  end_ = end;
  read_ahead_end_ = end;
  next_ = bounds.begin;
  offset_ = bounds.begin;
  stopped_.reset();
  damaged_header_.reset();
  nonzero_end_.reset();
}

ByteView RecordWalk::record_bytes() const {
  return window_.subspan(offset_ - window_begin_, RecordSize(record_.header));
}

absl::StatusOr<ByteView> RecordWalk::BytesAt(uint64_t offset, uint64_t size) {
  PEAT_DCHECK(offset <= end_);
  const uint64_t wanted = std::min(size, end_ - offset);
  const bool is_there = offset >= window_begin_ &&
                        offset + wanted <= window_begin_ + window_.size();
  if (!is_there && file_ != nullptr) {
    PEAT_RETURN_IF_ERROR(Refill(offset, wanted));
  }
  const uint64_t skipped = offset - window_begin_;
  return window_.subspan(std::min<uint64_t>(skipped, window_.size()));
}

absl::Status RecordWalk::Refill(uint64_t offset, uint64_t size) {
  const uint64_t ahead = std::min<uint64_t>(
      window_size_, std::max(read_ahead_end_, offset) - offset);
  const uint64_t wanted = std::min(std::max(size, ahead), end_ - offset);
  // What is there already of the bytes from `offset` on moves to the front.
  size_t kept = 0;
  if (offset >= window_begin_ && offset < window_begin_ + window_.size()) {
    const ByteView rest = window_.subspan(offset - window_begin_);
    kept = rest.size();
    std::memmove(buffer_.data(), rest.data(), kept);
  }
  if (buffer_.size() < wanted) buffer_.resize(wanted);
  // One large record does not keep its memory for the rest of the walk.
  if (wanted <= window_size_ && buffer_.size() > 2 * window_size_) {
    buffer_.resize(std::max(window_size_, kept));
    buffer_.shrink_to_fit();
  }
  window_ = ByteView(buffer_).first(kept);
  window_begin_ = offset;
  PEAT_ASSIGN_OR_RETURN(const size_t got,
                        file_->ReadAt(offset + kept, std::span(buffer_).subspan(
                                                         kept, wanted - kept)));
  window_ = ByteView(buffer_).first(kept + got);
  if (kept + got == wanted) return absl::OkStatus();
  // The file is shorter than it should be.
  const uint64_t file_end = offset + kept + got;
  if (end_ - file_end < format::kRecordAlignment) {
    std::fill(buffer_.begin() + static_cast<std::ptrdiff_t>(kept + got),
              buffer_.begin() + static_cast<std::ptrdiff_t>(wanted),
              std::byte{0});
    window_ = ByteView(buffer_).first(wanted);
    return absl::OkStatus();
  }
  end_ = file_end;
  return absl::OkStatus();
}

absl::StatusOr<RecordCheck> RecordWalk::CheckAt(uint64_t offset) {
  const format::Place place{salt_, offset};
  PEAT_ASSIGN_OR_RETURN(ByteView bytes,
                        BytesAt(offset, format::kRecordHeaderSize));
  RecordCheck check = CheckRecord(bytes, place, &record_);
  if (check != RecordCheck::kCutShort) return check;
  format::RecordHeader header;
  if (CheckRecordHeader(bytes, place, &header) != RecordCheck::kValid) {
    return check;
  }
  const uint64_t size = RecordSize(header);
  if (size > end_ - offset) cut_short_header_ = header;
  if (size <= bytes.size() || size > end_ - offset) return check;
  PEAT_ASSIGN_OR_RETURN(bytes, BytesAt(offset, size));
  return CheckRecord(bytes, place, &record_);
}

bool RecordWalk::HasRecordAt(uint64_t offset) {
  if (offset < window_begin_) return false;
  const uint64_t skipped = offset - window_begin_;
  if (skipped >= window_.size()) return false;
  return CheckRecord(window_.subspan(skipped), {salt_, offset}, &record_) ==
         RecordCheck::kValid;
}

absl::StatusOr<RecordWalk::Step> RecordWalk::Next() {
  if (stopped_.has_value()) return *stopped_;
  offset_ = next_;
  damaged_header_.reset();
  cut_short_header_.reset();
  // Nearly always; whatever it is not, what follows finds out again.
  bool is_valid = HasRecordAt(offset_);
  if (!is_valid && offset_ < end_) {
    PEAT_ASSIGN_OR_RETURN(check_, CheckAt(offset_));
    is_valid = check_ == RecordCheck::kValid;
  }
  if (is_valid) [[likely]] {
    next_ = offset_ + RecordSize(record_.header);
    PEAT_DCHECK(next_ <= end_);
    return Step::kRecord;
  }
  // Also when the file turned out to be shorter.
  if (offset_ >= end_) {
    stopped_ = Step::kEnd;
    return Step::kEnd;
  }
  if (check_ == RecordCheck::kPayloadDamaged) damaged_header_ = record_.header;
  PEAT_ASSIGN_OR_RETURN(const bool is_zero, IsZeroFrom(offset_));
  stopped_ = is_zero ? Step::kZeros : Step::kDamaged;
  return *stopped_;
}

absl::StatusOr<bool> RecordWalk::IsZeroFrom(uint64_t offset) {
  if (!nonzero_end_.has_value()) {
    if (file_ == nullptr) {
      nonzero_end_ = engine::EndOfNonZero(window_, offset);
      return *nonzero_end_ == offset;
    }
    // From the end of the file to its beginning: usually a single read.
    std::vector<std::byte> piece;
    uint64_t end = end_;
    uint64_t found = offset;
    while (end > offset && found == offset) {
      const uint64_t begin =
          end - std::min<uint64_t>(end - offset, kWindowSize);
      piece.resize(end - begin);
      PEAT_ASSIGN_OR_RETURN(const size_t got, file_->ReadAt(begin, piece));
      const uint64_t nonzero =
          engine::EndOfNonZero(ByteView(piece).first(got), 0);
      if (nonzero > 0) found = begin + nonzero;
      end = begin;
    }
    nonzero_end_ = found;
  }
  return *nonzero_end_ <= offset;
}

absl::StatusOr<uint64_t> RecordWalk::Seek(uint64_t begin, uint64_t end) {
  PEAT_CHECK(begin % format::kRecordAlignment == 0);
  stopped_.reset();
  read_ahead_end_ = std::min(end, end_);
  // The file may turn out to be shorter on the way.
  for (next_ = begin; next_ < std::min(end, end_);
       next_ += format::kRecordAlignment) {
    PEAT_ASSIGN_OR_RETURN(const RecordCheck check, CheckAt(next_));
    if (check == RecordCheck::kValid) return next_;
  }
  return end;
}

absl::StatusOr<uint64_t> RecordWalk::Resync() {
  PEAT_CHECK(stopped_ == Step::kDamaged);
  stopped_.reset();
  // A sound header says where its record ends.
  const uint64_t skipped = damaged_header_.has_value()
                               ? RecordSize(*damaged_header_)
                               : uint64_t{format::kRecordAlignment};
  for (next_ = offset_ + skipped; next_ < end_;
       next_ += format::kRecordAlignment) {
    PEAT_ASSIGN_OR_RETURN(const RecordCheck check, CheckAt(next_));
    if (check == RecordCheck::kValid) return next_;
  }
  next_ = end_;
  return end_;
}

}  // namespace peat::tools
