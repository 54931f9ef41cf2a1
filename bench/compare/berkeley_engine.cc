// Berkeley DB: a hash table of pages with a cache, a log and transactions.

#include <db.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "bench/compare/engines.h"

namespace peat::bench {
namespace {

void CheckBerkeley(int result) {
  if (result != 0) Fail("berkeley db", db_strerror(result));
}

DBT ToBerkeley(std::string_view bytes) {
  DBT dbt = {};
  dbt.data = const_cast<char*>(bytes.data());
  dbt.size = static_cast<uint32_t>(bytes.size());
  return dbt;
}

// Calls `work` until no other transaction is in its way.
template <typename Work>
int RetryBerkeley(Work work) {
  int result = 0;
  do result = work();
  while (result == DB_LOCK_DEADLOCK);
  return result;
}

class BerkeleySession final : public Session {
 public:
  BerkeleySession(DB_ENV* environment, DB* pairs, uint64_t value_size)
      : environment_(environment), pairs_(pairs), buffer_(value_size + 64) {}

  void Put(std::string_view key, std::string_view value) override {
    CheckBerkeley(PutOne(nullptr, key, value, 0));
  }

  bool PutIfAbsent(std::string_view key, std::string_view value) override {
    const int result = PutOne(nullptr, key, value, DB_NOOVERWRITE);
    if (result == DB_KEYEXIST) return false;
    CheckBerkeley(result);
    return true;
  }

  void PutBatch(std::span<const Pair> pairs) override {
    CheckBerkeley(RetryBerkeley([&] {
      DB_TXN* transaction = nullptr;
      CheckBerkeley(
          environment_->txn_begin(environment_, nullptr, &transaction, 0));
      for (const Pair& pair : pairs) {
        DBT k = ToBerkeley(pair.key);
        DBT v = ToBerkeley(pair.value);
        const int result = pairs_->put(pairs_, transaction, &k, &v, 0);
        if (result == 0) continue;
        CheckBerkeley(transaction->abort(transaction));
        return result;
      }
      return transaction->commit(transaction, 0);
    }));
  }

  bool Get(std::string_view key, UseValue use) override {
    DBT k = ToBerkeley(key);
    DBT v = {};
    v.data = buffer_.data();
    v.ulen = static_cast<uint32_t>(buffer_.size());
    v.flags = DB_DBT_USERMEM;
    const int result =
        RetryBerkeley([&] { return pairs_->get(pairs_, nullptr, &k, &v, 0); });
    if (result == DB_NOTFOUND) return false;
    CheckBerkeley(result);
    use({buffer_.data(), v.size});
    return true;
  }

 private:
  int PutOne(DB_TXN* transaction, std::string_view key, std::string_view value,
             uint32_t flags) {
    DBT k = ToBerkeley(key);
    DBT v = ToBerkeley(value);
    return RetryBerkeley(
        [&] { return pairs_->put(pairs_, transaction, &k, &v, flags); });
  }

  DB_ENV* const environment_;
  DB* const pairs_;
  std::vector<char> buffer_;
};

// Checkpoints, from a thread of its own, whenever the log has grown.
class Berkeley final : public Engine {
 public:
  explicit Berkeley(const Setup& setup) : value_size_(setup.value_size) {
    OpenEnvironment(setup);
    OpenPairs(setup);
    checkpoints_ = std::thread([this] { Checkpoint(); });
  }
  ~Berkeley() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    checkpoints_.join();
    CheckBerkeley(environment_->txn_checkpoint(environment_, 0, 0, 0));
    CheckBerkeley(pairs_->close(pairs_, 0));
    CheckBerkeley(environment_->close(environment_, 0));
  }
  Berkeley(const Berkeley&) = delete;
  Berkeley& operator=(const Berkeley&) = delete;

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<BerkeleySession>(environment_, pairs_, value_size_);
  }

 private:
  void OpenEnvironment(const Setup& setup) {
    constexpr uint32_t kLocks = 200'000;  // of pages, by all transactions
    CheckBerkeley(db_env_create(&environment_, 0));
    DB_ENV* const env = environment_;
    CheckBerkeley(env->set_cachesize(
        env, static_cast<uint32_t>(setup.cache_bytes >> 30),
        static_cast<uint32_t>(setup.cache_bytes & ((1U << 30) - 1)), 1));
    CheckBerkeley(env->set_lg_bsize(env, 4U << 20));
    CheckBerkeley(env->set_lg_max(env, 64U << 20));
    CheckBerkeley(env->log_set_config(env, DB_LOG_AUTO_REMOVE, 1));
    CheckBerkeley(env->set_lk_max_locks(env, kLocks));
    CheckBerkeley(env->set_lk_max_objects(env, kLocks));
    CheckBerkeley(env->set_lk_detect(env, DB_LOCK_DEFAULT));
    if (!setup.durable) {
      CheckBerkeley(env->set_flags(env, DB_TXN_WRITE_NOSYNC, 1));
    }
    CheckBerkeley(env->open(env, setup.directory.c_str(),
                            DB_CREATE | DB_INIT_TXN | DB_INIT_LOG |
                                DB_INIT_LOCK | DB_INIT_MPOOL | DB_RECOVER |
                                DB_PRIVATE | DB_THREAD,
                            0600));
  }

  void OpenPairs(const Setup& setup) {
    const uint32_t page_size = setup.value_size > 512 ? 8192 : 4096;
    const auto pair_size = static_cast<uint32_t>(16 + setup.value_size + 8);
    CheckBerkeley(db_create(&pairs_, environment_, 0));
    CheckBerkeley(pairs_->set_flags(pairs_, DB_CHKSUM));
    CheckBerkeley(pairs_->set_pagesize(pairs_, page_size));
    CheckBerkeley(pairs_->set_h_ffactor(pairs_, (page_size - 32) / pair_size));
    CheckBerkeley(
        pairs_->set_h_nelem(pairs_, static_cast<uint32_t>(setup.keys)));
    CheckBerkeley(pairs_->open(pairs_, nullptr, "pairs.db", nullptr, DB_HASH,
                               DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, 0600));
  }

  void Checkpoint() {
    constexpr uint32_t kLogKilobytes = 256 << 10;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(100),
                           [this] { return closing_; })) {
      lock.unlock();
      CheckBerkeley(
          environment_->txn_checkpoint(environment_, kLogKilobytes, 0, 0));
      lock.lock();
    }
  }

  const uint64_t value_size_;
  DB_ENV* environment_ = nullptr;
  DB* pairs_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool closing_ = false;
  std::thread checkpoints_;
};

}  // namespace

EngineEntry BerkeleyEngine() {
  return {
      .info =
          {.name = "Berkeley DB",
           .version = absl::StrFormat("%d.%d.%d", DB_VERSION_MAJOR,
                                      DB_VERSION_MINOR, DB_VERSION_PATCH),
           .survives = Survives::kKill,
           .verified = true,
           .ordered = false,
           .power_loss = "everything acknowledged before log_flush",
           .checks = "checksum of a page as it enters the cache (DB_CHKSUM)",
           .settings =
               "hash, sized in advance; transactions with DB_TXN_WRITE_NOSYNC "
               "(the log is handed to the kernel by each commit); a cache that "
               "all data fits in, in the process's memory (DB_PRIVATE); "
               "checkpoints on a thread, every 256 MiB of log; old logs are "
               "removed"},
      .open = [](const Setup& setup) -> std::unique_ptr<Engine> {
        return std::make_unique<Berkeley>(setup);
      }};
}

}  // namespace peat::bench
