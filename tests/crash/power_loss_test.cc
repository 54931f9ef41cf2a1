// Power loss on real files: a child writes to an ext4 until its parent takes
// away what has not been synced, then the child; the file system is mounted
// again, with what its journal has, and the store must be what it was after the
// first k units, for one k with durable <= k <= begun.
//
// It is the kernel that stops here, not the disk: what had been written to that
// is kept, in the order in which it was. The simulated disk does worse. Skips
// where it may not mount, or where ext4 cannot be stopped (FS_IOC_SHUTDOWN).
//
//   PEAT_POWER_LOSSES  how many (default: 40)
//   PEAT_SEED          the first of the scripts (default: 1)

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "tests/crash/crash_check.h"
#include "tests/crash/script.h"
#include "tests/crash/store_dump.h"
#include "tests/support/child_process.h"
#include "tests/support/model.h"
#include "tests/support/model_batch.h"
#include "tests/support/scoped_mount.h"
#include "tests/support/shared.h"
#include "tests/support/status_matchers.h"

namespace peat::testing {
namespace {

using engine::Engine;
using Kind = ScriptStep::Kind;

// A child that met a failure: right once the power is gone.
constexpr int kFailed = 4;

// In units since the store was made.
struct Progress {
  std::atomic<size_t> begun = 0;
  std::atomic<size_t> durable = 0;
  std::atomic<bool> has_ended = false;  // the script
};

ModelUnit UnitOf(const ScriptStep& step) {
  ModelUnit unit;
  for (const ScriptWrite& write : step.writes) {
    unit.push_back({.operation = write.operation,
                    .key = KeyOf(write.key),
                    .value = ValueOf(write),
                    .reason = ReasonOf(write)});
  }
  return unit;
}

absl::Status WriteUnit(Engine& store, const ModelUnit& unit) {
  const absl::Status status = store.Write(BatchOf(unit));
  // Refused for a key's state, as the model does.
  const engine::KeyState refusing = engine::RefusingState(status);
  const bool is_answer = absl::IsNotFound(status) ||
                         refusing == engine::KeyState::kDisabled ||
                         refusing == engine::KeyState::kForgotten;
  return is_answer ? absl::OkStatus() : status;
}

// All of a child.
int Write(const std::filesystem::path& path, const Script& script,
          Shared<Progress>& progress) {
  const auto store =
      Engine::Open(engine::PosixFileSystem(), path, script.config);
  if (!store.ok()) return kFailed;
  for (const ScriptStep& step : script.steps) {
    if (!step.writes.empty()) {
      ++progress->begun;
      if (!WriteUnit(**store, UnitOf(step)).ok()) return kFailed;
    } else if (step.kind == Kind::kCompactAll || step.kind == Kind::kCompact) {
      if (!(*store)->RunCompaction().ok()) return kFailed;
    } else {
      const size_t covered = progress->begun;
      if (!(*store)->Flush().ok()) return kFailed;
      progress->durable = covered;
    }
  }
  progress->has_ended = true;
  for (;;) pause();
}

class PowerLossTest : public ::testing::Test {
 protected:
  // A store whose settings come from `seed`.
  void BeginStore(uint64_t seed) {
    std::filesystem::remove_all(path());
    SimRandom random(seed);
    config_ = RandomScript(random, {.small = false}).config;
    config_.background_threads = true;
    model_ = Model();
    progress_->durable = 0;
  }

  // Writes until the power goes.
  void LivesUntilPowerLoss(uint64_t seed) {
    SimRandom random(seed);
    Script script = RandomScript(random, {.step_count = 300, .small = false});
    script.config = config_;
    const size_t first = model_.unit_count();
    for (const ScriptStep& step : script.steps) {
      if (!step.writes.empty()) model_.Add(UnitOf(step));
    }
    progress_->begun = first;
    progress_->has_ended = false;
    const size_t wanted =
        first + random.Below(model_.unit_count() - first + 10);
    const pid_t child =
        StartChild([&] { return Write(path(), script, progress_); });
    while (progress_->begun < wanted && !progress_->has_ended) {
      ASSERT_TRUE(IsRunning(child)) << "ended before the power was lost";
      usleep(100);
    }
    // Not what is said to be durable after this: an fdatasync that is under way
    // may then return 0 although ext4 could not note that the blocks, which
    // were only allocated so far, have been written.
    durable_ = progress_->durable;
    can_lose_power_ = mount_.LosePower();
    kill(child, SIGKILL);
    const int end = WaitFor(child);
    // A store to a page that cannot be had any more is a SIGBUS.
    EXPECT_TRUE(end == -SIGKILL || end == -SIGBUS || end == kFailed) << end;
    ASSERT_TRUE(mount_.MountAgain());
  }

  void Check() {
    ASSERT_OK_AND_ASSIGN(
        std::unique_ptr<Engine> store,
        Engine::Open(engine::PosixFileSystem(), path(), config_));
    ASSERT_OK_AND_ASSIGN(const Dump dump, DumpStore(*store, kKeyCount, true));
    const std::optional<size_t> k = model_.PrefixOf(dump.last_lsn);
    ASSERT_TRUE(k.has_value()) << "half a unit";
    EXPECT_GE(*k, durable_);
    // By lsn: a unit that was refused has none.
    EXPECT_LE(dump.last_lsn, model_.last_lsn(progress_->begun));
    EXPECT_EQ(dump.fingerprint, model_.fingerprint(*k));
    EXPECT_EQ(dump.key_count, model_.key_count(*k));
    if (*k > durable_) ++more_kept_;
    if (*k < progress_->begun) ++some_lost_;
    model_.CutTo(*k);
    progress_->durable = *k;  // recovery has shown it
    EXPECT_OK(store->Close());
  }

  std::filesystem::path path() const { return mount_.path() / "store"; }

  static constexpr uint32_t kKeyCount = 64;

  ScopedMount mount_{MountKind::kExt4, 64};
  engine::Config config_;
  Model model_;
  Shared<Progress> progress_;
  size_t durable_ = 0;
  bool can_lose_power_ = true;
  uint64_t more_kept_ = 0;
  uint64_t some_lost_ = 0;
};

TEST_F(PowerLossTest, KeepsThePromises) {
  PEAT_SKIP_UNDER_TSAN();
  if (!mount_.is_mounted()) GTEST_SKIP() << "may not mount";
  const uint64_t first = EnvironmentNumber("PEAT_SEED", 1);
  const uint64_t count = EnvironmentNumber("PEAT_POWER_LOSSES", 40);
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    if ((seed - first) % 20 == 0) BeginStore(seed);
    LivesUntilPowerLoss(seed);
    if (!can_lose_power_) GTEST_SKIP() << "ext4 cannot be stopped here";
    if (HasFatalFailure()) return;
    Check();
    if (HasFailure()) return;
  }
  std::cout << count << " power losses, " << some_lost_
            << " of which took something that was not durable, " << more_kept_
            << " left more than was\n";
  // Or else it did not lose what it should.
  if (count >= 20) {
    EXPECT_GT(some_lost_, count / 4);
  }
}

}  // namespace
}  // namespace peat::testing
