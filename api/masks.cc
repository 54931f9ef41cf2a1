#include "peat/masks.h"

#include "engine/segment/key_state.h"

namespace peat {

bool IsDisabled(const absl::Status& status) {
  return engine::RefusingState(status) == engine::KeyState::kDisabled;
}

bool IsForgotten(const absl::Status& status) {
  return engine::RefusingState(status) == engine::KeyState::kForgotten;
}

}  // namespace peat
