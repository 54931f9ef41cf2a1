#include "engine/read/views.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "format/check.h"
#include "index/epoch.h"

namespace peat::engine {
namespace {

using format::Lsn;
using index::KeyRange;

// Saved records that a closing view moves before it lets others in.
constexpr size_t kMovedAtOnce = 256;

// Of a saved record, beside its key's bytes: what a node of the map takes, two
// thirds full.
constexpr uint64_t kSavedOverhead =
    (sizeof(std::string) + sizeof(SavedRecord)) * 3 / 2;

}  // namespace

struct View::Opened {
  Lsn lsn = 0;
  uint64_t reference_count = 0;  // 0: closing
  std::shared_ptr<const SegmentSet::List> segments;
  Views::SavedMap saved;
  uint64_t saved_bytes = 0;  // of the keys
};

// --- View.

View::View(Views* views, std::shared_ptr<const Gate> gate)
    : views_(views), gate_(std::move(gate)) {}

View::~View() {
  if (opened_ == nullptr || gate_->is_foreign()) return;
  const index::EpochGuard guard(gate_->epochs());
  if (gate_->is_open()) views_->Close(this);
}

// --- Opening and closing.

Views::Views(const SegmentSet* segments, index::HashIndex* index,
             std::shared_ptr<const Gate> gate, const StoreClock* clock)
    : segments_(segments),
      index_(index),
      gate_(std::move(gate)),
      clock_(clock) {}

Views::~Views() = default;

void Views::SetAppender(Appender* appender) {
  index::MutexLock lock(&mutex_);
  appender_ = appender;
}

std::shared_ptr<const View> Views::Open() {
  std::shared_ptr<View> view = std::unique_ptr<View>(new View(this, gate_));
  {
    index::MutexLock lock(&mutex_);
    if (appender_ == nullptr) {
      view->point_ = {.lsn = UINT64_MAX};
      view->segments_ = segments_->TakeList();
      if (clock_ != nullptr) view->time_ = clock_->Peek();
      return view;
    }
    view->point_ = appender_->BeginView();
    PEAT_CHECK(opened_.empty() || opened_.back().lsn <= view->lsn());
    // Nothing was written since the newest one was opened: the same again.
    const bool is_same = !opened_.empty() && NewestLsn() == view->lsn();
    if (!is_same) {
      View::Opened& opened = opened_.emplace_back();
      opened.lsn = view->lsn();
      opened.segments = segments_->TakeList();
    }
    view->opened_ = &opened_.back();
    ++view->opened_->reference_count;
    view->segments_ = view->opened_->segments;
  }
  // Whoever appended before has its shard's lock until the index is moved.
  index_->AwaitChanges();
  // After it is known to whoever takes out what has expired: by this time that
  // has expired, too.
  if (clock_ != nullptr) view->time_ = clock_->Peek();
  return view;
}

Lsn Views::NewestLsn() const {
  const auto newest = std::find_if(
      opened_.rbegin(), opened_.rend(),
      [](const View::Opened& one) { return one.reference_count > 0; });
  return newest == opened_.rend() ? 0 : newest->lsn;
}

Lsn Views::OldestLsn() const {
  index::MutexLock lock(&mutex_);
  for (const View::Opened& one : opened_) {
    if (one.reference_count > 0) return one.lsn;
  }
  return UINT64_MAX;
}

void Views::Close(View* view) {
  std::list<View::Opened>::iterator closing;
  {
    index::MutexLock lock(&mutex_);
    View::Opened* const opened = view->opened_;
    PEAT_CHECK(opened->reference_count > 0);
    if (--opened->reference_count > 0) return;
    closing = std::find_if(
        opened_.begin(), opened_.end(),
        [opened](const View::Opened& one) { return &one == opened; });
    PEAT_CHECK(closing != opened_.end());
    // Before anything is dropped: no writer saves for it any more.
    appender_->SetNewestView(NewestLsn());
  }
  while (MoveSome(closing)) {
  }
}

bool Views::MoveSome(std::list<View::Opened>::iterator closing) {
  // Destroyed once the lock is released.
  View::Opened dropped;
  index::MutexLock lock(&mutex_);
  PEAT_CHECK(closing->reference_count == 0);
  SavedMap& saved = closing->saved;
  // The next older view, if it needs any of this. Another that is closing, too,
  // will hand on what it gets.
  const auto older =
      closing == opened_.begin() ? opened_.end() : std::prev(closing);
  if (older == opened_.end()) {
    saved_count_.fetch_sub(saved.size(), std::memory_order_relaxed);
    std::swap(dropped, *closing);
    opened_.erase(closing);
    return false;
  }
  PEAT_DCHECK(older->lsn <= closing->lsn);
  for (size_t i = 0; i < kMovedAtOnce && !saved.empty(); ++i) {
    PEAT_DCHECK(saved.begin()->second.lsn <= closing->lsn);
    auto node = saved.extract(saved.begin());
    closing->saved_bytes -= node.key().size();
    if (node.mapped().lsn <= older->lsn) {
      older->saved_bytes += node.key().size();
      const auto moved = older->saved.insert(std::move(node));
      PEAT_CHECK(moved.inserted);
    } else {
      saved_count_.fetch_sub(1, std::memory_order_relaxed);
    }
  }
  if (!saved.empty()) return true;
  opened_.erase(closing);
  return false;
}

// --- Saving and looking.

void Views::Save(const Superseded& record) {
  index::MutexLock lock(&mutex_);
  // The newest view that shows what was before this change: nearly always the
  // first. A later one waits for this change to be made.
  const View::Opened* const own =
      record.own_view == nullptr ? nullptr : record.own_view->opened_;
  const auto view = std::find_if(
      opened_.rbegin(), opened_.rend(), [&](const View::Opened& one) {
        if (&one == own && one.reference_count == 1) return false;
        return one.reference_count > 0 && one.lsn < record.until;
      });
  if (view == opened_.rend() || view->lsn < record.lsn) return;
  const auto [at, is_new] = view->saved.try_emplace(
      std::string(record.key),
      SavedRecord{.segment = record.segment->shared_from_this(),
                  .offset = record.offset,
                  .lsn = record.lsn});
  // It is new, unless a damaged index image leads to two records of the key:
  // then the first stays, which is what the view has shown so far.
  if (!is_new) return;
  view->saved_bytes += record.key.size();
  saved_count_.fetch_add(1, std::memory_order_relaxed);
}

std::optional<SavedRecord> Views::Find(const View& view,
                                       std::string_view key) const {
  if (view.opened_ == nullptr || !HasSaved()) return std::nullopt;
  index::MutexLock lock(&mutex_);
  for (const View::Opened& one : opened_) {
    if (one.lsn < view.lsn()) continue;
    const auto found = one.saved.find(key);
    if (found == one.saved.end()) continue;
    if (found->second.lsn <= view.lsn()) return found->second;
    return std::nullopt;
  }
  return std::nullopt;
}

void Views::List(const View& view, const KeyRange& range, size_t count,
                 std::vector<std::string>* keys,
                 std::optional<std::string>* complete_to) const {
  complete_to->reset();
  if (view.opened_ == nullptr || !HasSaved()) return;
  index::MutexLock lock(&mutex_);
  for (const View::Opened& one : opened_) {
    if (one.lsn < view.lsn()) continue;
    size_t seen = 0;
    for (auto it = one.saved.lower_bound(range.begin);
         it != one.saved.end() && range.Contains(it->first); ++it) {
      if (++seen > count) {
        if (!complete_to->has_value() || it->first < **complete_to) {
          *complete_to = it->first;
        }
        break;
      }
      if (it->second.lsn <= view.lsn()) keys->push_back(it->first);
    }
  }
}

void Views::ListDown(const View& view, const KeyRange& range, size_t count,
                     std::vector<std::string>* keys,
                     std::optional<std::string>* complete_to) const {
  complete_to->reset();
  if (view.opened_ == nullptr || !HasSaved()) return;
  index::MutexLock lock(&mutex_);
  for (const View::Opened& one : opened_) {
    if (one.lsn < view.lsn()) continue;
    // An empty one is less than any key.
    *complete_to = std::max(
        *complete_to, ListSomeDown(one.saved, view.lsn(), range, count, keys));
  }
}

std::optional<std::string> Views::ListSomeDown(const SavedMap& saved, Lsn lsn,
                                               const KeyRange& range,
                                               size_t count,
                                               std::vector<std::string>* keys) {
  size_t seen = 0;
  auto it = range.end.has_value() ? saved.lower_bound(*range.end) : saved.end();
  while (it != saved.begin()) {
    --it;
    if (!range.Contains(it->first)) break;
    if (++seen > count) return it->first;
    if (it->second.lsn <= lsn) keys->push_back(it->first);
  }
  return std::nullopt;
}

Views::Usage Views::TakeUsage() const {
  Usage usage;
  absl::flat_hash_set<const Segment*> known;
  index::MutexLock lock(&mutex_);
  const std::shared_ptr<const SegmentSet::List> current = segments_->TakeList();
  for (const auto& segment : *current) known.insert(segment.get());
  for (const View::Opened& one : opened_) {
    usage.view_count += one.reference_count;
    usage.saved_count += one.saved.size();
    usage.saved_bytes += one.saved.size() * kSavedOverhead + one.saved_bytes;
    for (const auto& segment : *one.segments) {
      if (known.insert(segment.get()).second)
        usage.held_bytes += segment->end();
    }
  }
  return usage;
}

}  // namespace peat::engine
