// Which records of a store are current: those that the index would point to.
//
// Of each key's valid records that take an lsn, the one with the highest lsn
// decides (FORMAT.md, section 11); it is current unless it is a tombstone. A
// forget record decides whatever comes after it: forget is for ever.
//
// Memory is bounded, whatever the size of the store: keys are told apart by two
// keyed hashes of 64 bits each, and when a table of them is full, the upper
// half of the hashes is left for another pass over the store. What stays is one
// bit a record.
//
// Damage: what could not be read may have held something newer than a record
// that could; ProofOf() says what is known of that (doubt.h). Where the lsns
// around a gap in the log show that none is missing, nothing is hidden in it.
//
// Forget records count wherever they lie: also those of `StoreFiles::strays`,
// unless another record has the lsn, which shows that the forget never counted.
//
// Externally synchronised while it is made; then constant.

#ifndef PEAT_TOOLS_OFFLINE_LIVE_SET_H_
#define PEAT_TOOLS_OFFLINE_LIVE_SET_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "format/record.h"
#include "tools/offline/doubt.h"
#include "tools/offline/finding.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

// Told how many bytes of how many have been read; false: stop.
using OnProgress = std::function<bool(uint64_t bytes, uint64_t bytes_total)>;

class LiveSet final {
 public:
  // Keys of one pass: as many as a table of 2^22 slots holds, of 41 bytes each,
  // half as much again while it grows.
  static constexpr size_t kKeysMax = (size_t{1} << 22) / 8 * 7;

  // Reads all segments of `files`, which must stay as they are. Cancelled if
  // `on_progress` says so.
  static absl::StatusOr<LiveSet> Make(const StoreFiles& files,
                                      const OnProgress& on_progress = {},
                                      size_t keys_max = kKeysMax);

  // Of the `record`th that a walk of files.segments[segment] finds, counted
  // from 0 and with resyncs.
  bool IsCurrent(size_t segment, uint64_t record) const {
    return current_[segment][record];
  }
  // What is known of a record in `segment` that takes an lsn, if it is current.
  Proof ProofOf(const SourceSegment& segment, uint64_t offset,
                const format::Record& record) const {
    return doubt_.Of(segment, offset, record);
  }
  // What could not be read, as far as its lsns are known.
  const Doubt& doubt() const { return doubt_; }

  // Lsns up to here may be among what could not be read; 0: everything was.
  format::Lsn hidden_up_to() const { return doubt_.hidden_up_to(); }
  // The highest lsn that was read, or that is known to have been given out.
  format::Lsn last_lsn() const { return last_lsn_; }
  // What could not be read.
  const Findings& damage() const { return damage_; }

  // A forget record that none of the store's segments holds.
  struct StrayForget {
    format::Lsn lsn = 0;
    size_t stray = 0;  // in StoreFiles::strays
    uint64_t offset = 0;
  };
  // In the order of their lsns, each lsn once.
  const std::vector<StrayForget>& stray_forgets() const {
    return stray_forgets_;
  }

 private:
  friend class LiveSetMaker;
  std::vector<std::vector<bool>> current_;
  std::vector<StrayForget> stray_forgets_;
  Doubt doubt_;
  format::Lsn last_lsn_ = 0;
  Findings damage_;
};

// Why no record was found: for findings.
const char* WhatIsWrong(format::RecordCheck check);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_LIVE_SET_H_
