// The two states of a simulated file and the histories between them.

#include "tests/support/sim_inode.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "format/check.h"

namespace peat::testing {
namespace {

// How many bytes of intermediate versions a sector keeps: bounds the memory of
// a run that stores to one place for ever without a sync.
constexpr size_t kHistorySizeMax = size_t{32} * 1024;
static_assert(kHistorySizeMax >= 2 * kSimSectorSize);

uint64_t PageOf(uint64_t offset) { return offset / kSimPageSize; }
uint64_t SectorOf(uint64_t offset) { return offset / kSimSectorSize; }
uint64_t PageOfSector(uint64_t sector) {
  return PageOf(sector * kSimSectorSize);
}

void ZeroFrom(SimBuffer& bytes, uint64_t size) {
  if (size >= bytes.size()) return;
  std::fill(bytes.begin() + static_cast<ptrdiff_t>(size), bytes.end(),
            std::byte{0});
}

}  // namespace

SimInode::SimInode(uint64_t id) : id_(id) {
  // Shared by all new files: images are made by the million.
  static const std::shared_ptr<SimBuffer> kEmpty =
      std::make_shared<SimBuffer>();
  cached_.bytes = kEmpty;
  durable_.bytes = kEmpty;
}

void SimInode::MakePrivate(Content& content) {
  if (content.is_private) return;
  content.bytes = std::make_shared<SimBuffer>(*content.bytes);
  content.is_private = true;
}

void SimInode::Grow(Content& content, uint64_t size) {
  if (size <= content.bytes->size()) return;
  MakePrivate(content);
  content.bytes->resize(format::RoundUp(size, kSimSectorSize));
}

void SimInode::GrowCached(uint64_t size) {
  if (size <= cached_.bytes->size()) return;
  if (pins_ > 0) {
    // A vector that grows moves, and a mapping stays where it is.
    outgrown_.push_back(cached_.bytes);
    cached_.is_private = false;
  }
  Grow(cached_, size);
}

void SimInode::SetCached(uint64_t offset, format::ByteView bytes) {
  PEAT_CHECK(offset + bytes.size() <= cached_.bytes->size());
  PEAT_CHECK(cached_.is_private);
  std::memcpy(cached_.bytes->data() + offset, bytes.data(), bytes.size());
  for (const std::shared_ptr<SimBuffer>& old : outgrown_) {
    if (offset >= old->size()) continue;
    const size_t size = std::min<uint64_t>(bytes.size(), old->size() - offset);
    std::memcpy(old->data() + offset, bytes.data(), size);
  }
}

SimSectorHistory& SimInode::HistoryOf(uint64_t sector) {
  const auto at = std::ranges::lower_bound(histories_, sector, {},
                                           &SimSectorHistory::sector);
  if (at != histories_.end() && at->sector == sector) return *at;
  SimSectorHistory fresh;
  fresh.sector = sector;
  return *histories_.insert(at, std::move(fresh));
}

void SimInode::Remember(uint64_t event, uint64_t offset,
                        format::ByteView bytes) {
  SimSectorHistory& history = HistoryOf(SectorOf(offset));
  if (history.bytes.size() + bytes.size() > kHistorySizeMax) {
    ForgetIntermediate(history);
  }
  history.changes.push_back(
      {.event = event,
       .begin = static_cast<uint16_t>(offset % kSimSectorSize),
       .size = static_cast<uint16_t>(bytes.size()),
       .data = static_cast<uint32_t>(history.bytes.size())});
  history.bytes.insert(history.bytes.end(), bytes.begin(), bytes.end());
}

// The older half of the changes becomes one, with the same outcome.
void SimInode::ForgetIntermediate(SimSectorHistory& history) {
  const size_t merged = (history.changes.size() + 1) / 2;
  const uint64_t last_event = history.changes[merged - 1].event;
  Grow(durable_, (history.sector + 1) * kSimSectorSize);
  const std::byte* const base =
      durable_.bytes->data() + history.sector * kSimSectorSize;
  SimSectorHistory shorter;
  shorter.sector = history.sector;
  shorter.bytes.assign(base, base + kSimSectorSize);
  shorter.changes.push_back(
      {.event = last_event, .begin = 0, .size = kSimSectorSize, .data = 0});
  for (size_t i = 0; i < history.changes.size(); ++i) {
    SimSectorHistory::Change change = history.changes[i];
    const std::byte* const from = history.bytes.data() + change.data;
    if (i < merged) {
      std::memcpy(shorter.bytes.data() + change.begin, from, change.size);
      continue;
    }
    change.data = static_cast<uint32_t>(shorter.bytes.size());
    shorter.bytes.insert(shorter.bytes.end(), from, from + change.size);
    shorter.changes.push_back(change);
  }
  history = std::move(shorter);
}

void SimInode::Change(uint64_t event, uint64_t offset, format::ByteView bytes) {
  PEAT_CHECK(!bytes.empty());
  PEAT_CHECK(offset + bytes.size() <= size_);
  PEAT_CHECK(SectorOf(offset) == SectorOf(offset + bytes.size() - 1));
  // Even the same bytes again: the page will be written again.
  MarkDirty(PageOf(offset));
  if (std::memcmp(cached_.bytes->data() + offset, bytes.data(), bytes.size()) ==
      0) {
    return;
  }
  Remember(event, offset, bytes);
  PEAT_CHECK(pins_ == 0 || cached_.is_private);
  MakePrivate(cached_);
  SetCached(offset, bytes);
}

void SimInode::Resize(uint64_t event, uint64_t size) {
  if (size == size_) return;
  const uint64_t old_size = size_;
  size_ = size;
  sizes_.push_back({.event = event, .size = size});
  if (size > old_size) {
    GrowCached(size);
    return;
  }
  MakePrivate(cached_);
  const SimBuffer zeros(kSimSectorSize);
  for (uint64_t at = size; at < old_size;) {
    const uint64_t end =
        std::min((SectorOf(at) + 1) * kSimSectorSize, old_size);
    const format::ByteView cut(cached_.bytes->data() + at, end - at);
    const format::ByteView zero = format::ByteView(zeros).first(cut.size());
    if (!std::ranges::equal(cut, zero)) {
      MarkDirty(PageOf(at));
      Remember(event, at, zero);
      SetCached(at, zero);
    }
    at = end;
  }
  TrimSpace(size);
}

void SimInode::Fill(format::ByteView bytes) {
  PEAT_CHECK(size_ == 0);
  size_ = bytes.size();
  GrowCached(size_);
  if (!bytes.empty()) SetCached(0, bytes);
  for (uint64_t at = 0; at < size_; at += kSimPageSize) GiveSpace(PageOf(at));
  Sync();
}

bool SimInode::IsDirty(uint64_t page) const {
  return page < dirty_.size() && dirty_[page];
}

void SimInode::MarkDirty(uint64_t page) {
  if (page >= dirty_.size()) dirty_.resize(page + 1);
  dirty_[page] = true;
}

void SimInode::Sync() {
  const auto stays = [&](const SimSectorHistory& history) {
    return !IsDirty(PageOfSector(history.sector)) &&
           history.sector * kSimSectorSize < size_;
  };
  if (pins_ == 0 && std::ranges::none_of(histories_, stays)) {
    cached_.is_private = false;
    durable_ = cached_;
    histories_.clear();
  } else {
    MakePrivate(durable_);
    Grow(durable_, size_);
    for (const SimSectorHistory& history : histories_) {
      const uint64_t at = history.sector * kSimSectorSize;
      if (stays(history) || at >= size_) continue;
      std::memcpy(durable_.bytes->data() + at, cached_.bytes->data() + at,
                  kSimSectorSize);
    }
    ZeroFrom(*durable_.bytes, size_);
    std::erase_if(histories_, [&](const SimSectorHistory& history) {
      return !stays(history);
    });
  }
  dirty_.clear();
  sizes_.clear();
  durable_size_ = size_;
}

void SimInode::FailSync() { dirty_.clear(); }

void SimInode::FailWriteback() {
  FailSync();
  writeback_failed_ = true;
}

bool SimInode::TakeWritebackError() {
  return std::exchange(writeback_failed_, false);
}

bool SimInode::HasSpace(uint64_t page) const {
  return page < has_space_.size() && has_space_[page];
}

void SimInode::GiveSpace(uint64_t page) {
  if (HasSpace(page)) return;
  if (page >= has_space_.size()) has_space_.resize(page + 1);
  has_space_[page] = true;
  ++allocated_pages_;
}

void SimInode::TrimSpace(uint64_t size) {
  const uint64_t pages = PageOf(format::RoundUp(size, kSimPageSize));
  if (pages >= has_space_.size()) return;
  has_space_.resize(pages);
  allocated_pages_ =
      static_cast<uint64_t>(std::ranges::count(has_space_, true));
}

std::shared_ptr<SimBuffer> SimInode::Pin() {
  MakePrivate(cached_);
  ++pins_;
  return cached_.bytes;
}

void SimInode::Unpin() {
  PEAT_CHECK(pins_ > 0);
  --pins_;
  if (pins_ == 0) outgrown_.clear();
}

void SimInode::Damage(uint64_t offset, std::byte flip) {
  PEAT_CHECK(offset < size_);
  const std::byte damaged = (*cached_.bytes)[offset] ^ flip;
  MakePrivate(cached_);
  SetCached(offset, {&damaged, 1});
  if (offset >= durable_.bytes->size()) return;
  MakePrivate(durable_);
  (*durable_.bytes)[offset] ^= flip;
}

void SimInode::FailReads(uint64_t offset, uint64_t size) {
  bad_ranges_.push_back({.offset = offset, .size = size});
}

bool SimInode::ReadFails(uint64_t offset, uint64_t size) const {
  return std::ranges::any_of(bad_ranges_, [&](const BadRange& bad) {
    return offset < bad.offset + bad.size && bad.offset < offset + size;
  });
}

uint64_t SimInode::DurableSizeAt(uint64_t cut) const {
  uint64_t size = durable_size_;
  for (const SimSizeChange& change : sizes_) {
    if (change.event <= cut) size = change.size;
  }
  return size;
}

void SimInode::ApplyCut(const SimSectorHistory& history, uint64_t cut,
                        std::byte* sector) const {
  for (const SimSectorHistory::Change& change : history.changes) {
    if (change.event > cut) break;
    std::memcpy(sector + change.begin, history.bytes.data() + change.data,
                change.size);
  }
}

std::shared_ptr<SimInode> SimInode::CutImage(const SimCuts& cuts) {
  PEAT_CHECK(cuts.sectors.size() == histories_.size());
  auto image = std::make_shared<SimInode>(id_);
  image->size_ = DurableSizeAt(cuts.size);
  image->durable_size_ = image->size_;
  durable_.is_private = false;
  image->durable_ = durable_;
  Grow(image->durable_, image->size_);
  for (size_t i = 0; i < histories_.size(); ++i) {
    const SimSectorHistory& history = histories_[i];
    const uint64_t at = history.sector * kSimSectorSize;
    if (history.changes.front().event > cuts.sectors[i]) continue;
    if (at >= image->size_) continue;
    MakePrivate(image->durable_);
    ApplyCut(history, cuts.sectors[i], image->durable_.bytes->data() + at);
  }
  if (image->size_ < durable_size_ || image->durable_.is_private) {
    MakePrivate(image->durable_);
    ZeroFrom(*image->durable_.bytes, image->size_);
  }
  image->durable_.is_private = false;
  image->cached_ = image->durable_;
  image->has_space_ = has_space_;
  image->allocated_pages_ = allocated_pages_;
  image->TrimSpace(image->size_);
  image->bad_ranges_ = bad_ranges_;
  return image;
}

std::shared_ptr<SimInode> SimInode::KillImage() {
  auto image = std::make_shared<SimInode>(id_);
  image->size_ = size_;
  image->durable_size_ = durable_size_;
  durable_.is_private = false;
  image->durable_ = durable_;
  if (pins_ > 0) {
    // A mapping may still store into ours.
    image->cached_ = {.bytes = std::make_shared<SimBuffer>(*cached_.bytes),
                      .is_private = true};
  } else {
    cached_.is_private = false;
    image->cached_ = cached_;
  }
  image->histories_ = histories_;
  image->sizes_ = sizes_;
  image->dirty_ = dirty_;
  image->writeback_failed_ = writeback_failed_;
  image->has_space_ = has_space_;
  image->allocated_pages_ = allocated_pages_;
  image->bad_ranges_ = bad_ranges_;
  return image;
}

}  // namespace peat::testing
