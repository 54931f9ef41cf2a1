// Drivers: a script crashed after every event, and long runs of several
// generations.

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "tests/crash/crash_check.h"

namespace peat::testing {
namespace {

using Settings = CrashRun::Settings;

// Of the scripts of long runs.
constexpr uint32_t kKeyCountMax = 64;

// All images of so many are cheap.
constexpr uint64_t kFewChoices = 5;

constexpr CrashKind kPowerLosses[] = {CrashKind::kPowerLossNothing,
                                      CrashKind::kPowerLossEverything,
                                      CrashKind::kPowerLossPrefix};

Settings SettingsOf(const Script& script) {
  return {.config = script.config,
          .key_count = std::max<uint32_t>(script.key_count, 8)};
}

// Crashes one script after one event, and checks the images.
class OneCrash final {
 public:
  OneCrash(const Script& script, const CrashPlan& plan, uint64_t event)
      : plan_(plan),
        random_(plan.seed * 1'000'003 + event),
        settings_(SettingsOf(script)),
        run_(std::make_unique<SimFileSystem>(plan.seed), settings_, {}) {
    run_.disk().CrashAfter(event);
  }

  absl::Status Run(const Script& script) {
    ++Counts().crashes;
    PEAT_RETURN_IF_ERROR(run_.DoAll(script.steps));
    run_.DropStore();
    PEAT_RETURN_IF_ERROR(CheckKind(CrashKind::kKill));
    for (const CrashKind kind : kPowerLosses) {
      PEAT_RETURN_IF_ERROR(CheckKind(kind));
    }
    for (int i = 0; i < plan_.random_images; ++i) {
      PEAT_RETURN_IF_ERROR(CheckKind(CrashKind::kPowerLossRandomSubset));
    }
    const uint64_t choices = run_.disk().PendingChoiceCount();
    if (choices > plan_.choices_max ||
        (choices > kFewChoices && random_.Below(plan_.many_every) != 0)) {
      return absl::OkStatus();
    }
    for (uint64_t i = 0; i < uint64_t{1} << choices; ++i) {
      PEAT_RETURN_IF_ERROR(
          Check(run_.disk().ExhaustiveImage(i),
                {.kind = CrashKind::kPowerLossRandomSubset, .seed = i}));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status CheckKind(CrashKind kind) {
    const uint64_t seed = random_.Next();
    return Check(run_.disk().CrashImage(kind, seed),
                 {.kind = kind, .seed = seed});
  }

  absl::Status Check(std::unique_ptr<SimFileSystem> image,
                     const ImageOrigin& origin) {
    const bool deep = random_.Below(plan_.deep_every) == 0;
    const bool deepest = deep && random_.Chance(2);
    return CheckImage(std::move(image), settings_, run_.oracle(), origin,
                      {.read_only = deep || random_.Chance(2),
                       .go_on = deep || random_.Chance(1),
                       .lose_power = deep || random_.Chance(2),
                       .recovery_step = deepest ? 1 + random_.Below(4) : 0});
  }

  const CrashPlan plan_;
  SimRandom random_;
  const Settings settings_;
  CrashRun run_;
};

// One life of a store, from what the last crash has left to the next crash.
class Generation final {
 public:
  Generation(SimRandom& random, bool has_faults,
             std::unique_ptr<SimFileSystem> disk, Oracle oracle)
      : random_(random),
        script_(RandomScript(
            random, {.step_count = static_cast<size_t>(20 + random.Below(150)),
                     .small = false,
                     .fail_writeback = has_faults})),
        settings_({.config = script_.config,
                   .key_count = kKeyCountMax,
                   .expects_faults = has_faults}),
        run_(std::move(disk), settings_, std::move(oracle)) {}

  absl::Status Run(size_t floor) {
    ++Counts().crashes;
    // Half of them end early, in recovery or soon after; half live long.
    const uint64_t scale = uint64_t{1}
                           << (random_.Chance(4) ? random_.Below(15)
                                                 : 13 + random_.Below(6));
    run_.disk().CrashAfter(1 + random_.Below(scale) + random_.Below(40));
    PEAT_RETURN_IF_ERROR(run_.Open(floor));
    for (const ScriptStep& step : script_.steps) {
      if (!run_.is_open() || !run_.is_alive()) break;
      PEAT_RETURN_IF_ERROR(run_.Do(step));
      // A crash between two steps, too: many a mistake is mended by the next
      // flush, which few of the crashes at one event of all come before.
      if (run_.is_alive() && random_.Chance(1)) {
        PEAT_RETURN_IF_ERROR(CheckImageOf({.read_only = random_.Chance(1)}));
      }
    }
    run_.DropStore();
    for (int i = 0; i < 3; ++i) {
      const uint64_t deep = random_.Below(16);
      PEAT_RETURN_IF_ERROR(
          CheckImageOf({.read_only = deep < 4,
                        .go_on = deep < 8,
                        .lose_power = deep % 2 == 0,
                        .recovery_step = deep == 0 ? 17u : 0u}));
    }
    return absl::OkStatus();
  }

  std::unique_ptr<SimFileSystem> TakeImage(CrashKind kind) {
    return run_.disk().CrashImage(kind, random_.Next());
  }
  const Oracle& oracle() const { return run_.oracle(); }
  std::string Report() const {
    return ToString(script_) + run_.disk().OperationLog();
  }

 private:
  // Of a crash at this moment.
  absl::Status CheckImageOf(const CheckDepth& depth) {
    const ImageOrigin origin{.kind = static_cast<CrashKind>(random_.Below(5)),
                             .seed = random_.Next()};
    return CheckImage(run_.disk().CrashImage(origin.kind, origin.seed),
                      settings_, run_.oracle(), origin, depth);
  }

  SimRandom& random_;
  const Script script_;
  const Settings settings_;
  CrashRun run_;
};

}  // namespace

uint64_t CountEvents(const Script& script, uint64_t seed) {
  CrashRun run(std::make_unique<SimFileSystem>(seed), SettingsOf(script), {});
  (void)run.DoAll(script.steps);  // what goes wrong shows again
  return run.disk().event_count();
}

absl::Status CrashEverywhere(const Script& script, const CrashPlan& plan) {
  const uint64_t events = CountEvents(script, plan.seed);
  for (uint64_t event = plan.event_step; event <= events + plan.event_step;
       event += plan.event_step) {
    OneCrash crash(script, plan, event);
    if (absl::Status status = crash.Run(script); !status.ok()) {
      return absl::InternalError(
          absl::StrFormat("%s\n  crash after event %d of %d",
                          std::string(status.message()), event, events));
    }
  }
  return absl::OkStatus();
}

absl::Status RunGenerations(uint64_t seed) {
  SimRandom random(seed);
  // One history in four is of a disk that fails behind everyone's back.
  const bool has_faults = random.Chance(2);
  auto disk = std::make_unique<SimFileSystem>(seed);
  Oracle oracle;
  size_t floor = 0;
  const uint64_t generations = 2 + random.Below(5);
  for (uint64_t number = 0; number < generations; ++number) {
    Generation generation(random, has_faults, std::move(disk),
                          std::move(oracle));
    if (absl::Status status = generation.Run(floor); !status.ok()) {
      return absl::InternalError(absl::StrFormat("%s\n  in generation %d\n%s",
                                                 std::string(status.message()),
                                                 number, generation.Report()));
    }
    const auto kind = static_cast<CrashKind>(random.Below(5));
    disk = generation.TakeImage(kind);
    oracle = generation.oracle();
    if (kind != CrashKind::kKill) oracle.acknowledged = oracle.durable;
    floor = oracle.acknowledged;
  }
  return absl::OkStatus();
}

Script Shrink(Script script, absl::FunctionRef<bool(const Script&)> fails) {
  for (size_t size = script.steps.size() / 2; size > 0;) {
    bool smaller = false;
    for (size_t begin = 0; begin + size <= script.steps.size();) {
      Script shorter = script;
      const auto at =
          shorter.steps.begin() + static_cast<std::ptrdiff_t>(begin);
      shorter.steps.erase(at, at + static_cast<std::ptrdiff_t>(size));
      if (fails(shorter)) {
        script = std::move(shorter);
        smaller = true;
      } else {
        begin += size;
      }
    }
    if (!smaller) size /= 2;
  }
  return script;
}

}  // namespace peat::testing
