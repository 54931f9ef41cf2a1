// RocksDB: an LSM tree.

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "bench/compare/engines.h"

namespace peat::bench {
namespace {

void CheckRocksDb(const rocksdb::Status& status) {
  if (!status.ok()) Fail("rocksdb", status.ToString());
}

rocksdb::Slice ToRocksDb(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

std::string_view FromRocksDb(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

class RocksDbSession final : public Session {
 public:
  RocksDbSession(rocksdb::DB* db, bool durable) : db_(db) {
    write_.sync = durable;
  }

  void Put(std::string_view key, std::string_view value) override {
    CheckRocksDb(db_->Put(write_, ToRocksDb(key), ToRocksDb(value)));
  }

  bool Get(std::string_view key, UseValue use) override {
    value_.Reset();
    const rocksdb::Status status =
        db_->Get(read_, db_->DefaultColumnFamily(), ToRocksDb(key), &value_);
    if (status.IsNotFound()) return false;
    CheckRocksDb(status);
    use(FromRocksDb(value_));
    return true;
  }

  void PutBatch(std::span<const Pair> pairs) override {
    batch_.Clear();
    for (const Pair& pair : pairs) {
      CheckRocksDb(batch_.Put(ToRocksDb(pair.key), ToRocksDb(pair.value)));
    }
    CheckRocksDb(db_->Write(write_, &batch_));
  }

  void MultiGet(std::span<const std::string_view> keys,
                UseIndexed use) override {
    slices_.clear();
    for (const std::string_view key : keys) slices_.push_back(ToRocksDb(key));
    values_.resize(keys.size());
    statuses_.resize(keys.size());
    db_->MultiGet(read_, db_->DefaultColumnFamily(), keys.size(),
                  slices_.data(), values_.data(), statuses_.data());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!statuses_[i].IsNotFound()) {
        CheckRocksDb(statuses_[i]);
        use(i, FromRocksDb(values_[i]));
      }
      values_[i].Reset();
    }
  }

  void FinishLoad() override {
    CheckRocksDb(db_->CompactRange({}, nullptr, nullptr));
  }

  void Scan(std::string_view from, int count, UsePair use) override {
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read_));
    it->Seek(ToRocksDb(from));
    for (int i = 0; i < count && it->Valid(); ++i, it->Next()) {
      use(FromRocksDb(it->key()), FromRocksDb(it->value()));
    }
    CheckRocksDb(it->status());
  }

 private:
  rocksdb::DB* const db_;
  rocksdb::WriteOptions write_;
  rocksdb::ReadOptions read_;
  rocksdb::PinnableSlice value_;
  rocksdb::WriteBatch batch_;
  std::vector<rocksdb::Slice> slices_;
  std::vector<rocksdb::PinnableSlice> values_;
  std::vector<rocksdb::Status> statuses_;
};

class RocksDb final : public Engine {
 public:
  explicit RocksDb(const Setup& setup) : durable_(setup.durable) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.IncreaseParallelism(2);
    options.compression = rocksdb::kNoCompression;
    options.write_buffer_size = size_t{64} << 20;
    options.memtable_whole_key_filtering = true;
    options.memtable_prefix_bloom_size_ratio = 0.1;
    options.level_compaction_dynamic_level_bytes = true;
    options.max_open_files = -1;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(setup.cache_bytes);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.data_block_index_type =
        rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    CheckRocksDb(rocksdb::DB::Open(options, setup.directory, &db));
    db_.reset(db);
  }
  ~RocksDb() override { CheckRocksDb(db_->Close()); }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<RocksDbSession>(db_.get(), durable_);
  }

 private:
  const bool durable_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

EngineEntry RocksDbEngine() {
  return {
      .info =
          {.name = "RocksDB",
           .version = absl::StrFormat("%d.%d.%d", ROCKSDB_MAJOR, ROCKSDB_MINOR,
                                      ROCKSDB_PATCH),
           .survives = Survives::kKill,
           .verified = true,
           .ordered = true,
           .power_loss = "everything acknowledged before FlushWAL(sync)",
           .checks = "checksum of a block as it enters the cache",
           .settings =
               "log on, handed to the kernel by each write (kill -9); a block "
               "cache that all data fits in; Bloom filters of 10 bits for "
               "tables and memtables, and a hash index in blocks (point "
               "reads); no compression (values are random); memtables of "
               "64 MiB; dynamic level sizes (less space); two threads for "
               "flushes and compactions (two cores)"},
      .open = [](const Setup& setup) -> std::unique_ptr<Engine> {
        return std::make_unique<RocksDb>(setup);
      }};
}

}  // namespace peat::bench
