// Whether two records claim the same lsn.
//
// A record may lie in two segments, as compaction copies it: then the two are
// equal (FORMAT.md, section 10). If they are not, which of them counts depends
// on the order in which segments are read.
//
// Equal lsns lie side by side where all records are merged in their order
// (lsn_order.h). That is one more pass, and made only if an lsn was seen twice
// by those who have walked the segments: SeenLsns.

#ifndef PEAT_TOOLS_OFFLINE_LSN_CHECK_H_
#define PEAT_TOOLS_OFFLINE_LSN_CHECK_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "format/record.h"
#include "tools/offline/finding.h"
#include "tools/offline/live_set.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

// The lsns of a store, one bit each; at most 32 MiB. Thread-safe.
class SeenLsns final {
 public:
  // More lsns than this share bits.
  static constexpr uint64_t kBitsMax = uint64_t{1} << 28;

  // For lsns up to `last_lsn`; others share bits with them.
  explicit SeenLsns(format::Lsn last_lsn);

  // What one walk sees: lsns that lie in one word are added together.
  class Walk final {
   public:
    explicit Walk(SeenLsns* seen) : seen_(*seen) {}
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;
    ~Walk() { Flush(); }

    void Add(format::Lsn lsn) {
      const uint64_t word = lsn / 64 & (seen_.words_.size() - 1);
      const uint64_t bit = uint64_t{1} << (lsn % 64);
      if (word != word_ || (bits_ & bit) != 0) Flush();
      word_ = word;
      bits_ |= bit;
    }

   private:
    void Flush() {
      seen_.Add(word_, bits_);
      bits_ = 0;
    }

    SeenLsns& seen_;
    uint64_t word_ = 0;
    uint64_t bits_ = 0;
  };

  // Whether any two of those that were added may be the same.
  bool has_twice() const { return has_twice_; }

 private:
  void Add(uint64_t word, uint64_t bits) {
    const uint64_t before =
        words_[word].fetch_or(bits, std::memory_order_relaxed);
    if ((before & bits) != 0) has_twice_ = true;
  }

  std::vector<std::atomic<uint64_t>> words_;  // a power of two of them
  std::atomic<bool> has_twice_ = false;
};

// Finds records with the same lsn and other content, the first hundred of them.
// Cancelled if `on_progress`, which is told how many bytes were merged, says
// so. Memory: that of LsnOrder.
absl::StatusOr<Findings> CheckLsns(const StoreFiles& files, int thread_count,
                                   const OnProgress& on_progress);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_LSN_CHECK_H_
