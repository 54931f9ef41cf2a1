// The drivers against engines with one seeded bug each: every one must be
// caught, by drivers that know of none.
//
//   PEAT_CRASH_SECONDS  how long to look for each at most (default: 60), of
//                       the processor
//   PEAT_HUNTS          how often to look for each, from another seed each time
//   PEAT_SEED           the first seed
//   PEAT_BUG            only the bug of this number
//
// Prints a row for each: how often it was caught, by which driver the last
// time, and after how many of these seconds, in the median and at most.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/segment/seeded_bug.h"
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
                                  "forget not recorded by its flush",
                                  "tombstone dropped in a partial compaction",
                                  "superseded dropped before durable",
                                  "move without compare-and-swap",
                                  "move with a new lsn",
                                  "mask dropped by compaction",
                                  "unlink before the commit is durable",
                                  "snapshot not bound to the log's end",
                                  "snapshot that says too late an end",
                                  "damaged hint file trusted",
                                  "payload not verified on read",
                                  "size of a damaged record believed",
                                  "order by the age of files",
                                  "lock dropped on second open",
                                  "superseded record shown by a range"};
// Behind these come those that only threads show: see tests/concurrency.
static_assert(std::size(kNames) == static_cast<size_t>(Bug::kDecidedOnce));

absl::Status CrashSmallScript(uint64_t seed) {
  SimRandom random(seed);
  const CrashPlan plan{.seed = seed, .event_step = 7};
  return CrashEverywhere(RandomScript(random, {}), plan);
}

absl::Status FailSmallScript(uint64_t seed) {
  const std::vector<Script> by_hand = HandWrittenScripts();
  if (seed % 2 == 0)
    return FailEverywhere(by_hand[seed / 2 % by_hand.size()], seed);
  SimRandom random(seed);
  return FailEverywhere(RandomScript(random, {}), seed);
}

// Of the processor, so that a busy machine does not count.
double SecondsSpent() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// Which driver found something; 0: none did. The drivers share the time. Ends
// with the process, since a bug may end it.
int Hunt(uint64_t first_seed) {
  struct Driver {
    absl::Status (*run)(uint64_t seed);
    double spent = 0;
    uint64_t seed = 0;
  };
  std::array<Driver, 5> drivers = {{
      {.run = CrashSmallScript},
      {.run = RunGenerations},
      {.run = FailSmallScript},
      {.run = RunOnFullDisk},
      {.run = [](uint64_t seed) { return DamageManyTimes(seed, 30); }},
  }};
  const auto limit =
      static_cast<double>(EnvironmentNumber("PEAT_CRASH_SECONDS", 60));
  while (SecondsSpent() < limit) {
    Driver& next = *std::ranges::min_element(drivers, {}, &Driver::spent);
    const double before = SecondsSpent();
    if (!next.run(first_seed + next.seed++).ok()) {
      return static_cast<int>(&next - drivers.data()) + 1;
    }
    next.spent += SecondsSpent() - before;
  }
  return 0;
}

constexpr const char* kDrivers[] = {
    "none",      "every event", "generations",      "each fault",
    "full disk", "damage",      "the process ended"};
constexpr int kProcessEnded = 6;

class SeededBugsTest : public ::testing::TestWithParam<int> {};

// Seconds of the processor until the bug was caught; nullopt if it was not.
std::optional<double> HuntOnce(Bug bug, uint64_t seed, int* driver) {
  const pid_t child = fork();
  if (child == 0) {
    SetSeededBug(bug);
    // What it says when an assertion ends it says nothing about this test.
    (void)std::freopen("/dev/null", "w", stderr);
    _exit(Hunt(seed * 1'000'003));
  }
  int status = 0;
  struct rusage usage = {};
  EXPECT_EQ(wait4(child, &status, 0, &usage), child);
  *driver = WIFEXITED(status) ? WEXITSTATUS(status) : kProcessEnded;
  if (*driver == 0) return std::nullopt;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

TEST_P(SeededBugsTest, IsCaught) {
  const uint64_t only = EnvironmentNumber("PEAT_BUG", UINT64_MAX);
  if (only != UINT64_MAX && only != static_cast<uint64_t>(GetParam())) return;
  const Bug bug = static_cast<Bug>(GetParam());
  const uint64_t first = EnvironmentNumber("PEAT_SEED", 1);
  const uint64_t hunts =
      bug == Bug::kNone ? 1 : EnvironmentNumber("PEAT_HUNTS", 1);
  std::vector<double> seconds;
  int driver = 0;
  for (uint64_t seed = first; seed < first + hunts; ++seed) {
    const std::optional<double> caught = HuntOnce(bug, seed, &driver);
    EXPECT_EQ(caught.has_value(), bug != Bug::kNone) << "seed " << seed;
    if (caught.has_value()) seconds.push_back(*caught);
  }
  std::ranges::sort(seconds);
  std::printf("| %s | %zu of %lu | %s | %.2f s | %.2f s |\n",
              kNames[GetParam()], seconds.size(), hunts, kDrivers[driver],
              seconds.empty() ? 0.0 : seconds[seconds.size() / 2],
              seconds.empty() ? 0.0 : seconds.back());
  std::fflush(stdout);
}

INSTANTIATE_TEST_SUITE_P(All, SeededBugsTest,
                         ::testing::Range(0,
                                          static_cast<int>(Bug::kDecidedOnce)));

}  // namespace
}  // namespace peat::testing
