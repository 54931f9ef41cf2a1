#include "bench/rivals.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "bench/workload.h"

#if PEAT_BENCH_LMDB
#include <lmdb.h>
#endif
#if PEAT_BENCH_ROCKSDB
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#endif

namespace peat::bench {

#if PEAT_BENCH_LMDB
namespace {

void CheckLmdb(int result) {
  if (result == MDB_SUCCESS) return;
  std::fprintf(stderr, "lmdb: %s\n", mdb_strerror(result));
  std::exit(1);
}

MDB_val ToLmdb(std::string_view bytes) {
  return {.mv_size = bytes.size(), .mv_data = const_cast<char*>(bytes.data())};
}

std::string_view FromLmdb(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

// One read transaction a range, as a program needs that wants to see what was
// written since; reset and renewed, which is LMDB's cheap way.
class Lmdb final : public Rival {
 public:
  explicit Lmdb(const std::string& path) {
    std::filesystem::create_directories(path);
    CheckLmdb(mdb_env_create(&environment_));
    CheckLmdb(mdb_env_set_mapsize(environment_, size_t{64} << 30));
    CheckLmdb(mdb_env_open(environment_, path.c_str(),
                           MDB_NOSYNC | MDB_WRITEMAP, 0600));
  }
  ~Lmdb() override {
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
    if (reader_ != nullptr) mdb_txn_abort(reader_);
    mdb_env_close(environment_);
  }
  Lmdb(const Lmdb&) = delete;
  Lmdb& operator=(const Lmdb&) = delete;

  const char* name() const override { return "LMDB"; }

  void Load(uint64_t count) override {
    constexpr uint64_t kBatch = 10'000;
    for (uint64_t i = 0; i < count;) {
      MDB_txn* writer = nullptr;
      CheckLmdb(mdb_txn_begin(environment_, nullptr, 0, &writer));
      CheckLmdb(mdb_dbi_open(writer, nullptr, 0, &pairs_));
      for (uint64_t end = std::min(i + kBatch, count); i < end; ++i) {
        const Key key(i);
        MDB_val k = ToLmdb(key);
        MDB_val v = ToLmdb(Value());
        CheckLmdb(mdb_put(writer, pairs_, &k, &v, 0));
      }
      CheckLmdb(mdb_txn_commit(writer));
    }
    CheckLmdb(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &reader_));
    CheckLmdb(mdb_cursor_open(reader_, pairs_, &cursor_));
  }

  void Range(std::string_view from, int count, Use use) override {
    mdb_txn_reset(reader_);
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
  }

 private:
  MDB_env* environment_ = nullptr;
  MDB_dbi pairs_ = 0;
  MDB_txn* reader_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
};

}  // namespace

std::unique_ptr<Rival> OpenLmdb(const std::string& path) {
  return std::make_unique<Lmdb>(path);
}
#else
std::unique_ptr<Rival> OpenLmdb(const std::string&) {
  std::puts("LMDB is left out: liblmdb-dev was not there at the build");
  return nullptr;
}
#endif

#if PEAT_BENCH_ROCKSDB
namespace {

void CheckRocksDb(const rocksdb::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "rocksdb: %s\n", status.ToString().c_str());
  std::exit(1);
}

rocksdb::Slice ToSlice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

std::string_view FromSlice(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// Its defaults, without a log on writing, and a cache that all blocks fit in
// uncompressed; compacted after loading, which is its best case.
class RocksDb final : public Rival {
 public:
  explicit RocksDb(const std::string& path) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(size_t{2} << 30);
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    CheckRocksDb(rocksdb::DB::Open(options, path, &db));
    db_.reset(db);
  }
  const char* name() const override { return "RocksDB"; }

  void Load(uint64_t count) override {
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    for (uint64_t i = 0; i < count; ++i) {
      CheckRocksDb(db_->Put(options, ToSlice(Key(i)), ToSlice(Value())));
    }
    CheckRocksDb(db_->CompactRange({}, nullptr, nullptr));
  }

  void Range(std::string_view from, int count, Use use) override {
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
    it->Seek(ToSlice(from));
    for (int i = 0; i < count && it->Valid(); ++i, it->Next()) {
      use(FromSlice(it->key()), FromSlice(it->value()));
    }
    CheckRocksDb(it->status());
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<Rival> OpenRocksDb(const std::string& path) {
  return std::make_unique<RocksDb>(path);
}
#else
std::unique_ptr<Rival> OpenRocksDb(const std::string&) {
  std::puts("RocksDB is left out: librocksdb-dev was not there at the build");
  return nullptr;
}
#endif

}  // namespace peat::bench
