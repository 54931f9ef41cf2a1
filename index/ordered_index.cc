#include "index/ordered_index.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "format/check.h"

namespace peat::index {
namespace {

// A leaf with so few keys looks for a neighbour to join.
constexpr size_t kSmall = OrderedLeaf::kKeyCountMax / 4;
constexpr size_t kJoinedMax = OrderedLeaf::kKeyCountMax * 3 / 4;

// The shortest key that is greater than `left` and not greater than `right`.
std::string Separator(std::string_view left, std::string_view right) {
  PEAT_DCHECK(left < right);
  return std::string(right.substr(0, CommonPrefixSize(left, right) + 1));
}

template <typename Vector>
auto At(Vector& vector, size_t i) {
  return vector.begin() + static_cast<std::ptrdiff_t>(i);
}

}  // namespace

// --- Nodes.

size_t OrderedIndex::Node::ChildOf(std::string_view key) const {
  const uint64_t head = HeadOf(key);
  const auto low = std::lower_bound(heads.begin(), heads.end(), head);
  const auto first = separators.begin() + (low - heads.begin());
  if (low == heads.end() || *low != head) {
    return static_cast<size_t>(first - separators.begin());
  }
  // Separators of an equal head are compared in full.
  const auto high = std::upper_bound(low, heads.end(), head);
  return static_cast<size_t>(
      std::upper_bound(first, first + (high - low), key) - separators.begin());
}

size_t OrderedIndex::Node::ChildBelow(std::string_view end) const {
  return static_cast<size_t>(
      std::lower_bound(separators.begin(), separators.end(), end) -
      separators.begin());
}

void OrderedIndex::Node::InsertChild(size_t i, std::string separator,
                                     void* child) {
  PEAT_DCHECK(i > 0);
  heads.insert(At(heads, i - 1), HeadOf(separator));
  separators.insert(At(separators, i - 1), std::move(separator));
  children.insert(At(children, i), child);
}

void OrderedIndex::Node::RemoveChild(size_t i) {
  children.erase(At(children, i));
  if (separators.empty()) return;
  const size_t separator = i == 0 ? 0 : i - 1;
  heads.erase(At(heads, separator));
  separators.erase(At(separators, separator));
}

uint64_t OrderedIndex::Node::memory_bytes() const {
  return sizeof(*this) + separators.capacity() * sizeof(std::string);
}

// --- The way down.

OrderedIndex::OrderedIndex(EpochDomain* epochs) : epochs_(epochs) {
  auto node = std::make_unique<Node>();
  node->is_lowest = true;
  node->children.push_back(NewLeaf({}, 0, 0));
  root_.store(Own(std::move(node)), std::memory_order_release);
}

OrderedIndex::~OrderedIndex() {
  std::vector<const Node*> nodes = {root()};
  while (!nodes.empty()) {
    const std::unique_ptr<const Node> node(nodes.back());
    nodes.pop_back();
    for (size_t i = 0; i < node->children.size(); ++i) {
      if (node->is_lowest) {
        (void)std::unique_ptr<Leaf>(node->leaf(i));
      } else {
        nodes.push_back(node->node(i));
      }
    }
  }
}

OrderedIndex::Leaf* OrderedIndex::Find(std::string_view key) const {
  for (const Node* node = root();;) {
    node->Prefetch();
    const size_t child = node->ChildOf(key);
    if (node->is_lowest) return node->leaf(child);
    node = node->node(child);
  }
}

OrderedIndex::Leaf* OrderedIndex::FindWithEnd(
    std::string_view key, std::optional<std::string_view>* end) const {
  // The separator that ends the range: looked at last, since it may have to
  // come from memory.
  const std::string* separator = nullptr;
  for (const Node* node = root();;) {
    node->Prefetch();
    const size_t child = node->ChildOf(key);
    if (child < node->separators.size()) separator = &node->separators[child];
    if (!node->is_lowest) {
      node = node->node(child);
      continue;
    }
    Leaf* const leaf = node->leaf(child);
    format::PrefetchToWrite(leaf);
    // The next one is likely to be asked for then.
    if (child + 1 < node->children.size()) {
      format::PrefetchToRead(node->leaf(child + 1));
    }
    end->reset();
    if (separator != nullptr) *end = *separator;
    return leaf;
  }
}

OrderedIndex::Leaf* OrderedIndex::FindBelow(
    const std::optional<std::string>& end,
    std::optional<std::string_view>* begin) const {
  begin->reset();
  for (const Node* node = root();;) {
    const size_t child =
        end.has_value() ? node->ChildBelow(*end) : node->children.size() - 1;
    if (child > 0) *begin = node->separators[child - 1];
    if (node->is_lowest) return node->leaf(child);
    node = node->node(child);
  }
}

OrderedIndex::Path OrderedIndex::PathTo(std::string_view key) const {
  Path path;
  for (const Node* node = root();;) {
    path.push_back({.node = node, .child = node->ChildOf(key)});
    if (node->is_lowest) return path;
    node = node->node(path.back().child);
  }
}

// --- Changing keys.

void OrderedIndex::Insert(std::string_view key, Location location) {
  for (;;) {
    Leaf* const leaf = Find(key);
    MutexLock lock(&leaf->mutex);
    if (leaf->is_dead) continue;
    if (leaf->keys.is_full()) {
      Split(leaf, key);
      continue;
    }
    const uint64_t before = leaf->keys.memory_bytes();
    if (leaf->keys.Insert(key, location)) {
      size_.fetch_add(1, std::memory_order_relaxed);
    }
    CountMemory(leaf->keys.memory_bytes(), before);
    return;
  }
}

void OrderedIndex::Erase(std::string_view key) {
  for (;;) {
    Leaf* const leaf = Find(key);
    MutexLock lock(&leaf->mutex);
    if (leaf->is_dead) continue;
    if (!leaf->keys.Erase(key)) return;
    size_.fetch_sub(1, std::memory_order_relaxed);
    // Not at each key: a neighbour that is full now is likely to stay so.
    const size_t size = leaf->keys.size();
    if (size <= kSmall && !(size > 1 && !std::has_single_bit(size))) {
      Shrink(leaf, key);
    }
    return;
  }
}

// --- Changing leaves and nodes.

void OrderedIndex::Split(Leaf* leaf, std::string_view key) {
  KeyGroup keys;
  leaf->keys.List(0, leaf->keys.size(), &keys);
  // Keys that come in order come behind this one: they need no room before it.
  const bool is_behind = keys[keys.size() - 1] < key;
  const size_t middle = is_behind ? keys.size() * 7 / 8 : keys.size() / 2;
  Replacement halves{.left = NewLeaf(keys, 0, middle),
                     .right = NewLeaf(keys, middle, keys.size()),
                     .separator = Separator(keys[middle - 1], keys[middle])};
  MutexLock lock(&structure_mutex_);
  Replace(PathTo(key), std::move(halves), {leaf});
  Kill(leaf);
}

void OrderedIndex::Shrink(Leaf* leaf, std::string_view key) {
  MutexLock lock(&structure_mutex_);
  const Path path = PathTo(key);
  PEAT_CHECK(path.back().node->leaf(path.back().child) == leaf);
  if (leaf->keys.size() > 0) {
    Merge(path, leaf);
    return;
  }
  const bool is_only = std::all_of(
      path.begin(), path.end(),
      [](const Step& step) { return step.node->children.size() == 1; });
  if (is_only) return;
  Replace(path, {}, {leaf});
  Kill(leaf);
}

void OrderedIndex::Merge(const Path& path, Leaf* leaf) {
  const Node& parent = *path.back().node;
  if (parent.children.size() == 1) return;
  Path to_left = path;
  size_t& left = to_left.back().child;
  if (left + 1 == parent.children.size()) --left;
  const bool is_left = parent.leaf(left) == leaf;
  Leaf* const other = parent.leaf(is_left ? left + 1 : left);
  // Whoever has it may be waiting for the structure: no waiting here.
  if (!other->mutex.TryLock()) return;
  PEAT_DCHECK(!other->is_dead);
  const OrderedLeaf& first = is_left ? leaf->keys : other->keys;
  const OrderedLeaf& second = is_left ? other->keys : leaf->keys;
  if (first.size() + second.size() <= kJoinedMax) {
    KeyGroup keys;
    first.List(0, first.size(), &keys);
    second.List(0, second.size(), &keys);
    Replace(to_left,
            {.left = NewLeaf(keys, 0, keys.size()), .takes_next = true},
            {leaf, other});
    Kill(leaf);
    Kill(other);
  }
  other->mutex.Unlock();
}

OrderedIndex::Replacement OrderedIndex::ReplaceIn(const Step& step,
                                                  Replacement replacement) {
  auto node = std::make_unique<Node>(*step.node);
  if (replacement.takes_next) node->RemoveChild(step.child + 1);
  if (replacement.left == nullptr) {
    node->RemoveChild(step.child);
    if (node->children.empty()) return {};
  } else {
    node->children[step.child] = replacement.left;
  }
  if (replacement.right != nullptr) {
    node->InsertChild(step.child + 1, std::move(replacement.separator),
                      replacement.right);
  }
  if (node->children.size() <= kFanout) return {.left = Own(std::move(node))};
  const size_t middle = node->children.size() / 2;
  auto right = std::make_unique<Node>();
  right->is_lowest = node->is_lowest;
  right->heads.assign(At(node->heads, middle), node->heads.end());
  right->separators.assign(At(node->separators, middle),
                           node->separators.end());
  right->children.assign(At(node->children, middle), node->children.end());
  std::string separator = std::move(node->separators[middle - 1]);
  node->heads.resize(middle - 1);
  node->separators.resize(middle - 1);
  node->children.resize(middle);
  return {.left = Own(std::move(node)),
          .right = Own(std::move(right)),
          .separator = std::move(separator)};
}

void OrderedIndex::Replace(const Path& path, Replacement replacement,
                           std::vector<Leaf*> leaves) {
  std::vector<const Node*> nodes;
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    replacement = ReplaceIn(*step, std::move(replacement));
    nodes.push_back(step->node);
    CountMemory(0, step->node->memory_bytes());
  }
  void* root = replacement.left;
  PEAT_CHECK(root != nullptr);
  if (replacement.right != nullptr) {
    auto node = std::make_unique<Node>();
    node->children.push_back(root);
    node->InsertChild(1, std::move(replacement.separator), replacement.right);
    root = Own(std::move(node));
  }
  root_.store(static_cast<const Node*>(root), std::memory_order_release);
  Retire(epochs_, [nodes = std::move(nodes), leaves = std::move(leaves)] {
    for (const Node* node : nodes) (void)std::unique_ptr<const Node>(node);
    for (Leaf* leaf : leaves) (void)std::unique_ptr<Leaf>(leaf);
  });
}

OrderedIndex::Node* OrderedIndex::Own(std::unique_ptr<Node> node) {
  CountMemory(node->memory_bytes(), 0);
  return node.release();
}

// Without the leaf's lock: nobody else knows it yet, and the caller holds that
// of another leaf.
OrderedIndex::Leaf* OrderedIndex::NewLeaf(const KeyGroup& keys, size_t begin,
                                          size_t end)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  auto leaf = std::make_unique<Leaf>();
  leaf->keys.Append(keys, begin, end);
  CountMemory(MemoryOf(*leaf), 0);
  return leaf.release();
}

uint64_t OrderedIndex::MemoryOf(const Leaf& leaf) {
  return sizeof(Leaf) - sizeof(OrderedLeaf) + leaf.keys.memory_bytes();
}

void OrderedIndex::Kill(Leaf* leaf) {
  leaf->is_dead = true;
  CountMemory(0, MemoryOf(*leaf));
}

// --- Listing.

void OrderedIndex::List(const KeyRange& range, size_t count,
                        KeyGroup* keys) const {
  const size_t wanted = keys->size() + count;
  std::string begin = range.begin;
  while (keys->size() < wanted) {
    std::optional<std::string_view> end;
    const Leaf* const leaf = FindWithEnd(begin, &end);
    {
      MutexLock lock(&leaf->mutex);
      if (leaf->is_dead) continue;
      leaf->keys.Prefetch();
      const size_t first = leaf->keys.LowerBound(begin);
      size_t last = std::min(leaf->keys.size(), first + wanted - keys->size());
      // It may have grown since: what is behind `end` comes later.
      if (end.has_value()) last = std::min(last, leaf->keys.LowerBound(*end));
      if (range.end.has_value()) {
        last = std::min(last, leaf->keys.LowerBound(*range.end));
      }
      if (first < last) leaf->keys.List(first, last, keys);
    }
    if (!end.has_value()) return;
    if (range.end.has_value() && *end >= *range.end) return;
    begin = *end;
  }
}

void OrderedIndex::ListDown(const KeyRange& range, size_t count,
                            KeyGroup* keys) const {
  const size_t wanted = keys->size() + count;
  std::optional<std::string> end = range.end;
  while (keys->size() < wanted) {
    std::optional<std::string_view> begin;
    const Leaf* const leaf = FindBelow(end, &begin);
    {
      MutexLock lock(&leaf->mutex);
      if (leaf->is_dead) continue;
      const size_t last =
          end.has_value() ? leaf->keys.LowerBound(*end) : leaf->keys.size();
      const size_t missing = wanted - keys->size();
      size_t first = last > missing ? last - missing : 0;
      first = std::max(first, leaf->keys.LowerBound(range.begin));
      if (begin.has_value()) {
        first = std::max(first, leaf->keys.LowerBound(*begin));
      }
      if (first < last) leaf->keys.ListDown(first, last, keys);
    }
    if (!begin.has_value() || *begin <= range.begin) return;
    end = *begin;
  }
}

}  // namespace peat::index
