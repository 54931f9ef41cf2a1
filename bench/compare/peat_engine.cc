// Peat, through its public interface.

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "bench/compare/engines.h"
#include "peat/store.h"

namespace peat::bench {
namespace {

void CheckPeat(const absl::Status& status) {
  if (!status.ok()) Fail("peat", std::string(status.message()));
}

class PeatSession final : public Session {
 public:
  explicit PeatSession(Store* store) : store_(store) {}

  void Put(std::string_view key, std::string_view value) override {
    CheckPeat(store_->Put(key, value));
  }

  bool Get(std::string_view key, UseValue use) override {
    const absl::Status status = store_->Get(key, &value_);
    if (status.ok()) {
      use(value_);
    } else if (!absl::IsNotFound(status)) {
      CheckPeat(status);
    }
    return status.ok();
  }

  bool PutIfAbsent(std::string_view key, std::string_view value) override {
    const absl::StatusOr<bool> inserted = store_->PutIfAbsent(key, value);
    CheckPeat(inserted.status());
    return *inserted;
  }

  void PutBatch(std::span<const Pair> pairs) override {
    batch_.Clear();
    for (const Pair& pair : pairs) batch_.Put(pair.key, pair.value);
    CheckPeat(store_->Write(batch_));
  }

  void MultiGet(std::span<const std::string_view> keys,
                UseIndexed use) override {
    lookups_.resize(keys.size());
    CheckPeat(store_->MultiGet(keys, lookups_));
    for (size_t i = 0; i < keys.size(); ++i) {
      if (lookups_[i].status.ok()) {
        use(i, lookups_[i].value);
      } else if (!absl::IsNotFound(lookups_[i].status)) {
        CheckPeat(lookups_[i].status);
      }
    }
  }

  void FinishLoad() override { CheckPeat(store_->Compact()); }

  void Scan(std::string_view from, int count, UsePair use) override {
    Cursor cursor = store_->Scan(
        {.from = std::string(from), .limit = static_cast<uint64_t>(count)});
    for (; cursor.Valid(); cursor.Next()) use(cursor.key(), cursor.value());
    CheckPeat(cursor.status());
  }

 private:
  Store* const store_;
  std::string value_;
  WriteBatch batch_;
  std::vector<Lookup> lookups_;
};

class Peat final : public Engine {
 public:
  explicit Peat(const Setup& setup) {
    Options options;
    options.ordered = setup.ordered;
    if (setup.durable) options.sync = SyncPolicy::kEveryWrite;
    absl::StatusOr<std::unique_ptr<Store>> store =
        Store::Open(setup.directory, options);
    CheckPeat(store.status());
    store_ = *std::move(store);
  }
  ~Peat() override { CheckPeat(store_->Close()); }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<PeatSession>(store_.get());
  }

 private:
  std::unique_ptr<Store> store_;
};

}  // namespace

EngineEntry PeatEngine() {
  return {.info = {.name = "Peat",
                   .version = "0.1.0",
                   .survives = Survives::kKill,
                   .verified = true,
                   .ordered = true,
                   .power_loss = "everything acknowledged before Flush",
                   .checks = "checksum of header, key and value, each read",
                   .settings =
                       "defaults; ordered index where ranges are asked for; "
                       "sync of every write where writes must be durable"},
          .open = [](const Setup& setup) -> std::unique_ptr<Engine> {
            return std::make_unique<Peat>(setup);
          }};
}

}  // namespace peat::bench
