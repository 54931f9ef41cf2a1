// Scripts that crash after every event, in every way.
//
//   PEAT_CRASH_SECONDS  how long to go on (default: a few)
//   PEAT_SEED           only this script

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_format.h"
#include "tests/crash/crash_check.h"
#include "tests/support/status_matchers.h"

namespace peat::testing {
namespace {

// Above this many events, not each is crashed at.
constexpr uint64_t kEventsMax = 3000;

CrashPlan PlanOf(const Script& script, uint64_t seed) {
  CrashPlan plan{.seed = seed};
  plan.event_step = 1 + CountEvents(script, seed) / kEventsMax;
  return plan;
}

// Crashes `script` everywhere; on failure reports the shortest that fails.
void ExpectSurvives(const Script& script, uint64_t seed) {
  const CrashPlan plan = PlanOf(script, seed);
  const absl::Status status = CrashEverywhere(script, plan);
  ++Counts().seeds;
  if (status.ok()) return;
  const Script shortest = Shrink(script, [&](const Script& shorter) {
    return !CrashEverywhere(shorter, plan).ok();
  });
  ADD_FAILURE() << CrashEverywhere(shortest, plan).message()
                << "\nwith the script\n"
                << ToString(shortest) << "shrunk from\n"
                << ToString(script);
}

TEST(ExhaustiveCrashTest, KeepsThePromisesInScriptsByHand) {
  uint64_t number = 0;
  for (const Script& script : HandWrittenScripts()) {
    SCOPED_TRACE(++number);
    SetReplay(ToString(script));
    ExpectSurvives(script, number);
    if (HasFailure()) break;
  }
}

TEST(ExhaustiveCrashTest, KeepsThePromisesInGeneratedScripts) {
  const uint64_t only = EnvironmentNumber("PEAT_SEED", 0);
  const Deadline deadline(15);
  for (uint64_t seed = only > 0 ? only : 1; !deadline.is_over(); ++seed) {
    SimRandom random(seed);
    const Script script = RandomScript(random, {});
    const std::string replay = absl::StrFormat(
        "PEAT_SEED=%d crash_test "
        "--gtest_filter=ExhaustiveCrashTest.KeepsThePromisesInGeneratedScripts",
        seed);
    SCOPED_TRACE(replay);
    SetReplay(replay + "\n" + ToString(script));
    ExpectSurvives(script, seed);
    if (only > 0 || HasFailure()) break;
  }
}

TEST(RandomCrashTest, KeepsThePromisesOverGenerations) {
  const uint64_t only = EnvironmentNumber("PEAT_SEED", 0);
  const Deadline deadline(15);
  for (uint64_t seed = only > 0 ? only : 1; !deadline.is_over(); ++seed) {
    const std::string replay = absl::StrFormat(
        "PEAT_SEED=%d crash_test "
        "--gtest_filter=RandomCrashTest.KeepsThePromisesOverGenerations",
        seed);
    SetReplay(replay);
    ++Counts().seeds;
    const absl::Status status = RunGenerations(seed);
    EXPECT_TRUE(status.ok()) << replay << "\n" << status.message();
    if (only > 0 || !status.ok()) break;
  }
}

}  // namespace
}  // namespace peat::testing
