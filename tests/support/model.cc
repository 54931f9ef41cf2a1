#include "tests/support/model.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "format/check.h"

namespace peat::testing {

uint64_t Fingerprint(std::string_view key, std::string_view value) {
  const std::hash<std::string_view> hash;
  uint64_t mixed = hash(key) * 0x9e3779b97f4a7c15 + hash(value);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

Model::Model() : marks_(1) {}

void Model::Add(ModelUnit unit) {
  Mark mark = marks_.back();
  mark.last_lsn += Apply(unit, &state_, &mark.fingerprint);
  mark.key_count = state_.size();
  units_.push_back(std::move(unit));
  marks_.push_back(mark);
}

uint64_t Model::Apply(const ModelUnit& unit,
                      std::map<std::string, std::string>* state,
                      uint64_t* fingerprint) {
  uint64_t records = 0;
  for (const ModelWrite& write : unit) {
    const auto at = state->find(write.key);
    if (at != state->end()) {
      *fingerprint -= Fingerprint(at->first, at->second);
    }
    if (write.is_put) {
      *fingerprint += Fingerprint(write.key, write.value);
      (*state)[write.key] = write.value;
      ++records;
    } else if (at != state->end()) {
      state->erase(at);
      ++records;
    }
  }
  return records;
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

std::map<std::string, std::string> Model::StateAt(size_t count) const {
  PEAT_CHECK(count <= units_.size());
  std::map<std::string, std::string> state;
  uint64_t fingerprint = 0;
  for (size_t i = 0; i < count; ++i) Apply(units_[i], &state, &fingerprint);
  PEAT_CHECK(fingerprint == marks_[count].fingerprint);
  return state;
}

}  // namespace peat::testing
