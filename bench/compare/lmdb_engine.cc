// LMDB: a copy-on-write B+ tree in one mapped file.

#include <lmdb.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "bench/compare/engines.h"

namespace peat::bench {
namespace {

void CheckLmdb(int result) {
  if (result != MDB_SUCCESS) Fail("lmdb", mdb_strerror(result));
}

MDB_val ToLmdb(std::string_view bytes) {
  return {.mv_size = bytes.size(), .mv_data = const_cast<char*>(bytes.data())};
}

std::string_view FromLmdb(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

// Reads are transactions that are reset and renewed, LMDB's cheap way, one for
// each call: a program that wants to see what was written since needs that.
class LmdbSession final : public Session {
 public:
  LmdbSession(MDB_env* environment, MDB_dbi pairs)
      : environment_(environment), pairs_(pairs) {
    CheckLmdb(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &reader_));
    CheckLmdb(mdb_cursor_open(reader_, pairs_, &cursor_));
    mdb_txn_reset(reader_);
  }
  ~LmdbSession() override {
    mdb_cursor_close(cursor_);
    mdb_txn_abort(reader_);
  }
  LmdbSession(const LmdbSession&) = delete;
  LmdbSession& operator=(const LmdbSession&) = delete;

  void Put(std::string_view key, std::string_view value) override {
    CheckLmdb(PutOne(key, value, 0));
  }

  bool PutIfAbsent(std::string_view key, std::string_view value) override {
    // A write transaction copies pages only once it changes something.
    const int result = PutOne(key, value, MDB_NOOVERWRITE);
    if (result == MDB_KEYEXIST) return false;
    CheckLmdb(result);
    return true;
  }

  void PutBatch(std::span<const Pair> pairs) override {
    MDB_txn* writer = nullptr;
    CheckLmdb(mdb_txn_begin(environment_, nullptr, 0, &writer));
    for (const Pair& pair : pairs) {
      MDB_val k = ToLmdb(pair.key);
      MDB_val v = ToLmdb(pair.value);
      CheckLmdb(mdb_put(writer, pairs_, &k, &v, 0));
    }
    CheckLmdb(mdb_txn_commit(writer));
  }

  bool Get(std::string_view key, UseValue use) override {
    CheckLmdb(mdb_txn_renew(reader_));
    const bool found = GetOne(key, use);
    mdb_txn_reset(reader_);
    return found;
  }

  void MultiGet(std::span<const std::string_view> keys,
                UseIndexed use) override {
    CheckLmdb(mdb_txn_renew(reader_));
    for (size_t i = 0; i < keys.size(); ++i) {
      GetOne(keys[i], [&](std::string_view value) { use(i, value); });
    }
    mdb_txn_reset(reader_);
  }

  void Scan(std::string_view from, int count, UsePair use) override {
    CheckLmdb(mdb_txn_renew(reader_));
    CheckLmdb(mdb_cursor_renew(reader_, cursor_));
    MDB_val key = ToLmdb(from);
    MDB_val value = {};
    int result = mdb_cursor_get(cursor_, &key, &value, MDB_SET_RANGE);
    for (int i = 0; i < count && result == MDB_SUCCESS; ++i) {
      use(FromLmdb(key), FromLmdb(value));
      result = mdb_cursor_get(cursor_, &key, &value, MDB_NEXT);
    }
    if (result != MDB_NOTFOUND) CheckLmdb(result);
    mdb_txn_reset(reader_);
  }

 private:
  int PutOne(std::string_view key, std::string_view value, unsigned flags) {
    MDB_txn* writer = nullptr;
    CheckLmdb(mdb_txn_begin(environment_, nullptr, 0, &writer));
    MDB_val k = ToLmdb(key);
    MDB_val v = ToLmdb(value);
    const int result = mdb_put(writer, pairs_, &k, &v, flags);
    if (result != MDB_SUCCESS) {
      mdb_txn_abort(writer);
      return result;
    }
    return mdb_txn_commit(writer);
  }

  bool GetOne(std::string_view key, UseValue use) {
    MDB_val k = ToLmdb(key);
    MDB_val v = {};
    const int result = mdb_get(reader_, pairs_, &k, &v);
    if (result == MDB_NOTFOUND) return false;
    CheckLmdb(result);
    use(FromLmdb(v));
    return true;
  }

  MDB_env* const environment_;
  const MDB_dbi pairs_;
  MDB_txn* reader_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
};

class Lmdb final : public Engine {
 public:
  explicit Lmdb(const Setup& setup) {
    // The most the file may grow to; the file is sparse.
    const size_t map_bytes =
        8 * setup.keys * (16 + setup.value_size) + (size_t{1} << 30);
    CheckLmdb(mdb_env_create(&environment_));
    CheckLmdb(mdb_env_set_mapsize(environment_, map_bytes));
    // Without MDB_NOSYNC each commit is an msync.
    const unsigned flags =
        MDB_WRITEMAP | MDB_NOMEMINIT | MDB_NORDAHEAD | MDB_NOTLS;
    CheckLmdb(mdb_env_open(environment_, setup.directory.c_str(),
                           setup.durable ? flags : flags | MDB_NOSYNC, 0600));
    MDB_txn* writer = nullptr;
    CheckLmdb(mdb_txn_begin(environment_, nullptr, 0, &writer));
    CheckLmdb(mdb_dbi_open(writer, nullptr, 0, &pairs_));
    CheckLmdb(mdb_txn_commit(writer));
  }
  ~Lmdb() override {
    CheckLmdb(mdb_env_sync(environment_, 1));
    mdb_env_close(environment_);
  }
  Lmdb(const Lmdb&) = delete;
  Lmdb& operator=(const Lmdb&) = delete;

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<LmdbSession>(environment_, pairs_);
  }

 private:
  MDB_env* environment_ = nullptr;
  MDB_dbi pairs_ = 0;
};

}  // namespace

EngineEntry LmdbEngine() {
  return {
      .info =
          {.name = "LMDB",
           .version = absl::StrFormat("%d.%d.%d", MDB_VERSION_MAJOR,
                                      MDB_VERSION_MINOR, MDB_VERSION_PATCH),
           .survives = Survives::kKill,
           .verified = false,
           .ordered = true,
           .power_loss =
               "what was there at mdb_env_sync, unless something was "
               "written since; then the file may be damaged (MDB_NOSYNC)",
           .checks = "nothing",
           .settings =
               "MDB_WRITEMAP and MDB_NOSYNC (a commit is a store into the "
               "mapping, which survives kill -9); MDB_NOMEMINIT (no page is "
               "cleared first); MDB_NORDAHEAD (random reads); reads renew a "
               "transaction each; durable: without MDB_NOSYNC"},
      .open = [](const Setup& setup) -> std::unique_ptr<Engine> {
        return std::make_unique<Lmdb>(setup);
      }};
}

}  // namespace peat::bench
