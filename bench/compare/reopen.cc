// Opening again, after a clean close and after SIGKILL, and what is there then.

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/compare/clock.h"
#include "bench/compare/pairs.h"
#include "bench/compare/run.h"
#include "bench/compare/usage.h"
#include "bench/workload.h"

namespace peat::bench {
namespace {

// The version of a pair, and whether it is there and whole.
struct Version {
  bool present = false;
  Found found;
};

Version Look(Session* session, uint64_t number, uint64_t value_size) {
  const Key key(number);
  Version version;
  version.present = session->Get(key, [&](std::string_view value) {
    version.found = CheckValue(key, value, value_size);
  });
  return version;
}

// Opens, gets one pair, and leaves the time in `result`.
std::unique_ptr<Engine> TimeOpen(const EngineEntry& entry,
                                 const RunSetup& setup, RunResult* result) {
  const uint64_t begin = Nanoseconds();
  std::unique_ptr<Engine> engine = entry.open(EngineSetup({}, setup));
  Look(engine->NewSession().get(), setup.keys / 2, setup.value_size);
  result->open_seconds = static_cast<double>(Nanoseconds() - begin) / 1e9;
  return engine;
}

// The first 100,000 pairs in steps, all of version 0.
void CompareUntouched(Session* session, const RunSetup& setup, uint64_t begin,
                      RunResult* result) {
  const uint64_t step = std::max<uint64_t>(1, setup.keys / 100'000);
  for (uint64_t i = begin; i < setup.keys; i += step) {
    const Version version = Look(session, i, setup.value_size);
    ++result->audited;
    result->wrong += !version.found.sound || version.found.version != 0;
  }
}

// A counter that parent and child share.
using Counter = std::atomic<uint64_t>;

Counter* MakeSharedCounter() {
  void* const page = mmap(nullptr, sizeof(Counter), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) Fail("driver", "mmap of a counter failed");
  return ::new (page) Counter(0);
}

// Write `i` of the child: the even ones insert, the odd ones overwrite.
uint64_t NumberOfWrite(uint64_t i, uint64_t keys) {
  return i % 2 == 0 ? keys + i / 2 : i / 2;
}
uint64_t VersionOfWrite(uint64_t i) { return i % 2 == 0 ? 0 : i; }

// Writes until it is killed, and counts what was acknowledged.
[[noreturn]] void WriteForever(const EngineEntry& entry, const RunSetup& setup,
                               Counter* acknowledged) {
  const std::unique_ptr<Engine> engine = entry.open(EngineSetup({}, setup));
  const std::unique_ptr<Session> session = engine->NewSession();
  std::vector<char> value(setup.value_size);
  // At most half of the overwrites that there is something for: a parent that
  // sleeps through all of them, as one with few keys may, kills an idle child.
  for (uint64_t i = 0; i < setup.keys; ++i) {
    const Key key(NumberOfWrite(i, setup.keys));
    MakeValue(key, VersionOfWrite(i), value.data(), value.size());
    session->Put(key, {value.data(), value.size()});
    acknowledged->store(i + 1, std::memory_order_release);
  }
  for (;;) pause();
}

// Waits until the child has done `count` writes, and kills it.
void KillAt(pid_t child, const Counter& acknowledged, uint64_t count) {
  while (acknowledged.load(std::memory_order_acquire) < count) {
    if (waitpid(child, nullptr, WNOHANG) != 0) {
      Fail("driver", "the process to be killed has ended");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  kill(child, SIGKILL);
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status)) {
    Fail("driver", "the process could not be killed");
  }
}

}  // namespace

RunResult RunReopen(const EngineEntry& entry, const RunSetup& setup) {
  RunResult result;
  std::unique_ptr<Engine> engine = TimeOpen(entry, setup, &result);
  CompareUntouched(engine->NewSession().get(), setup, 0, &result);
  return result;
}

RunResult RunKill(const EngineEntry& entry, const RunSetup& setup) {
  Counter* const counter = MakeSharedCounter();
  const pid_t child = fork();
  if (child < 0) Fail("driver", "fork failed");
  if (child == 0) WriteForever(entry, setup, counter);
  KillAt(child, *counter, setup.keys / 10);
  RunResult result;
  result.acknowledged = counter->load();
  std::unique_ptr<Engine> engine = TimeOpen(entry, setup, &result);
  const std::unique_ptr<Session> session = engine->NewSession();
  for (uint64_t i = 0; i < result.acknowledged; ++i) {
    const Version version =
        Look(session.get(), NumberOfWrite(i, setup.keys), setup.value_size);
    result.lost +=
        !version.present || version.found.version != VersionOfWrite(i);
    // Something else than what was ever written is damage, not loss.
    result.wrong += version.present && !version.found.sound;
  }
  result.audited = result.acknowledged;
  if (IsPersistent(entry.info)) {
    CompareUntouched(session.get(), setup, result.acknowledged / 2 + 1,
                     &result);
  }
  return result;
}

}  // namespace peat::bench
