// What a store must contain: the history of its units, and the state after each
// prefix of it.
//
// A state is known by a fingerprint: the sum of a hash of each key with its
// value. So the prefixes that a dump equals are found without a copy of any
// state, and adding a unit costs its own size. The model also knows which lsn
// each unit ends with, since deletes of absent keys take none.
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

namespace peat::testing {

// One put or delete of a unit.
struct ModelWrite {
  bool is_put = true;
  std::string key = {};
  std::string value = {};
};
using ModelUnit = std::vector<ModelWrite>;

// The part of a state's fingerprint that one key makes.
uint64_t Fingerprint(std::string_view key, std::string_view value);

class Model final {
 public:
  Model();

  // Adds a unit at the end of the history.
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
  const std::map<std::string, std::string>& state() const { return state_; }

  // The state after the first `count` units, built anew.
  std::map<std::string, std::string> StateAt(size_t count) const;

 private:
  struct Mark {
    uint64_t fingerprint = 0;
    uint64_t key_count = 0;
    uint64_t last_lsn = 0;
  };

  // Applies `unit` to `state`; returns how many records it takes.
  static uint64_t Apply(const ModelUnit& unit,
                        std::map<std::string, std::string>* state,
                        uint64_t* fingerprint);

  std::vector<ModelUnit> units_;
  std::vector<Mark> marks_;  // one more than units
  std::map<std::string, std::string> state_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_MODEL_H_
