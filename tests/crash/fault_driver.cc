// Calls that fail: each kind, each time it is called, once and for ever, and a
// disk that fills up. Every answer must be a status, nothing acknowledged may
// be lost, and the store goes on or is poisoned, but never lies.

#include <algorithm>
#include <string>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "tests/crash/crash_check.h"

namespace peat::testing {
namespace {

using Kind = ScriptStep::Kind;

constexpr SimOp kOps[] = {SimOp::kOpenDirectory, SimOp::kCreateDirectory,
                          SimOp::kCreate,        SimOp::kOpen,
                          SimOp::kList,          SimOp::kUnlink,
                          SimOp::kRename,        SimOp::kSyncDirectory,
                          SimOp::kLock,          SimOp::kSize,
                          SimOp::kAllocate,      SimOp::kTruncate,
                          SimOp::kRead,          SimOp::kWrite,
                          SimOp::kSync,          SimOp::kMap};

const ScriptStep kPut{.kind = Kind::kPut,
                      .writes = {{.key = 3, .value_size = 5}}};

std::string Name(const SimFault& fault) {
  return absl::StrFormat("%s number %d fails %s%s: %s", SimOpName(fault.op),
                         fault.nth, fault.forever ? "for ever" : "once",
                         fault.partly ? ", partly done" : "",
                         fault.status.ToString());
}

// Whether the store, now without faults, takes a write, or else refuses this
// and all others with one and the same error. One whose Flush has failed to
// write or sync must refuse.
absl::Status CheckPoison(CrashRun& run, bool must_be_poisoned) {
  const size_t before = run.oracle().model.unit_count();
  PEAT_RETURN_IF_ERROR(run.Do(kPut));
  if (run.oracle().model.unit_count() > before) {
    return must_be_poisoned ? Broken("a write was taken after a failed sync")
                            : absl::OkStatus();
  }
  const absl::Status first = run.store()->Put("k9", "x");
  if (!absl::IsFailedPrecondition(first)) {
    return Broken("without faults, a write fails: " + first.ToString());
  }
  const absl::Status flush = run.store()->Flush().status();
  const absl::Status second = run.store()->Put("k9", "x");
  if (flush != first || second != first) {
    return Broken("not the first error: " + flush.ToString() + ", " +
                  second.ToString() + " after " + first.ToString());
  }
  return run.CheckState();
}

// All images of `run`, which is over.
absl::Status CheckImages(CrashRun& run, uint64_t seed) {
  CrashRun::Settings settings = run.settings();
  settings.expects_faults = false;  // images have none
  run.DropStore();
  for (size_t kind = 0; kind < 6; ++kind) {
    const ImageOrigin origin{
        .kind = static_cast<CrashKind>(std::min<size_t>(kind, 4)),
        .seed = seed + kind};
    PEAT_RETURN_IF_ERROR(
        CheckImage(run.disk().CrashImage(origin.kind, origin.seed), settings,
                   run.oracle(), origin,
                   {.read_only = kind % 2 == 0,
                    .go_on = kind % 3 == 0,
                    .lose_power = true}));
  }
  return absl::OkStatus();
}

absl::Status RunWithFault(const Script& script, uint64_t seed,
                          const SimFault& fault) {
  ++Counts().faults;
  CrashRun run(std::make_unique<SimFileSystem>(seed),
               {.config = script.config,
                .key_count = std::max<uint32_t>(10, script.key_count),
                .expects_faults = true},
               {});
  run.disk().FailNth(fault);
  PEAT_RETURN_IF_ERROR(run.Open(0));
  bool flush_failed = false;
  for (const ScriptStep& step : script.steps) {
    const bool had_failed = !run.failure().ok();
    PEAT_RETURN_IF_ERROR(run.Do(step));
    if (!run.is_open()) break;
    if (step.kind == Kind::kReopen) flush_failed = false;
    // A manifest that could not be opened, to record a forget, does no harm.
    if (step.kind == Kind::kFlush && !had_failed && !run.failure().ok() &&
        fault.op != SimOp::kOpen) {
      flush_failed = true;
    }
  }
  if (run.is_open()) {
    run.disk().ClearFaults();
    PEAT_RETURN_IF_ERROR(run.CheckState());
    PEAT_RETURN_IF_ERROR(CheckPoison(run, flush_failed));
  }
  return CheckImages(run, seed);
}

// Reads the store of `run` with each read failing: it shows all, or fails.
absl::Status ReadWithFaults(const CrashRun& run, const absl::Status& error) {
  engine::Config config = run.settings().config;
  config.access = engine::Access::kReadOnly;
  for (uint64_t nth = 1;; ++nth) {
    ++Counts().faults;
    const auto disk = run.disk().CrashImage(CrashKind::kKill, nth);
    disk->FailNth({.op = SimOp::kRead, .nth = nth, .status = error});
    const auto store = engine::Engine::Open(*disk, kStorePath, config);
    const bool has_struck = disk->call_count(SimOp::kRead) >= nth;
    disk->ClearFaults();
    if (store.ok()) {
      PEAT_ASSIGN_OR_RETURN(const Dump dump,
                            DumpStore(**store, run.settings().key_count,
                                      run.oracle().has_longest_key));
      const Model& model = run.oracle().model;
      if (dump.last_lsn != model.last_lsn(model.unit_count()) ||
          dump.fingerprint != model.fingerprint(model.unit_count())) {
        return Broken(absl::StrFormat(
            "a failed read has hidden something: read %d, last lsn %d of "
            "%d\n%s",
            nth, dump.last_lsn, model.last_lsn(model.unit_count()),
            disk->OperationLog()));
      }
    }
    if (!has_struck) return absl::OkStatus();
  }
}

// Ends the process of `run` and fails each call of the recovery that follows.
absl::Status RecoverWithFaults(const CrashRun& run, const absl::Status& error) {
  CrashRun::Settings settings = run.settings();
  settings.expects_faults = true;
  for (const SimOp op : kOps) {
    bool has_struck = true;
    for (uint64_t nth = 1; has_struck; ++nth) {
      ++Counts().faults;
      ++Counts().recoveries;
      CrashRun recovered(run.disk().CrashImage(CrashKind::kKill, nth), settings,
                         run.oracle());
      recovered.disk().FailNth({.op = op, .nth = nth, .status = error});
      const absl::Status status = recovered.Open(run.oracle().acknowledged);
      if (!status.ok()) {
        return Broken(absl::StrFormat("%s\n  in recovery, %s number %d fails",
                                      std::string(status.message()),
                                      SimOpName(op), nth));
      }
      has_struck = recovered.disk().call_count(op) >= nth;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FailEverywhere(const Script& script, uint64_t seed) {
  CrashRun clean(std::make_unique<SimFileSystem>(seed),
                 {.config = script.config,
                  .key_count = std::max<uint32_t>(10, script.key_count)},
                 {});
  PEAT_RETURN_IF_ERROR(clean.DoAll(script.steps));
  const absl::Status kStatuses[] = {absl::DataLossError("EIO"),
                                    absl::ResourceExhaustedError("ENOSPC"),
                                    absl::PermissionDeniedError("EPERM")};
  SimRandom random(seed);
  PEAT_RETURN_IF_ERROR(ReadWithFaults(clean, kStatuses[0]));
  PEAT_RETURN_IF_ERROR(RecoverWithFaults(clean, kStatuses[random.Below(2)]));
  for (const SimOp op : kOps) {
    const uint64_t calls = clean.disk().call_count(op);
    for (uint64_t nth = 1; nth <= calls; ++nth) {
      for (const bool forever : {false, true}) {
        const SimFault fault{.op = op,
                             .nth = nth,
                             .status = kStatuses[random.Below(3)],
                             .forever = forever,
                             .partly = random.Chance(4)};
        SetReplay(ToString(script) + Name(fault));
        if (absl::Status status = RunWithFault(script, seed, fault);
            !status.ok()) {
          return Broken(std::string(status.message()) + "\n  " + Name(fault));
        }
      }
    }
  }
  return absl::OkStatus();
}

absl::Status RunOnFullDisk(uint64_t seed) {
  SimRandom random(seed);
  const Script script =
      RandomScript(random, {.step_count = 120, .small = false});
  CrashRun run(std::make_unique<SimFileSystem>(seed),
               {.config = script.config,
                .key_count = script.key_count,
                .expects_faults = true,
                .open_attempts = 1},
               {});
  PEAT_RETURN_IF_ERROR(run.Open(0));
  const size_t full_at = random.Below(60);
  const uint64_t left = random.Below(65'536);
  SetReplay(absl::StrFormat("seed %d, full at step %d, %d bytes left\n%s", seed,
                            full_at, left, ToString(script)));
  for (size_t i = 0; i < script.steps.size(); ++i) {
    if (i == full_at) run.disk().SetCapacity(run.disk().used_bytes() + left);
    PEAT_RETURN_IF_ERROR(run.Do(script.steps[i]));
    if (!run.is_open()) return Broken("a full store was not opened");
    if (!run.failure().ok() && !absl::IsResourceExhausted(run.failure())) {
      return Broken("not full, but: " + run.failure().ToString());
    }
    PEAT_RETURN_IF_ERROR(run.CheckState());
  }
  CrashRun::Settings settings = run.settings();
  for (size_t kind = 0; kind < 5; ++kind) {
    const ImageOrigin origin{.kind = static_cast<CrashKind>(kind),
                             .seed = seed};
    PEAT_RETURN_IF_ERROR(CheckImage(
        run.disk().CrashImage(origin.kind, seed), settings, run.oracle(),
        origin, {.read_only = true, .go_on = true, .lose_power = true}));
  }
  run.disk().SetCapacity(UINT64_MAX);
  PEAT_RETURN_IF_ERROR(run.Do(kPut));
  if (run.oracle().acknowledged != run.oracle().model.unit_count()) {
    return Broken("space is back, but no write is taken: " +
                  run.failure().ToString());
  }
  return CheckImages(run, seed);
}

}  // namespace peat::testing
