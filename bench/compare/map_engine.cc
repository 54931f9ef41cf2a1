// What is no store: a hash map in memory, the ceiling; nothing at all, which
// shows what the driver costs; and the floor of a durable put.

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "bench/compare/engines.h"
#include "bench/floors.h"

namespace peat::bench {
namespace {

// Hashes what looks like a string alike.
struct BytesHash {
  using is_transparent = void;
  size_t operator()(std::string_view bytes) const {
    return std::hash<std::string_view>()(bytes);
  }
};

// Shards with a lock each, which is taken only if there are several threads.
class Map final : public Engine {
 public:
  explicit Map(const Setup& setup) : locked_(setup.threads > 1) {
    for (Shard& shard : shards_) {
      shard.pairs.reserve(setup.keys / shards_.size());
    }
  }

  std::unique_ptr<Session> NewSession() override;

 private:
  friend class MapSession;
  struct Shard {
    std::mutex mutex;
    absl::flat_hash_map<std::string, std::string, BytesHash, std::equal_to<>>
        pairs;
  };

  Shard& ShardOf(std::string_view key) {
    return shards_[static_cast<unsigned char>(key.back()) % shards_.size()];
  }
  std::unique_lock<std::mutex> Lock(Shard& shard) const {
    return locked_ ? std::unique_lock(shard.mutex)
                   : std::unique_lock(shard.mutex, std::defer_lock);
  }

  const bool locked_;
  std::array<Shard, 64> shards_;
};

class MapSession final : public Session {
 public:
  explicit MapSession(Map* map) : map_(map) {}

  void Put(std::string_view key, std::string_view value) override {
    Map::Shard& shard = map_->ShardOf(key);
    const std::unique_lock<std::mutex> lock = map_->Lock(shard);
    shard.pairs.try_emplace(key).first->second.assign(value);
  }

  bool PutIfAbsent(std::string_view key, std::string_view value) override {
    Map::Shard& shard = map_->ShardOf(key);
    const std::unique_lock<std::mutex> lock = map_->Lock(shard);
    return shard.pairs.try_emplace(key, value).second;
  }

  bool Get(std::string_view key, UseValue use) override {
    Map::Shard& shard = map_->ShardOf(key);
    const std::unique_lock<std::mutex> lock = map_->Lock(shard);
    const auto found = shard.pairs.find(key);
    if (found == shard.pairs.end()) return false;
    use(found->second);
    return true;
  }

  void PutBatch(std::span<const Pair> pairs) override {
    for (const Pair& pair : pairs) Put(pair.key, pair.value);
  }

 private:
  Map* const map_;
};

std::unique_ptr<Session> Map::NewSession() {
  return std::make_unique<MapSession>(this);
}

// Hands out one value for whatever is asked.
class NothingSession final : public Session {
 public:
  explicit NothingSession(uint64_t value_size) : value_(value_size, 'v') {}

  void Put(std::string_view, std::string_view) override {}
  bool Get(std::string_view, UseValue use) override {
    use(value_);
    return true;
  }
  bool PutIfAbsent(std::string_view, std::string_view) override {
    return false;
  }
  void PutBatch(std::span<const Pair>) override {}
  void Scan(std::string_view from, int count, UsePair use) override {
    for (int i = 0; i < count; ++i) use(from, value_);
  }

 private:
  const std::string value_;
};

class Nothing final : public Engine {
 public:
  explicit Nothing(const Setup& setup) : value_size_(setup.value_size) {}
  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<NothingSession>(value_size_);
  }

 private:
  const uint64_t value_size_;
};

// A log of pairs and nothing to find them by. Of one thread.
class FloorSession final : public Session {
 public:
  explicit FloorSession(MappedLog* log) : log_(log) {}

  void Put(std::string_view key, std::string_view value) override {
    if (log_->room() < key.size() + value.size()) Fail("floor", "log is full");
    log_->Append(key.data(), key.size());
    log_->Append(value.data(), value.size());
    log_->Sync();
  }
  bool Get(std::string_view, UseValue) override { return false; }
  void PutBatch(std::span<const Pair> pairs) override {
    for (const Pair& pair : pairs) Put(pair.key, pair.value);
  }

 private:
  MappedLog* const log_;
};

class Floor final : public Engine {
 public:
  explicit Floor(const Setup& setup)
      : log_(setup.directory, size_t{64} << 20) {}
  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<FloorSession>(&log_);
  }

 private:
  MappedLog log_;
};

template <typename T>
std::unique_ptr<Engine> OpenAs(const Setup& setup) {
  return std::make_unique<T>(setup);
}

}  // namespace

EngineEntry MapEngine() {
  return {.info = {.name = "hash map",
                   .version = "Abseil's flat_hash_map",
                   .power_loss = "nothing",
                   .checks = "nothing",
                   .settings = "in memory only: the ceiling"},
          .open = OpenAs<Map>};
}

EngineEntry NothingEngine() {
  return {.info = {.name = "nothing",
                   .version = "",
                   .ordered = true,
                   .power_loss = "nothing",
                   .checks = "nothing",
                   .settings = "does nothing: the cost of the driver"},
          .open = OpenAs<Nothing>};
}

EngineEntry FloorEngine() {
  return {.info = {.name = "floor",
                   .version = "",
                   .survives = Survives::kKill,
                   .power_loss = "each write",
                   .checks = "nothing",
                   .settings = "a store into a mapped file and an fdatasync: "
                               "the floor of a durable put by one thread"},
          .open = OpenAs<Floor>};
}

}  // namespace peat::bench
