// The pairs of a query, one after the other.

#ifndef PEAT_API_PEAT_CURSOR_H_
#define PEAT_API_PEAT_CURSOR_H_

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "peat/time.h"

namespace peat {

// Shows the store as of the moment it was opened, whatever is written, deleted
// or compacted meanwhile; except that a key that is forgotten meanwhile is not
// shown any more.
//
//   peat::Cursor cursor = store.Scan({.prefix = "window/17/"});
//   for (const auto [key, value] : cursor) Use(key, value);
//   if (!cursor.status().ok()) return cursor.status();  // not the end
//
// A loop over the call itself, `for (const auto [key, value] :
// store.Scan({}))`, is correct, too, but cannot tell an error from the end.
//
// An open cursor never blocks writers. It costs memory in proportion to the
// keys changed since it was opened, and keeps segments that compaction has
// given up; GetStats() tells how much. One that has come to its end, or met an
// error, costs nothing any more. It may be destroyed at any time, and outlive
// its store: then it ends with FailedPrecondition.
//
// Movable. One object is for one thread at a time.
class Cursor {
 public:
  // For the engine.
  class Impl;
  // For the engine.
  explicit Cursor(std::unique_ptr<Impl> impl);

  // Goes on where `other` was, which may only be destroyed or assigned to.
  Cursor(Cursor&& other) noexcept;
  // As moving; what was open here is closed.
  Cursor& operator=(Cursor&& other) noexcept;
  ~Cursor();

  // Whether there is a pair. If not, it is the end, or status() says why not.
  bool Valid() const { return is_valid_; }

  // Goes to the next pair. Only while Valid() or CanGoOn().
  void Next();

  // Goes to the first pair of the query that is not before `key`, in the
  // direction of the query: ahead, or back to what was shown before. Only while
  // Valid(), and only where pairs come in byte order (peat/query.h), else it
  // ends with FailedPrecondition. Pairs count for Query::limit as often as they
  // are shown. Costs what opening a cursor costs; without an ordered index it
  // may read the log again.
  void Seek(std::string_view key);

  // Whether the cursor has stopped at one pair that is damaged, which status()
  // is of, and Next() goes on behind it: so in a store that was opened with
  // OpenMode::kReadOnlyDespiteDamage. key() is that of the pair.
  //
  //   for (;;) {
  //     for (; cursor.Valid(); cursor.Next()) ...
  //     if (!cursor.CanGoOn()) break;
  //     Report(cursor.key(), cursor.status());
  //     cursor.Next();
  //   }
  //
  // At its end it is DataLoss that it was no more than this, if anything could
  // not be read: the pairs shown are sound, and current, but perhaps not all.
  bool CanGoOn() const;

  // The pair's key; valid until the cursor is moved on or destroyed.
  std::string_view key() const { return key_; }
  // The pair's value; valid as long as key(). Empty if the query asked for keys
  // only.
  std::string_view value() const { return value_; }

  // When the pair expires (peat/time.h); of a disabled key, once it is enabled
  // again. nullopt: it does not.
  std::optional<Time> expires_at() const;

  // OK, also at the end; or what the cursor ended with: DataLoss,
  // FailedPrecondition (the store is closed), ResourceExhausted. Sticky, unless
  // CanGoOn().
  absl::Status status() const;

  // What a range-based loop is given. Both are valid until the next pair.
  struct Pair {
    std::string_view key;    // of the pair
    std::string_view value;  // empty if the query asked for keys only
  };

  // For range-based loops, once: `for (const auto [key, value] : cursor)`.
  // Look at status() behind the loop.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Pair;
    using difference_type = std::ptrdiff_t;
    using pointer = const Pair*;
    using reference = Pair;

    Iterator() = default;
    explicit Iterator(Cursor* cursor) : cursor_(cursor) {}
    Pair operator*() const { return {cursor_->key(), cursor_->value()}; }
    Iterator& operator++() {
      cursor_->Next();
      return *this;
    }
    void operator++(int) { cursor_->Next(); }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) {
      return !it.cursor_->Valid();
    }

   private:
    Cursor* cursor_ = nullptr;
  };
  // For range-based loops: begins at the pair where the cursor is.
  Iterator begin() { return Iterator(this); }
  // The end of every cursor: where Valid() is false.
  std::default_sentinel_t end() const { return {}; }

 private:
  void Refresh();

  std::unique_ptr<Impl> impl_;
  bool is_valid_ = false;
  std::string_view key_;
  std::string_view value_;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_CURSOR_H_
