// Kyoto Cabinet's HashDB: a hash table in one file, mapped here.

#include <kchashdb.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/compare/engines.h"

namespace peat::bench {
namespace {

namespace kc = kyotocabinet;

void CheckKyoto(const kc::HashDB& db, bool ok) {
  if (!ok) Fail("kyoto cabinet", db.error().message());
}

// Hands a value on where it lies.
class KyotoReader final : public kc::DB::Visitor {
 public:
  explicit KyotoReader(UseValue use) : use_(use) {}
  bool found() const { return found_; }

 private:
  const char* visit_full(const char*, size_t, const char* value, size_t size,
                         size_t*) override {
    found_ = true;
    use_({value, size});
    return NOP;
  }

  UseValue use_;
  bool found_ = false;
};

class KyotoSession final : public Session {
 public:
  KyotoSession(kc::HashDB* db, bool durable) : db_(db), durable_(durable) {}

  void Put(std::string_view key, std::string_view value) override {
    CheckKyoto(*db_,
               db_->set(key.data(), key.size(), value.data(), value.size()));
    if (durable_) CheckKyoto(*db_, db_->synchronize(true));
  }

  bool PutIfAbsent(std::string_view key, std::string_view value) override {
    if (db_->add(key.data(), key.size(), value.data(), value.size())) {
      return true;
    }
    CheckKyoto(*db_, db_->error() == kc::BasicDB::Error::DUPREC);
    return false;
  }

  bool Get(std::string_view key, UseValue use) override {
    KyotoReader reader(use);
    CheckKyoto(*db_, db_->accept(key.data(), key.size(), &reader, false));
    return reader.found();
  }

  void PutBatch(std::span<const Pair> pairs) override {
    CheckKyoto(*db_, db_->begin_transaction(durable_));
    for (const Pair& pair : pairs) {
      CheckKyoto(*db_, db_->set(pair.key.data(), pair.key.size(),
                                pair.value.data(), pair.value.size()));
    }
    CheckKyoto(*db_, db_->end_transaction(true));
  }

 private:
  kc::HashDB* const db_;
  const bool durable_;
};

class Kyoto final : public Engine {
 public:
  explicit Kyoto(const Setup& setup) : durable_(setup.durable) {
    CheckKyoto(db_, db_.tune_options(kc::HashDB::TLINEAR));
    CheckKyoto(db_, db_.tune_buckets(static_cast<int64_t>(2 * setup.keys + 1)));
    const uint64_t bytes = setup.keys * (64 + setup.value_size);
    CheckKyoto(db_, db_.tune_map(static_cast<int64_t>(2 * bytes + (64 << 20))));
    CheckKyoto(db_, db_.open(setup.directory + "/pairs.kch",
                             kc::HashDB::OWRITER | kc::HashDB::OCREATE));
  }
  ~Kyoto() override { CheckKyoto(db_, db_.close()); }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<KyotoSession>(&db_, durable_);
  }

 private:
  const bool durable_;
  kc::HashDB db_;
};

}  // namespace

EngineEntry KyotoEngine() {
  return {
      .info = {.name = "Kyoto Cabinet",
               .version = kc::VERSION,
               .survives = Survives::kUndefined,
               .verified = false,
               .ordered = false,
               .power_loss = "what was there at synchronize(hard), unless "
                             "something was written since",
               .checks = "nothing",
               .settings = "HashDB, all of its file mapped; two buckets a key "
                           "and linear chains, as its manual advises"},
      .open = [](const Setup& setup) -> std::unique_ptr<Engine> {
        return std::make_unique<Kyoto>(setup);
      }};
}

}  // namespace peat::bench
