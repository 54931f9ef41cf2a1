// Tkrzw's HashDBM: a hash table in one mapped file.

#include <tkrzw_dbm_hash.h>
#include <tkrzw_lib_common.h>

#include <cstring>
#include <memory>
#include <string>

#include "bench/compare/engines.h"

namespace peat::bench {
namespace {

void CheckTkrzw(const tkrzw::Status& status) {
  if (status != tkrzw::Status::SUCCESS) Fail("tkrzw", tkrzw::ToString(status));
}

class TkrzwSession final : public Session {
 public:
  TkrzwSession(tkrzw::HashDBM* dbm, bool durable)
      : dbm_(dbm), durable_(durable) {}

  void Put(std::string_view key, std::string_view value) override {
    CheckTkrzw(dbm_->Set(key, value));
    if (durable_) CheckTkrzw(dbm_->Synchronize(true));
  }

  bool PutIfAbsent(std::string_view key, std::string_view value) override {
    const tkrzw::Status status = dbm_->Set(key, value, false);
    if (status == tkrzw::Status::DUPLICATION_ERROR) return false;
    CheckTkrzw(status);
    return true;
  }

  bool Get(std::string_view key, UseValue use) override {
    const tkrzw::Status status = dbm_->Get(key, &value_);
    if (status == tkrzw::Status::NOT_FOUND_ERROR) return false;
    CheckTkrzw(status);
    use(value_);
    return true;
  }

  // There are no batches over several keys that a crash could not cut.
  void PutBatch(std::span<const Pair> pairs) override {
    for (const Pair& pair : pairs) CheckTkrzw(dbm_->Set(pair.key, pair.value));
    if (durable_) CheckTkrzw(dbm_->Synchronize(true));
  }

 private:
  tkrzw::HashDBM* const dbm_;
  const bool durable_;
  std::string value_;
};

class Tkrzw final : public Engine {
 public:
  explicit Tkrzw(const Setup& setup) : durable_(setup.durable) {
    tkrzw::HashDBM::TuningParameters tuning;
    tuning.num_buckets = static_cast<int64_t>(2 * setup.keys + 1);
    CheckTkrzw(dbm_.OpenAdvanced(setup.directory + "/pairs.tkh", true,
                                 tkrzw::File::OPEN_DEFAULT, tuning));
  }
  ~Tkrzw() override { CheckTkrzw(dbm_.Close()); }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<TkrzwSession>(&dbm_, durable_);
  }

 private:
  const bool durable_;
  tkrzw::HashDBM dbm_;
};

}  // namespace

EngineEntry TkrzwEngine() {
  return {
      .info = {.name = "Tkrzw",
               .version = tkrzw::PACKAGE_VERSION,
               .survives = Survives::kUndefined,
               .verified = false,
               .ordered = false,
               .power_loss = "what was there at Synchronize(hard), unless "
                             "something was written since",
               .checks = "nothing",
               .settings = "HashDBM in its default file (mapped, parallel) and "
                           "update mode (in place: the fastest); two buckets a "
                           "key, as its manual advises"},
      .open = [](const Setup& setup) -> std::unique_ptr<Engine> {
        return std::make_unique<Tkrzw>(setup);
      }};
}

}  // namespace peat::bench
