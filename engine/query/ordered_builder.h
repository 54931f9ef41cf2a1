// The ordered index of a store that is opened: filled from the log, while
// others read and write the store.
//
//   some millions of keys at a time, shard after shard:
//     list     what the hash index has: locations, sorted, so that the log is
//              read from front to back; and share their segments' ownership
//     some hundred thousands of them at a time:
//       read     the records' keys, verified; sort them
//       insert   neighbours into the same leaf
//       settle   look each of them up in the hash index
//
// Writers insert and erase from the beginning, so what is to be kept is:
//   - Nothing is missing. A key is listed if it is there all the time; if it
//     comes or comes back, its writer inserts it.
//   - Nothing is left over. A writer erases a key from the hash index first,
//     then from this one. If the builder finds a key that it has inserted, who
//     erases it will come later; if not, the builder erases it again, with the
//     lock of the key's shard, so that it does not come back meanwhile.
// So writers do nothing for it, and it keeps nothing about them.

#ifndef PEAT_ENGINE_QUERY_ORDERED_BUILDER_H_
#define PEAT_ENGINE_QUERY_ORDERED_BUILDER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/log/core.h"
#include "engine/query/build_state.h"
#include "engine/segment/config.h"
#include "engine/segment/segment_set.h"
#include "format/location.h"
#include "index/hash_index.h"

namespace peat::engine {

class OrderedBuilder final {
 public:
  explicit OrderedBuilder(const Core& core)
      : parts_(core),
        state_(std::make_shared<BuildState>([this] { BuildAll(); })) {}
  OrderedBuilder(const OrderedBuilder&) = delete;
  OrderedBuilder& operator=(const OrderedBuilder&) = delete;

  // Fills the index and says so to state(). DataLoss when a record is damaged.
  // Takes 8 bytes of memory a key, 128 MiB at most, and up to 24 MiB for those
  // that it inserts next. Any thread, without an epoch guard; the first call
  // does it, the others wait. So does a query that waits for state().
  absl::Status Build() { return state_->Await(); }

  // Has Build() end soon, and whoever waits for it get `status`; nothing once
  // it has ended. Any thread.
  void Stop(const absl::Status& status);

  const std::shared_ptr<BuildState>& state() const { return state_; }
  // How long Build() took, once it has succeeded. Any thread.
  uint64_t milliseconds() const {
    return milliseconds_.load(std::memory_order_relaxed);
  }

 private:
  // Keys on their way from the log into the index.
  struct Group {
    struct Key {
      uint64_t head = 0;    // its first bytes
      uint64_t offset = 0;  // in bytes
      uint32_t size = 0;
      format::Location location;
    };
    std::string_view At(const Key& key) const {
      return std::string_view(bytes).substr(key.offset, key.size);
    }

    std::vector<Key> keys;
    std::string bytes;
  };

  void BuildAll();
  absl::Status AddAll();
  // Lists shards from `shard` on, until there is enough; returns the next.
  int List(int shard);
  // Replaces `*group` by the keys of the locations from `begin` on, without
  // those that are forgotten, sorted. Returns where the next group begins.
  absl::StatusOr<size_t> Read(size_t begin, Group* group);
  absl::Status ReadKey(format::Location location, std::string* scratch,
                       Group* group);
  absl::Status Insert(const Group& group);
  absl::Status InsertSome(const Group& group, size_t begin, size_t end);
  // Erases the key again, unless the hash index has it.
  absl::Status Settle(std::string_view key, uint64_t hash);

  const Segment& Owner(format::Location location) const {
    return *owners_[location.segment()];
  }
  bool is_stopped() const { return stopped_.load(std::memory_order_acquire); }
  void AtPoint(BuildPoint point) const;

  const Core& parts_;
  const std::shared_ptr<BuildState> state_;
  // Release: who sees it finds the state ended.
  std::atomic<bool> stopped_{false};
  std::atomic<uint64_t> milliseconds_{0};

  // Of Build() alone.
  std::vector<format::Location> locations_;
  std::vector<std::shared_ptr<const Segment>> owners_;  // by number
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_QUERY_ORDERED_BUILDER_H_
