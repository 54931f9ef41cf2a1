// Reading at a view: what the index shows, or what was saved for the view.
//
// A record that the index points to and that is not newer than the view is the
// one: everything up to the view's lsn had been published when it was opened.
// Otherwise the key has changed since, and Views has what there was. A key that
// is forgotten now is absent from every view.
//
// Thread-safe. The caller holds an epoch guard around each call.

#ifndef PEAT_ENGINE_READ_VIEW_READER_H_
#define PEAT_ENGINE_READ_VIEW_READER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/log/core.h"
#include "engine/read/views.h"
#include "engine/segment/segment_set.h"
#include "format/record.h"
#include "index/hash_index.h"
#include "index/key_hash.h"
#include "index/ordered_leaf.h"

namespace peat::engine {

class ViewReader final {
 public:
  // Lsns up to `hidden_up_to` may be among what could not be read; 0:
  // everything was. What is older may have been superseded by that, and is not
  // shown, unless `proven` points to it; null: nothing is proved.
  ViewReader(const Core& core, format::Lsn hidden_up_to,
             const index::HashIndex* proven)
      : parts_(core), hidden_up_to_(hidden_up_to), proven_(proven) {}

  // A record that a view shows. Its views live as long as the view and `owner`;
  // those of a segment that is not mapped, as long as `scratch`.
  struct Found {
    format::Record record;
    Segment* segment = nullptr;
    std::shared_ptr<const Segment> owner;  // null: the view keeps the segment
    std::string scratch;
  };

  // NotFound, DataLoss, or OK with `*found`.
  absl::Status Find(const View& view, std::string_view key, Found* found) const;

  // Calls show(Found&) on each of `keys` that the view shows, in their order.
  // In stages, so that the waits for memory of all of them overlap. Ends at the
  // first error.
  using Show = absl::FunctionRef<void(Found&)>;
  absl::Status FindGroup(const View& view, const index::KeyGroup& keys,
                         Show show) const;

  // Whether the view shows the record of `segment` at `offset`.
  absl::StatusOr<bool> Shows(const View& view, const Segment& segment,
                             uint64_t offset, uint64_t hash,
                             const format::Record& record) const;

  uint64_t Hash(std::string_view key) const { return (*parts_.hasher)(key); }
  void Prefetch(uint64_t hash) const { parts_.index->Prefetch(hash); }

 private:
  // Statuses would cost more than all the rest of a look.
  enum class Answer : uint8_t { kFound, kAbsent, kFailed };
  // A key, and the candidate to look at first, unless it is none.
  struct HashedKey {
    std::string_view key = {};
    uint64_t hash = 0;
    format::Location candidate = {};
  };
  // A key of a group, and where its record probably lies.
  struct GroupKey {
    std::string_view key = {};
    format::Location candidate = {};  // none: that is not known
    // Of the candidate, if what lies there, and is a put of this key, is what
    // the view shows. Null: the index knows, by these two.
    Segment* segment = nullptr;
    uint64_t hash = 0;
    index::Probe probe = {};
  };
  index::Verdict Match(std::string_view key, format::Location location,
                       Found* found, absl::Status* failure) const;
  // Sets `*failure` if it is kFailed.
  Answer FindHashed(const View& view, const HashedKey& wanted, Found* found,
                    absl::Status* failure) const;
  // Without the index, if that can be; for all others, as FindHashed().
  Answer FindInGroup(const View& view, const GroupKey& wanted, Found* found,
                     absl::Status* failure) const;
  // Whether FindHashed() says the same of what FindInGroup() has found.
  bool IsShown(const View& view, const Found& found) const;
  // The segment at `hint`, if a put of `key` that begins there, and is as old
  // as the view, has not been superseded; null: ask the index.
  Segment* SegmentIfCurrent(const View& view, std::string_view key,
                            format::Location hint) const;
  // Whether the key of `record` is absent at the view, since it has expired.
  bool HasExpired(const View& view, const format::Record& record) const;
  // Asks for what a look at each of `group`, the keys from `first` on, reads;
  // of the records only the beginnings.
  void Begin(const View& view, const index::KeyGroup& keys, size_t first,
             std::span<GroupKey> group) const;
  // Where the candidate lies; null if there is none.
  const Segment* CandidateSegment(const GroupKey& wanted) const;
  void AskForPages(std::span<const GroupKey> group, uint64_t record_size) const;
  // Whether the record of `key`, which the index leads to, may have been
  // superseded by what could not be read.
  bool MayBeOutdated(std::string_view key, uint64_t hash) const;
  Answer FindSaved(const View& view, std::string_view key, Found* found,
                   absl::Status* failure) const;

  const Core& parts_;
  const format::Lsn hidden_up_to_;
  const index::HashIndex* const proven_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_READ_VIEW_READER_H_
