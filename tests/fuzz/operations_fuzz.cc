// Fuzzes a store on the simulated disk with a script and a crash, against the
// model.
//
//   size  of the input
//   1     settings: segment size (2 bits), weak hash (2), sync at each write,
//         positional reads, an ordered index, no crash
//   2     the event at which the machine dies, little-endian
//   1     how deeply its images are checked
//   1     for each step: its kind; then what each of its writes needs: for a
//         batch and a compaction how many there are and what each is, key, size
//
// Promised: every call answers as the model does, and whatever the crash has
// left is what the model was after the first so many units.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "tests/crash/crash_check.h"
#include "tests/fuzz/fuzz_target.h"

namespace peat::testing {
namespace {

using engine::Operation;
using Kind = ScriptStep::Kind;

constexpr uint32_t kKeyCount = 10;
constexpr size_t kStepsMax = 64;
constexpr uint8_t kKindCount = 18;
// In the place of writeback that fails, which nobody can tell.
constexpr Kind kCheckImage = Kind::kFailWriteback;

// The bytes of an input, one by one; zeros behind them.
class Input final {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool is_over() const { return at_ >= size_; }
  uint8_t Next() { return is_over() ? uint8_t{0} : data_[at_++]; }
  uint32_t Below(uint32_t bound) { return Next() % bound; }
  uint32_t position() const { return static_cast<uint32_t>(at_); }

 private:
  const uint8_t* const data_;
  const size_t size_;
  size_t at_ = 0;
};

engine::Config ConfigOf(uint8_t settings) {
  engine::Config config = TestConfig(uint64_t{8192} << (settings & 3) % 3);
  config.weak_hash_bits = settings >> 2 & 3;
  if ((settings & 0x10) != 0) config.sync = engine::SyncPolicy::kEveryWrite;
  if ((settings & 0x20) != 0) {
    config.read_method = engine::ReadMethod::kPositional;
  }
  config.ordered = (settings & 0x40) != 0;
  return config;
}

// Small ones, up to what is inline, and some in files of their own.
uint32_t ValueSize(Input& input) {
  const uint32_t byte = input.Next();
  return byte < 128 ? byte : (byte - 127) * 32;
}

ScriptWrite WriteOf(Input& input, Operation operation) {
  return {.operation = operation,
          .key = input.Below(kKeyCount),
          .value_size = operation == Operation::kPut ? ValueSize(input) : 0,
          .value_seed = input.position()};
}

ScriptStep StepOf(Input& input) {
  ScriptStep step{.kind = static_cast<Kind>(input.Below(kKindCount))};
  if (step.kind < Kind::kBatch) {
    step.writes.push_back(WriteOf(input, OperationOf(step.kind)));
    return step;
  }
  uint32_t count = 0;
  if (step.kind == Kind::kBatch) count = 1 + input.Below(4);
  if (step.kind >= Kind::kCompact && step.kind <= Kind::kSaveIndex) {
    count = input.Below(4);
  }
  for (; count > 0; --count) {
    const auto kind = static_cast<Kind>(input.Below(kKindCount));
    step.writes.push_back(WriteOf(input, OperationOf(kind)));
  }
  return step;
}

// Whether `status` is OK; otherwise says what was done, and ends the process.
void Require(const absl::Status& status, const Script& script, uint64_t event) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n  crash after event %lu of\n%s",
               status.ToString().c_str(), event, ToString(script).c_str());
  std::abort();
}

constexpr uint64_t kCrashKindCount = 5;

absl::Status CheckOne(const CrashRun& run, uint64_t kind, uint64_t seed,
                      const CheckDepth& depth) {
  const ImageOrigin origin{.kind = static_cast<CrashKind>(kind),
                           .seed = seed + kind};
  return CheckImage(run.disk().CrashImage(origin.kind, origin.seed),
                    run.settings(), run.oracle(), origin, depth);
}

// Of each kind of crash; in one of them recovery is crashed, too, a few times:
// many inputs are to be tried, not few to their ground.
absl::Status CheckAll(const CrashRun& run, uint8_t depth, uint64_t seed) {
  for (uint64_t kind = 0; kind < kCrashKindCount; ++kind) {
    const bool crashes_again =
        (depth & 0x38) == 0x38 && seed % kCrashKindCount == kind;
    absl::Status status = CheckOne(run, kind, seed,
                                   {.read_only = (depth & 1) != 0,
                                    .go_on = (depth & 2) != 0,
                                    .lose_power = (depth & 4) != 0,
                                    .recovery_step = crashes_again ? 997u : 0u,
                                    .recovery_levels = 1});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void RunScript(const Script& script, uint64_t event, uint8_t depth) {
  SetReplay(ToString(script));
  CrashRun run(std::make_unique<SimFileSystem>(1),
               {.config = script.config, .key_count = kKeyCount}, {});
  if (event > 0) run.disk().CrashAfter(event);
  uint64_t images = 0;
  Require(run.Open(0), script, event);
  for (const ScriptStep& step : script.steps) {
    if (!run.is_open() || !run.is_alive()) break;
    if (step.kind == kCheckImage) {
      Require(CheckOne(run, images++ % kCrashKindCount, event, {}), script,
              event);
      continue;
    }
    Require(run.Do(step), script, event);
  }
  if (run.is_alive()) Require(run.CheckState(), script, event);
  run.DropStore();
  Require(CheckAll(run, depth, event), script, event);
}

}  // namespace
}  // namespace peat::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using peat::testing::Script;
  peat::testing::Input input(data, size);
  const uint8_t settings = input.Next();
  uint64_t event = input.Next();
  event += uint64_t{256} * input.Next();
  if ((settings & 0x80) != 0) event = 0;
  const uint8_t depth = input.Next();
  Script script{.config = peat::testing::ConfigOf(settings),
                .key_count = peat::testing::kKeyCount,
                .steps = {}};
  while (!input.is_over() && script.steps.size() < peat::testing::kStepsMax) {
    script.steps.push_back(peat::testing::StepOf(input));
  }
  peat::testing::RunScript(script, event, depth);
  return 0;
}
