// A script: what a test does to a store, as plain values, so that it can be
// generated from a seed, printed, cut shorter and run again.
//
// Keys are numbers, so that a script says as little as possible: 0 is the empty
// key, 1 the longest that there may be, the others are short.

#ifndef PEAT_TESTS_CRASH_SCRIPT_H_
#define PEAT_TESTS_CRASH_SCRIPT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "engine/segment/config.h"
#include "engine/segment/key_state.h"
#include "tests/support/sim_random.h"

namespace peat::testing {

struct ScriptWrite {
  engine::Operation operation = engine::Operation::kPut;
  uint32_t key = 2;
  uint32_t value_size = 8;
  uint32_t value_seed = 0;
};

struct ScriptStep {
  enum class Kind {
    kPut,
    kPutIfAbsent,
    kUpdate,
    kCompareAndSet,  // expects what is there
    kDelete,
    kDisable,
    kEnable,
    kForget,
    kBatch,
    kFlush,
    kRunSupply,
    kRunSync,
    kReopen,
    kCompact,        // one step; the writes are made in the midst of it
    kCompactAll,     // the same of a full pass
    kSaveIndex,      // to a snapshot; writes are made before it is written
    kFailWriteback,  // of a file drawn with the first write's value_seed
    kCheckpoint,     // beside the store, instead of the one before
    kOpenAgain,      // while it is open, which must be refused
  };
  Kind kind = Kind::kPut;
  std::vector<ScriptWrite> writes = {};
};

struct Script {
  engine::Config config;
  uint32_t key_count = 8;
  std::vector<ScriptStep> steps;
};

// What a step of one write writes; kPut for all but deletes and masks.
engine::Operation OperationOf(ScriptStep::Kind kind);

// Key 0 is empty, and this one as long as a key may be.
inline constexpr uint32_t kLongestKey = 1;
std::string KeyOf(uint32_t number);
std::string ValueOf(const ScriptWrite& write);
std::string ReasonOf(const ScriptWrite& write);

// One line a step, as C++ could not be shorter: "put k3 120 #7".
std::string ToString(const Script& script);

// What a generated script may contain.
struct ScriptShape {
  size_t step_count = 12;
  bool small = true;  // few bytes: fit to crash at every event
  bool fail_writeback = false;
};

// A script whose settings and mix of steps are drawn too, so that scripts
// differ more than their steps do.
Script RandomScript(SimRandom& random, const ScriptShape& shape);

// Written by hand, one for each way in which bytes reach the disk.
std::vector<Script> HandWrittenScripts();

// When every mask of these tests is set: microseconds since 1970.
inline constexpr uint64_t kTestTime = 1'700'000'000'123'456;

// The settings that all tests of crashes share: nothing runs by itself.
engine::Config TestConfig(uint64_t segment_size);

}  // namespace peat::testing

#endif  // PEAT_TESTS_CRASH_SCRIPT_H_
