// LevelDB: an LSM tree.

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "bench/compare/engines.h"

namespace peat::bench {
namespace {

void CheckLevelDb(const leveldb::Status& status) {
  if (!status.ok()) Fail("leveldb", status.ToString());
}

leveldb::Slice ToLevelDb(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

std::string_view FromLevelDb(const leveldb::Slice& slice) {
  return {slice.data(), slice.size()};
}

class LevelDbSession final : public Session {
 public:
  LevelDbSession(leveldb::DB* db, bool durable) : db_(db) {
    write_.sync = durable;
  }

  void Put(std::string_view key, std::string_view value) override {
    CheckLevelDb(db_->Put(write_, ToLevelDb(key), ToLevelDb(value)));
  }

  bool Get(std::string_view key, UseValue use) override {
    const leveldb::Status status = db_->Get(read_, ToLevelDb(key), &value_);
    if (status.IsNotFound()) return false;
    CheckLevelDb(status);
    use(value_);
    return true;
  }

  void PutBatch(std::span<const Pair> pairs) override {
    batch_.Clear();
    for (const Pair& pair : pairs) {
      batch_.Put(ToLevelDb(pair.key), ToLevelDb(pair.value));
    }
    CheckLevelDb(db_->Write(write_, &batch_));
  }

  void FinishLoad() override { db_->CompactRange(nullptr, nullptr); }

  void Scan(std::string_view from, int count, UsePair use) override {
    const std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(read_));
    it->Seek(ToLevelDb(from));
    for (int i = 0; i < count && it->Valid(); ++i, it->Next()) {
      use(FromLevelDb(it->key()), FromLevelDb(it->value()));
    }
    CheckLevelDb(it->status());
  }

 private:
  leveldb::DB* const db_;
  leveldb::WriteOptions write_;
  leveldb::ReadOptions read_;
  std::string value_;
  leveldb::WriteBatch batch_;
};

class LevelDb final : public Engine {
 public:
  explicit LevelDb(const Setup& setup)
      : durable_(setup.durable),
        cache_(leveldb::NewLRUCache(setup.cache_bytes)),
        filter_(leveldb::NewBloomFilterPolicy(10)) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.compression = leveldb::kNoCompression;
    options.write_buffer_size = size_t{64} << 20;
    options.max_file_size = size_t{16} << 20;
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    leveldb::DB* db = nullptr;
    CheckLevelDb(leveldb::DB::Open(options, setup.directory, &db));
    db_.reset(db);
  }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<LevelDbSession>(db_.get(), durable_);
  }

 private:
  const bool durable_;
  const std::unique_ptr<leveldb::Cache> cache_;
  const std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace

EngineEntry LevelDbEngine() {
  return {
      .info = {.name = "LevelDB",
               .version = absl::StrFormat("%d.%d", leveldb::kMajorVersion,
                                          leveldb::kMinorVersion),
               .survives = Survives::kKill,
               .verified = false,
               .ordered = true,
               .power_loss = "everything acknowledged before a synced write",
               .checks = "nothing (its default; verify_checksums would)",
               .settings =
                   "log on, handed to the kernel by each write; a block cache "
                   "that all data fits in; Bloom filters of 10 bits; no "
                   "compression (values are random); memtables of 64 MiB and "
                   "files of 16 MiB (fewer compactions and files)"},
      .open = [](const Setup& setup) -> std::unique_ptr<Engine> {
        return std::make_unique<LevelDb>(setup);
      }};
}

}  // namespace peat::bench
