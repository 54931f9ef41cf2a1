// What is behind a Store, for the files of api/.

#ifndef PEAT_API_STORE_IMPL_H_
#define PEAT_API_STORE_IMPL_H_

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/engine.h"
#include "peat/masks.h"
#include "peat/store.h"

namespace peat {

// Keeps what an engine of the parent process refers to, for ever.
inline void Abandon(std::shared_ptr<engine::Engine> engine) {
  using Shared = std::shared_ptr<engine::Engine>;
  (void)std::make_unique<Shared>(std::move(engine)).release();
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): on purpose

// Shared with what may outlive the store; closed when the store ends.
class Store::Impl {
 public:
  explicit Impl(std::unique_ptr<engine::Engine> engine)
      : engine_(std::move(engine)) {}
  ~Impl() {
    // In a forked child the locks may be held by threads that do not exist, and
    // the files are the parent's: nothing is touched, and nobody else does.
    if (engine_->is_foreign()) {
      Abandon(std::move(engine_));
    } else {
      (void)engine_->Close();
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  engine::Engine& engine() { return *engine_; }
  const std::shared_ptr<engine::Engine>& shared_engine() { return engine_; }

 private:
  std::shared_ptr<engine::Engine> engine_;
};

// The batch as the engine takes it, looking at `batch`; or why one of its
// operations may not be one.
absl::StatusOr<std::vector<engine::BatchOperation>> OperationsOf(
    const WriteBatch& batch);

// OK, or why a key may not be one.
absl::Status CheckKey(std::string_view key);

// OK, or why `key` cannot be masked for `reason`.
absl::Status CheckMask(std::string_view key, std::string_view reason);

}  // namespace peat

#endif  // PEAT_API_STORE_IMPL_H_
