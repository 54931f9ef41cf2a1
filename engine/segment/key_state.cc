#include "engine/segment/key_state.h"

#include <optional>

#include "absl/strings/cord.h"
#include "format/check.h"

namespace peat::engine {
namespace {

constexpr char kPayloadUrl[] = "peat/refused-by-key-state";
constexpr char kDisabled[] = "disabled";
constexpr char kForgotten[] = "forgotten";

}  // namespace

absl::Status StatusOf(Ruling ruling, KeyState state) {
  if (ruling == Ruling::kNotFound) return absl::NotFoundError("");
  PEAT_CHECK(ruling == Ruling::kRefused);
  PEAT_CHECK(state == KeyState::kDisabled || state == KeyState::kForgotten);
  const bool is_disabled = state == KeyState::kDisabled;
  absl::Status status = absl::FailedPreconditionError(
      is_disabled ? "the key is disabled" : "the key is forgotten");
  status.SetPayload(kPayloadUrl,
                    absl::Cord(is_disabled ? kDisabled : kForgotten));
  return status;
}

KeyState RefusingState(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return KeyState::kAbsent;
  return *payload == kDisabled ? KeyState::kDisabled : KeyState::kForgotten;
}

}  // namespace peat::engine
