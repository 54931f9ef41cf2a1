#include "tests/crash/crash_check.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "format/checksum.h"
#include "format/status_macros.h"

namespace peat::testing {
namespace {

constexpr CrashKind kKinds[] = {CrashKind::kKill, CrashKind::kPowerLossNothing,
                                CrashKind::kPowerLossEverything,
                                CrashKind::kPowerLossPrefix,
                                CrashKind::kPowerLossRandomSubset};
constexpr const char* kCrashKindNames[] = {
    "kill", "power loss, nothing kept", "power loss, everything kept",
    "power loss, a prefix kept", "power loss, some kept"};

absl::Status Under(const absl::Status& status, const std::string& what) {
  if (status.ok()) return status;
  return absl::InternalError(
      absl::StrFormat("%s\n  %s", std::string(status.message()), what));
}

std::string NameOf(const ImageOrigin& origin) {
  return absl::StrFormat("in the image: %s, image seed %d",
                         kCrashKindNames[static_cast<size_t>(origin.kind)],
                         origin.seed);
}

size_t FloorOf(const Oracle& oracle, CrashKind kind) {
  return kind == CrashKind::kKill ? oracle.acknowledged : oracle.durable;
}

// Adds the names and bytes of the files of `directory` to `fingerprint`.
void AddFiles(const SimFileSystem& image, const std::string& directory,
              uint64_t* fingerprint) {
  for (const std::string& name : image.ListFiles(directory)) {
    const std::string bytes =
        image.ReadFile(directory + "/" + name).value_or("");
    const std::array<uint64_t, 3> parts = {
        *fingerprint, format::Checksum64(format::AsBytes(name)),
        format::Checksum64(format::AsBytes(bytes))};
    *fingerprint = format::Checksum64(std::as_bytes(std::span(parts)));
  }
}

// An image and what it must hold; equal ones show the same when they are
// opened.
using Promise = uint64_t;

// What images were opened, and kept their promise: one that did not must fail
// again, while its script is made shorter.
absl::flat_hash_set<Promise>& KeptPromises() {
  static absl::flat_hash_set<Promise> kept;
  return kept;
}

Promise CountImage(const SimFileSystem& image, const Oracle& oracle,
                   size_t floor) {
  static absl::flat_hash_set<uint64_t> images;
  uint64_t fingerprint = 0;
  AddFiles(image, kStorePath, &fingerprint);
  ++Counts().images;
  if (images.insert(fingerprint).second) ++Counts().distinct_images;
  const OracleCopy& copy = oracle.copy;
  if (!copy.path.empty()) AddFiles(image, copy.path, &fingerprint);
  const std::array<uint64_t, 5> parts = {
      fingerprint, floor, oracle.model.fingerprint(floor), copy.floor,
      copy.is_promised ? 1u : 0u};
  return format::Checksum64(std::as_bytes(std::span(parts)));
}

absl::Status OpenAgain(std::unique_ptr<SimFileSystem> image,
                       const CrashRun::Settings& settings, const Oracle& oracle,
                       CrashKind kind) {
  const size_t floor = FloorOf(oracle, kind);
  const Promise promise = CountImage(*image, oracle, floor);
  if (KeptPromises().contains(promise)) return absl::OkStatus();
  ++Counts().recoveries;
  CrashRun run(std::move(image), settings, oracle);
  PEAT_RETURN_IF_ERROR(run.Open(floor));
  KeptPromises().insert(promise);
  return absl::OkStatus();
}

absl::Status CrashInRecovery(const SimFileSystem& image,
                             const CrashRun::Settings& settings,
                             const Oracle& oracle, const ImageOrigin& origin,
                             const CheckDepth& depth);

// Checks what a crash in recovery has left on `disk`. `oracle` has been told.
absl::Status CheckLeft(const SimFileSystem& disk,
                       const CrashRun::Settings& settings, const Oracle& oracle,
                       const ImageOrigin& origin, const CheckDepth& depth) {
  if (depth.recovery_levels > 1 && SimRandom(origin.seed).Below(256) == 0) {
    const CheckDepth deeper{.recovery_step = 4 * depth.recovery_step + 5,
                            .recovery_levels = depth.recovery_levels - 1};
    PEAT_RETURN_IF_ERROR(
        CrashInRecovery(*disk.CrashImage(origin.kind, origin.seed), settings,
                        oracle, origin, deeper));
  }
  return OpenAgain(disk.CrashImage(origin.kind, origin.seed), settings, oracle,
                   origin.kind);
}

// Ends recovery after each so-manieth of its events, in every way; and some of
// the recoveries from that.
absl::Status CrashInRecovery(const SimFileSystem& image,
                             const CrashRun::Settings& settings,
                             const Oracle& oracle, const ImageOrigin& origin,
                             const CheckDepth& depth) {
  const uint64_t step = depth.recovery_step;
  bool dies = true;
  for (uint64_t event = origin.seed % step; dies; event += step) {
    CrashRun first(image.CrashImage(CrashKind::kKill, origin.seed), settings,
                   oracle);
    first.disk().CrashAfter(event);
    PEAT_RETURN_IF_ERROR(first.Open(FloorOf(oracle, origin.kind)));
    dies = first.disk().is_dead();
    if (!dies) break;
    ++Counts().crashes;
    for (const CrashKind kind : kKinds) {
      const bool only_killed =
          kind == CrashKind::kKill && origin.kind == CrashKind::kKill;
      // What a power loss has left is durable to a second one.
      Oracle left = oracle;
      if (!only_killed) left.acknowledged = left.durable;
      const ImageOrigin next{.kind = kind, .seed = origin.seed + event};
      PEAT_RETURN_IF_ERROR(Under(
          CheckLeft(first.disk(), settings, left, next, depth),
          absl::StrFormat("after a crash in recovery, after its event %d (%s)",
                          event, kCrashKindNames[static_cast<size_t>(kind)])));
    }
  }
  return absl::OkStatus();
}

// A recovered store takes writes, and shows them to the next two opens.
absl::Status GoOn(CrashRun& run, uint64_t seed) {
  SimRandom random(seed);
  using Kind = ScriptStep::Kind;
  for (int i = 0; i < 3; ++i) {
    const ScriptStep put{
        .kind = Kind::kPut,
        .writes = {{.key = static_cast<uint32_t>(2 + random.Below(3)),
                    .value_size = static_cast<uint32_t>(random.Below(600)),
                    .value_seed = static_cast<uint32_t>(random.Next())}}};
    PEAT_RETURN_IF_ERROR(run.Do(put));
  }
  PEAT_RETURN_IF_ERROR(run.Do({.kind = Kind::kFlush}));
  PEAT_RETURN_IF_ERROR(run.CheckState());
  // All that it needs was made durable, not only what it was told to flush.
  PEAT_RETURN_IF_ERROR(Under(
      OpenAgain(run.disk().CrashImage(CrashKind::kPowerLossNothing, 0),
                run.settings(), run.oracle(), CrashKind::kPowerLossNothing),
      "a power loss after the flush"));
  PEAT_RETURN_IF_ERROR(run.Do({.kind = Kind::kReopen}));
  PEAT_RETURN_IF_ERROR(run.CheckState());
  PEAT_RETURN_IF_ERROR(run.Do({.kind = Kind::kReopen}));
  return run.CheckState();
}

// Recovers `image`, however often that was done.
absl::Status Recover(std::unique_ptr<SimFileSystem> image,
                     const CrashRun::Settings& settings, const Oracle& oracle,
                     const ImageOrigin& origin, const CheckDepth& depth) {
  const std::string where = NameOf(origin);
  const size_t floor = FloorOf(oracle, origin.kind);
  if (depth.recovery_step > 0) {
    PEAT_RETURN_IF_ERROR(
        Under(CrashInRecovery(*image, settings, oracle, origin, depth), where));
  }
  CrashRun run(std::move(image), settings, oracle);
  PEAT_RETURN_IF_ERROR(Under(run.CheckCopy(), where));
  std::optional<size_t> seen;
  if (depth.read_only) {
    const absl::StatusOr<size_t> k = run.CheckReadOnly(floor);
    PEAT_RETURN_IF_ERROR(Under(k.status(), where));
    seen = *k;
  }
  PEAT_RETURN_IF_ERROR(Under(run.Open(floor), where));
  if (seen.has_value() &&
      run.oracle().model.last_lsn(*seen) !=
          run.oracle().model.last_lsn(run.oracle().model.unit_count())) {
    return absl::InternalError("read-only open showed another state\n  " +
                               where);
  }
  if (depth.go_on) {
    PEAT_RETURN_IF_ERROR(Under(GoOn(run, origin.seed), where + ", going on"));
  }
  if (!depth.lose_power) return absl::OkStatus();
  run.DropStore();
  return Under(OpenAgain(run.disk().CrashImage(CrashKind::kPowerLossNothing, 0),
                         settings, run.oracle(), CrashKind::kPowerLossNothing),
               where + ", then a power loss");
}

std::string& ReplayText() {
  static std::string text;
  return text;
}

// Not safe in every signal handler, but the process is lost anyway.
void PrintReplay(int) {
  std::signal(SIGABRT, SIG_DFL);
  std::signal(SIGSEGV, SIG_DFL);
  std::fputs(ReplayText().c_str(), stderr);
}

}  // namespace

void SetReplay(const std::string& text) {
  ReplayText() = absl::StrFormat("while running:\n%s\n", text);
  std::signal(SIGABRT, PrintReplay);
  std::signal(SIGSEGV, PrintReplay);
}

CrashCounts& Counts() {
  static CrashCounts counts;
  return counts;
}

absl::Status CheckImage(std::unique_ptr<SimFileSystem> image,
                        const CrashRun::Settings& settings,
                        const Oracle& oracle, const ImageOrigin& origin,
                        const CheckDepth& depth) {
  const Promise promise =
      CountImage(*image, oracle, FloorOf(oracle, origin.kind));
  // After a kill the same bytes may be durable or not.
  const bool hides =
      origin.kind == CrashKind::kKill && (depth.go_on || depth.lose_power);
  if (KeptPromises().contains(promise) && !hides && depth.recovery_step == 0) {
    return absl::OkStatus();
  }
  ++Counts().recoveries;
  PEAT_RETURN_IF_ERROR(
      Recover(std::move(image), settings, oracle, origin, depth));
  KeptPromises().insert(promise);
  return absl::OkStatus();
}

uint64_t EnvironmentNumber(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

Deadline::Deadline(double seconds) {
  const auto limit =
      static_cast<double>(EnvironmentNumber("PEAT_CRASH_SECONDS", 0));
  end_ = std::chrono::steady_clock::now() +
         std::chrono::milliseconds(
             static_cast<int64_t>(1000 * (limit > 0 ? limit : seconds)));
}

}  // namespace peat::testing
