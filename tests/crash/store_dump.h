// All that a store shows, by every call that shows it.

#ifndef PEAT_TESTS_CRASH_STORE_DUMP_H_
#define PEAT_TESTS_CRASH_STORE_DUMP_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/engine.h"

namespace peat::testing {

// A promise that was not kept.
absl::Status Broken(std::string message);

// Broken, with `what`, unless `holds`.
absl::Status Require(bool holds, const char* what);

// The state of a store as a fingerprint, read with Get; Internal if MultiGet or
// the statistics say something else.
struct Dump {
  uint64_t fingerprint = 0;
  uint64_t key_count = 0;
  uint64_t last_lsn = 0;
};
// Looks at the first `key_count` keys, at the longest one only if asked to,
// since that takes longer than the others together.
absl::StatusOr<Dump> DumpStore(const engine::Engine& store, uint32_t key_count,
                               bool with_longest_key);

}  // namespace peat::testing

#endif  // PEAT_TESTS_CRASH_STORE_DUMP_H_
