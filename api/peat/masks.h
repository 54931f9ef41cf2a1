// The life cycle of a key, and what is said when it is changed.
//
// A key is absent, live, disabled (readable, no longer writable) or forgotten
// (neither readable nor writable, while what was stored stays in the log for
// audit). docs/masks.md tells what that means and what it does not.

#ifndef PEAT_API_PEAT_MASKS_H_
#define PEAT_API_PEAT_MASKS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "peat/time.h"

namespace peat {

// What may be done with a key: the table in peat/store.h says it for each call.
enum class KeyState : uint8_t { kAbsent, kLive, kDisabled, kForgotten };

// What Store::Describe() knows of a key.
struct KeyInfo {
  KeyState state = KeyState::kAbsent;  // as Store::State() tells it
  // Of its newest write, be it a put or a mask; 0 if it is absent.
  uint64_t lsn = 0;
  uint64_t value_size = 0;  // of what Get() would return
  // When its value expires; of a disabled key, once it is enabled again.
  std::optional<Time> expires_at = {};
};

// Whether `status` is a write's refusal because its key is disabled; its code
// is FailedPrecondition.
bool IsDisabled(const absl::Status& status);
// Whether `status` is a write's refusal because its key is forgotten; its code
// is FailedPrecondition.
bool IsForgotten(const absl::Status& status);

// What is kept with a mask besides its key.
struct MaskOptions {
  // Why: kept with the mask for ever, and shown by the audit reader alone. Any
  // bytes, up to 64 KiB (InvalidArgument).
  std::string reason = {};
};

// BLAKE2b-256 (RFC 7693).
using Digest = std::array<std::byte, 32>;

// What Forget() has forgotten: an auditor can verify with it, later, that what
// is kept is what was forgotten. It counts once its lsn is durable.
struct ForgetReceipt {
  std::array<std::byte, 16> store_id = {};  // of the store that forgot it
  uint64_t lsn = 0;                         // of the forget
  // Of the key. Missing, as the next, if the key was forgotten already: the
  // audit reader makes the whole receipt again.
  std::optional<Digest> key_digest = {};
  // Of the value. Missing also if the key had none.
  std::optional<Digest> value_digest = {};

  friend bool operator==(const ForgetReceipt&, const ForgetReceipt&) = default;
};

// How Store::ForgetAll() forgets.
struct ForgetAllOptions {
  std::string reason = {};  // as in MaskOptions
  // Only count what would be forgotten.
  bool dry_run = false;
  // Called with the receipt of each key, once its batch is written, on the
  // thread of the call.
  std::function<void(std::string_view key, const ForgetReceipt& receipt)>
      on_receipt = {};
};

// What Store::ForgetAll() has forgotten, or would have.
struct ForgetAllResult {
  uint64_t key_count = 0;   // keys that were live or disabled
  uint64_t byte_count = 0;  // of these keys and their values
};

}  // namespace peat

#endif  // PEAT_API_PEAT_MASKS_H_
