// Which places of a segment may hold a put that the index does not point to.
//
// The ordered index keeps, beside each key, the place where its record was when
// the key came. This tells a range whether that is still the newest record, so
// that it need not ask the hash index.
//
// Invariant: from the moment that the index points to a put no more, its place
// is stale; and so is, in a segment made since the store was opened, the place
// of a put that the index never pointed to. Whoever moves the index sees to it
// with the lock of the key's shard. Of what was superseded before, the ordered
// index, which is filled after that, knows no place. When a segment is retired,
// all of it is stale, before another can get its number: a view that still
// holds it may hear of places in the other one.
//
// A bit stands for 256 bytes, and so for the records that begin there: a stale
// one makes its neighbours stale, too, which costs a range a look at the hash
// index and nothing else. Memory is taken when the first place becomes stale,
// 128 KiB for the largest segment.
//
// Thread-safe.

#ifndef PEAT_ENGINE_SEGMENT_STALE_PLACES_H_
#define PEAT_ENGINE_SEGMENT_STALE_PLACES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "format/check.h"

namespace peat::engine {

class StalePlaces final {
 public:
  // Of a segment of `size` bytes.
  explicit StalePlaces(uint64_t size) : word_count_(size / kWordBytes + 1) {}
  ~StalePlaces() {
    (void)std::unique_ptr<Word[]>(words_.load(std::memory_order_relaxed));
  }
  StalePlaces(const StalePlaces&) = delete;
  StalePlaces& operator=(const StalePlaces&) = delete;

  void Add(uint64_t offset) {
    Word* words = words_.load(std::memory_order_acquire);
    if (words == nullptr) [[unlikely]] {
      words = Allocate();
    }
    Word& word = words[WordOf(offset)];
    const uint64_t bit = BitOf(offset);
    // Relaxed: whoever must see it has seen the shard's lock released. A locked
    // instruction only if it is needed.
    if ((word.load(std::memory_order_relaxed) & bit) != 0) return;
    word.fetch_or(bit, std::memory_order_relaxed);
  }

  // Every place, from now on.
  void AddAll() { has_all_.store(true, std::memory_order_relaxed); }

  bool MayHave(uint64_t offset) const {
    if (has_all_.load(std::memory_order_relaxed)) return true;
    const Word* const words = words_.load(std::memory_order_acquire);
    if (words == nullptr) return false;
    return (words[WordOf(offset)].load(std::memory_order_relaxed) &
            BitOf(offset)) != 0;
  }

 private:
  using Word = std::atomic<uint64_t>;
  static constexpr uint64_t kBitBytes = 256;
  static constexpr uint64_t kWordBytes = 64 * kBitBytes;

  size_t WordOf(uint64_t offset) const {
    const size_t word = offset / kWordBytes;
    PEAT_CHECK(word < word_count_);
    return word;
  }
  static uint64_t BitOf(uint64_t offset) {
    return uint64_t{1} << (offset / kBitBytes % 64);
  }

  [[gnu::noinline]] Word* Allocate() {
    auto made = std::make_unique<Word[]>(word_count_);
    Word* found = nullptr;
    // Release, so that others find zeros; of two, the first one counts.
    if (words_.compare_exchange_strong(found, made.get(),
                                       std::memory_order_acq_rel)) {
      return made.release();
    }
    return found;
  }

  const size_t word_count_;
  std::atomic<Word*> words_ = nullptr;  // null: there are none
  // Relaxed: who knows of a place in the segment that gets the number has
  // synchronised with whoever gave it out.
  std::atomic<bool> has_all_ = false;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_STALE_PLACES_H_
