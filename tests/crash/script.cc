#include "tests/crash/script.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_format.h"

namespace peat::testing {
namespace {

using Kind = ScriptStep::Kind;
using engine::Operation;

constexpr size_t kKindCount = 19;
constexpr const char* kKindNames[] = {"put",
                                      "put-if-absent",
                                      "update",
                                      "compare-and-set",
                                      "delete",
                                      "disable",
                                      "enable",
                                      "forget",
                                      "batch",
                                      "flush",
                                      "supply",
                                      "sync",
                                      "reopen",
                                      "compact",
                                      "compact-all",
                                      "save-index",
                                      "fail-writeback",
                                      "checkpoint",
                                      "open-again"};
static_assert(std::size(kKindNames) == kKindCount);

// By Operation.
constexpr std::array<char, 8> kOperationSigns = {'+', '+', '+', '+',
                                                 '-', '!', '?', 'x'};

constexpr size_t kKeySizeMax = 65'535;

bool Writes(Kind kind) { return kind <= Kind::kBatch; }

bool TakesWritesAmid(Kind kind) {
  return kind >= Kind::kCompact && kind <= Kind::kSaveIndex;
}

constexpr std::array<Kind, 3> kMaskKinds = {Kind::kDisable, Kind::kEnable,
                                            Kind::kForget};

// Draws scripts of one mix.
class Generator final {
 public:
  Generator(SimRandom& random, const ScriptShape& shape)
      : random_(random), shape_(shape) {
    const uint64_t segment_size = uint64_t{8192} << random_.Below(3);
    script_.config = TestConfig(segment_size);
    // Drawn from nothing, so that a seed means what it meant before.
    script_.config.ordered = segment_size == 16384;
    large_value_size_ = engine::LargeValueSize(segment_size);
    if (random_.Chance(3)) {
      script_.config.weak_hash_bits = static_cast<int>(random_.Below(3)) + 1;
    }
    if (random_.Chance(1)) {
      script_.config.sync = engine::SyncPolicy::kEveryWrite;
    }
    if (random_.Chance(1)) {
      script_.config.read_method = engine::ReadMethod::kPositional;
    }
    script_.key_count = static_cast<uint32_t>(
        shape_.small ? 3 + random_.Below(6) : 16 + random_.Below(49));
    for (uint64_t& weight : weights_) {
      if (&weight == &weights_[Index(Kind::kCheckpoint)]) break;
      weight = random_.Chance(2) ? 0 : 1 + random_.Below(4);
    }
    // Drawn from nothing, too.
    if (script_.key_count % 2 == 0) weights_[Index(Kind::kCheckpoint)] = 1;
    if (script_.key_count % 3 == 0) weights_[Index(Kind::kOpenAgain)] = 1;
    weights_[Index(Kind::kPut)] += 3;
    // Every other script does much of one kind.
    if (random_.Chance(4)) {
      weights_[random_.Below(Index(Kind::kCheckpoint))] += 8;
    }
    has_masks_ = random_.Chance(6);
    for (const Kind kind : kMaskKinds) {
      if (!has_masks_) weights_[Index(kind)] = 0;
    }
    if (!shape_.fail_writeback) weights_[Index(Kind::kFailWriteback)] = 0;
    longest_key_ = random_.Chance(shape_.small ? 0 : 1);
    for (uint64_t& weight : size_weights_) weight = random_.Below(4);
    size_weights_[0] += 1;
  }

  Script Run() {
    for (size_t i = 0; i < shape_.step_count; ++i) {
      script_.steps.push_back(Step());
    }
    return std::move(script_);
  }

 private:
  static size_t Index(Kind kind) { return static_cast<size_t>(kind); }

  template <typename Weights>
  size_t Draw(const Weights& weights) {
    uint64_t sum = 0;
    for (const uint64_t weight : weights) sum += weight;
    uint64_t at = random_.Below(sum);
    size_t i = 0;
    while (at >= weights[i]) at -= weights[i++];
    return i;
  }

  ScriptStep Step() {
    ScriptStep step{.kind = static_cast<Kind>(Draw(weights_))};
    if (!Writes(step.kind)) {
      if (step.kind == Kind::kFailWriteback) step.writes.push_back(Write());
      if (TakesWritesAmid(step.kind)) {
        for (uint64_t i = random_.Below(4); i > 0; --i) {
          step.writes.push_back(Write());
        }
      }
      return step;
    }
    size_t count = 1;
    if (step.kind == Kind::kBatch) {
      count = 1 + random_.Below(shape_.small ? 4 : 12);
    }
    for (size_t i = 0; i < count; ++i) step.writes.push_back(Write());
    if (step.kind != Kind::kBatch) {
      step.writes[0].operation = OperationOf(step.kind);
    }
    for (ScriptWrite& write : step.writes) {
      if (write.operation == Operation::kForget) write.key = ForgottenKey();
    }
    return step;
  }

  ScriptWrite Write() {
    Operation operation = Operation::kPut;
    if (random_.Chance(2)) operation = Operation::kDelete;
    if (has_masks_ && random_.Chance(3)) {
      operation = OperationOf(kMaskKinds[random_.Below(kMaskKinds.size())]);
    }
    return {.operation = operation,
            .key = Key(),
            .value_size = ValueSize(),
            .value_seed = static_cast<uint32_t>(random_.Next())};
  }

  uint32_t Key() {
    const auto key = static_cast<uint32_t>(random_.Below(script_.key_count));
    return key == kLongestKey && !longest_key_ ? 2 : key;
  }

  // What is forgotten is so for ever: not all keys are.
  uint32_t ForgottenKey() {
    const uint32_t third = script_.key_count / 3;
    return third + static_cast<uint32_t>(random_.Below(third + 1));
  }

  // Empty, small, about a sector, about a page, inline at most, or in a file of
  // its own.
  uint32_t ValueSize() {
    switch (Draw(size_weights_)) {
      case 0:
        return static_cast<uint32_t>(random_.Below(48));
      case 1:
        return 0;
      case 2:
        return static_cast<uint32_t>(300 + random_.Below(400));
      case 3:
        return static_cast<uint32_t>(large_value_size_ - random_.Below(16));
      default:
        return static_cast<uint32_t>(large_value_size_ + 1 +
                                     random_.Below(8192));
    }
  }

  SimRandom& random_;
  const ScriptShape shape_;
  Script script_;
  uint64_t large_value_size_ = 0;
  std::array<uint64_t, kKindCount> weights_ = {};
  std::array<uint64_t, 5> size_weights_ = {};
  bool longest_key_ = false;
  bool has_masks_ = false;
};

ScriptStep Put(uint32_t key, uint32_t size) {
  return {.kind = Kind::kPut,
          .writes = {{.key = key, .value_size = size, .value_seed = key}}};
}
ScriptStep Do(Kind kind) { return {.kind = kind}; }

}  // namespace

Operation OperationOf(ScriptStep::Kind kind) {
  switch (kind) {
    case Kind::kDelete:
      return Operation::kDelete;
    case Kind::kDisable:
      return Operation::kDisable;
    case Kind::kEnable:
      return Operation::kEnable;
    case Kind::kForget:
      return Operation::kForget;
    default:
      return Operation::kPut;
  }
}

std::string KeyOf(uint32_t number) {
  if (number == 0) return "";
  if (number == kLongestKey) return std::string(kKeySizeMax, 'k');
  return absl::StrFormat("k%d", number);
}

std::string ValueOf(const ScriptWrite& write) {
  SimRandom random(write.value_seed);
  std::string value(write.value_size, '\0');
  uint64_t bits = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    if (i % 8 == 0) bits = random.Next();
    value[i] = static_cast<char>(bits >> (i % 8 * 8));
  }
  return value;
}

std::string ReasonOf(const ScriptWrite& write) {
  return absl::StrFormat("reason %d", write.value_seed % 1000);
}

std::string ToString(const Script& script) {
  const engine::Config& config = script.config;
  std::string text = absl::StrFormat(
      "segment size %d, weak hash bits %d, sync policy %d, read method %d, "
      "ordered %d, %d keys\n",
      config.segment_size_min, config.weak_hash_bits,
      static_cast<int>(config.sync), static_cast<int>(config.read_method),
      config.ordered ? 1 : 0, script.key_count);
  for (const ScriptStep& step : script.steps) {
    text += kKindNames[static_cast<size_t>(step.kind)];
    for (const ScriptWrite& write : step.writes) {
      absl::StrAppendFormat(
          &text, " %ck%d:%d#%d",
          kOperationSigns[static_cast<size_t>(write.operation)], write.key,
          write.value_size, write.value_seed);
    }
    text += '\n';
  }
  return text;
}

Script RandomScript(SimRandom& random, const ScriptShape& shape) {
  return Generator(random, shape).Run();
}

std::vector<Script> HandWrittenScripts() {
  const auto script = [](std::vector<ScriptStep> steps) {
    return Script{.config = TestConfig(8192), .steps = std::move(steps)};
  };
  const ScriptStep flush = Do(Kind::kFlush);
  const ScriptStep erase{
      .kind = Kind::kDelete,
      .writes = {{.operation = Operation::kDelete, .key = 2}}};
  const ScriptStep batch{.kind = Kind::kBatch,
                         .writes = {{.key = 0, .value_size = 10},
                                    {.key = 2, .value_size = 20},
                                    {.operation = Operation::kDelete, .key = 2},
                                    {.key = 0, .value_size = 30}}};
  // In the midst of it one of the keys that move is deleted, and one put.
  const ScriptStep compact{
      .kind = Kind::kCompactAll,
      .writes = {{.operation = Operation::kDelete, .key = 2},
                 {.key = 3, .value_size = 7}}};
  const ScriptStep save{.kind = Kind::kSaveIndex,
                        .writes = {{.operation = Operation::kDelete, .key = 3},
                                   {.key = 2, .value_size = 8}}};
  const ScriptStep wide_batch{.kind = Kind::kBatch,
                              .writes = {{.key = 2, .value_size = 2000},
                                         {.key = 3, .value_size = 2001},
                                         {.key = 4, .value_size = 2002},
                                         {.key = 5, .value_size = 2100}}};
  const auto mask = [](Kind kind, uint32_t key) {
    return ScriptStep{.kind = kind,
                      .writes = {{.operation = OperationOf(kind), .key = key}}};
  };
  const ScriptStep disable = mask(Kind::kDisable, 2);
  const ScriptStep enable = mask(Kind::kEnable, 2);
  const ScriptStep forget = mask(Kind::kForget, 2);
  const ScriptStep mask_batch{
      .kind = Kind::kBatch,
      .writes = {{.key = 3, .value_size = 10},
                 {.operation = Operation::kDisable, .key = 3},
                 {.operation = Operation::kEnable, .key = 2},
                 {.operation = Operation::kForget, .key = 3},
                 {.operation = Operation::kForget, .key = 4}}};
  // All keys in one shard, which a snapshot of the index may hold already.
  Script one_shard =
      script({Put(2, 44), Do(Kind::kReopen), Put(3, 2040), Put(2, 9)});
  one_shard.config.weak_hash_bits = 1;
  return {
      std::move(one_shard),
      script({Put(2, 8), disable, flush, enable, Put(2, 9), forget, flush,
              Put(3, 1)}),
      script({Put(2, 2500), disable, Do(Kind::kReopen), enable, forget,
              Do(Kind::kReopen), Put(2, 7)}),
      script({Put(2, 1800), disable, Put(3, 1900), mask_batch, flush,
              Do(Kind::kRunSync), forget, forget, flush}),
      script({forget, flush, Put(2, 8), erase, Do(Kind::kReopen), enable}),
      script({Put(2, 8), flush, Put(3, 8), Do(Kind::kReopen), Put(2, 9)}),
      script({Put(0, 0), flush, erase, Put(2, 4), flush, erase}),
      script({Put(2, 1900), Put(3, 1901), Put(4, 1902), flush, Put(5, 1903),
              Do(Kind::kRunSync), Put(6, 9)}),
      script({Put(2, 1900), Do(Kind::kRunSupply), Put(3, 1901), Put(4, 1902),
              flush, Do(Kind::kRunSync), Put(5, 7), flush}),
      script({Put(2, 3000), flush, Put(2, 2500), Put(3, 5), flush}),
      script({batch, flush, batch, Put(3, 3)}),
      script({Put(2, 8), wide_batch, flush, wide_batch}),
      script({Put(2, 900), Put(3, 901), Put(4, 2000), Put(4, 2000),
              Put(5, 2000), Put(4, 2000), Put(5, 2001), flush,
              Do(Kind::kRunSync), compact, Put(5, 3), Do(Kind::kReopen)}),
      // A snapshot of what is not durable, and what is written in its midst.
      script({Put(2, 1900), Put(3, 1900), flush, Put(4, 1900), Put(2, 9), save,
              Put(5, 1900), erase, Do(Kind::kRunSync), compact, save, Put(6, 9),
              Do(Kind::kReopen), Put(7, 9)}),
      // A copy of what is not durable, which shares files that go from the
      // store.
      script({Put(2, 1900), Put(3, 3000), flush, Put(2, 9), Put(4, 1900),
              Do(Kind::kCheckpoint), Put(3, 8), flush, compact,
              Do(Kind::kReopen)}),
      // What supersedes all of an input has not been flushed.
      script({Put(2, 1900), Put(3, 1900), Put(4, 1900), Put(5, 1900),
              Put(6, 1900), flush, Do(Kind::kRunSync), Put(2, 9), Put(3, 9),
              Put(4, 9), Do(Kind::kCompact), Put(5, 9)}),
      // A value file, superseded; a tombstone and what it shadows, in segments
      // that are compacted apart.
      script({Put(2, 3000), Put(3, 1900), Put(4, 1900), erase, Put(3, 1900),
              Put(4, 1900), Put(5, 1900), Put(6, 1900), flush,
              Do(Kind::kRunSync), Do(Kind::kCompact), Do(Kind::kCompact),
              Put(5, 1900), Put(6, 1900), Put(7, 1900), Do(Kind::kRunSync),
              Do(Kind::kCompactAll), Put(7, 3)}),
  };
}

engine::Config TestConfig(uint64_t segment_size) {
  engine::Config config;
  config.segment_size_min = segment_size;
  config.segment_size_max = segment_size;
  config.space_extra_min = 0;
  config.snapshot_bytes_min = 0;
  config.background_threads = false;
  config.recovery_threads = 1;
  config.wall_clock = [] { return kTestTime; };
  return config;
}

}  // namespace peat::testing
