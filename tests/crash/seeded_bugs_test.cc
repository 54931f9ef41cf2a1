// The drivers against engines with one seeded bug each: every one must be
// caught, by drivers that know of none.
//
//   PEAT_CRASH_SECONDS  how long to look for each (default: 20)
//   PEAT_SEED           only the bug of this number

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "engine/seeded_bug.h"
#include "tests/crash/crash_check.h"

namespace peat::testing {
namespace {

using engine::Bug;

constexpr const char* kNames[] = {"no bug",
                                  "flush covers the active segment only",
                                  "no directory sync",
                                  "value file not synced before the log",
                                  "value file's name not synced",
                                  "lsn given before the cut is durable",
                                  "manifest that was read taken for durable",
                                  "manifest edit writes the newer copy first",
                                  "append after a tear",
                                  "sealed segment cut at first bad record",
                                  "replay continues after a gap",
                                  "fsync retried",
                                  "writes go on after a failed sync",
                                  "tail not stored again",
                                  "mended tail not synced",
                                  "index updated before the append",
                                  "read error taken for the end",
                                  "checksum without offset",
                                  "id reused",
                                  "batch without commit",
                                  "key not compared on write",
                                  "full segment gets a partial record",
                                  "value files not checked by recovery",
                                  "forgotten key visible",
                                  "enable un-forgets",
                                  "forget not recorded by its flush"};
static_assert(std::size(kNames) == static_cast<size_t>(Bug::kCount));

// Which driver found something, in the order of the runs; 0: none did. Ends
// with the process, since a bug may end it.
int Hunt() {
  const Deadline deadline(20);
  for (const Script& script : HandWrittenScripts()) {
    if (deadline.is_over()) return 0;
    if (!FailEverywhere(script, 1).ok()) return 3;
  }
  for (uint64_t seed = 1; !deadline.is_over(); ++seed) {
    for (uint64_t i = 0; i < 4; ++i) {
      if (!RunGenerations(4 * seed + i).ok()) return 2;
    }
    if (!RunOnFullDisk(seed).ok()) return 4;
    if (!DamageManyTimes(seed, 200).ok()) return 5;
    SimRandom random(seed);
    const Script script = RandomScript(random, {});
    const CrashPlan plan{.seed = seed, .event_step = 7};
    if (!CrashEverywhere(script, plan).ok()) return 1;
    if (seed % 8 == 0 && !FailEverywhere(script, seed).ok()) return 3;
  }
  return 0;
}

constexpr const char* kDrivers[] = {"none",       "every event", "generations",
                                    "each fault", "full disk",   "damage"};

class SeededBugsTest : public ::testing::TestWithParam<int> {};

TEST_P(SeededBugsTest, IsCaught) {
  const uint64_t only = EnvironmentNumber("PEAT_SEED", UINT64_MAX);
  if (only != UINT64_MAX && only != static_cast<uint64_t>(GetParam())) return;
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    SetSeededBug(static_cast<Bug>(GetParam()));
    _exit(Hunt());
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count();
  const int driver = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  std::printf("| %s | %s | %.2f s |\n", kNames[GetParam()],
              driver < 0 ? "the process ended" : kDrivers[driver], seconds);
  EXPECT_EQ(driver == 0, GetParam() == 0);
}

INSTANTIATE_TEST_SUITE_P(All, SeededBugsTest,
                         ::testing::Range(0, static_cast<int>(Bug::kCount)));

}  // namespace
}  // namespace peat::testing
