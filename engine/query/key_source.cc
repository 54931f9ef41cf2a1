#include "engine/query/key_source.h"

#include <algorithm>
#include <utility>

#include "format/check.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using index::KeyGroup;
using index::KeyRange;

// The least string that is greater than `key`.
std::string Successor(std::string_view key) {
  std::string next(key);
  next.push_back('\0');
  return next;
}

// Leaves what comes behind `key` in the order of the query.
void CutBehind(std::string_view key, bool reverse, KeyRange* range) {
  if (reverse) {
    range->end = std::string(key);
  } else {
    range->begin = Successor(key);
  }
}

// Leaves what comes before `key` in the order of the query.
void CutBefore(std::string_view key, bool reverse, KeyRange* range) {
  if (reverse) {
    range->begin = Successor(key);
  } else {
    range->end = std::string(key);
  }
}

// The part of `range` that is not before `key` in the order of the query.
KeyRange PartFrom(std::string_view key, bool reverse, const KeyRange& range) {
  KeyRange part = range;
  if (reverse) {
    std::string end = Successor(key);
    if (!part.end.has_value() || end < *part.end) part.end = std::move(end);
  } else if (key > part.begin) {
    part.begin = std::string(key);
  }
  return part;
}

// So many keys are kept whatever the limit of the query.
constexpr uint64_t kCollectedMin = 1024;

}  // namespace

// --- Ordered.

OrderedKeys::OrderedKeys(const QueryParts& parts,
                         std::shared_ptr<const View> view, const Query& query)
    : parts_(parts),
      view_(std::move(view)),
      reverse_(query.reverse),
      whole_(query.range),
      range_(query.range) {
  PEAT_CHECK(parts_.ordered != nullptr);
}

absl::StatusOr<bool> OrderedKeys::Next(size_t count, KeyGroup* keys) {
  keys->Clear();
  if (!parts_.gate->is_open()) return parts_.gate->WhyNot();
  PEAT_RETURN_IF_ERROR(parts_.build->Await());
  keys->Reserve(count);
  std::optional<std::string> saved_up_to;
  {
    const Visit visit(*parts_.gate);
    if (!visit.is_inside()) return parts_.gate->WhyNot();
    if (reverse_) {
      parts_.ordered->ListDown(range_, count, keys);
    } else {
      parts_.ordered->List(range_, count, keys);
    }
    // In this order: a key that leaves the index was saved before.
    saved_.clear();
    if (parts_.views->HasSaved()) [[unlikely]] {
      if (reverse_) {
        parts_.views->ListDown(*view_, range_, count, &saved_, &saved_up_to);
      } else {
        parts_.views->List(*view_, range_, count, &saved_, &saved_up_to);
      }
    }
  }
  const bool is_full = keys->size() >= count;
  std::string last;
  if (is_full) last = (*keys)[keys->size() - 1];
  if (!saved_.empty() || saved_up_to.has_value()) [[unlikely]] {
    Merge(is_full, last, saved_up_to, keys);
  }
  // What comes first ends what is known.
  if (saved_up_to.has_value() && (!is_full || !IsBefore(last, *saved_up_to))) {
    GoTo(*saved_up_to);
    return true;
  }
  if (is_full) CutBehind(last, reverse_, &range_);
  return is_full;
}

void OrderedKeys::Merge(bool is_full, const std::string& last,
                        const std::optional<std::string>& saved_up_to,
                        KeyGroup* keys) {
  struct Key {
    std::string_view key;
    format::Location hint;
  };
  std::vector<Key> all;
  for (size_t i = 0; i < keys->size(); ++i) {
    all.push_back({.key = (*keys)[i], .hint = keys->hint(i)});
  }
  for (const std::string& key : saved_) all.push_back({.key = key, .hint = {}});
  // Stable, so that of two the one with a hint comes first.
  std::stable_sort(all.begin(), all.end(), [this](const Key& a, const Key& b) {
    return IsBefore(a.key, b.key);
  });
  KeyGroup merged;
  std::string_view previous;
  for (const Key& one : all) {
    if (is_full && IsBefore(last, one.key)) break;
    if (saved_up_to.has_value() && !IsBefore(one.key, *saved_up_to)) break;
    if (!merged.empty() && one.key == previous) continue;
    previous = one.key;
    merged.Add(one.key, one.hint);
  }
  *keys = std::move(merged);
}

void OrderedKeys::GoTo(const std::string& key) {
  if (reverse_) {
    range_.end = Successor(key);
  } else {
    range_.begin = key;
  }
}

void OrderedKeys::Seek(std::string_view key) {
  range_ = PartFrom(key, reverse_, whole_);
}

// --- Listed.

ListedKeys::ListedKeys(Query& query)
    : reverse_(query.reverse), keys_(*std::move(query.keys)) {
  if (query.reverse) std::reverse(keys_.begin(), keys_.end());
}

absl::StatusOr<bool> ListedKeys::Next(size_t count, KeyGroup* keys) {
  keys->Clear();
  const size_t end = std::min(next_ + count, keys_.size());
  for (; next_ < end; ++next_) keys->Add(keys_[next_]);
  return next_ < keys_.size();
}

void ListedKeys::Seek(std::string_view key) {
  const auto found = std::partition_point(
      keys_.begin(), keys_.end(), [this, key](const std::string& one) {
        return reverse_ ? key < one : one < key;
      });
  next_ = static_cast<size_t>(found - keys_.begin());
}

// --- Collected.

CollectedKeys::CollectedKeys(const QueryParts& parts,
                             std::shared_ptr<const View> view,
                             const Query& query)
    : parts_(parts),
      view_(std::move(view)),
      reverse_(query.reverse),
      limit_(query.limit),
      whole_(query.range),
      range_(query.range) {}

absl::StatusOr<bool> CollectedKeys::Next(size_t count, KeyGroup* keys) {
  keys->Clear();
  if (next_ == keys_.size()) {
    if (is_last_pass_) return false;
    PEAT_RETURN_IF_ERROR(Collect());
  }
  const size_t end = std::min(next_ + count, keys_.size());
  for (; next_ < end; ++next_) keys->Add(At(keys_[next_]));
  return next_ < keys_.size() || !is_last_pass_;
}

// The keys of a pass are all that there are from the first to the last of them.
void CollectedKeys::Seek(std::string_view key) {
  const auto found = std::partition_point(
      keys_.begin(), keys_.end(), [this, key](const Key& one) {
        return reverse_ ? key < At(one) : At(one) < key;
      });
  if (found != keys_.begin() && found != keys_.end()) {
    next_ = static_cast<size_t>(found - keys_.begin());
    return;
  }
  if (found == keys_.end() && is_last_pass_) {
    next_ = keys_.size();
    return;
  }
  range_ = PartFrom(key, reverse_, whole_);
  keys_.clear();
  bytes_.clear();
  next_ = 0;
  is_last_pass_ = false;
}

bool CollectedKeys::IsBefore(const Key& a, const Key& b) const {
  if (a.head != b.head) return reverse_ ? b.head < a.head : a.head < b.head;
  return reverse_ ? At(b) < At(a) : At(a) < At(b);
}

absl::Status CollectedKeys::Collect() {
  keys_.clear();
  bytes_.clear();
  next_ = 0;
  if (parts_.log_passes != nullptr) {
    parts_.log_passes->fetch_add(1, std::memory_order_relaxed);
  }
  is_last_pass_ = true;  // until something does not find room
  LogScan scan(parts_.gate, parts_.reader, view_, parts_.despite_damage);
  KeyRange wanted = range_;
  for (;;) {
    PEAT_ASSIGN_OR_RETURN(const bool has_more,
                          scan.Next([&](const format::Record& record) {
                            if (!wanted.Contains(record.key)) return;
                            keys_.push_back({.head = index::HeadOf(record.key),
                                             .offset = bytes_.size(),
                                             .size = record.key.size()});
                            bytes_.append(record.key);
                          }));
    if (!has_more) break;
    // Twice the memory, so that a selection is paid for by what it drops.
    if (keys_.size() / 2 > RoomFor()) {
      KeepFirst();
      CutBefore(At(keys_.back()), reverse_, &wanted);
    }
  }
  has_passed_over_ |= scan.has_passed_over();
  KeepFirst();
  std::sort(keys_.begin(), keys_.end(),
            [this](const Key& a, const Key& b) { return IsBefore(a, b); });
  if (!keys_.empty()) CutBehind(At(keys_.back()), reverse_, &range_);
  return absl::OkStatus();
}

size_t CollectedKeys::RoomFor() const {
  const uint64_t wanted = std::max(limit_, kCollectedMin);
  const uint64_t used = keys_.size() * sizeof(Key) + bytes_.size();
  if (used <= parts_.collected_bytes_max) return wanted;
  const uint64_t room = keys_.size() * parts_.collected_bytes_max / used;
  return std::max<uint64_t>(1, std::min(wanted, room));
}

// Of the first keys, the last one comes last, and the others in any order.
void CollectedKeys::KeepFirst() {
  const size_t room = RoomFor();
  if (keys_.size() <= room) return;
  is_last_pass_ = false;
  std::nth_element(
      keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(room) - 1,
      keys_.end(),
      [this](const Key& a, const Key& b) { return IsBefore(a, b); });
  keys_.resize(room);
  std::string kept;
  for (Key& key : keys_) {
    const std::string_view bytes = At(key);
    key.offset = kept.size();
    kept.append(bytes);
  }
  bytes_ = std::move(kept);
}

// --- Any.

KeySource MakeKeySource(const QueryParts& parts,
                        const std::shared_ptr<const View>& view, Query& query) {
  if (query.keys.has_value()) return ListedKeys(query);
  if (parts.ordered != nullptr) return OrderedKeys(parts, view, query);
  return CollectedKeys(parts, view, query);
}

}  // namespace peat::engine
