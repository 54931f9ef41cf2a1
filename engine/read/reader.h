// Every read of a value: enter, ask the index, verify, return.
//
// Takes no lock, but for a multi-get beside many batches. The caller holds an
// epoch guard around each call. Thread-safe.

#ifndef PEAT_ENGINE_READ_READER_H_
#define PEAT_ENGINE_READ_READER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/log/core.h"
#include "engine/read/read_ahead.h"
#include "engine/segment/key_state.h"
#include "engine/segment/segment_set.h"
#include "format/record.h"
#include "format/segment_header.h"
#include "index/hash_index.h"
#include "peat/masks.h"

namespace peat::engine {

// A value where it lies. Lives as long as `owner` does.
struct Pinned {
  std::shared_ptr<const void> owner;
  std::string_view value;
};

class Reader {
 public:
  // What the log is known to lack: whether anything, and the lsns up to which
  // it may be.
  struct Gaps {
    bool is_damaged = false;
    format::Lsn hidden_up_to = 0;
    // What proves otherwise; null: nothing does.
    const index::HashIndex* proven = nullptr;
  };
  Reader(const Core& core, const Gaps& gaps) : parts_(core), gaps_(gaps) {}

  absl::Status Get(std::string_view key, std::string* value) const;
  absl::StatusOr<Pinned> GetPinned(std::string_view key) const;

  // Hands answer i, for each key, to `answer`, all as of one moment with
  // respect to batches. In case of a batch to their shards meanwhile, once more
  // for all keys; but not for ever: the last time, all of them are looked up
  // under their shards' locks, and then read without.
  using Answer =
      absl::FunctionRef<void(size_t index, absl::Status status, Pinned value)>;
  void MultiGet(std::span<const std::string_view> keys, Answer answer) const;

  // NotFound if the key cannot be read. Reads no value file.
  absl::StatusOr<uint64_t> ValueSize(std::string_view key) const;

  absl::StatusOr<KeyState> State(std::string_view key) const;
  absl::StatusOr<KeyInfo> Describe(std::string_view key) const;

  // For the audit alone: the preserved value of a key that is disabled or
  // forgotten. NotFound if it is neither, or nothing was stored.
  absl::Status Reveal(std::string_view key, std::string* value) const;

  // The value of a put or mask, from its value file if it has one.
  absl::Status CopyValue(const format::Record& record,
                         std::string* value) const;
  // The value that a reference, as it is stored, refers to.
  absl::Status CopyReferred(std::string_view stored, std::string* value) const;

 private:
  // What the index led to. The record's views live as long as the epoch guard
  // and `scratch`.
  struct Found {
    format::Record record;
    Segment* segment = nullptr;
    std::string scratch;
  };
  // NotFound, DataLoss, or OK with `*found`. Find() finds what callers may
  // read, FindRecord() also what is forgotten.
  absl::Status Find(std::string_view key, Found* found) const;
  absl::Status FindRecord(std::string_view key, Found* found) const;
  // Compares the record at `location`; sets `*status` when it is damaged.
  index::Verdict Match(std::string_view key, format::Location location,
                       Found* found, absl::Status* status) const;
  // What a look with this outcome means to a caller of FindRecord() and Find().
  absl::Status ConcludeRecord(index::Verdict verdict, const Found& found,
                              std::string_view key,
                              absl::Status&& status) const;
  // Whether an unreadable range could hold something newer of `key` than what
  // was found, or of what was not.
  bool MayBeHidden(index::Verdict verdict, const Found& found,
                   std::string_view key) const;
  absl::Status Conclude(index::Verdict verdict, const Found& found,
                        std::string_view key, absl::Status&& status) const;
  // Of a key whose record expires: NotFound if its time has come, and nobody
  // has written since the record was found; then `*found` is what was written.
  absl::Status CheckLive(std::string_view key, Found* found) const;
  absl::Status Pin(const Found& found, Pinned* pinned) const;
  // Of the value of a put or mask. Reads no value file.
  static absl::StatusOr<uint64_t> SizeOf(const format::Record& record);

  // The shards of a multi-get's keys, and their versions before the first key
  // of each was looked up.
  struct ShardVersions {
    uint64_t shard_bits = 0;
    std::array<uint64_t, index::HashIndex::kShardCount> versions = {};
  };
  // Some of the keys of a multi-get, in stages.
  struct KeyGroup {
    std::span<const std::string_view> keys;
    size_t first = 0;  // the number of the first of them
    // Where each of them may lie, to be asked for; none: not known.
    std::array<format::Location, index::kLookupGroupSize> hints = {};
  };
  static KeyGroup GroupAt(std::span<const std::string_view> keys, size_t first);
  void MultiGetGroup(KeyGroup& group, GroupWatch& watch, Answer answer,
                     ShardVersions* seen) const;
  bool IsUnchanged(const ShardVersions& seen) const;
  // As of one moment, whatever is written meanwhile.
  void MultiGetLocked(std::span<const std::string_view> keys,
                      uint64_t shard_bits, Answer answer) const;
  // Asks for the records, then answers. `look(i, match)` looks key i of the
  // group up.
  template <typename Look>
  void AnswerGroup(const KeyGroup& group, GroupWatch& watch, Answer answer,
                   Look look) const;

  const Core& parts_;
  const Gaps gaps_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_READ_READER_H_
