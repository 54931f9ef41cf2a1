// What is behind a Store, for the door's own files.

#ifndef PEAT_API_STORE_IMPL_H_
#define PEAT_API_STORE_IMPL_H_

#include <memory>
#include <utility>

#include "engine/engine.h"
#include "peat/store.h"

namespace peat {

class Store::Impl {
 public:
  explicit Impl(std::unique_ptr<engine::Engine> engine)
      : engine_(std::move(engine)) {}
  ~Impl() {
    // In a forked child the locks may be held by threads that do not exist, and
    // the files are the parent's: nothing is touched.
    if (engine_->is_foreign()) (void)engine_.release();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  engine::Engine& engine() { return *engine_; }

 private:
  std::unique_ptr<engine::Engine> engine_;
};

}  // namespace peat

#endif  // PEAT_API_STORE_IMPL_H_
