// What a caller wants done to a key, decided from what is there, and pairs for
// the calls that take many.

#ifndef PEAT_API_PEAT_CHANGE_H_
#define PEAT_API_PEAT_CHANGE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "peat/time.h"

namespace peat {

// What Store::Modify() does to a key once its value has been looked at.
class Change {
 public:
  // Leaves it as it is, and writes nothing.
  static Change Keep() { return Change(Kind::kKeep, {}); }
  // Deletes it. Writes nothing if it is absent.
  static Change Delete() { return Change(Kind::kDelete, {}); }
  // Inserts or overwrites it. The value has 1 GiB at most.
  // `options` say when it ends (peat/time.h).
  static Change Put(std::string value, const PutOptions& options = {}) {
    return Change(Kind::kPut, std::move(value), options);
  }

  // For the engine.
  enum class Kind : uint8_t { kKeep, kDelete, kPut };
  // For the engine: which of the three.
  Kind kind() const { return kind_; }
  // For the engine: of a put.
  const std::string& value() const { return value_; }
  // For the engine: of a put.
  const PutOptions& options() const { return options_; }

 private:
  Change(Kind kind, std::string value, const PutOptions& options = {})
      : kind_(kind), value_(std::move(value)), options_(options) {}

  Kind kind_;
  std::string value_;
  PutOptions options_;
};

// A pair to be put. Both views must live as long as the call that they are
// handed to.
struct KeyValue {
  std::string_view key = {};    // 65,535 bytes at most
  std::string_view value = {};  // 1 GiB at most
};

// What became of one pair of Store::MultiPutIfAbsent().
struct Insertion {
  absl::Status status;    // what PutIfAbsent() would have returned
  bool inserted = false;  // meaningful if `status` is OK
};

}  // namespace peat

#endif  // PEAT_API_PEAT_CHANGE_H_
