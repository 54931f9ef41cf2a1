// Crash safety: scripts that crash after every event, in every way; long runs
// of several crashes; calls that fail; damage.
//
//   PEAT_CRASH_SECONDS  how long to go on (default: a few)
//   PEAT_SEED           only this script
//   PEAT_FIRST_SEED     the first of the scripts (default: 1)
//   PEAT_MANY_EVERY     at each so-manieth crash with 6 to 12 pending things,
//                       all images of them are made (default: 256)

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_format.h"
#include "tests/crash/crash_check.h"
#include "tests/support/status_matchers.h"

namespace peat::testing {
namespace {

// Above this many events, not each is crashed at.
constexpr uint64_t kEventsMax = 3000;

uint64_t FirstSeed() { return EnvironmentNumber("PEAT_FIRST_SEED", 1); }

CrashPlan PlanOf(const Script& script, uint64_t seed) {
  CrashPlan plan{.seed = seed,
                 .many_every = EnvironmentNumber("PEAT_MANY_EVERY", 256)};
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
  const Deadline deadline(10);
  for (uint64_t seed = only > 0 ? only : FirstSeed(); !deadline.is_over();
       ++seed) {
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

// Or else no failing script could be made shorter, or run again.
TEST(CrashCheckTest, FindsALossInTheSameImageAgain) {
  Oracle oracle;
  oracle.model.Add({{.key = "a", .value = "lost"}});
  oracle.acknowledged = 1;
  oracle.durable = 1;
  const CrashRun::Settings settings{.config = HandWrittenScripts()[0].config};
  const ImageOrigin origin{.kind = CrashKind::kPowerLossNothing, .seed = 1};

  for (int i = 0; i < 2; ++i) {
    const SimFileSystem disk(1);
    EXPECT_FALSE(CheckImage(disk.CrashImage(origin.kind, origin.seed), settings,
                            oracle, origin, {})
                     .ok());
  }
}

TEST(RandomCrashTest, KeepsThePromisesOverGenerations) {
  const uint64_t only = EnvironmentNumber("PEAT_SEED", 0);
  const Deadline deadline(10);
  for (uint64_t seed = only > 0 ? only : FirstSeed(); !deadline.is_over();
       ++seed) {
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

void ExpectSurvivesFaults(const Script& script, uint64_t seed) {
  const absl::Status status = FailEverywhere(script, seed);
  ++Counts().seeds;
  if (status.ok()) return;
  const Script shortest = Shrink(script, [&](const Script& shorter) {
    return !FailEverywhere(shorter, seed).ok();
  });
  ADD_FAILURE() << FailEverywhere(shortest, seed).message()
                << "\nwith the script\n"
                << ToString(shortest);
}

TEST(FaultsTest, LosesNothingInScriptsByHand) {
  uint64_t number = 0;
  for (const Script& script : HandWrittenScripts()) {
    SCOPED_TRACE(++number);
    ExpectSurvivesFaults(script, number);
    if (HasFailure()) break;
  }
}

TEST(FaultsTest, LosesNothingInGeneratedScripts) {
  const uint64_t only = EnvironmentNumber("PEAT_SEED", 0);
  const Deadline deadline(5);
  for (uint64_t seed = only > 0 ? only : FirstSeed(); !deadline.is_over();
       ++seed) {
    SimRandom random(seed);
    SCOPED_TRACE(seed);
    ExpectSurvivesFaults(RandomScript(random, {.step_count = 16}), seed);
    if (only > 0 || HasFailure()) break;
  }
}

TEST(FaultsTest, LosesNothingOnAFullDisk) {
  const uint64_t only = EnvironmentNumber("PEAT_SEED", 0);
  const Deadline deadline(3);
  for (uint64_t seed = only > 0 ? only : FirstSeed(); !deadline.is_over();
       ++seed) {
    const absl::Status status = RunOnFullDisk(seed);
    ++Counts().seeds;
    EXPECT_TRUE(status.ok()) << "PEAT_SEED=" << seed << " " << status.message();
    if (only > 0 || !status.ok()) break;
  }
}

TEST(DamageTest, IsNeverTakenForSomethingElse) {
  const uint64_t only = EnvironmentNumber("PEAT_SEED", 0);
  const Deadline deadline(5);
  for (uint64_t seed = only > 0 ? only : FirstSeed(); !deadline.is_over();
       ++seed) {
    ++Counts().seeds;
    const absl::Status status = DamageManyTimes(seed, 50);
    EXPECT_TRUE(status.ok()) << "PEAT_SEED=" << seed << " " << status.message();
    if (only > 0 || !status.ok()) break;
  }
}

}  // namespace
}  // namespace peat::testing
