// Views: the store as of one lsn, whatever is written meanwhile.
//
//   open     ask the appender for the log's end, under its lock; then wait
//            until whoever appended before has moved the index
//   write    the first change of a key under a view saves where its record
//            lies, before the index changes
//   read     the index; if it shows nothing, or what is newer than the view,
//            what was saved
//
// What a change takes away is saved with the newest view, and only if that view
// shows it. An older view sees it too, unless a change was saved for it or for
// a view between them: so a look goes from the view's own saved records to
// those of the newer ones, and the first that it finds is the one. When a view
// closes, what the next older one needs moves there, a part at a time.
//
// With no view open a write costs one comparison. With one, it costs memory and
// time in proportion to the keys changed meanwhile.
//
// Thread-safe. The lock comes behind the index's shards and before the
// appender.

#ifndef PEAT_ENGINE_READ_VIEWS_H_
#define PEAT_ENGINE_READ_VIEWS_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "engine/log/appender.h"
#include "engine/log/store_clock.h"
#include "engine/os/gate.h"
#include "engine/segment/segment_set.h"
#include "format/location.h"
#include "index/hash_index.h"
#include "index/mutex.h"
#include "index/ordered_index.h"

namespace peat::engine {

class Views;

// One open view. It keeps the segments that it found, so what lies in them can
// be read as long as it lives, also after the store has given them up. Closes
// itself; may outlive the store. Constant, so safe on any thread.
class View final {
 public:
  ~View();
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  format::Lsn lsn() const { return point_.lsn; }
  // What expires then or before is absent.
  format::Millis time() const { return time_; }
  const SegmentSet::List& segments() const { return *segments_; }

  // Whether it keeps `segment`, by its number.
  bool Holds(const Segment& segment) const {
    const format::SegmentNumber number = segment.number();
    return number < segments_->size() && (*segments_)[number].get() == &segment;
  }

  // The segment of that number that it keeps, or null.
  Segment* SegmentAt(format::SegmentNumber number) const {
    return number < segments_->size() ? (*segments_)[number].get() : nullptr;
  }

  // Where the records of `segment`, which it holds, end for it.
  uint64_t EndOf(const Segment& segment) const {
    return segment.number() == point_.active ? point_.end : segment.end();
  }

 private:
  friend class Views;
  struct Opened;
  View(Views* views, std::shared_ptr<const Gate> gate);

  Views* const views_;  // valid while the gate is open
  const std::shared_ptr<const Gate> gate_;
  ViewPoint point_;
  format::Millis time_ = 0;
  Opened* opened_ = nullptr;  // null: of a store that nobody writes
  std::shared_ptr<const SegmentSet::List> segments_;
};

// A record that the index no longer points to.
struct SavedRecord {
  std::shared_ptr<Segment> segment;
  uint64_t offset = 0;
  format::Lsn lsn = 0;
};

class Views final {
 public:
  // Everything pointed to must outlive this. Before the appender is set, and
  // for ever in a store that is only read, views cost nothing.
  // `clock` may be null: then nothing ever expires.
  Views(const SegmentSet* segments, index::HashIndex* index,
        std::shared_ptr<const Gate> gate, const StoreClock* clock = nullptr);
  ~Views();
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;

  void SetAppender(Appender* appender) ABSL_LOCKS_EXCLUDED(mutex_);

  // A view of everything acknowledged before the call. Takes a microsecond or
  // two. The caller holds an epoch guard and no lock.
  std::shared_ptr<const View> Open() ABSL_LOCKS_EXCLUDED(mutex_);

  // What a change, in a unit of the lsn `until`, takes away: a writer that was
  // told of a view at least as new as `lsn` calls this before it moves the
  // index, with the shard's lock.
  struct Superseded {
    std::string_view key;
    Segment* segment = nullptr;
    uint64_t offset = 0;
    format::Lsn lsn = 0;
    format::Lsn until = 0;
    // The view by which whoever makes the change found the key, and in which it
    // will not look for it again: nothing is saved for it alone.
    const View* own_view = nullptr;
  };
  void Save(const Superseded& record) ABSL_LOCKS_EXCLUDED(mutex_);

  // The record of `key` that `view` shows, if the index shows none or a newer
  // one; nullopt: the key is absent there.
  std::optional<SavedRecord> Find(const View& view, std::string_view key) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Adds keys of `range` that have been saved and that `view` shows, in no
  // order. Looks at `count` keys of each open view at most; what is complete is
  // what lies on this side of `*complete_to`, going upward (nullopt: all).
  void List(const View& view, const index::KeyRange& range, size_t count,
            std::vector<std::string>* keys,
            std::optional<std::string>* complete_to) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The same from the end of the range downward.
  void ListDown(const View& view, const index::KeyRange& range, size_t count,
                std::vector<std::string>* keys,
                std::optional<std::string>* complete_to) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether anything is saved at all. Once a key has left the ordered index,
  // this is true for whoever has seen that.
  bool HasSaved() const {
    return saved_count_.load(std::memory_order_relaxed) != 0;
  }

  // Of the oldest view that is open; UINT64_MAX: there is none.
  format::Lsn OldestLsn() const ABSL_LOCKS_EXCLUDED(mutex_);

  // What open views cost.
  struct Usage {
    uint64_t view_count = 0;
    uint64_t saved_count = 0;
    uint64_t saved_bytes = 0;  // of memory
    uint64_t held_bytes = 0;   // of segments that only views keep
  };
  Usage TakeUsage() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class View;
  using SavedMap = absl::btree_map<std::string, SavedRecord, std::less<>>;

  // Of what one view saved, from the end of the range downward; returns the key
  // at which it stopped early, or nullopt.
  static std::optional<std::string> ListSomeDown(
      const SavedMap& saved, format::Lsn lsn, const index::KeyRange& range,
      size_t count, std::vector<std::string>* keys);
  void Close(View* view) ABSL_LOCKS_EXCLUDED(mutex_);
  // Moves some of what `closing` saved to the next older view, or drops it;
  // false once nothing is left.
  bool MoveSome(std::list<View::Opened>::iterator closing)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Of the views that are open; 0: there is none.
  format::Lsn NewestLsn() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const SegmentSet* const segments_;
  index::HashIndex* const index_;
  const std::shared_ptr<const Gate> gate_;
  const StoreClock* const clock_;

  mutable index::Mutex mutex_{index::LockRank::kViews};
  Appender* appender_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // Oldest first; those that are closing stay until they are empty.
  std::list<View::Opened> opened_ ABSL_GUARDED_BY(mutex_);
  // Changed under the lock. Relaxed: who must see it has synchronised with the
  // writer who saved, through the ordered index.
  std::atomic<uint64_t> saved_count_{0};
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_READ_VIEWS_H_
