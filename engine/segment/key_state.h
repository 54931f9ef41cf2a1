// The life cycle of a key: absent -> live -> disabled -> forgotten, and what
// each call does in each state. The one place that decides it: every write
// names its Operation and asks here.
//
// Pure functions, safe from any thread.

#ifndef PEAT_ENGINE_SEGMENT_KEY_STATE_H_
#define PEAT_ENGINE_SEGMENT_KEY_STATE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "engine/segment/seeded_bug.h"
#include "format/mask.h"
#include "format/record.h"
#include "peat/masks.h"

namespace peat::engine {

using peat::KeyState;

// The state that a record leaves its key in.
constexpr KeyState StateAfter(format::RecordKind kind) {
  switch (kind) {
    case format::RecordKind::kPut:
    case format::RecordKind::kEnable:
      return KeyState::kLive;
    case format::RecordKind::kDisable:
      return KeyState::kDisabled;
    case format::RecordKind::kForget:
      return KeyState::kForgotten;
    default:
      return KeyState::kAbsent;
  }
}

// The time from which on the key of a verified record is absent; kNever: it
// stays as it is. What is disabled or forgotten does not expire.
inline format::Millis LiveUntil(const format::Record& record) {
  return StateAfter(record.header.kind) == KeyState::kLive
             ? format::ExpiryOf(record)
             : format::kNever;
}

// Whether a put that expires at `expiry`, and supersedes `old`, hides something
// that would show again if nothing were left of it then (kFlagShadowsLonger).
// An enable record hides a disable record, which never expires.
inline bool HidesLonger(const format::Record& old, format::Millis expiry) {
  return old.header.kind != format::RecordKind::kPut ||
         format::ExpiryOf(old) > expiry ||
         (old.header.flags & format::kFlagShadowsLonger) != 0;
}

// Whether reads find a key in this state.
constexpr bool IsReadable(KeyState state) {
  return state == KeyState::kLive || state == KeyState::kDisabled;
}

// What a caller wants to do to a key.
enum class Operation : uint8_t {
  kPut,
  kPutIfAbsent,
  kUpdate,
  kCompareAndSet,
  kDelete,
  kDisable,
  kEnable,
  kForget,
  kModify,
};

enum class Ruling : uint8_t {
  kProceed,   // by the call's own conditions
  kNoChange,  // the call succeeds and writes nothing
  kNotFound,
  kRefused,
};

inline Ruling RulingOn(Operation operation, KeyState state) {
  using enum Ruling;
  if (HasBug(Bug::kEnableUnforgets) && operation == Operation::kEnable &&
      state == KeyState::kForgotten) {
    return kProceed;
  }
  // By operation, then by state: absent, live, disabled, forgotten.
  constexpr std::array<std::array<Ruling, 4>, 9> kRulings = {{
      {kProceed, kProceed, kRefused, kRefused},    // Put
      {kProceed, kNoChange, kNoChange, kRefused},  // PutIfAbsent
      {kProceed, kProceed, kRefused, kRefused},    // Update
      {kProceed, kProceed, kRefused, kRefused},    // CompareAndSet
      {kNoChange, kProceed, kRefused, kRefused},   // Delete
      {kNotFound, kProceed, kNoChange, kRefused},  // Disable
      {kNotFound, kNoChange, kProceed, kRefused},  // Enable
      {kProceed, kProceed, kProceed, kNoChange},   // Forget
      {kProceed, kProceed, kRefused, kRefused},    // Modify
  }};
  return kRulings[static_cast<size_t>(operation)][static_cast<size_t>(state)];
}

// The kind of record that the operation writes.
constexpr format::RecordKind RecordKindOf(Operation operation) {
  switch (operation) {
    case Operation::kDelete:
      return format::RecordKind::kTombstone;
    case Operation::kDisable:
      return format::RecordKind::kDisable;
    case Operation::kEnable:
      return format::RecordKind::kEnable;
    case Operation::kForget:
      return format::RecordKind::kForget;
    default:
      return format::RecordKind::kPut;
  }
}

// Whether the operation goes on while the disk is full, out of the reserve.
constexpr bool RemovesData(Operation operation) {
  return operation == Operation::kDelete || operation == Operation::kForget;
}

// The answer of a ruling that is kNotFound or kRefused. A refusal is
// FailedPrecondition, with a payload that says which state it was.
absl::Status StatusOf(Ruling ruling, KeyState state);

// kDisabled or kForgotten if `status` is such a refusal, else kAbsent.
KeyState RefusingState(const absl::Status& status);

// Whether the index may lead to a record of this kind: one that a key has.
constexpr bool MayBeIndexed(format::RecordKind kind) {
  return kind == format::RecordKind::kPut || format::IsMask(kind);
}

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SEGMENT_KEY_STATE_H_
