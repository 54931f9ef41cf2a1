#include "peat/masks.h"

#include "engine/segment/key_state.h"

namespace peat {

bool IsDisabled(const absl::Status& status) {
  return engine::RefusingState(status) == KeyState::kDisabled;
}

bool IsForgotten(const absl::Status& status) {
  return engine::RefusingState(status) == KeyState::kForgotten;
}

}  // namespace peat
