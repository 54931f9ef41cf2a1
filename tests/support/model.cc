#include "tests/support/model.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "format/check.h"

namespace peat::testing {
namespace {

uint64_t Mix(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

uint64_t Hash(std::string_view bytes) {
  return std::hash<std::string_view>()(bytes);
}

format::RecordKind KindOf(Operation operation) {
  switch (operation) {
    case Operation::kDisable:
      return format::RecordKind::kDisable;
    case Operation::kEnable:
      return format::RecordKind::kEnable;
    default:
      return format::RecordKind::kForget;
  }
}

bool IsReadable(const ModelKey* key) {
  return key != nullptr && key->state != KeyState::kForgotten;
}

}  // namespace

uint64_t Fingerprint(std::string_view key, const ModelKey& content) {
  const uint64_t value =
      content.value.has_value() ? Hash(*content.value) : 0x5eed;
  return Mix(Hash(key) * 0x9e3779b97f4a7c15 + value +
             static_cast<uint64_t>(content.state) * 0x632be59bd9b4e019);
}

uint64_t MaskFingerprint(std::string_view key, format::RecordKind kind,
                         uint64_t lsn, std::string_view reason) {
  return Mix(Mix(Hash(key) + lsn) + Hash(reason) +
             static_cast<uint64_t>(kind) * 0x9e3779b97f4a7c15);
}

Model::Model() : marks_(1) {}

ModelAnswer Model::AnswerTo(const ModelUnit& unit) const {
  ModelState state;  // of the keys that matter
  for (const ModelWrite& write : unit) {
    const auto at = state_.find(write.key);
    if (at != state_.end()) state.insert(*at);
  }
  Mark mark;
  return Apply(unit, &state, &mark);
}

void Model::Add(ModelUnit unit) {
  Mark mark = marks_.back();
  (void)Apply(unit, &state_, &mark);
  units_.push_back(std::move(unit));
  marks_.push_back(mark);
}

ModelAnswer Model::Apply(const ModelUnit& unit, ModelState* state, Mark* mark) {
  // A copy of what the unit touches, to take it back.
  std::map<std::string, std::optional<ModelKey>> before;
  const Mark mark_before = *mark;
  for (const ModelWrite& write : unit) {
    const auto at = state->find(write.key);
    before.try_emplace(write.key, at == state->end()
                                      ? std::nullopt
                                      : std::optional<ModelKey>(at->second));
    const ModelAnswer answer = ApplyOne(write, state, mark);
    if (answer == ModelAnswer::kDone) continue;
    for (const auto& [key, content] : before) {
      state->erase(key);
      if (content.has_value()) state->emplace(key, *content);
    }
    *mark = mark_before;
    return answer;
  }
  return ModelAnswer::kDone;
}

// A key's life, told once more than engine/segment/key_state.h tells it.
ModelAnswer Model::ApplyOne(const ModelWrite& write, ModelState* state,
                            Mark* mark) {
  const auto at = state->find(write.key);
  const ModelKey* const old = at == state->end() ? nullptr : &at->second;
  const bool is_forget = write.operation == Operation::kForget;
  const bool is_enable = write.operation == Operation::kEnable;
  const bool is_disable = write.operation == Operation::kDisable;
  if (old != nullptr && old->state == KeyState::kForgotten) {
    return is_forget ? ModelAnswer::kDone : ModelAnswer::kForgotten;
  }
  const bool is_disabled = old != nullptr && old->state == KeyState::kDisabled;
  if (is_disabled && !is_forget && !is_enable && !is_disable) {
    return ModelAnswer::kDisabled;
  }
  if ((is_disable || is_enable) && old == nullptr) {
    return ModelAnswer::kNotFound;
  }
  if (is_disable && is_disabled) return ModelAnswer::kDone;
  if (is_enable && !is_disabled) return ModelAnswer::kDone;
  if (write.operation == Operation::kDelete && old == nullptr) {
    return ModelAnswer::kDone;
  }

  ++mark->last_lsn;
  if (IsReadable(old)) --mark->key_count;
  if (old != nullptr) mark->fingerprint -= Fingerprint(write.key, *old);
  ModelKey next;
  if (old != nullptr) next.value = old->value;
  if (is_forget || is_enable || is_disable) {
    next.state = is_forget    ? KeyState::kForgotten
                 : is_disable ? KeyState::kDisabled
                              : KeyState::kLive;
    mark->fingerprint += MaskFingerprint(write.key, KindOf(write.operation),
                                         mark->last_lsn, write.reason);
  } else if (write.operation == Operation::kDelete) {
    state->erase(at);
    return ModelAnswer::kDone;
  } else {
    next.value = write.value;
  }
  mark->fingerprint += Fingerprint(write.key, next);
  if (IsReadable(&next)) ++mark->key_count;
  (*state)[write.key] = std::move(next);
  return ModelAnswer::kDone;
}

std::optional<size_t> Model::PrefixOf(uint64_t lsn) const {
  const auto after = std::upper_bound(
      marks_.begin(), marks_.end(), lsn,
      [](uint64_t wanted, const Mark& mark) { return wanted < mark.last_lsn; });
  PEAT_CHECK(after != marks_.begin());
  const auto at = std::prev(after);
  if (at->last_lsn != lsn) return std::nullopt;
  return static_cast<size_t>(at - marks_.begin());
}

void Model::CutTo(size_t count) {
  PEAT_CHECK(count <= units_.size());
  if (count == units_.size()) return;
  state_ = StateAt(count);
  units_.resize(count);
  marks_.resize(count + 1);
}

const std::string* Model::ValueOf(const std::string& key) const {
  const auto at = state_.find(key);
  if (at == state_.end() || !IsReadable(&at->second)) return nullptr;
  return &*at->second.value;
}

KeyState Model::StateOf(const std::string& key) const {
  const auto at = state_.find(key);
  return at == state_.end() ? KeyState::kAbsent : at->second.state;
}

ModelState Model::StateAt(size_t count) const {
  PEAT_CHECK(count <= units_.size());
  ModelState state;
  Mark mark;
  for (size_t i = 0; i < count; ++i) (void)Apply(units_[i], &state, &mark);
  PEAT_CHECK(mark.fingerprint == marks_[count].fingerprint);
  return state;
}

}  // namespace peat::testing
