// Single-key calls are linearizable, whatever compaction does meanwhile:
// several threads make calls on few keys and note when and with what answer;
// then the history of each key is given to the checker.
//
// PEAT_RACE_ROUNDS multiplies the work. PEAT_SEED: another run.

#include "tests/support/linearizability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "engine/segment/seeded_bug.h"
#include "tests/concurrency/compaction_race_fixture.h"
#include "tests/support/child_process.h"
#include "tests/support/sim_random.h"

namespace peat::engine {
namespace {

using ::peat::testing::CheckLinearizable;
using ::peat::testing::HeldValue;
using ::peat::testing::IsOk;
using ::peat::testing::KeyCall;
using ::peat::testing::kNoValue;
using ::peat::testing::Rounds;
using ::peat::testing::SimRandom;
using ::peat::testing::TempDir;
using Kind = KeyCall::Kind;

constexpr size_t kKeyCount = 3;
constexpr int kThreadCount = 4;
constexpr std::array<std::string_view, kKeyCount> kKeys = {"", "a", "b"};

// The calls on each key.
using Histories = std::array<std::vector<KeyCall>, kKeyCount>;

std::string BytesOf(HeldValue value) {
  return std::to_string(value) + " " + std::string(value % 700, 'p');
}

HeldValue HeldIn(std::string_view bytes) {
  const HeldValue value =
      std::strtoull(std::string(bytes.substr(0, 24)).c_str(), nullptr, 10);
  EXPECT_EQ(bytes, BytesOf(value));
  return value;
}

// One thread that makes calls. Each value that it writes is a new one.
class Caller final {
 public:
  Caller(Engine* engine, std::atomic<uint64_t>* clock, uint64_t seed)
      : engine_(*engine),
        clock_(*clock),
        random_(seed),
        next_value_(seed << 32) {}

  void CallSome() {
    // Between them the log grows, or no record that moves would be current.
    if (random_.Chance(6)) return Fill();
    const size_t key = random_.Below(kKeyCount);
    switch (random_.Below(12)) {
      case 0:
      case 1:
        return Change(key, Kind::kPut);
      case 2:
        return PutTwo(key, (key + 1) % kKeyCount);
      case 3:
        return Change(key, Kind::kPutIfAbsent);
      case 4:
        return Change(key, Kind::kUpdate);
      case 5:
      case 6:
        return Change(key, Kind::kCompareAndSet);
      case 7:
      case 8:
        return Change(key, Kind::kDelete);
      case 9:
        return GetAll();
      default:
        return Get(key);
    }
  }

  const Histories& histories() const { return histories_; }

 private:
  // Also an order of what happens in different threads: who takes a tick sees
  // everything that was done before an earlier one was taken.
  uint64_t Tick() { return clock_.fetch_add(1); }

  KeyCall Begin(Kind kind) {
    KeyCall call{.kind = kind};
    if (kind != Kind::kDelete && kind != Kind::kGet) call.value = ++next_value_;
    call.called = Tick();
    return call;
  }

  void Note(size_t key, KeyCall call) {
    histories_[key].push_back(call);
    if (call.kind == Kind::kGet) {
      known_[key] = call.found;
    } else if (call.done || call.kind == Kind::kPut ||
               call.kind == Kind::kUpdate) {
      known_[key] = call.value;
    }
  }

  void Change(size_t key, Kind kind) {
    // What this thread has seen last may be there yet.
    const HeldValue expected = random_.Chance(2) ? kNoValue : known_[key];
    KeyCall call = Begin(kind);
    call.expected = expected;
    EXPECT_OK(Make(kKeys[key], &call));
    call.returned = Tick();
    Note(key, call);
  }

  absl::Status Make(std::string_view key, KeyCall* call) {
    const std::string value = BytesOf(call->value);
    switch (call->kind) {
      case Kind::kPut:
        return engine_.Put(key, value);
      case Kind::kPutIfAbsent:
        return Take(engine_.PutIfAbsent(key, value), &call->done);
      case Kind::kDelete:
        return Take(engine_.Delete(key), &call->done);
      case Kind::kCompareAndSet: {
        std::optional<std::string> expected;
        if (call->expected != kNoValue) expected = BytesOf(call->expected);
        return Take(engine_.CompareAndSet(key, expected, value), &call->done);
      }
      default: {
        const auto previous = engine_.Update(key, value);
        if (previous.ok() && previous->has_value()) {
          call->found = HeldIn(**previous);
        }
        return previous.status();
      }
    }
  }

  static absl::Status Take(const absl::StatusOr<bool>& answer, bool* done) {
    if (answer.ok()) *done = *answer;
    return answer.status();
  }

  void Fill() {
    EXPECT_OK(engine_.Put("filler" + std::to_string(random_.Below(8)),
                          std::string(2000, 'f')));
  }

  // In one batch.
  void PutTwo(size_t first, size_t second) {
    std::array<KeyCall, 2> calls = {Begin(Kind::kPut), Begin(Kind::kPut)};
    const std::array<std::string, 2> values = {BytesOf(calls[0].value),
                                               BytesOf(calls[1].value)};
    EXPECT_OK(engine_.Write(std::vector<BatchOperation>{
        {.operation = Operation::kPut, .key = kKeys[first], .value = values[0]},
        {.operation = Operation::kPut,
         .key = kKeys[second],
         .value = values[1]}}));
    for (KeyCall& call : calls) call.returned = Tick();
    Note(first, calls[0]);
    Note(second, calls[1]);
  }

  void Get(size_t key) {
    KeyCall call = Begin(Kind::kGet);
    std::string bytes;
    const absl::Status status = engine_.Get(kKeys[key], &bytes);
    call.returned = Tick();
    NoteFound(key, call, status, bytes);
  }

  void GetAll() {
    const KeyCall begun = Begin(Kind::kGet);
    std::array<KeyCall, kKeyCount> calls;
    calls.fill(begun);
    std::array<std::string, kKeyCount> values;
    std::array<absl::Status, kKeyCount> statuses;
    EXPECT_OK(engine_.MultiGet(
        kKeys, [&](size_t i, const absl::Status& status, Pinned value) {
          statuses[i] = status;
          values[i] = value.value;
        }));
    const uint64_t returned = Tick();
    for (size_t i = 0; i < kKeyCount; ++i) {
      calls[i].returned = returned;
      NoteFound(i, calls[i], statuses[i], values[i]);
    }
  }

  void NoteFound(size_t key, KeyCall call, const absl::Status& status,
                 const std::string& bytes) {
    EXPECT_TRUE(status.ok() || absl::IsNotFound(status)) << status;
    if (status.ok()) call.found = HeldIn(bytes);
    Note(key, call);
  }

  Engine& engine_;
  std::atomic<uint64_t>& clock_;
  SimRandom random_;
  HeldValue next_value_;
  std::array<HeldValue, kKeyCount> known_ = {};
  Histories histories_;
};

class LinearizabilityTest : public testing::CompactionRaceFixture {
 protected:
  LinearizabilityTest() : CompactionRaceFixture(TempDir::Place::kMemory) {}

  // Lets threads make calls; OK if the history of each key is linearizable.
  absl::Status RunAndCheck() {
    const char* const seed =
        std::getenv("PEAT_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint64_t first =
        seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10) * kThreadCount;
    std::atomic<uint64_t> clock = 0;
    for (const std::string_view key : kKeys) EXPECT_OK(engine_->Delete(key));
    std::vector<Caller> callers;
    for (uint64_t i = 0; i < kThreadCount; ++i) {
      callers.emplace_back(engine_.get(), &clock, first + i);
    }
    RunBesideCompaction(kThreadCount, [&](int thread) {
      Caller& caller = callers[static_cast<size_t>(thread)];
      for (int i = 0; i < Rounds(4000); ++i) caller.CallSome();
    });
    EXPECT_GT(engine_->GetStats().compaction_count, 0U);
    absl::Status status;
    size_t call_count = 0;
    for (size_t key = 0; key < kKeyCount; ++key) {
      std::vector<KeyCall> calls;
      for (const Caller& caller : callers) {
        const std::vector<KeyCall>& some = caller.histories()[key];
        calls.insert(calls.end(), some.begin(), some.end());
      }
      status.Update(CheckLinearizable(calls));
      call_count += calls.size();
    }
    std::cout << call_count << " calls\n";
    return status;
  }
};

INSTANTIATE_TEST_SUITE_P(Methods, LinearizabilityTest,
                         ::testing::Values(ReadMethod::kMapped,
                                           ReadMethod::kPositional));

TEST_P(LinearizabilityTest, OneOrderOfItsCallsExplainsEachKey) {
  EXPECT_OK(RunAndCheck());
}

#ifdef PEAT_SEEDED_BUGS

// The test, tested: engines in which threads get into each other's way.
TEST_P(LinearizabilityTest, NoticesWhatIsWrong) {
  PEAT_SKIP_UNDER_TSAN();
  engine_.reset();
  for (const Bug bug :
       {Bug::kMoveWithoutCompare, Bug::kDecidedOnce, Bug::kIndexBeforeAppend}) {
    SCOPED_TRACE(static_cast<int>(bug));
    const auto begin = std::chrono::steady_clock::now();
    const int end = testing::RunInChild([&] {
      SetSeededBug(bug);
      Open();
      absl::Status status;
      for (int i = 0; i < 20 && status.ok(); ++i) status = RunAndCheck();
      return status.ok() ? 0 : 1;
    });
    // An assertion may be quicker.
    EXPECT_NE(end, 0);
    if (bug == Bug::kDecidedOnce) {
      EXPECT_EQ(end, 1);
    }
    std::cout << "bug " << static_cast<int>(bug) << ": "
              << std::chrono::duration<double>(
                     std::chrono::steady_clock::now() - begin)
                     .count()
              << " s\n";
    std::filesystem::remove_all(dir_.path() / "store");
  }
}

#endif

}  // namespace
}  // namespace peat::engine
