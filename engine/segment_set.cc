#include "engine/segment_set.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace peat::engine {

using format::SegmentNumber;

SegmentSet::~SegmentSet() = default;

absl::Status SegmentSet::Add(std::shared_ptr<Segment> segment) {
  PEAT_CHECK(segment != nullptr);
  index::MutexLock lock(&mutex_);
  if (owners_.empty()) owners_.emplace_back();  // number 0 is "none"
  const auto number = static_cast<SegmentNumber>(owners_.size());
  if (number > format::kSegmentNumberMax) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "all %d segment numbers are taken", format::kSegmentNumberMax));
  }
  std::atomic<Chunk*>& chunk = chunks_[number / kChunkSize];
  if (chunk.load(std::memory_order_relaxed) == nullptr) {
    chunk_owners_.push_back(std::make_unique<Chunk>());
    chunk.store(chunk_owners_.back().get(), std::memory_order_release);
  }
  segment->set_number(number);
  (*chunk.load(std::memory_order_relaxed))[number % kChunkSize].store(
      segment.get(), std::memory_order_release);
  owners_.push_back(std::move(segment));
  list_.reset();
  return absl::OkStatus();
}

std::shared_ptr<const SegmentSet::List> SegmentSet::TakeList() const {
  index::MutexLock lock(&mutex_);
  if (list_ == nullptr) list_ = std::make_shared<const List>(owners_);
  return list_;
}

std::vector<std::shared_ptr<Segment>> SegmentSet::All() const {
  std::vector<std::shared_ptr<Segment>> all;
  index::MutexLock lock(&mutex_);
  for (const std::shared_ptr<Segment>& segment : owners_) {
    if (segment != nullptr) all.push_back(segment);
  }
  return all;
}

uint64_t SegmentSet::LiveBytes() const {
  int64_t sum = 0;
  index::MutexLock lock(&mutex_);
  for (const std::shared_ptr<Segment>& segment : owners_) {
    if (segment != nullptr) sum += segment->live_bytes();
  }
  return sum < 0 ? 0 : static_cast<uint64_t>(sum);
}

}  // namespace peat::engine
