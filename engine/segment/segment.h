// An open segment: bytes that records are read from, verified.
//
// The active segment is one too: its records may be read as soon as the index
// points to them. Mapped, or read with pread where an error must be a status.
//
// Thread-safe.

#ifndef PEAT_ENGINE_SEGMENT_SEGMENT_H_
#define PEAT_ENGINE_SEGMENT_SEGMENT_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "engine/segment/expiry_sum.h"
#include "engine/segment/mask_counts.h"
#include "engine/segment/seeded_bug.h"
#include "engine/segment/segment_usage.h"
#include "engine/segment/stale_places.h"
#include "format/location.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace peat::engine {

// Identifies a segment; constant while it is open.
struct SegmentIdentity {
  format::SegmentId id = 0;
  uint64_t salt = 0;
  uint64_t capacity = 0;
  format::SegmentKind kind = format::SegmentKind::kLog;
};

class Segment : public std::enable_shared_from_this<Segment> {
 public:
  // Reads through `mapping`.
  Segment(const SegmentIdentity& identity, std::unique_ptr<Mapping> mapping);

  // Reads the first `size` bytes with pread, through `file`, or when it is
  // null by opening the file in `directory` (which must outlive this) for each
  // read.
  Segment(const SegmentIdentity& identity, const Directory* directory,
          std::unique_ptr<File> file, uint64_t size);

  // What a location leads to that leads nowhere: a segment of which no record
  // can be read, so that each attempt is DataLoss. Only an index image that is
  // damaged, or that was made by no writer, has such locations.
  static std::shared_ptr<Segment> Nowhere();

  // Reads and verifies the record at `offset`. `record`'s views live as long as
  // this segment and `scratch`. DataLoss names the file and the offset.
  absl::Status ReadRecord(uint64_t offset, std::string* scratch,
                          format::Record* record) const {
    PEAT_DCHECK(offset >= format::kSegmentHeaderSize);
    if (base_ == nullptr) [[unlikely]] {
      return ReadRecordPositional(offset, scratch, record);
    }
    // All lines of a small record at once: where its value lies is known only
    // once the first has come.
    Prefetch(offset);
    const format::RecordCheck check = CheckRecord(
        Rest(offset),
        {identity_.salt, HasBug(Bug::kChecksumWithoutOffset) ? 0 : offset},
        record);
    if (check != format::RecordCheck::kValid) [[unlikely]] {
      if (HasBug(Bug::kPayloadNotVerified) &&
          check == format::RecordCheck::kPayloadDamaged) {
        return absl::OkStatus();
      }
      return Damaged(offset, check);
    }
    return absl::OkStatus();
  }

  // Whether these are the bytes of the key of a record at `offset`, if there is
  // one; a hint, for who compares the whole record then. All of them lie before
  // the end of the records. False if it is not mapped.
  bool MayHaveKeyAt(uint64_t offset, std::string_view key) const {
    return base_ != nullptr &&
           std::memcmp(base_ + offset + format::kRecordHeaderSize, key.data(),
                       key.size()) == 0;
  }

  // Asks the processor for the record at `offset`. Reads nothing.
  void Prefetch(uint64_t offset) const {
    if (base_ == nullptr) return;
    format::PrefetchToRead(base_ + offset);
    format::PrefetchToRead(base_ + offset + 64);
    format::PrefetchToRead(base_ + offset + 128);
  }

  // The error of a scan that found no record at `offset`.
  absl::Status DamagedAt(uint64_t offset) const;

  // The same for its first cache line alone. When many records are asked for,
  // the processor then looks up their pages side by side, and the rest of each
  // is cheap to ask for.
  void PrefetchBegin(uint64_t offset) const {
    if (base_ != nullptr) format::PrefetchToRead(base_ + offset);
  }

  // All bytes from the file's start, for scanning: the mapping, or a copy in
  // `*buffer`.
  absl::StatusOr<format::ByteView> ReadAll(
      std::vector<std::byte>* buffer) const;
  // Asks the kernel for the pages of [offset, offset + size).
  void WillNeed(uint64_t offset, uint64_t size) const {
    if (mapping_ != nullptr) mapping_->WillNeed(offset, size);
  }
  // Before a scan of all that ReadAll() gives.
  void WillNeedAll() const {
    if (mapping_ != nullptr) mapping_->WillNeed(0, size_);
  }

  const SegmentIdentity& identity() const { return identity_; }
  bool is_mapped() const { return base_ != nullptr; }
  std::string file_name() const;
  Mapping* mapping() const { return mapping_.get(); }

  // Set once by the segment set.
  format::SegmentNumber number() const { return number_; }
  void set_number(format::SegmentNumber number) { number_ = number; }
  // Whether another segment had the number before. Set along with it.
  bool has_used_number() const { return has_used_number_; }
  void set_has_used_number() { has_used_number_ = true; }

  // Its puts that the index points to no more, or never did; of a store with an
  // ordered index.
  StalePlaces& stale() { return stale_; }
  const StalePlaces& stale() const { return stale_; }

  // How its bytes are used.
  UsageCounter& counter() { return counter_; }
  SegmentUsage usage() const { return raw_usage().NotNegative(); }
  // Counts below zero wrap around.
  SegmentUsage raw_usage() const {
    SegmentUsage usage = counter_.ReadRaw();
    usage.used_bytes = end();
    return usage;
  }

  // The keys whose current record is a mask in it. Moved with the lock of the
  // key's shard.
  MaskCounts& mask_counts() { return mask_counts_; }

  // How its records expire. See there for who may look at it when.
  ExpirySum& expiries() { return expiries_; }
  const ExpirySum& expiries() const { return expiries_; }

  // The value files that its records refer to, current or not: one for each.
  // Added to by whoever writes or replays the segment, one thread at a time.
  void AddValueFile(format::SegmentId file) { value_files_.push_back(file); }
  const std::vector<format::SegmentId>& value_files() const {
    return value_files_;
  }

  // Its counts are what an index image says, not what replay has counted.
  void SetCountsOfImage() { has_counts_of_image_ = true; }
  bool has_counts_of_image() const { return has_counts_of_image_; }

  // Compaction found it damaged or missing, and leaves it alone from now on.
  void SetAside() { is_set_aside_.store(true, std::memory_order_relaxed); }
  bool is_set_aside() const {
    return is_set_aside_.load(std::memory_order_relaxed);
  }

  // Where the records end; the appender moves it at rolls. Release, so that who
  // reads up to it sees what was written.
  void set_end(uint64_t end) { end_.store(end, std::memory_order_release); }
  uint64_t end() const { return end_.load(std::memory_order_acquire); }

 private:
  format::ByteView Rest(uint64_t offset) const {
    return {base_ + offset, size_ - offset};
  }
  absl::StatusOr<std::unique_ptr<File>> OpenFile() const;
  absl::Status ReadRecordPositional(uint64_t offset, std::string* scratch,
                                    format::Record* record) const;
  absl::Status Damaged(uint64_t offset, format::RecordCheck check) const;

  // What a read needs, together on one cache line.
  const std::byte* base_ = nullptr;
  uint64_t size_ = 0;
  const SegmentIdentity identity_;
  format::SegmentNumber number_ = 0;
  bool has_used_number_ = false;
  bool has_counts_of_image_ = false;
  StalePlaces stale_;

  const std::unique_ptr<Mapping> mapping_;
  const Directory* const directory_ = nullptr;
  const std::unique_ptr<File> file_;
  UsageCounter counter_;
  MaskCounts mask_counts_;
  ExpirySum expiries_;
  std::vector<format::SegmentId> value_files_;
  std::atomic<bool> is_set_aside_{false};
  std::atomic<uint64_t> end_{0};
};

// Fills `*buffer` with the first `size` bytes of `file`, from the last to the
// first: beside a process that appends, what is seen then has no holes. Shorter
// when the file is.
absl::Status ReadBackwards(const File& file, uint64_t size,
                           std::vector<std::byte>* buffer);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_SEGMENT_H_
