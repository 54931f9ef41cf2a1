#include "engine/segment/segment_set.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace peat::engine {

using format::SegmentNumber;

SegmentSet::SegmentSet(SegmentNumber number_max) : number_max_(number_max) {
  index::MutexLock lock(&mutex_);
  ChunkFor(0);
}

SegmentSet::~SegmentSet() = default;

SegmentSet::Chunk& SegmentSet::ChunkFor(SegmentNumber number) {
  std::atomic<Chunk*>& chunk = chunks_[number / kChunkSize];
  if (chunk.load(std::memory_order_relaxed) == nullptr) {
    chunk_owners_.push_back(std::make_unique<Chunk>());
    for (std::atomic<Segment*>& segment : *chunk_owners_.back()) {
      segment.store(nowhere_.get(), std::memory_order_relaxed);
    }
    chunk.store(chunk_owners_.back().get(), std::memory_order_release);
  }
  return *chunk.load(std::memory_order_relaxed);
}

absl::Status SegmentSet::Add(std::shared_ptr<Segment> segment) {
  return AddOwner({.segment = std::move(segment)});
}

absl::Status SegmentSet::AddCopies(std::shared_ptr<Segment> segment) {
  return AddOwner({.segment = std::move(segment), .is_copy = true});
}

absl::Status SegmentSet::AddOwner(Owner owner) {
  PEAT_CHECK(owner.segment != nullptr);
  index::MutexLock lock(&mutex_);
  if (owners_.empty()) owners_.emplace_back();  // number 0 is "none"
  auto number = static_cast<SegmentNumber>(owners_.size());
  if (!free_numbers_.empty()) {
    number = free_numbers_.back();
    free_numbers_.pop_back();
    owner.segment->set_has_used_number();
  } else if (number > number_max_) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("all %d segment numbers are taken", number_max_));
  } else {
    owners_.emplace_back();
  }
  Place(std::move(owner), number);
  return absl::OkStatus();
}

void SegmentSet::AddNumbered(std::shared_ptr<Segment> segment,
                             SegmentNumber number) {
  PEAT_CHECK(number <= format::kSegmentNumberMax);
  index::MutexLock lock(&mutex_);
  if (owners_.empty()) owners_.emplace_back();
  PEAT_CHECK(number >= owners_.size());
  for (auto gap = static_cast<SegmentNumber>(owners_.size()); gap < number;
       ++gap) {
    free_numbers_.push_back(gap);
  }
  owners_.resize(number + size_t{1});
  Place({.segment = std::move(segment)}, number);
}

void SegmentSet::Place(Owner owner, SegmentNumber number) {
  owner.segment->set_number(number);
  ChunkFor(number)[number % kChunkSize].store(owner.segment.get(),
                                              std::memory_order_release);
  PEAT_CHECK(owners_[number].segment == nullptr);
  owners_[number] = std::move(owner);
  list_.reset();
}

size_t SegmentSet::free_number_count() const {
  index::MutexLock lock(&mutex_);
  const size_t given = owners_.empty() ? 0 : owners_.size() - 1;
  return free_numbers_.size() + (number_max_ - given);
}

void SegmentSet::Exchange(Some retired, Some copies) {
  index::MutexLock lock(&mutex_);
  for (const std::shared_ptr<Segment>& segment : retired) {
    Owner& owner = owners_[segment->number()];
    PEAT_CHECK(owner.segment == segment);
    PEAT_CHECK(!owner.is_retired);
    owner.is_retired = true;
    segment->stale().AddAll();
  }
  for (const std::shared_ptr<Segment>& segment : copies) {
    PEAT_CHECK(owners_[segment->number()].is_copy);
    owners_[segment->number()].is_copy = false;
  }
  list_.reset();
}

void SegmentSet::Release(const Segment& segment) {
  std::shared_ptr<Segment> released;  // outlives the lock: it may unmap a file
  index::MutexLock lock(&mutex_);
  const SegmentNumber number = segment.number();
  PEAT_CHECK(owners_[number].segment.get() == &segment);
  PEAT_CHECK(owners_[number].is_retired);
  ChunkFor(number)[number % kChunkSize].store(nowhere_.get(),
                                              std::memory_order_release);
  released = std::move(owners_[number].segment);
  owners_[number] = {};
  list_.reset();
  free_numbers_.push_back(number);
}

std::shared_ptr<const SegmentSet::List> SegmentSet::TakeList() const {
  index::MutexLock lock(&mutex_);
  if (list_ == nullptr) {
    auto list = std::make_shared<List>();
    list->reserve(owners_.size());
    for (const Owner& owner : owners_) {
      const bool is_listed = !owner.is_retired && !owner.is_copy;
      list->push_back(is_listed ? owner.segment : nullptr);
    }
    list_ = std::move(list);
  }
  return list_;
}

std::vector<std::shared_ptr<Segment>> SegmentSet::All() const {
  std::vector<std::shared_ptr<Segment>> all;
  index::MutexLock lock(&mutex_);
  for (const Owner& owner : owners_) {
    if (owner.segment != nullptr && !owner.is_retired) {
      all.push_back(owner.segment);
    }
  }
  return all;
}

SegmentUsage SegmentSet::Sum() const {
  SegmentUsage sum;
  index::MutexLock lock(&mutex_);
  for (const Owner& owner : owners_) {
    if (owner.segment == nullptr || owner.is_retired) continue;
    sum += owner.segment->raw_usage();
  }
  return sum.NotNegative();
}

}  // namespace peat::engine
