// What a batch requires of the store before it, and whether that is so.
//
// Pure functions, but for a value in a file of its own, which is read.

#ifndef PEAT_ENGINE_WRITE_BATCH_CONDITIONS_H_
#define PEAT_ENGINE_WRITE_BATCH_CONDITIONS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "engine/segment/key_state.h"
#include "format/record.h"

namespace peat::engine {

class Reader;

// Asked of the key's state before the batch, wherever it stands in it.
struct BatchCondition {
  enum class Kind : uint8_t {
    kAbsent,  // the key is absent
    kValue,   // reads find `value`
    kLsn,     // the newest write of the key is `lsn`; 0: it is absent
  };
  Kind kind = Kind::kAbsent;
  std::string_view key = {};
  std::string_view value = {};
  format::Lsn lsn = 0;
};

// OK if `condition`, number `index` of its batch, holds of a key in `state`,
// whose record is `record` (null if it is absent); Aborted if it does not. A
// forgotten key is refused, as by the calls that ask the same of one key,
// unless only its lsn is asked for. Fails as a read of the value does.
absl::Status CheckCondition(const BatchCondition& condition, size_t index,
                            KeyState state, const format::Record* record,
                            const Reader& reader);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_WRITE_BATCH_CONDITIONS_H_
