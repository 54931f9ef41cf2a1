// The keys that a query may list, in order, a group at a time. Whether the view
// shows them is asked of the index afterwards.
//
//   ordered     from the ordered index, once it is complete, and what was saved
//               for the view of keys that have left it since
//   listed      the keys that the query names
//   collected   on a store without an ordered index: passes over the log, each
//               of which keeps the first keys behind those of the pass before,
//               as many as fit into a bounded memory, and sorts them
//
// Externally synchronised. May outlive the store; then it fails.

#ifndef PEAT_ENGINE_QUERY_KEY_SOURCE_H_
#define PEAT_ENGINE_QUERY_KEY_SOURCE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/os/gate.h"
#include "engine/query/build_state.h"
#include "engine/query/log_scan.h"
#include "engine/query/query.h"
#include "engine/read/view_reader.h"
#include "engine/read/views.h"
#include "engine/segment/mask_counts.h"
#include "index/ordered_index.h"

namespace peat::engine {

// What queries work on. Everything pointed to lives while the gate is open.
struct QueryParts {
  std::shared_ptr<const Gate> gate;
  const ViewReader* reader = nullptr;
  const Views* views = nullptr;
  const index::OrderedIndex* ordered = nullptr;  // null: there is none
  std::shared_ptr<BuildState> build;             // of that
  std::shared_ptr<const MaskCounts> mask_counts;
  std::shared_ptr<std::atomic<uint64_t>> log_passes;  // counted; may be null
  bool despite_damage = false;       // what cannot be read is passed over
  bool is_damaged = false;           // and something could not be, at open
  uint64_t collected_bytes_max = 0;  // memory for the keys of one pass
};

class OrderedKeys final {
 public:
  OrderedKeys(const QueryParts& parts, std::shared_ptr<const View> view,
              const Query& query);

  // Replaces `*keys` by the next ones, about `count`; may be none of them
  // although there are more. False: there are no more behind these.
  absl::StatusOr<bool> Next(size_t count, index::KeyGroup* keys);
  // Goes on with the first key of the query that is not before `key`, in the
  // direction of the query; likewise in the other sources.
  void Seek(std::string_view key);

 private:
  // Adds the saved keys to those of the index, each once, in order; without
  // those behind `last`, if the index has more, and from `saved_up_to` on.
  void Merge(bool is_full, const std::string& last,
             const std::optional<std::string>& saved_up_to,
             index::KeyGroup* keys);
  bool IsBefore(std::string_view a, std::string_view b) const {
    return reverse_ ? b < a : a < b;
  }
  // Leaves in the range what comes from `key` on.
  void GoTo(const std::string& key);

  const QueryParts parts_;
  const std::shared_ptr<const View> view_;
  const bool reverse_;
  const index::KeyRange whole_;
  index::KeyRange range_;  // what is left
  std::vector<std::string> saved_;
};

class ListedKeys final {
 public:
  explicit ListedKeys(Query& query);
  absl::StatusOr<bool> Next(size_t count, index::KeyGroup* keys);
  void Seek(std::string_view key);

 private:
  const bool reverse_;
  std::vector<std::string> keys_;  // in the order of the query
  size_t next_ = 0;
};

class CollectedKeys final {
 public:
  CollectedKeys(const QueryParts& parts, std::shared_ptr<const View> view,
                const Query& query);
  absl::StatusOr<bool> Next(size_t count, index::KeyGroup* keys);
  // Costs another pass if what is sought is not among the keys of this one.
  void Seek(std::string_view key);
  // Whether something could not be read, and was passed over.
  bool has_passed_over() const { return has_passed_over_; }

 private:
  struct Key {
    uint64_t head;    // its first bytes
    uint64_t offset;  // in bytes_
    uint64_t size;
  };
  std::string_view At(const Key& key) const {
    return std::string_view(bytes_).substr(key.offset, key.size);
  }
  bool IsBefore(const Key& a, const Key& b) const;

  // One pass: takes the next keys, in order.
  absl::Status Collect();
  // How many of the keys may be kept, by the size of those that are there.
  size_t RoomFor() const;
  // Drops all but the first of them.
  void KeepFirst();

  const QueryParts parts_;
  const std::shared_ptr<const View> view_;
  const bool reverse_;
  const uint64_t limit_;
  const index::KeyRange whole_;
  index::KeyRange range_;  // what no pass has seen yet
  std::vector<Key> keys_;
  std::string bytes_;
  size_t next_ = 0;
  bool is_last_pass_ = false;
  bool has_passed_over_ = false;
};

using KeySource = std::variant<OrderedKeys, ListedKeys, CollectedKeys>;

// The source for `query`, whose list of keys it takes.
KeySource MakeKeySource(const QueryParts& parts,
                        const std::shared_ptr<const View>& view, Query& query);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_QUERY_KEY_SOURCE_H_
