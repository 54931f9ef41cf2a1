#include "index/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <bitset>
#include <cstring>
#include <utility>

#include "format/bytes.h"
#include "format/check.h"
#include "index/epoch.h"

namespace peat::index {

namespace {

constexpr size_t kChunkSize = size_t{2} << 20;
constexpr size_t kPageSize = 4096;
constexpr uint32_t kPageUnits =
    static_cast<uint32_t>(kPageSize / Arena::kUnitSize);
constexpr uint32_t kChunkPages = static_cast<uint32_t>(kChunkSize / kPageSize);
constexpr uint32_t kChunkUnits =
    static_cast<uint32_t>(kChunkSize / Arena::kUnitSize);
// This many chunks are of small pages: less would let a huge page that has
// just been begun weigh too much.
constexpr size_t kSmallPageChunks = 16;
// What is made ready of small pages: a share of what there is already.
constexpr uint64_t kStepShare = 32;
constexpr uint64_t kStepUnitsMin = 16;
// Retired units are looked at once they are this share: seldom, since that
// takes a system call, and before there are many, since each costs cache
// misses.
constexpr uint64_t kRetiredShare = 64;
constexpr uint64_t kRetiredUnitsMin = 16;
constexpr uint64_t kRetiredUnitsMax = 256;
// Free memory is given back when it is more than this share of what is used,
// and some chunks: what an index that grows leaves free it will use again.
constexpr uint64_t kFreeShareMax = 4;
constexpr uint64_t kFreeUnitsMax = uint64_t{2} * kChunkUnits;
// MADV_COLLAPSE, which Debian 12's C library does not name yet.
constexpr int kAdviseCollapse = 25;
// Shorter runs of pages are not worth a system call.
constexpr uint32_t kReleasedPagesMin = 4;
// Under one hold of the lock.
constexpr int kReleasesAtOnce = 16;

std::byte* Map(size_t size) {
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  PEAT_CHECK(memory != MAP_FAILED);
  return static_cast<std::byte*>(memory);
}

void Unmap(std::byte* memory, size_t size) {
  if (size == 0) return;
  const int result = ::munmap(memory, size);
  PEAT_CHECK(result == 0);
}

// `size` bytes aligned to `size`, a power of two.
std::byte* MapAligned(size_t size) {
  std::byte* const memory = Map(2 * size);
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
  const size_t before = (size - address % size) % size;
  Unmap(memory, before);
  Unmap(memory + before + size, size - before);
  return memory + before;
}

// Takes the page faults of memory that others may be using. Where the kernel
// cannot do that, nothing is made ready.
void Populate(std::byte* memory, size_t size) {
  const size_t before = reinterpret_cast<uintptr_t>(memory) % kPageSize;
  (void)::madvise(memory - before, size + before, MADV_POPULATE_WRITE);
}

}  // namespace

// Lies in the free memory itself: this at its start and, unless the chunk ends
// there, its length in the last 4 bytes, for the neighbour behind it.
struct Arena::FreeRun {
  FreeRun* next;
  FreeRun* previous;
  uint32_t unit_count;
};

// The head of a chunk, in its first unit.
struct Arena::Chunk {
  bool is_huge = false;        // as far as the kernel can
  uint32_t touched_units = 0;  // no unit from here on was ever used
  uint32_t ready_units = 0;    // not less; the page faults up to here are taken
  // A bit per unit: in use, as the head itself always is.
  std::array<uint64_t, kChunkUnits / 64> used = {};
  std::bitset<kChunkPages> released;  // pages that are all free

  std::byte* unit(uint32_t number) {
    return reinterpret_cast<std::byte*>(this) + number * kUnitSize;
  }
  FreeRun* run(uint32_t first) {
    return reinterpret_cast<FreeRun*>(unit(first));
  }
  uint32_t NumberOf(const void* address) {
    return static_cast<uint32_t>((reinterpret_cast<uintptr_t>(address) -
                                  reinterpret_cast<uintptr_t>(this)) /
                                 kUnitSize);
  }
  bool IsUsed(uint32_t number) const {
    return ((used[number / 64] >> (number % 64)) & 1) != 0;
  }
  void FlipUsed(uint32_t first, uint32_t count) {
    const bool was_used = IsUsed(first);
    for (uint32_t i = first; i < first + count; ++i) {
      PEAT_CHECK(IsUsed(i) == was_used);
      used[i / 64] ^= uint64_t{1} << (i % 64);
    }
  }
  // The length of the free run that ends before `end`.
  std::byte* footer(uint32_t end) { return unit(end) - sizeof(uint32_t); }
};

Arena::~Arena() {
  const MutexLock lock(&mutex_);
  PEAT_CHECK(!is_provisioning_);
  PEAT_CHECK(collapsing_ == nullptr);
  for (Chunk* const chunk : chunks_) Unmap(chunk->unit(0), kChunkSize);
  if (spare_ != nullptr) Unmap(spare_->unit(0), kChunkSize);
}

std::byte* Arena::Allocate(uint32_t unit_count) {
  PEAT_DCHECK(unit_count >= 1);
  PEAT_DCHECK(unit_count <= kUnitCountMax);
  std::byte* units = nullptr;
  {
    const MutexLock lock(&mutex_);
    FreeRun* run = FindRun(unit_count);
    if (run == nullptr) {
      AddChunk(spare_ != nullptr ? std::exchange(spare_, nullptr)
                                 : MapChunk(/*is_huge=*/false));
      run = FindRun(unit_count);
      PEAT_CHECK(run != nullptr);
    }
    const uint32_t run_count = run->unit_count;
    TakeRun(run);
    Chunk* const chunk = ChunkOf(run);
    const uint32_t first = chunk->NumberOf(run);
    units = chunk->unit(first);
    PEAT_DCHECK(!chunk->IsUsed(first));
    chunk->FlipUsed(first, unit_count);
    used_units_ += unit_count;
    Touch(chunk, first + unit_count);
    Restore(chunk, first, std::min(run_count, unit_count + 1));
    if (run_count > unit_count) {
      PutRun(chunk, first + unit_count, run_count - unit_count);
    }
    UpdateWantsProvision();
  }
  // Outside the lock: this may take page faults.
  std::memset(units, 0, unit_count * kUnitSize);
  return units;
}

void Arena::Retire(std::byte* units, uint32_t unit_count) {
  const MutexLock lock(&mutex_);
  retired_.push_back(
      {.units = units, .unit_count = unit_count, .stamp = EpochStamp()});
  retired_units_ += unit_count;
  const uint64_t limit = std::clamp(memory_bytes() / kUnitSize / kRetiredShare,
                                    kRetiredUnitsMin, kRetiredUnitsMax);
  if (retired_units_ >= limit) Reclaim();
}

void Arena::Free(std::byte* units, uint32_t unit_count) {
  const MutexLock lock(&mutex_);
  FreeLocked(units, unit_count);
}

void Arena::Provision() {
  Chunk* chunk = nullptr;
  uint32_t begin = 0;
  uint32_t end = 0;
  bool is_huge = false;
  bool makes_spare = false;
  {
    const MutexLock lock(&mutex_);
    if (is_provisioning_ || !WantsProvision()) return;
    is_provisioning_ = true;
    is_huge = chunks_.size() >= kSmallPageChunks;
    makes_spare = WantsSpare();
    if (WantsPages()) {
      chunk = chunks_.back();
      begin = chunk->ready_units;
      end = std::min(kChunkUnits, chunk->touched_units + StepUnits());
    }
  }
  if (begin < end) Populate(chunk->unit(begin), (end - begin) * kUnitSize);
  Chunk* const spare = makes_spare ? MapChunk(is_huge) : nullptr;
  const MutexLock lock(&mutex_);
  is_provisioning_ = false;
  if (spare != nullptr) {
    PEAT_CHECK(spare_ == nullptr);
    spare_ = spare;
    if (is_huge) memory_bytes_ += kChunkSize;
  }
  if (chunk != nullptr && end > chunk->ready_units) {
    memory_bytes_ += (end - chunk->ready_units) * kUnitSize;
    chunk->ready_units = end;
  }
  UpdateWantsProvision();
}

void Arena::Collapse() {
  Chunk* chunk = nullptr;
  {
    const MutexLock lock(&mutex_);
    if (collapsing_ != nullptr || to_collapse_.empty()) return;
    chunk = to_collapse_.front();
    to_collapse_.pop_front();
    wants_collapse_.store(!to_collapse_.empty(), std::memory_order_relaxed);
    // What was given back would be taken again.
    if (chunk->released.any()) return;
    collapsing_ = chunk;
    chunk->is_huge = true;
    Touch(chunk, kChunkUnits);
  }
  (void)::madvise(chunk->unit(0), kChunkSize, MADV_HUGEPAGE);
  (void)::madvise(chunk->unit(0), kChunkSize, kAdviseCollapse);
  const MutexLock lock(&mutex_);
  collapsing_ = nullptr;
}

Arena::Chunk* Arena::ChunkOf(const void* address) {
  const size_t offset = reinterpret_cast<uintptr_t>(address) % kChunkSize;
  auto* const unit = static_cast<std::byte*>(const_cast<void*>(address));
  return reinterpret_cast<Chunk*>(unit - offset);
}

Arena::Chunk* Arena::MapChunk(bool is_huge) {
  static_assert(sizeof(Chunk) <= kUnitSize);
  std::byte* const memory = MapAligned(kChunkSize);
  // Advice: where it is not taken, only speed or memory differ.
  (void)::madvise(memory, kChunkSize,
                  is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  if (is_huge) std::memset(memory, 0, kChunkSize);  // takes the page faults
  Chunk* const chunk = reinterpret_cast<Chunk*>(memory);
  chunk->is_huge = is_huge;
  chunk->touched_units = 1;
  chunk->ready_units = is_huge ? kChunkUnits : 1;
  chunk->FlipUsed(0, 1);
  return chunk;
}

void Arena::AddChunk(Chunk* chunk) {
  // What is left of the newest is less than a table.
  if (!chunks_.empty() && !chunks_.back()->is_huge) {
    to_collapse_.push_back(chunks_.back());
    wants_collapse_.store(true, std::memory_order_relaxed);
  }
  chunks_.push_back(chunk);
  if (!chunk->is_huge) memory_bytes_ += kUnitSize;
  PutRun(chunk, 1, kChunkUnits - 1);
}

Arena::FreeRun* Arena::FindRun(uint32_t unit_count) {
  for (uint32_t bin = unit_count - 1; bin < kBinCount; ++bin) {
    if (bins_[bin] != nullptr) return bins_[bin];
  }
  return nullptr;
}

void Arena::TakeRun(FreeRun* run) {
  const uint32_t bin = std::min(run->unit_count, kBinCount) - 1;
  if (run->previous != nullptr) {
    run->previous->next = run->next;
  } else {
    PEAT_DCHECK(bins_[bin] == run);
    bins_[bin] = run->next;
  }
  if (run->next != nullptr) run->next->previous = run->previous;
  if (bin == kBinCount - 1) long_units_ -= run->unit_count;
}

void Arena::PutRun(Chunk* chunk, uint32_t first, uint32_t unit_count) {
  PEAT_DCHECK(!chunk->IsUsed(first));
  const uint32_t bin = std::min(unit_count, kBinCount) - 1;
  FreeRun* const run = chunk->run(first);
  *run = {.next = bins_[bin], .previous = nullptr, .unit_count = unit_count};
  if (run->next != nullptr) run->next->previous = run;
  bins_[bin] = run;
  if (bin == kBinCount - 1) long_units_ += unit_count;
  const uint32_t end = first + unit_count;
  if (end < kChunkUnits) format::Store(chunk->footer(end), unit_count);
}

void Arena::Touch(Chunk* chunk, uint32_t end) {
  chunk->touched_units = std::max(chunk->touched_units, end);
  if (end <= chunk->ready_units) return;
  memory_bytes_ += (end - chunk->ready_units) * kUnitSize;
  chunk->ready_units = end;
}

void Arena::FreeLocked(std::byte* units, uint32_t unit_count) {
  Chunk* const chunk = ChunkOf(units);
  uint32_t first = chunk->NumberOf(units);
  uint32_t end = first + unit_count;
  PEAT_CHECK(chunk->IsUsed(first));
  chunk->FlipUsed(first, unit_count);
  PEAT_DCHECK(used_units_ >= unit_count);
  used_units_ -= unit_count;
  if (!chunk->IsUsed(first - 1)) {
    first -= format::Load<uint32_t>(chunk->footer(first));
    PEAT_DCHECK(!chunk->IsUsed(first));
    TakeRun(chunk->run(first));
  }
  if (end < kChunkUnits && !chunk->IsUsed(end)) {
    FreeRun* const next = chunk->run(end);
    end += next->unit_count;
    TakeRun(next);
  }
  PutRun(chunk, first, end - first);
}

void Arena::Reclaim() {
  const uint64_t oldest = OldestEpoch(epochs_);
  while (!retired_.empty() && retired_.front().stamp < oldest) {
    const Retired& retired = retired_.front();
    FreeLocked(retired.units, retired.unit_count);
    PEAT_DCHECK(retired_units_ >= retired.unit_count);
    retired_units_ -= retired.unit_count;
    retired_.pop_front();
  }
}

void Arena::Release() {
  for (size_t i = 0;; ++i) {
    for (uint32_t first = 1; first < kChunkUnits;) {
      const MutexLock lock(&mutex_);
      if (first == 1 && i == 0) Reclaim();
      // Chunks stay where they are in the list.
      if (i == chunks_.size() || !HasMuchFree()) return;
      if (chunks_[i] == collapsing_) break;
      first = ReleaseSome(chunks_[i], first);
    }
  }
}

bool Arena::HasMuchFree() const {
  const uint64_t free_units = memory_bytes() / kUnitSize - used_units_;
  return free_units > used_units_ / kFreeShareMax + kFreeUnitsMax;
}

uint32_t Arena::ReleaseSome(Chunk* chunk, uint32_t first) {
  for (int i = 0; i < kReleasesAtOnce && first < kChunkUnits;) {
    // Not from within a run: only its beginning knows its length.
    if (chunk->IsUsed(first) || !chunk->IsUsed(first - 1)) {
      ++first;
      continue;
    }
    const uint32_t end = first + chunk->run(first)->unit_count;
    // All pages between the run's head and its length, which stay.
    const uint32_t page = first / kPageUnits + 1;
    const uint32_t page_end =
        (std::min(end, chunk->ready_units) - 1) / kPageUnits;
    first = end;
    if (page_end < page + kReleasedPagesMin) continue;
    uint32_t count = 0;
    for (uint32_t p = page; p < page_end; ++p) {
      count += chunk->released[p] ? 0 : 1;
    }
    if (count < kReleasedPagesMin) continue;
    ++i;
    std::byte* const begin = chunk->unit(page * kPageUnits);
    const size_t size = (page_end - page) * kPageSize;
    // Lest the kernel fill the gaps again to make a huge page.
    if (std::exchange(chunk->is_huge, false)) {
      (void)::madvise(chunk->unit(0), kChunkSize, MADV_NOHUGEPAGE);
    }
    if (::madvise(begin, size, MADV_DONTNEED) != 0) continue;
    for (uint32_t p = page; p < page_end; ++p) chunk->released.set(p);
    memory_bytes_ -= count * kPageSize;
  }
  return first;
}

void Arena::Restore(Chunk* chunk, uint32_t first, uint32_t unit_count) {
  for (uint32_t page = first / kPageUnits;
       page <= (first + unit_count - 1) / kPageUnits; ++page) {
    if (!chunk->released[page]) continue;
    chunk->released.reset(page);
    memory_bytes_ += kPageSize;
  }
}

uint32_t Arena::StepUnits() const {
  const uint64_t units = memory_bytes() / kUnitSize;
  return static_cast<uint32_t>(std::max(units / kStepShare, kStepUnitsMin));
}

bool Arena::WantsSpare() const {
  if (spare_ != nullptr) return false;
  return chunks_.size() < kSmallPageChunks
             ? chunks_.back()->touched_units > kChunkUnits / 2
             : long_units_ < kChunkUnits / 2;
}

bool Arena::WantsPages() const {
  const Chunk& chunk = *chunks_.back();
  return chunks_.size() < kSmallPageChunks && chunk.ready_units < kChunkUnits &&
         chunk.ready_units - chunk.touched_units < StepUnits() / 2;
}

void Arena::UpdateWantsProvision() {
  wants_provision_.store(WantsSpare() || WantsPages(),
                         std::memory_order_relaxed);
}

}  // namespace peat::index
