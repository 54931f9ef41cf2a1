// The ordered index: the keys of a store in order, for prefixes and ranges.
//
//   root -> node -> ... -> leaf      a B+-tree; nodes hold separators,
//                                    leaves up to 128 keys (ordered_leaf.h)
//
// It keeps keys and no truth: whether a key is there, and where its record
// lies, is asked of the hash index. So an overwrite does not touch it, and the
// location beside each key is only where the record lay when the key came.
//
// Leaves are changed in place under a lock each. Nodes are never changed: when
// a leaf is split or given up, the nodes above it are built anew, and the root
// is exchanged by one atomic store; what it replaces is freed by epoch. So
// nobody waits for anybody but at the same leaf, for the time of one copy.
//
// Invariants, tested in tests/index/:
//   - A leaf that is not dead has exactly the keys of its range, which only
//     grows while it lives. What must shrink it (a split) kills it.
//   - No leaf is empty, except the only one.
//
// Thread-safe. The caller holds an EpochGuard around every call.

#ifndef PEAT_INDEX_ORDERED_INDEX_H_
#define PEAT_INDEX_ORDERED_INDEX_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/inlined_vector.h"
#include "index/epoch.h"
#include "index/mutex.h"
#include "index/ordered_leaf.h"

namespace peat::index {

// Keys from `begin` on, up to `end` and not with it; null: up to the last.
struct KeyRange {
  std::string begin;
  std::optional<std::string> end;

  bool Contains(std::string_view key) const {
    return key >= begin && (!end.has_value() || key < *end);
  }
};

class OrderedIndex final {
 public:
  // Its callers hold guards of `epochs`, which must outlive this, or guards
  // that protect everything; null: the latter.
  explicit OrderedIndex(EpochDomain* epochs = nullptr);
  // No reader or writer may be left.
  ~OrderedIndex();
  OrderedIndex(const OrderedIndex&) = delete;
  OrderedIndex& operator=(const OrderedIndex&) = delete;

  // Adds `key`, unless it is there.
  void Insert(std::string_view key, Location location);

  // Removes `key`, if it is there.
  void Erase(std::string_view key);

  // Adds the first `count` keys of `range` to `keys`, ascending, or the last,
  // descending. Fewer: there are no more. Not of one moment; a key that is
  // there all the time is listed.
  void List(const KeyRange& range, size_t count, KeyGroup* keys) const;
  void ListDown(const KeyRange& range, size_t count, KeyGroup* keys) const;

  uint64_t size() const { return size_.load(std::memory_order_relaxed); }
  uint64_t memory_bytes() const {
    return memory_bytes_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr size_t kFanout = 64;

  struct Leaf {
    mutable Mutex mutex{LockRank::kOrderedLeaf};
    bool is_dead ABSL_GUARDED_BY(mutex) = false;
    OrderedLeaf keys ABSL_GUARDED_BY(mutex);
  };

  // Constant once the root leads to it.
  struct Node {
    bool is_lowest = false;  // its children are leaves
    // Child i has the keys from separator i - 1 up to separator i. What the way
    // down reads lies in the node itself, so that one wait for memory will do.
    absl::InlinedVector<uint64_t, kFanout> heads;  // of the separators
    absl::InlinedVector<void*, kFanout + 1> children;
    std::vector<std::string> separators;

    // Asks for the cache lines that the way down reads.
    void Prefetch() const { format::PrefetchToRead(this, sizeof(*this)); }
    size_t ChildOf(std::string_view key) const;     // of the range with `key`
    size_t ChildBelow(std::string_view end) const;  // with what is less
    const Node* node(size_t i) const {
      return static_cast<const Node*>(children[i]);
    }
    Leaf* leaf(size_t i) const { return static_cast<Leaf*>(children[i]); }
    void InsertChild(size_t i, std::string separator, void* child);
    void RemoveChild(size_t i);
    uint64_t memory_bytes() const;
  };

  // A node on the way to a leaf, and which of its children was taken.
  struct Step {
    const Node* node;
    size_t child;
  };
  using Path = std::vector<Step>;

  // What a child of a node becomes: nothing, one, or two with a separator; or
  // one for it and the child behind it.
  struct Replacement {
    void* left = nullptr;
    void* right = nullptr;
    std::string separator = {};
    bool takes_next = false;
  };

  const Node* root() const { return root_.load(std::memory_order_acquire); }
  Leaf* Find(std::string_view key) const;
  // The leaf of `key` and where its range ends, or begins; nullopt: nowhere.
  // The views live as long as the guard.
  Leaf* FindWithEnd(std::string_view key,
                    std::optional<std::string_view>* end) const;
  // The leaf with what is less than `end`; nullopt: the last one.
  Leaf* FindBelow(const std::optional<std::string>& end,
                  std::optional<std::string_view>* begin) const;
  Path PathTo(std::string_view key) const;

  void Split(Leaf* leaf, std::string_view key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(leaf->mutex)
          ABSL_LOCKS_EXCLUDED(structure_mutex_);
  // Gives up a leaf that has no keys, or few that fit into its neighbour.
  void Shrink(Leaf* leaf, std::string_view key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(leaf->mutex)
          ABSL_LOCKS_EXCLUDED(structure_mutex_);
  void Merge(const Path& path, Leaf* leaf)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(leaf->mutex, structure_mutex_);
  // Builds the nodes of `path` anew, with `replacement` for what it leads to,
  // and frees the old ones, and the leaves that were there.
  void Replace(const Path& path, Replacement replacement,
               std::vector<Leaf*> leaves)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(structure_mutex_);
  // The same for one node.
  Replacement ReplaceIn(const Step& step, Replacement replacement)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(structure_mutex_);
  Node* Own(std::unique_ptr<Node> node);
  Leaf* NewLeaf(const KeyGroup& keys, size_t begin, size_t end);
  static uint64_t MemoryOf(const Leaf& leaf)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(leaf.mutex);
  // Once the root does not lead to it any more.
  void Kill(Leaf* leaf) ABSL_EXCLUSIVE_LOCKS_REQUIRED(leaf->mutex);
  void CountMemory(uint64_t after, uint64_t before) {
    if (after == before) return;  // a locked instruction waits for all loads
    memory_bytes_.fetch_add(after - before, std::memory_order_relaxed);
  }

  // Who builds nodes anew. Taken with a leaf's lock held, never the other way
  // round.
  Mutex structure_mutex_{LockRank::kOrderedStructure};

  // Release, so that who follows it sees the nodes and leaves as they were
  // built.
  EpochDomain* const epochs_;
  std::atomic<const Node*> root_ = nullptr;

  // Sums that nothing is ordered by.
  std::atomic<uint64_t> size_ = 0;
  std::atomic<uint64_t> memory_bytes_ = 0;
};

}  // namespace peat::index

#endif  // PEAT_INDEX_ORDERED_INDEX_H_
