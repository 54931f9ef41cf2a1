// What is behind a Store, for the files of api/.

#ifndef PEAT_API_STORE_IMPL_H_
#define PEAT_API_STORE_IMPL_H_

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/engine.h"
#include "index/epoch.h"
#include "index/mutex.h"
#include "peat/masks.h"
#include "peat/store.h"

namespace peat {

// Keeps what an engine of the parent process refers to, for ever.
inline void Abandon(std::shared_ptr<engine::Engine> engine) {
  using Shared = std::shared_ptr<engine::Engine>;
  (void)std::make_unique<Shared>(std::move(engine)).release();
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): on purpose

// The engine for one call: Refresh() does not end it before the call has.
class EngineUse final {
 public:
  EngineUse(const std::atomic<engine::Engine*>& engine, bool may_change) {
    if (may_change) guard_.emplace();
    engine_ = engine.load(std::memory_order_acquire);
  }
  EngineUse(const EngineUse&) = delete;
  EngineUse& operator=(const EngineUse&) = delete;

  engine::Engine* operator->() const { return engine_; }
  engine::Engine& operator*() const { return *engine_; }

 private:
  std::optional<index::EpochGuard> guard_;
  engine::Engine* engine_;
};

// Shared with what may outlive the store; closed when the store ends.
class Store::Impl {
 public:
  Impl(std::unique_ptr<engine::Engine> engine, std::filesystem::path path,
       const engine::Config& config)
      : path_(std::move(path)),
        config_(config),
        may_change_(config.access != engine::Access::kReadWrite),
        owner_(std::move(engine)),
        engine_(owner_.get()) {}
  ~Impl() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    // In a forked child the locks may be held by threads that do not exist, and
    // the files are the parent's: nothing is touched, and nobody else does.
    if (owner_->is_foreign()) {
      Abandon(std::move(owner_));
    } else {
      (void)owner_->Close();
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  EngineUse engine() const { return EngineUse(engine_, may_change_); }
  std::shared_ptr<engine::Engine> shared_engine() const
      ABSL_LOCKS_EXCLUDED(mutex_) {
    index::MutexLock lock(&mutex_);
    return owner_;
  }

  // The same as long as the store is, whatever engine it has.
  const std::shared_ptr<const void>& identity() const { return identity_; }

  absl::Status Close() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Refresh() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const std::filesystem::path path_;
  const engine::Config config_;
  const bool may_change_;  // by Refresh()
  const std::shared_ptr<const void> identity_ = std::make_shared<const char>();
  // Held while the store is closed or refreshed.
  mutable index::Mutex mutex_{index::LockRank::kStore};
  std::shared_ptr<engine::Engine> owner_ ABSL_GUARDED_BY(mutex_);
  // Release, so that whoever loads it sees all of the engine.
  std::atomic<engine::Engine*> engine_;
};

// The batch as the engine takes it, looking at `batch`; or why one of its
// operations may not be one.
absl::StatusOr<std::vector<engine::BatchOperation>> OperationsOf(
    const WriteBatch& batch, const engine::Engine& engine);

// OK, or why a key may not be one.
absl::Status CheckKey(std::string_view key);

// OK, or why `key` cannot be masked for `reason`.
absl::Status CheckMask(std::string_view key, std::string_view reason);

}  // namespace peat

#endif  // PEAT_API_STORE_IMPL_H_
