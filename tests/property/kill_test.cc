// kill -9, over and over: a child writes until it is killed, and its parent
// keeps the books.
//
// Every operation is a pure function of the seed and its number, so the parent
// knows what the child did from the count of acknowledgements in shared memory:
// all acknowledged operations must be there, the one in flight wholly or not at
// all, and nothing else.
//
// Most kills are aimed: the child ends itself before, in the midst of or behind
// the n-th change of a file in a certain phase, such as a roll or a compaction.
// The others come from outside, in any instant. Since a kill takes nothing from
// the page cache, most stores lie in memory, where a sync costs nothing.
//
// PEAT_KILL_COUNT: how many kills. PEAT_SEED: another run than the default one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "tests/support/child_process.h"
#include "tests/support/model.h"
#include "tests/support/model_batch.h"
#include "tests/support/shared.h"
#include "tests/support/sim_random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/watched_file_system.h"

namespace peat {
namespace {

using engine::Access;
using engine::Config;
using engine::Engine;
using engine::KeyState;
using ::peat::testing::BatchOf;
using ::peat::testing::FileChange;
using ::peat::testing::IsOk;
using ::peat::testing::Model;
using ::peat::testing::ModelAnswer;
using ::peat::testing::ModelUnit;
using ::peat::testing::ModelWrite;
using ::peat::testing::Operation;
using ::peat::testing::SimRandom;
using ::peat::testing::TempDir;
using ::peat::testing::WatchedFileSystem;

constexpr uint64_t kKeyCount = 24;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// What a process is at when it is killed.
enum class Phase : uint8_t {
  kRecovery,
  kWrite,
  kBatch,
  kRoll,  // of a single write or a batch
  kFlush,
  kCompaction,
  kBackground,  // preparing, syncing and sealing segments
  kOutside,     // whatever it was at: its parent killed it
};
constexpr std::array<const char*, 8> kPhaseNames = {
    "recovery", "write",      "batch",      "roll",
    "flush",    "compaction", "background", "any instant"};

// What the child ends itself at.
struct Aim {
  Phase phase = Phase::kOutside;
  uint64_t change = 0;  // the so-manieth of that phase, from 1
};

// What parent and child share.
struct Progress {
  std::atomic<uint64_t> acknowledged = 0;
  std::atomic<uint64_t> failed = 0;
  std::atomic<Phase> died_in = Phase::kOutside;
};

using SharedProgress = ::peat::testing::Shared<Progress>;

std::string KeyOf(uint64_t number) {
  if (number == 0) return "";
  if (number == 1) return std::string(65'535, 'k');
  return "key" + std::to_string(number);
}

std::string KeyAt(SimRandom& random) { return KeyOf(random.Below(kKeyCount)); }

std::string ValueAt(SimRandom& random, uint64_t number) {
  const uint64_t kind = random.Below(64);
  uint64_t size = random.Below(200);
  if (kind == 0) size = 300'000 + random.Below(1000);  // in a file of its own
  if (kind < 4) size += random.Below(20'000);
  std::string value = std::to_string(number) + ":";
  value.resize(value.size() + size, static_cast<char>('a' + number % 26));
  return value;
}

// What is forgotten stays so: half of the keys are not.
ModelWrite MaskAt(SimRandom& random, uint64_t number) {
  const uint64_t kind = random.Below(8);
  ModelWrite write{.operation = kind < 4   ? Operation::kDisable
                                : kind < 7 ? Operation::kEnable
                                           : Operation::kForget,
                   .key = KeyAt(random),
                   .reason = "reason " + std::to_string(number)};
  if (kind == 7) write.key = KeyOf(random.Below(kKeyCount / 2));
  return write;
}

ModelUnit BatchAt(SimRandom& random, uint64_t number) {
  ModelUnit unit(1 + random.Below(8));
  for (ModelWrite& write : unit) {
    if (random.Chance(1)) {
      write = MaskAt(random, number);
      continue;
    }
    write.key = KeyAt(random);
    if (random.Chance(3)) {
      write.operation = Operation::kDelete;
    } else {
      write.value = ValueAt(random, number);
    }
  }
  return unit;
}

bool IsAnswer(const absl::Status& status, ModelAnswer answer) {
  switch (answer) {
    case ModelAnswer::kDone:
      return status.ok();
    case ModelAnswer::kNotFound:
      return absl::IsNotFound(status);
    case ModelAnswer::kDisabled:
      return engine::RefusingState(status) == KeyState::kDisabled;
    case ModelAnswer::kForgotten:
      return engine::RefusingState(status) == KeyState::kForgotten;
  }
  return false;
}

// The answer's status, or Internal if it is OK and not what was expected.
template <typename T>
absl::Status Checked(const absl::StatusOr<T>& answer, const T& expected) {
  if (!answer.ok() || *answer == expected) return answer.status();
  return absl::InternalError("a wrong answer");
}

absl::Status DoMask(Engine& store, const ModelWrite& write) {
  if (write.operation == Operation::kDisable) {
    return store.Disable(write.key, write.reason);
  }
  if (write.operation == Operation::kEnable) {
    return store.Enable(write.key, write.reason);
  }
  return store.Forget(write.key, write.reason).status();
}

// What the present thread is at. Threads of the store's own: the background.
thread_local Phase this_phase = Phase::kBackground;

class InPhase final {
 public:
  explicit InPhase(Phase phase) : before_(this_phase) { this_phase = phase; }
  InPhase(const InPhase&) = delete;
  InPhase& operator=(const InPhase&) = delete;
  ~InPhase() { this_phase = before_; }

 private:
  const Phase before_;
};

// Does operation `number` on the store, on the model, or on both. False if the
// store answered other than the model did.
bool DoOperation(uint64_t seed, uint64_t number, Engine* store, Model& model) {
  SimRandom random(seed * 1'000'003 + number);
  const uint64_t kind = random.Below(18);
  ModelUnit unit(1);
  std::function<absl::Status()> call;
  const std::string key = KeyAt(random);
  const std::string value = ValueAt(random, number);
  const std::string* const old = model.ValueOf(key);
  const auto expected = old != nullptr ? std::optional(*old) : std::nullopt;
  unit[0] = {.key = key, .value = value};
  if (kind >= 15) {
    unit = BatchAt(random, number);
    call = [&] {
      const InPhase phase(Phase::kBatch);
      return store->Write(BatchOf(unit));
    };
  } else if (kind >= 13) {
    unit[0] = MaskAt(random, number);
    call = [&] { return DoMask(*store, unit[0]); };
  } else if (kind < 6) {
    call = [&] { return store->Put(key, value); };
  } else if (kind < 9) {
    unit[0] = {.operation = Operation::kDelete, .key = key};
    call = [&] { return Checked(store->Delete(key), old != nullptr); };
  } else if (kind < 10) {
    if (old != nullptr) unit.clear();
    call = [&] {
      return Checked(store->PutIfAbsent(key, value), !expected.has_value());
    };
  } else if (kind < 12) {
    call = [&] { return Checked(store->Update(key, value), expected); };
  } else {
    call = [&] {
      return Checked(store->CompareAndSet(key, expected, value), true);
    };
  }
  const bool is_right =
      store == nullptr || IsAnswer(call(), model.AnswerTo(unit));
  model.Add(std::move(unit));
  return is_right;
}

// Ends the process at what it aims at.
class Killer final {
 public:
  Killer(const Aim& aim, SharedProgress& progress)
      : aim_(aim), progress_(progress) {}

  void OnChange(const FileChange& change) {
    // The link, a log segment's first record, is stored at the roll.
    const bool rolls =
        change.kind == FileChange::Kind::kStore &&
        change.offset >= format::kSegmentHeaderSize &&
        change.offset <= format::kSegmentHeaderSize + format::kRecordHeaderSize;
    if ((rolls ? Phase::kRoll : this_phase) != aim_.phase) return;
    if (++count_ != aim_.change) return;
    progress_->died_in = aim_.phase;
    kill(getpid(), SIGKILL);
  }

 private:
  const Aim aim_;
  SharedProgress& progress_;
  std::atomic<uint64_t> count_ = 0;
};

struct Child {
  std::filesystem::path path;
  uint64_t seed = 0;
  Aim aim = {};
  Config config = {};
};

absl::StatusOr<std::unique_ptr<Engine>> OpenIn(WatchedFileSystem& files,
                                               const Child& child) {
  const InPhase phase(Phase::kRecovery);
  return Engine::Open(files, child.path, child.config);
}

// All of a child that opens and is killed meanwhile, if it takes long enough.
int Recover(const Child& child, SharedProgress& progress) {
  Killer killer(child.aim, progress);
  WatchedFileSystem files([&](const FileChange& c) { killer.OnChange(c); });
  const auto store = OpenIn(files, child);
  _exit(store.ok() ? 0 : 1);  // without closing
}

// All of a child that opens and goes on where the parent says, until it is
// killed.
int Write(const Child& child, uint64_t first, Model model,
          SharedProgress& progress) {
  Killer killer(child.aim, progress);
  WatchedFileSystem files([&](const FileChange& c) { killer.OnChange(c); });
  const auto store = OpenIn(files, child);
  if (!store.ok()) return 1;
  std::thread compactor([&] {
    const InPhase phase(Phase::kCompaction);
    while ((*store)->RunCompaction().ok()) std::this_thread::yield();
  });
  const InPhase phase(Phase::kWrite);
  for (uint64_t number = first;; ++number) {
    if (!DoOperation(child.seed, number, store->get(), model)) {
      progress->failed = number + 1;
      _exit(2);
    }
    progress->acknowledged = number + 1;
    if (number % 37 != 13) continue;
    const InPhase flushing(Phase::kFlush);
    if (!(*store)->Flush().ok()) _exit(3);
  }
}

// Of every mask that was ever set, each once.
uint64_t SumOfMasks(const Engine& store) {
  uint64_t sum = 0;
  const auto scan = store.ScanMasks({});
  EXPECT_OK(scan);
  while ((*scan)->Next()) {
    sum += ::peat::testing::MaskFingerprint(
        (*scan)->record().key, (*scan)->kind(), (*scan)->record().header.lsn,
        (*scan)->mask().reason);
  }
  EXPECT_OK((*scan)->status());
  return sum;
}

uint64_t SumOfMasks(const Model& model) {
  uint64_t sum = model.fingerprint(model.unit_count());
  for (const auto& [key, content] : model.state()) {
    sum -= ::peat::testing::Fingerprint(key, content);
  }
  return sum;
}

class KillTest : public ::testing::TestWithParam<TempDir::Place> {
 protected:
  KillTest()
      : dir_(GetParam()),
        seed_(FromEnvironment("PEAT_SEED", 7)),
        random_(seed_) {}

  // One in ten on the disk.
  uint64_t WantedKills() const {
    const uint64_t all = FromEnvironment("PEAT_KILL_COUNT", 500);
    const uint64_t on_disk = all / 10;
    return GetParam() == TempDir::Place::kDisk ? on_disk : all - on_disk;
  }

  Aim DrawAim() {
    const auto phase = static_cast<Phase>(random_.Below(kPhaseNames.size()));
    const uint64_t limit = uint64_t{1}
                           << random_.Below(phase == Phase::kRoll ? 6 : 9);
    return {.phase = phase, .change = 1 + random_.Below(limit)};
  }

  Child DrawChild(Phase phase) {
    Child child{.path = dir_.path() / "store", .seed = seed_, .aim = DrawAim()};
    if (phase == Phase::kRecovery) child.aim.phase = phase;
    child.config.segment_size_min = uint64_t{16384} << random_.Below(4);
    child.config.segment_size_max = child.config.segment_size_min;
    child.config.space_extra_min = 0;
    child.config.max_space_amplification = 1.2;
    child.config.background_compaction = false;
    if (random_.Chance(1)) child.config.sync = engine::SyncPolicy::kInterval;
    child.config.sync_interval = std::chrono::milliseconds(1);
    return child;
  }

  // Lets a child write behind what is done, and notes how it was killed.
  void WriteUntilKilled();
  // Ends some processes in a row while they recover what the last one left.
  void KillRecoveries();
  // Takes what was acknowledged into the model, and compares.
  void Check();

  bool Equals(const Engine& store) const {
    if (store.GetStats().key_count != model_.key_count(model_.unit_count())) {
      return false;
    }
    for (uint64_t i = 0; i < kKeyCount; ++i) {
      const std::string key = KeyOf(i);
      const std::string* const expected = model_.ValueOf(key);
      std::string found;
      const absl::Status status = store.Get(key, &found);
      if (!status.ok() && !absl::IsNotFound(status)) return false;
      if (status.ok() != (expected != nullptr)) return false;
      if (status.ok() && found != *expected) return false;
      if (store.State(key).value() != model_.StateOf(key)) return false;
    }
    return true;
  }

  TempDir dir_;
  const uint64_t seed_;
  SimRandom random_;
  Model model_;
  SharedProgress progress_;
  uint64_t done_ = 0;
  uint64_t kills_ = 0;
  uint64_t in_flight_kept_ = 0;
  std::array<uint64_t, kPhaseNames.size()> kills_in_ = {};
};

void KillTest::WriteUntilKilled() {
  const Child what = DrawChild(Phase::kOutside);
  progress_->acknowledged = done_;
  progress_->died_in = Phase::kOutside;
  const uint64_t wanted = done_ + 1 + random_.Below(what.aim.change * 4);
  const bool is_aimed = what.aim.phase != Phase::kOutside;
  const pid_t child = ::peat::testing::StartChild(
      [&] { return Write(what, done_, model_, progress_); });
  // What never comes to what it aims at is killed all the same.
  while (progress_->acknowledged < (is_aimed ? done_ + 400 : wanted) &&
         ::peat::testing::IsRunning(child)) {
    if (is_aimed) {
      usleep(200);
    } else {
      std::this_thread::yield();
    }
  }
  kill(child, SIGKILL);
  ASSERT_EQ(::peat::testing::WaitFor(child), -SIGKILL)
      << "operation " << progress_->failed;
  ++kills_in_[static_cast<size_t>(progress_->died_in.load())];
  ++kills_;
}

void KillTest::KillRecoveries() {
  while (random_.Chance(3)) {
    const Child what = DrawChild(Phase::kRecovery);
    const int end =
        ::peat::testing::RunInChild([&] { return Recover(what, progress_); });
    if (end == 0) continue;  // it was over before
    ASSERT_EQ(end, -SIGKILL);
    ++kills_in_[static_cast<size_t>(Phase::kRecovery)];
    ++kills_;
  }
}

void KillTest::Check() {
  for (; done_ < progress_->acknowledged; ++done_) {
    DoOperation(seed_, done_, nullptr, model_);
  }
  Config config{.background_threads = false, .recovery_threads = 1};
  // There may be no store yet where the first open was killed.
  if (random_.Chance(4) && model_.unit_count() > 0) {
    config.access = Access::kReadOnly;
  }
  ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<Engine> store,
      Engine::Open(engine::PosixFileSystem(), dir_.path() / "store", config));
  // Not by what the keys are: a batch may disable one and enable it again.
  if (store->GetStats().last_lsn != model_.last_lsn(model_.unit_count())) {
    DoOperation(seed_, done_++, nullptr, model_);
    ++in_flight_kept_;
  }
  ASSERT_EQ(store->GetStats().last_lsn, model_.last_lsn(model_.unit_count()));
  ASSERT_TRUE(Equals(*store));
  ASSERT_EQ(SumOfMasks(*store), SumOfMasks(model_));
}

TEST_P(KillTest, NothingAcknowledgedIsLost) {
  PEAT_SKIP_UNDER_TSAN();
  for (uint64_t round = 0; kills_ < WantedKills(); ++round) {
    SCOPED_TRACE(::testing::Message() << "PEAT_SEED=" << seed_ << " round "
                                      << round << " behind " << done_);
    // Stores stay small.
    if (round % 25 == 24) {
      std::filesystem::remove_all(dir_.path() / "store");
      model_ = Model();
    }
    WriteUntilKilled();
    if (HasFatalFailure()) return;
    KillRecoveries();
    if (HasFatalFailure()) return;
    Check();
    if (HasFatalFailure()) return;
  }
  std::cout << kills_ << " kills, " << done_ << " operations, "
            << in_flight_kept_ << " in flight kept\n";
  for (size_t i = 0; i < kPhaseNames.size(); ++i) {
    std::cout << "| " << kPhaseNames[i] << " | " << kills_in_[i] << " |\n";
    if (kills_ > 200) {
      EXPECT_GT(kills_in_[i], kills_ / 100) << kPhaseNames[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Places, KillTest,
                         ::testing::Values(TempDir::Place::kMemory,
                                           TempDir::Place::kDisk),
                         [](const auto& place) {
                           return place.param == TempDir::Place::kDisk
                                      ? "disk"
                                      : "memory";
                         });

}  // namespace
}  // namespace peat
