// A cursor: the pairs of a query as of one view, one after the other.
//
//   keys (key_source.h) -> what the view shows of them (view_reader.h)
//   or, in any order: the log (log_scan.h)
//
// It works a group of pairs ahead, so that the waits for memory of a group
// overlap; groups grow from 8 to 64, or with a limit are as large as that from
// the beginning, up to 64. It holds no guard between calls, and
// nothing but its view and the segments of its group, so it delays nobody. It
// may outlive the store; then it ends with an error.
//
// Externally synchronised.

#ifndef PEAT_ENGINE_QUERY_CURSOR_H_
#define PEAT_ENGINE_QUERY_CURSOR_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "engine/query/key_source.h"
#include "engine/query/log_scan.h"
#include "engine/query/query.h"
#include "engine/read/reader.h"
#include "engine/read/view_reader.h"
#include "engine/read/views.h"
#include "format/check.h"
#include "format/record.h"

namespace peat::engine {

class Cursor final {
 public:
  // Goes to the first pair. `reader` lives while the gate is open.
  Cursor(const QueryParts& parts, const Reader* reader,
         std::shared_ptr<const View> view, Query query);
  // One that could not be opened.
  explicit Cursor(absl::Status status) : status_(std::move(status)) {}
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  // Whether there is a pair. If not, status() tells whether that is the end.
  bool is_valid() const { return is_valid_; }
  // Goes to the next pair; not to be called when there is none.
  void Next() {
    PEAT_DCHECK(is_valid_);
    if (!Step()) [[unlikely]]
      Advance();
  }

  // Goes to the first pair of the query that is not before `key`, in the
  // direction of the query, be it ahead or behind; not to be called when there
  // is none. FailedPrecondition if the pairs are in the order of the log.
  void Seek(std::string_view key);

  // Whether it has stopped at a pair that is damaged, and GoOn() goes to the
  // next one: only in a store that was opened despite damage. key() is that of
  // the pair.
  bool can_go_on() const { return is_paused_; }
  void GoOn() {
    PEAT_DCHECK(is_paused_);
    is_paused_ = false;
    status_ = absl::OkStatus();
    Advance();
  }

  // Of the pair; valid until the cursor moves.
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  // When the pair expires; kNever: it does not.
  format::Millis expiry() const { return expiry_; }
  const absl::Status& status() const { return status_; }

  // What it shows; null once it is at the end.
  const View* view() const { return view_.get(); }

 private:
  // What a pair of the group shows.
  struct Pair {
    std::string_view key;
    std::string_view value;   // as it is stored
    bool is_in_file = false;  // what is stored refers to a file, to be read
    bool is_lost = false;     // it is damaged, and the value says how
    format::Millis expiry = format::kNever;
  };

  // Makes pair `next_` the current one if nothing but that is to be done.
  bool Step() {
    if (next_ == group_.size() || left_ == 0) return false;
    const Pair& pair = group_[next_];
    if (pair.is_in_file || pair.is_lost || !parts_.gate->is_open() ||
        parts_.mask_counts->forgotten() != forgotten_count_) [[unlikely]] {
      return false;
    }
    ++next_;
    --left_;
    key_ = pair.key;
    value_ = pair.value;
    expiry_ = pair.expiry;
    return true;
  }
  // Makes pair `next_` the current one, or ends.
  void Advance();
  // Replaces the group; false: there are no more.
  absl::StatusOr<bool> Fill();
  absl::Status AtEnd() const;
  // NotFound: it was forgotten since the group was made.
  absl::Status CheckNotForgotten(std::string_view key);
  absl::Status FillFromKeys(bool* has_more);
  // Each key of the group by itself: what can be read of them, and what not.
  absl::Status FillOneByOne();
  absl::Status FillFromLog(bool* has_more);
  void Take(ViewReader::Found& found);
  void Add(const format::Record& record, bool is_mapped);
  absl::Status Show(const Pair& pair);
  void Pause(const Pair& pair, absl::Status status);
  void End(absl::Status status);

  QueryParts parts_;
  const Reader* reader_ = nullptr;
  std::shared_ptr<const View> view_;
  bool keys_only_ = false;
  uint64_t left_ = 0;  // pairs up to the limit
  // One of these two.
  std::optional<KeySource> keys_;
  std::optional<LogScan> log_;

  index::KeyGroup key_group_;
  size_t group_size_ = 0;
  std::vector<Pair> group_;
  size_t next_ = 0;
  uint64_t forgotten_count_ = 0;  // of the store's keys, before the group
  bool has_more_ = true;
  // What the group's pairs look at, if the view does not keep it.
  std::vector<std::shared_ptr<const Segment>> owners_;
  std::deque<std::string> copies_;

  bool is_valid_ = false;
  bool is_paused_ = false;
  bool has_lost_ = false;  // a pair
  std::string_view key_;
  std::string_view value_;
  format::Millis expiry_ = format::kNever;
  std::string value_copy_;  // of one that lies in a file of its own
  absl::Status status_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_QUERY_CURSOR_H_
