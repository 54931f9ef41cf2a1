// What every crash image must pass, and the drivers that crash a script at
// every event.
//
// One process-wide count of what was done, printed at the end of a test
// program. Externally synchronised.

#ifndef PEAT_TESTS_CRASH_CRASH_CHECK_H_
#define PEAT_TESTS_CRASH_CRASH_CHECK_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "tests/crash/crash_run.h"
#include "tests/crash/script.h"

namespace peat::testing {

struct CrashCounts {
  uint64_t seeds = 0;
  uint64_t crashes = 0;
  uint64_t images = 0;
  uint64_t distinct_images = 0;  // by their names and bytes
  uint64_t recoveries = 0;
  uint64_t faults = 0;
  uint64_t damages = 0;
  uint64_t detected = 0;
  uint64_t harmless = 0;
};
CrashCounts& Counts();

// How an image came to be.
struct ImageOrigin {
  CrashKind kind = CrashKind::kKill;
  uint64_t seed = 0;
};

// What is done with an image beyond opening it.
struct CheckDepth {
  bool read_only = false;      // open it to read only first
  bool go_on = false;          // write, flush, reopen, twice
  bool lose_power = false;     // and check what recovery has made durable
  uint64_t recovery_step = 0;  // crash in recovery at each so-manieth event,
  int recovery_levels = 2;     // and in some recoveries from that, too
};

// Checks `image`, which was made of a disk whose oracle was `oracle`.
absl::Status CheckImage(std::unique_ptr<SimFileSystem> image,
                        const CrashRun::Settings& settings,
                        const Oracle& oracle, const ImageOrigin& origin,
                        const CheckDepth& depth);

// How thoroughly a script is crashed.
struct CrashPlan {
  uint64_t seed = 1;
  uint64_t event_step = 1;    // crash after each so-manieth event
  int random_images = 2;      // for each crash
  uint64_t choices_max = 12;  // all subsets of so many pending things,
  uint64_t many_every = 256;  // if more than a few: at each so-manieth crash
  uint64_t deep_every = 256;  // every so-manieth image is checked in depth
};

// Runs `script` once without a crash, then with one after each event.
absl::Status CrashEverywhere(const Script& script, const CrashPlan& plan);

// How many events `script` has.
uint64_t CountEvents(const Script& script, uint64_t seed);

// A run of several generations, each of which begins with what the crash of the
// one before has left. Everything is drawn from `seed`.
absl::Status RunGenerations(uint64_t seed);

// Fails each call of each kind of `script`, once and for ever.
absl::Status FailEverywhere(const Script& script, uint64_t seed);

// Fills the disk in the middle of a script, and gives space again at its end.
absl::Status RunOnFullDisk(uint64_t seed);

// Damages copies of one history on disk, in `count` ways.
absl::Status DamageManyTimes(uint64_t seed, int count);

// `script` without the steps that `fails` does not need.
Script Shrink(Script script, absl::FunctionRef<bool(const Script&)> fails);

// Names what is being done, for the case that it ends the process.
void SetReplay(const std::string& text);

// Ends at `seconds`, or as many as PEAT_CRASH_SECONDS says.
class Deadline final {
 public:
  explicit Deadline(double seconds);
  bool is_over() const { return std::chrono::steady_clock::now() >= end_; }

 private:
  std::chrono::steady_clock::time_point end_;
};

// The number in the environment variable `name`, or `otherwise`.
uint64_t EnvironmentNumber(const char* name, uint64_t otherwise);

}  // namespace peat::testing

#endif  // PEAT_TESTS_CRASH_CRASH_CHECK_H_
