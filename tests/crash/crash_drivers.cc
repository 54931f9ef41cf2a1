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
    if (choices > plan_.choices_max) return absl::OkStatus();
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
                       .recovery_step = deepest ? 1 + random_.Below(4) : 0});
  }

  const CrashPlan plan_;
  SimRandom random_;
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
  Script script = RandomScript(
      random, {.step_count = 1, .small = false, .fail_writeback = false});
  Settings settings = SettingsOf(script);
  // One life in four has disks that fail behind everyone's back.
  settings.expects_faults = random.Chance(2);
  auto disk = std::make_unique<SimFileSystem>(seed);
  Oracle oracle;
  CrashKind kind = CrashKind::kPowerLossNothing;
  const uint64_t generations = 2 + random.Below(5);
  for (uint64_t generation = 0; generation < generations; ++generation) {
    CrashRun run(std::move(disk), settings, oracle);
    const size_t floor =
        kind == CrashKind::kKill ? oracle.acknowledged : oracle.durable;
    const uint64_t scale = uint64_t{1} << random.Below(15);
    run.disk().CrashAfter(1 + random.Below(scale) + random.Below(40));
    const Script steps = RandomScript(
        random, {.step_count = static_cast<size_t>(20 + random.Below(150)),
                 .small = false,
                 .fail_writeback = settings.expects_faults});
    absl::Status status = run.Open(floor);
    // An old failure of writeback is reported once, to whoever syncs next.
    if (status.ok() && settings.expects_faults && !run.is_open() &&
        run.is_alive()) {
      status = run.Open(floor);
    }
    if (status.ok() && run.is_open()) status = run.DoAll(steps.steps);
    ++Counts().crashes;
    if (!status.ok()) {
      return absl::InternalError(absl::StrFormat(
          "%s\n  in generation %d\n%s\n%s", std::string(status.message()),
          generation, ToString(steps), run.disk().OperationLog()));
    }
    run.DropStore();
    oracle = run.oracle();
    for (int i = 0; i < 3; ++i) {
      const ImageOrigin origin{.kind = static_cast<CrashKind>(random.Below(5)),
                               .seed = random.Next()};
      const uint64_t deep = random.Below(16);
      status = CheckImage(run.disk().CrashImage(origin.kind, origin.seed),
                          settings, oracle, origin,
                          {.read_only = deep < 4,
                           .go_on = deep < 8,
                           .recovery_step = deep == 0 ? 7u : 0u});
      if (!status.ok()) {
        return absl::InternalError(absl::StrFormat(
            "%s\n  in generation %d\n%s\n%s", std::string(status.message()),
            generation, ToString(steps), run.disk().OperationLog()));
      }
    }
    kind = static_cast<CrashKind>(random.Below(5));
    disk = run.disk().CrashImage(kind, random.Next());
    if (kind != CrashKind::kKill) oracle.acknowledged = oracle.durable;
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
