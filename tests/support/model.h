// What a store must contain: the history of its units, and the state after each
// prefix of it.
//
// A state is known by a fingerprint: the sum of a hash of each key with its
// state and value, and of each mask that was ever set. So the prefixes that a
// dump equals are found without a copy of any state, and adding a unit costs
// its own size. The model also knows which lsn each unit ends with, since what
// changes nothing takes none. It has its own idea of what each operation does
// in each state of a key.
//
// Externally synchronised.

#ifndef PEAT_TESTS_SUPPORT_MODEL_H_
#define PEAT_TESTS_SUPPORT_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/segment/key_state.h"
#include "format/record.h"

namespace peat::testing {

using engine::KeyState;
using engine::Operation;

// One write of a unit. kPut, kDelete, kDisable, kEnable or kForget; what else
// there is becomes one of these or nothing.
struct ModelWrite {
  Operation operation = Operation::kPut;
  std::string key = {};
  std::string value = {};   // of a put
  std::string reason = {};  // of a mask
};
using ModelUnit = std::vector<ModelWrite>;

// A key that is not absent. A forgotten one keeps the value it had, if any.
struct ModelKey {
  KeyState state = KeyState::kLive;
  std::optional<std::string> value = {};
};
using ModelState = std::map<std::string, ModelKey>;

// What a unit's call must return.
enum class ModelAnswer { kDone, kNotFound, kDisabled, kForgotten };

// The parts of a state's fingerprint that one key, and one mask, make.
uint64_t Fingerprint(std::string_view key, const ModelKey& content);
uint64_t MaskFingerprint(std::string_view key, format::RecordKind kind,
                         uint64_t lsn, std::string_view reason);

class Model final {
 public:
  Model();

  // What the unit would be answered if it were added now.
  ModelAnswer AnswerTo(const ModelUnit& unit) const;

  // Adds a unit at the end of the history. One that is refused changes nothing.
  void Add(ModelUnit unit);

  // How many units there are; prefixes go from 0 to this.
  size_t unit_count() const { return units_.size(); }

  // Of the state after the first `count` units.
  uint64_t fingerprint(size_t count) const { return marks_[count].fingerprint; }
  uint64_t key_count(size_t count) const { return marks_[count].key_count; }
  uint64_t last_lsn(size_t count) const { return marks_[count].last_lsn; }

  // The newest prefix whose last lsn is `lsn`; nullopt if no unit ends there.
  std::optional<size_t> PrefixOf(uint64_t lsn) const;

  // Forgets the units behind the first `count`.
  void CutTo(size_t count);

  // The newest state.
  const ModelState& state() const { return state_; }
  // Of a key that can be read; nullptr: none.
  const std::string* ValueOf(const std::string& key) const;
  KeyState StateOf(const std::string& key) const;

  // The state after the first `count` units, built anew.
  ModelState StateAt(size_t count) const;

 private:
  struct Mark {
    uint64_t fingerprint = 0;
    uint64_t key_count = 0;  // that can be read
    uint64_t last_lsn = 0;
  };

  // Applies `unit` to `state` and `mark`, all of it or nothing.
  static ModelAnswer Apply(const ModelUnit& unit, ModelState* state,
                           Mark* mark);
  static ModelAnswer ApplyOne(const ModelWrite& write, ModelState* state,
                              Mark* mark);

  std::vector<ModelUnit> units_;
  std::vector<Mark> marks_;  // one more than units
  ModelState state_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_MODEL_H_
