// WiredTiger: a B+ tree with a cache and a log.

#include <wiredtiger.h>

#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "bench/compare/engines.h"

namespace peat::bench {
namespace {

void CheckWiredTiger(int result) {
  if (result != 0) Fail("wiredtiger", wiredtiger_strerror(result));
}

std::string_view FromWiredTiger(const WT_ITEM& bytes) {
  return {static_cast<const char*>(bytes.data), bytes.size};
}

// Calls `write` until no other writer is in its way.
template <typename Write>
int RetryWiredTiger(Write write) {
  int result = 0;
  do result = write();
  while (result == WT_ROLLBACK);
  return result;
}

class WiredTigerSession final : public Session {
 public:
  explicit WiredTigerSession(WT_CONNECTION* connection) {
    CheckWiredTiger(
        connection->open_session(connection, nullptr, nullptr, &session_));
    CheckWiredTiger(session_->open_cursor(session_, "table:pairs", nullptr,
                                          nullptr, &pairs_));
    CheckWiredTiger(session_->open_cursor(session_, "table:pairs", nullptr,
                                          "overwrite=false", &absent_));
  }
  ~WiredTigerSession() override {
    CheckWiredTiger(session_->close(session_, nullptr));
  }
  WiredTigerSession(const WiredTigerSession&) = delete;
  WiredTigerSession& operator=(const WiredTigerSession&) = delete;

  void Put(std::string_view key, std::string_view value) override {
    CheckWiredTiger(
        RetryWiredTiger([&] { return Insert(pairs_, key, value); }));
  }

  bool PutIfAbsent(std::string_view key, std::string_view value) override {
    const int result =
        RetryWiredTiger([&] { return Insert(absent_, key, value); });
    if (result == WT_DUPLICATE_KEY) {
      CheckWiredTiger(absent_->reset(absent_));
      return false;
    }
    CheckWiredTiger(result);
    return true;
  }

  void PutBatch(std::span<const Pair> pairs) override {
    CheckWiredTiger(RetryWiredTiger([&] {
      CheckWiredTiger(session_->begin_transaction(session_, nullptr));
      for (const Pair& pair : pairs) {
        const int result = Insert(pairs_, pair.key, pair.value);
        if (result == 0) continue;
        CheckWiredTiger(session_->rollback_transaction(session_, nullptr));
        return result;
      }
      return session_->commit_transaction(session_, nullptr);
    }));
  }

  bool Get(std::string_view key, UseValue use) override {
    SetKey(pairs_, key);
    const int result = pairs_->search(pairs_);
    if (result == WT_NOTFOUND) return false;
    CheckWiredTiger(result);
    WT_ITEM value = {};
    CheckWiredTiger(pairs_->get_value(pairs_, &value));
    use(FromWiredTiger(value));
    // Gives the page back, so that it can leave the cache.
    CheckWiredTiger(pairs_->reset(pairs_));
    return true;
  }

  void MultiGet(std::span<const std::string_view> keys,
                UseIndexed use) override {
    CheckWiredTiger(session_->begin_transaction(session_, nullptr));
    Session::MultiGet(keys, use);
    CheckWiredTiger(session_->commit_transaction(session_, nullptr));
  }

  void Scan(std::string_view from, int count, UsePair use) override {
    SetKey(pairs_, from);
    int where = 0;
    int result = pairs_->search_near(pairs_, &where);
    if (result == 0 && where < 0) result = pairs_->next(pairs_);
    for (int i = 0; i < count && result == 0; ++i) {
      WT_ITEM key = {};
      WT_ITEM value = {};
      CheckWiredTiger(pairs_->get_key(pairs_, &key));
      CheckWiredTiger(pairs_->get_value(pairs_, &value));
      use(FromWiredTiger(key), FromWiredTiger(value));
      result = pairs_->next(pairs_);
    }
    if (result != WT_NOTFOUND) CheckWiredTiger(result);
    CheckWiredTiger(pairs_->reset(pairs_));
  }

 private:
  static void SetKey(WT_CURSOR* cursor, std::string_view key) {
    WT_ITEM item = {};
    item.data = key.data();
    item.size = key.size();
    cursor->set_key(cursor, &item);
  }

  static int Insert(WT_CURSOR* cursor, std::string_view key,
                    std::string_view value) {
    SetKey(cursor, key);
    WT_ITEM item = {};
    item.data = value.data();
    item.size = value.size();
    cursor->set_value(cursor, &item);
    return cursor->insert(cursor);
  }

  WT_SESSION* session_ = nullptr;
  WT_CURSOR* pairs_ = nullptr;
  WT_CURSOR* absent_ = nullptr;
};

class WiredTiger final : public Engine {
 public:
  explicit WiredTiger(const Setup& setup) {
    const std::string config = absl::StrFormat(
        "create,cache_size=%d,log=(enabled,file_max=128MB),"
        "transaction_sync=(enabled,method=%s),checkpoint=(wait=60,log_size=2GB)"
        ",eviction_dirty_target=80,eviction_dirty_trigger=95",
        setup.cache_bytes, setup.durable ? "fsync" : "none");
    CheckWiredTiger(wiredtiger_open(setup.directory.c_str(), nullptr,
                                    config.c_str(), &connection_));
    WT_SESSION* session = nullptr;
    CheckWiredTiger(
        connection_->open_session(connection_, nullptr, nullptr, &session));
    CheckWiredTiger(session->create(
        session, "table:pairs",
        "key_format=u,value_format=u,checksum=on,memory_page_max=10MB"));
    CheckWiredTiger(session->close(session, nullptr));
  }
  ~WiredTiger() override {
    CheckWiredTiger(connection_->close(connection_, nullptr));
  }
  WiredTiger(const WiredTiger&) = delete;
  WiredTiger& operator=(const WiredTiger&) = delete;

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<WiredTigerSession>(connection_);
  }

 private:
  WT_CONNECTION* connection_ = nullptr;
};

}  // namespace

EngineEntry WiredTigerEngine() {
  return {
      .info =
          {.name = "WiredTiger",
           .version = absl::StrFormat("%d.%d.%d", WIREDTIGER_VERSION_MAJOR,
                                      WIREDTIGER_VERSION_MINOR,
                                      WIREDTIGER_VERSION_PATCH),
           .survives = Survives::kKill,
           .verified = true,
           .ordered = true,
           .power_loss = "everything acknowledged before log_flush",
           .checks = "checksum of a page as it enters the cache",
           .settings =
               "log on, in files of 128 MB that are allocated in advance, "
               "handed to the kernel by each commit "
               "(transaction_sync=(enabled,method=none)); a cache that all "
               "data fits in, of which a fifth may be dirty before eviction "
               "writes (fewer writes); a checkpoint a minute; pages in memory "
               "up to 10 MB, as MongoDB has them"},
      .open = [](const Setup& setup) -> std::unique_ptr<Engine> {
        return std::make_unique<WiredTiger>(setup);
      }};
}

}  // namespace peat::bench
