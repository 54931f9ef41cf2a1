// Whether records come from the disk of late, and how much of each to ask for.
//
// A record whose page is in memory takes less than a microsecond to read; one
// whose page is not takes a hundred, and a group of records takes that many
// times over, one page after the other. If the kernel is told of the pages of
// the whole group before the first is touched, the disk reads them side by
// side; but to tell it takes about half a microsecond a record. So it is told
// only if the group before, of any thread, was slow. A group of which it has
// been told may be quick for that very reason: if the next one without is slow
// again, twice as many quick ones go by before it is tried without. Sequential
// scans do without: they name whole segments (Segment::WillNeedAll).
//
// Thread-safe. The numbers are those of docs/decisions/0020.

#ifndef PEAT_ENGINE_READ_READ_AHEAD_H_
#define PEAT_ENGINE_READ_READ_AHEAD_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>

namespace peat::engine {

class ReadAhead final {
 public:
  using Clock = std::chrono::steady_clock;

  // How many bytes to ask for from the beginning of each record of the next
  // group; 0: it is in memory, as far as one can tell.
  uint64_t record_size() const {
    return record_size_.load(std::memory_order_relaxed);
  }

  // Tells that `count` records, `bytes` of keys and values in all, took
  // `elapsed` to read.
  void Note(Clock::duration elapsed, uint64_t count, uint64_t bytes) {
    if (count == 0 || elapsed <= kOverhead + std::chrono::nanoseconds(bytes)) {
      NoteQuick();
    } else {
      NoteSlow(SizeFor(bytes / count));
    }
  }

 private:
  // More than a group in memory takes beyond its bytes, at a nanosecond each,
  // and less than a read of a disk.
  static constexpr std::chrono::microseconds kOverhead{30};
  // The most groups that are asked for in vain once all is in memory.
  static constexpr uint32_t kPatienceMax = 64;

  void NoteSlow(uint64_t size) {
    if (record_size() == 0) {
      const uint32_t doubled = 2 * patience_.load(std::memory_order_relaxed);
      Set(&patience_, std::clamp(doubled, uint32_t{1}, kPatienceMax));
    }
    Set(&quick_left_, patience_.load(std::memory_order_relaxed));
    Set(&record_size_, size);
  }

  void NoteQuick() {
    if (record_size() == 0) {
      Set(&patience_, patience_.load(std::memory_order_relaxed) / 2);
      return;
    }
    const uint32_t left = quick_left_.load(std::memory_order_relaxed);
    if (left <= 1) {
      Set(&record_size_, uint64_t{0});
    } else {
      Set(&quick_left_, left - 1);
    }
  }

  // Written to only when it changes: all readers share it.
  template <typename T>
  static void Set(std::atomic<T>* number, T value) {
    if (number->load(std::memory_order_relaxed) != value) {
      number->store(value, std::memory_order_relaxed);
    }
  }

  // Rounded, so that it changes rarely.
  static uint64_t SizeFor(uint64_t mean) {
    return std::bit_ceil(std::clamp<uint64_t>(mean + mean / 4, 256, 65'536));
  }

  std::atomic<uint64_t> record_size_{0};
  // How many quick groups end the asking, and how many of these are left.
  std::atomic<uint32_t> patience_{0};
  std::atomic<uint32_t> quick_left_{0};
};

// Times one thread's groups of records, of `count` records in all; few of them
// are not worth the clock.
class GroupWatch final {
 public:
  GroupWatch(ReadAhead* read_ahead, size_t count)
      : read_ahead_(count < kFew ? nullptr : read_ahead) {
    Restart();
  }

  // See ReadAhead; to be asked at the beginning of each group.
  uint64_t record_size() const {
    return read_ahead_ == nullptr ? 0 : read_ahead_->record_size();
  }
  // The pages of the group have been asked for, which is not to count.
  void Restart() {
    if (read_ahead_ != nullptr) begin_ = ReadAhead::Clock::now();
  }
  // The group has been read: `count` records, `bytes` of keys and values.
  void End(uint64_t count, uint64_t bytes) {
    if (read_ahead_ == nullptr) return;
    const auto now = ReadAhead::Clock::now();
    read_ahead_->Note(now - begin_, count, bytes);
    begin_ = now;
  }

 private:
  static constexpr size_t kFew = 8;

  ReadAhead* const read_ahead_;
  ReadAhead::Clock::time_point begin_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_READ_READ_AHEAD_H_
