#include "engine/load_ordered.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/key_state.h"
#include "format/record.h"
#include "format/status_macros.h"
#include "index/epoch.h"

namespace peat::engine {
namespace {

using format::Location;
using index::HashIndex;
using index::KeyGroup;

// How far ahead of its turn a record is asked for.
constexpr size_t kHeadPrefetchDistance = 16;
constexpr size_t kLoadGroupSize = 512;

// A key by its first bytes, and where to read the rest.
struct Entry {
  uint64_t head;
  Location location;
};

class Loader {
 public:
  Loader(const HashIndex& index, const SegmentSet& segments)
      : index_(index), segments_(segments) {}

  absl::Status Run(index::OrderedIndex* ordered) {
    List();
    PEAT_RETURN_IF_ERROR(ReadHeads());
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& a, const Entry& b) { return a.head < b.head; });
    ordered->Load([this](KeyGroup* keys) {
      if (status_.ok()) status_ = NextKeys(keys);
      if (!status_.ok()) keys->Clear();
    });
    return status_;
  }

 private:
  void List() {
    entries_.reserve(index_.size());
    for (int shard = 0; shard < HashIndex::kShardCount; ++shard) {
      index_.ForEach(shard, [this](Location location) {
        entries_.push_back({.head = 0, .location = location});
      });
    }
  }

  void PrefetchFrom(size_t i) const {
    if (i >= entries_.size()) return;
    const Location location = entries_[i].location;
    segments_.At(location.segment()).Prefetch(location.offset());
  }

  absl::Status Read(Location location, std::string* key, bool* is_readable) {
    format::Record record;
    PEAT_RETURN_IF_ERROR(
        segments_.At(location.segment())
            .ReadRecord(location.offset(), &scratch_, &record));
    key->assign(record.key);
    *is_readable = IsReadable(StateAfter(record.header.kind));
    return absl::OkStatus();
  }

  absl::Status ReadHeads() {
    const index::EpochGuard guard;
    std::string key;
    bool is_readable = false;
    for (size_t i = 0; i < entries_.size(); ++i) {
      PrefetchFrom(i + kHeadPrefetchDistance);
      PEAT_RETURN_IF_ERROR(Read(entries_[i].location, &key, &is_readable));
      entries_[i].head = index::HeadOf(key);
    }
    return absl::OkStatus();
  }

  // Some keys on, those that are forgotten left out, with all of the same head,
  // in order.
  absl::Status NextKeys(KeyGroup* keys) {
    struct Key {
      std::string bytes;
      Location location;
    };
    std::vector<Key> group;
    while (next_ < entries_.size() &&
           (group.size() < kLoadGroupSize ||
            entries_[next_].head == entries_[next_ - 1].head)) {
      PrefetchFrom(next_ + kHeadPrefetchDistance);
      Key& key = group.emplace_back();
      key.location = entries_[next_++].location;
      bool is_readable = false;
      PEAT_RETURN_IF_ERROR(Read(key.location, &key.bytes, &is_readable));
      if (!is_readable) group.pop_back();
    }
    std::sort(group.begin(), group.end(),
              [](const Key& a, const Key& b) { return a.bytes < b.bytes; });
    for (const Key& key : group) keys->Add(key.bytes, key.location);
    return absl::OkStatus();
  }

  const HashIndex& index_;
  const SegmentSet& segments_;
  std::vector<Entry> entries_;
  size_t next_ = 0;
  std::string scratch_;
  absl::Status status_;
};

}  // namespace

absl::Status LoadOrdered(const HashIndex& index, const SegmentSet& segments,
                         index::OrderedIndex* ordered) {
  return Loader(index, segments).Run(ordered);
}

}  // namespace peat::engine
