// An engine's settings, validated by the door. See api/peat/options.h for what
// each means to a user; the rest is for tests.

#ifndef PEAT_ENGINE_SEGMENT_CONFIG_H_
#define PEAT_ENGINE_SEGMENT_CONFIG_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>

#include "format/location.h"
#include "peat/options.h"

namespace peat::engine {

using Access = peat::OpenMode;
using peat::ReadMethod;
using peat::SyncPolicy;
using peat::TimeSource;

// Moments in a compaction at which a test may do something.
enum class CompactionPoint {
  kPassed,     // what was being written has passed; nothing has been read
  kScanned,    // what is current has been copied; nothing is committed
  kCommitted,  // the manifest has changed, the index has not
  kPublished,  // the index has moved; views that are opened keep the inputs
};

// Moments in the building of an ordered index.
enum class BuildPoint {
  kListed,  // it is known which records to read
  kRead,    // keys have been read, and not yet inserted
  kGone,    // one that was inserted had been erased
};

// Whether writes have points at which a test can hold them.
#ifdef NDEBUG
inline constexpr bool kHasWritePoints = false;
#else
inline constexpr bool kHasWritePoints = true;
#endif

inline uint64_t WallClock() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(
          std::chrono::system_clock::now().time_since_epoch())
          .count());
}

struct Config {
  Access access = Access::kReadWrite;
  bool create_if_missing = true;
  std::chrono::milliseconds lock_wait{0};
  SyncPolicy sync = SyncPolicy::kExplicit;
  std::chrono::milliseconds sync_interval{100};
  ReadMethod read_method = ReadMethod::kMapped;
  double max_space_amplification = 1.5;
  uint64_t compaction_bytes_per_second = 0;  // 0: unlimited
  bool background_compaction = true;
  bool ordered = false;
  TimeSource time_source = TimeSource::kSystem;
  // A store with fewer bytes in its log has no index image: reading them
  // takes no longer. Whether one is made in the background, too.
  uint64_t snapshot_bytes_min = uint64_t{4} << 20;
  bool background_snapshots = true;
  // An image of at most so many bytes is taken whole by Open().
  uint64_t small_image_bytes = uint64_t{4} << 20;

  // For tests: the bounds of the segment size (powers of two), how many
  // segments there may be, what a small store may use beyond the bound, who
  // runs the background, how many threads recovery uses, a hash so weak that
  // keys collide (bits that are kept; 0: the real one), the memory that a query
  // on a store without order may take, how many keys the building of an ordered
  // index lists at a time, what time it is (since some instant; and since
  // 1970-01-01 UTC, in microseconds), how to let time pass, and what happens
  // amid a compaction.
  uint64_t segment_size_min = format::kSegmentSizeMin;
  uint64_t segment_size_max = format::kSegmentSizeMax;
  format::SegmentNumber segment_count_max = format::kSegmentNumberMax;
  uint64_t space_extra_min = uint64_t{8} << 20;
  bool background_threads = true;
  int recovery_threads = 0;  // 0: as many as there are cores, at most 4
  int weak_hash_bits = 0;
  uint64_t collected_bytes_max = uint64_t{64} << 20;  // see key_source.h
  size_t listed_keys_max = size_t{16} << 20;          // see ordered_builder.h
  std::function<std::chrono::steady_clock::time_point()> now =
      std::chrono::steady_clock::now;
  std::function<uint64_t()> wall_clock = WallClock;
  // Whether the machine's coarse clock says about the same as `wall_clock`.
  bool has_coarse_clock = true;
  std::function<void(std::chrono::milliseconds)> sleep =
      [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); };
  std::function<void(CompactionPoint)> at_compaction_point = {};
  // Between the moment that an index image shows and the writing of it.
  std::function<void()> at_snapshot_point = {};
  // Called by whoever builds an ordered index.
  std::function<void(BuildPoint)> at_build_point = {};
  // Between the append of a write and its change of the index.
  std::function<void()> at_write_point = {};
};

// A value larger than this lies in a file of its own.
constexpr uint64_t LargeValueSize(uint64_t segment_size) {
  constexpr uint64_t kOneMiB = uint64_t{1} << 20;
  return segment_size / 4 < kOneMiB ? segment_size / 4 : kOneMiB;
}

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_CONFIG_H_
