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
// that could. Records up to hidden_up_to() are *unproven*, but for forgets.
// Where the lsns around a gap in the log show that none is missing, nothing is
// hidden in it.
//
// Externally synchronised while it is made; then constant.

#ifndef PEAT_TOOLS_OFFLINE_LIVE_SET_H_
#define PEAT_TOOLS_OFFLINE_LIVE_SET_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "format/record.h"
#include "tools/offline/finding.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

// Told how many bytes of how many have been read; false: stop.
using OnProgress = std::function<bool(uint64_t bytes, uint64_t bytes_total)>;

class LiveSet final {
 public:
  // Keys of one pass: as many as a table of 2^23 slots holds, of 41 bytes each.
  static constexpr size_t kKeysMax = (size_t{1} << 23) / 8 * 7;

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
  // Whether nothing newer of a key could be hidden than this record of it.
  bool IsProven(const format::RecordHeader& header) const {
    return header.lsn > hidden_up_to_ ||
           header.kind == format::RecordKind::kForget;
  }

  // Lsns up to here may be among what could not be read; 0: everything was.
  format::Lsn hidden_up_to() const { return hidden_up_to_; }
  // The highest lsn that was read, or that is known to have been given out.
  format::Lsn last_lsn() const { return last_lsn_; }
  // What could not be read.
  const Findings& damage() const { return damage_; }

 private:
  friend class LiveSetMaker;
  std::vector<std::vector<bool>> current_;
  format::Lsn hidden_up_to_ = 0;
  format::Lsn last_lsn_ = 0;
  Findings damage_;
};

// Why no record was found: for findings.
const char* WhatIsWrong(format::RecordCheck check);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_LIVE_SET_H_
