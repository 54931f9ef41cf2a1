// Engine::Open: how a store comes to be, is recovered, or is read beside its
// writer.

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/engine.h"
#include "engine/recover/index_image_reader.h"
#include "engine/recover/manifest_age.h"
#include "engine/recover/recovery.h"
#include "engine/recover/watched_directory.h"
#include "engine/segment/seeded_bug.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::Manifest;
using format::ManifestSegment;

// Attempts to read beside a process that writes: each sees files vanish or
// change under it only if that process has gone on meanwhile.
constexpr int kReadAttempts = 20;

int ThreadCount(const Config& config) {
  if (config.recovery_threads > 0) return config.recovery_threads;
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(cores, 1, 4);
}

uint64_t ImageBytes(const format::IndexImage& head) {
  uint64_t bytes = 0;
  for (const auto& image : head.images) bytes += image.size;
  return bytes;
}

uint64_t MillisecondsSince(std::chrono::steady_clock::time_point begin) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - begin)
          .count());
}

// The lock that goes with the files: a hard-linked copy of the directory has a
// LOCK of its own, or none. Null if there is no manifest.
absl::StatusOr<std::unique_ptr<DirectoryLock>> LockManifest(
    Directory& directory) {
  if (HasBug(Bug::kLockDropped)) return nullptr;
  for (const char* const name : format::kManifestFileNames) {
    const absl::Status there = directory.Open(name, OpenMode::kRead).status();
    if (absl::IsNotFound(there)) continue;
    PEAT_RETURN_IF_ERROR(there);
    return directory.Lock(name);
  }
  return nullptr;
}

// A store's directory, which nobody else writes to.
struct LockedDirectory {
  std::unique_ptr<Directory> directory;
  std::unique_ptr<DirectoryLock> lock;
  std::unique_ptr<DirectoryLock> manifest_lock;  // null: there is no manifest
};

// The store has seen what the end of its log says. If something expires there
// and it says nothing, because it was never synced, time begins now.
void TakeTime(const LogTail& tail, StoreClock* clock) {
  clock->Raise(tail.time);
  if (tail.has_expiring && clock->highest() == 0) clock->Raise(clock->Peek());
}

// Makes the directory if there is none and there may be.
absl::StatusOr<LockedDirectory> LockDirectory(FileSystem& file_system,
                                              const std::filesystem::path& path,
                                              const Config& config) {
  absl::StatusOr<std::unique_ptr<Directory>> directory =
      file_system.OpenDirectory(path);
  if (absl::IsNotFound(directory.status()) && config.create_if_missing) {
    const absl::Status created = file_system.CreateDirectory(path);
    if (!absl::IsAlreadyExists(created)) PEAT_RETURN_IF_ERROR(created);
    directory = file_system.OpenDirectory(path);
  }
  PEAT_RETURN_IF_ERROR(directory.status());
  // Before the lock: nothing is created in a directory of somebody else.
  PEAT_ASSIGN_OR_RETURN(const Contents contents, Inspect(**directory));
  if (contents != Contents::kStore && !config.create_if_missing) {
    return absl::NotFoundError("there is no store");
  }
  absl::StatusOr<std::unique_ptr<DirectoryLock>> lock =
      (*directory)->Lock(format::kLockFileName);
  if (HasBug(Bug::kLockDropped) && !lock.ok()) {
    (void)(*directory)->Unlink(format::kLockFileName);
  }
  PEAT_RETURN_IF_ERROR(lock.status());
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<DirectoryLock> manifest_lock,
                        LockManifest(**directory));
  return LockedDirectory{*std::move(directory), *std::move(lock),
                         std::move(manifest_lock)};
}

// As LockDirectory(), until nobody has the lock or config.lock_wait is over.
// Each attempt opens the directory again: whoever had the lock may have put
// another one in its place.
absl::StatusOr<LockedDirectory> AwaitLock(FileSystem& file_system,
                                          const std::filesystem::path& path,
                                          const Config& config) {
  using std::chrono::milliseconds;
  constexpr milliseconds kPauseMin{1};
  constexpr milliseconds kPauseMax{100};
  const auto deadline = config.now() + config.lock_wait;
  for (milliseconds pause = kPauseMin;;
       pause = std::min(2 * pause, kPauseMax)) {
    absl::StatusOr<LockedDirectory> locked =
        LockDirectory(file_system, path, config);
    if (!absl::IsUnavailable(locked.status())) return locked;
    if (config.lock_wait == milliseconds(0)) return locked;
    const auto left = deadline - config.now();
    if (left <= left.zero()) {
      return absl::UnavailableError(absl::StrFormat("%s, after %d ms",
                                                    locked.status().message(),
                                                    config.lock_wait.count()));
    }
    config.sleep(std::min(pause, std::chrono::ceil<milliseconds>(left)));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(
    FileSystem& file_system, const std::filesystem::path& path,
    const Config& config) {
  const auto begin = std::chrono::steady_clock::now();
  absl::StatusOr<std::unique_ptr<Engine>> engine =
      config.access == Access::kReadWrite
          ? OpenToWrite(file_system, path, config)
          : OpenToRead(file_system, path, config);
  if (!engine.ok()) {
    return absl::Status(
        engine.status().code(),
        absl::StrFormat("%s: %s", path.string(),
                        std::string(engine.status().message())));
  }
  (*engine)->open_stats_.milliseconds = MillisecondsSince(begin);
  return engine;
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::OpenToWrite(
    FileSystem& file_system, const std::filesystem::path& path,
    const Config& config) {
  if (config.background_threads) {
    PEAT_RETURN_IF_ERROR(BackgroundTask::StartWorkers(Lane::kShort));
    PEAT_RETURN_IF_ERROR(BackgroundTask::StartWorkers(Lane::kLong));
    if (config.ordered) {
      PEAT_RETURN_IF_ERROR(BackgroundTask::StartWorkers(Lane::kBuild));
    }
  }
  PEAT_ASSIGN_OR_RETURN(LockedDirectory locked,
                        AwaitLock(file_system, path, config));
  PEAT_ASSIGN_OR_RETURN(const Contents contents, Inspect(*locked.directory));
  NewestManifest manifest;
  if (contents == Contents::kStore) {
    PEAT_ASSIGN_OR_RETURN(manifest, ReadManifest(*locked.directory));
  } else {
    manifest.manifest = NewManifest(file_system);
  }
  std::unique_ptr<Engine> engine(
      new Engine(file_system, std::move(locked.directory), config, manifest));
  if (contents != Contents::kStore) {
    // Once more for the directory's own name: whoever made it may have been
    // killed before it was durable.
    const absl::Status created = file_system.CreateDirectory(path);
    if (!absl::IsAlreadyExists(created)) PEAT_RETURN_IF_ERROR(created);
    PEAT_RETURN_IF_ERROR(engine->manifest_.Reserve(0));
    if (locked.manifest_lock == nullptr) {
      PEAT_ASSIGN_OR_RETURN(locked.manifest_lock,
                            LockManifest(*engine->directory_));
    }
    PEAT_RETURN_IF_ERROR(engine->manifest_.Edit([](Manifest&) {}));
  }
  engine->manifest_lock_ = std::move(locked.manifest_lock);
  PEAT_RETURN_IF_ERROR(engine->RecoverToWrite(std::move(locked.lock)));
  return engine;
}

absl::Status Engine::RecoverToWrite(std::unique_ptr<DirectoryLock> lock) {
  PEAT_RETURN_IF_ERROR(CheckManifestAge(*directory_, manifest_.Current()));
  PEAT_RETURN_IF_ERROR(manifest_.Reserve(manifest_.Current().segments.size()));
  std::vector<ManifestSegment> unused;
  LogEnd end;
  {
    PEAT_ASSIGN_OR_RETURN(
        LogTail tail,
        FindLogTail(*directory_, manifest_.Current(), OpenMode::kReadWrite));
    PEAT_RETURN_IF_ERROR(tail.damage);
    TakeTime(tail, &manifest_.clock());
    PEAT_RETURN_IF_ERROR(CheckLsns(manifest_.Current(), tail.end));
    PEAT_RETURN_IF_ERROR(
        CheckUnnamedMarks(*directory_, manifest_.Current(), tail.end.last_lsn));
    PEAT_RETURN_IF_ERROR(Mend(tail, *directory_, manifest_));
    for (const TailSegment& segment : tail.unused) {
      unused.push_back(segment.entry);
    }
    open_stats_.clean = tail.used.empty() && tail.dropped.empty();
    open_stats_.cut = std::move(tail.cut);
    end = tail.end;
  }
  PEAT_ASSIGN_OR_RETURN(const std::vector<ReplaySource> sources,
                        OpenSegments(manifest_.Current()));
  PEAT_RETURN_IF_ERROR(ReplayInto(sources, {}));
  PEAT_RETURN_IF_ERROR(DropIfSnapshotMisfits(&unused));
  ValueReferences::Counts references;
  for (const std::shared_ptr<Segment>& segment : segments_.All()) {
    for (const format::SegmentId file : segment->value_files()) {
      ++references[file];
    }
  }
  manifest_.Avoid(RemoveOrphans(*directory_, manifest_.Current(), references,
                                found_snapshot_.name));
  log_ = std::make_unique<Log>(core_, std::move(lock), end, found_snapshot_);
  log_->references.Reset(std::move(references));
  views_.SetAppender(&log_->appender);
  for (const ManifestSegment& entry : unused) {
    PEAT_RETURN_IF_ERROR(log_->supply.Reuse(entry));
  }
  // On a full disk the store opens; adding data waits for space.
  const absl::Status reserve = log_->supply.RefillReserve();
  if (!absl::IsResourceExhausted(reserve)) PEAT_RETURN_IF_ERROR(reserve);
  log_->StartBackground(*this);
  return absl::OkStatus();
}

absl::Status Engine::DropIfSnapshotMisfits(
    std::vector<ManifestSegment>* unused) {
  const std::vector<std::string> snapshots = ListIndexImages(*directory_);
  const bool none_is_left_over = std::all_of(
      snapshots.begin(), snapshots.end(),
      [this](const std::string& name) { return name == found_snapshot_.name; });
  if (none_is_left_over || unused->empty()) return absl::OkStatus();
  PEAT_RETURN_IF_ERROR(manifest_.Edit([unused](Manifest& edited) {
    for (const ManifestSegment& entry : *unused) {
      EraseSegment(edited, entry.id);
    }
  }));
  unused->clear();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ReplaySource>> Engine::OpenSegments(
    const Manifest& manifest) {
  std::optional<FoundSnapshot> snapshot =
      FindIndexImage(*directory_, manifest, hasher_);
  if (snapshot.has_value() &&
      !LoadIndexImage(snapshot->head, std::move(snapshot->file), manifest,
                      ThreadCount(config_), &index_)) {
    snapshot.reset();
  }
  PEAT_ASSIGN_OR_RETURN(
      std::vector<ReplaySource> sources,
      OpenSealed(*directory_, manifest, config_.read_method,
                 snapshot.has_value() ? &snapshot->head : nullptr, &segments_));
  if (!snapshot.has_value()) return sources;
  for (const std::shared_ptr<Segment>& segment : segments_.All()) {
    mask_counts_->Add(segment->mask_counts());
  }
  found_snapshot_ = {.name = snapshot->name,
                     .last_lsn = snapshot->head.last_lsn,
                     .log_segment = snapshot->head.log_segment};
  opened_lsn_ = snapshot->head.last_lsn;
  open_stats_.keys_loaded = index_.size();
  // All of it will be looked at; or it costs nothing, and no later read can
  // fail.
  if (!sources.empty() ||
      ImageBytes(snapshot->head) <= config_.small_image_bytes) {
    LoadShards(ThreadCount(config_), &index_);
    if (index_.HasLost()) {
      return absl::DataLossError(
          "the index image could be read once and not again");
    }
  }
  return sources;
}

absl::StatusOr<std::vector<ReplaySource>> Engine::OpenSegmentsDespiteDamage(
    const Manifest& manifest, FoundDamage* damage) {
  // All of the log is read, to find what there is; the image proves what of it
  // was current.
  std::optional<FoundSnapshot> snapshot =
      FindIndexImage(*directory_, manifest, hasher_);
  // What a compaction has moved since is not where the image says: it would be
  // taken for absent.
  const bool is_of_these_segments =
      snapshot.has_value() &&
      std::ranges::all_of(snapshot->head.segments,
                          [&manifest](const format::SnapshotSegment& segment) {
                            return std::ranges::any_of(
                                manifest.segments,
                                [&segment](const ManifestSegment& one) {
                                  return one.id == segment.id;
                                });
                          });
  if (is_of_these_segments) {
    proven_ = std::make_unique<index::HashIndex>();
    const bool is_loaded =
        LoadIndexImage(snapshot->head, std::move(snapshot->file), manifest,
                       ThreadCount(config_), proven_.get());
    if (is_loaded) LoadShards(ThreadCount(config_), proven_.get());
    if (is_loaded && !proven_->HasLost()) {
      proven_lsn_ = snapshot->head.last_lsn;
    } else {
      proven_.reset();
    }
  }
  PEAT_ASSIGN_OR_RETURN(
      std::vector<ReplaySource> sources,
      OpenSealedDespiteDamage(*directory_, manifest,
                              snapshot.has_value() ? &snapshot->head : nullptr,
                              &segments_, &damage->lost));
  // The number of a segment that is gone may stand for another one by now.
  for (const LostRange& lost : damage->lost) {
    if (lost.hidden_up_to != 0) proven_.reset();
  }
  return sources;
}

absl::Status Engine::ReplayInto(const std::vector<ReplaySource>& sources,
                                FoundDamage damage) {
  const bool despite_damage = config_.access == Access::kReadOnlyDespiteDamage;
  PEAT_ASSIGN_OR_RETURN(ReplayResult result,
                        Replay(sources, {.segments = &segments_,
                                         .index = &index_,
                                         .hasher = &hasher_,
                                         .mask_counts = mask_counts_.get(),
                                         .thread_count = ThreadCount(config_),
                                         .despite_damage = despite_damage,
                                         .log_damage = std::move(damage.log)}));
  for (LostRange& lost : damage.lost) {
    result.damaged.push_back(std::move(lost.where));
    result.hidden_up_to = std::max(result.hidden_up_to, lost.hidden_up_to);
  }
  open_stats_.records_replayed = result.record_count;
  open_stats_.bytes_replayed = result.byte_count;
  open_stats_.damaged = std::move(result.damaged);
  opened_lsn_ = std::max(opened_lsn_, result.last_lsn);
  // Whatever is hidden, the image reflects it.
  const index::HashIndex* const proven =
      result.hidden_up_to <= proven_lsn_ ? proven_.get() : nullptr;
  const Reader::Gaps gaps{.is_damaged = !open_stats_.damaged.empty(),
                          .hidden_up_to = result.hidden_up_to,
                          .proven = proven};
  reader_.emplace(core_, gaps);
  core_.reader = &*reader_;
  view_reader_.emplace(core_, result.hidden_up_to, proven);
  return BeginOrdered();
}

absl::Status Engine::BeginOrdered() {
  if (!config_.ordered) return absl::OkStatus();
  ordered_ = std::make_unique<index::OrderedIndex>(epochs_);
  core_.ordered = ordered_.get();
  ordered_builder_.emplace(core_);
  // Beside a writer whose compaction removes files, only Open() can begin anew.
  const bool is_later =
      config_.access == Access::kReadWrite && config_.background_threads;
  return is_later ? absl::OkStatus() : ordered_builder_->Build();
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::OpenToRead(
    FileSystem& file_system, const std::filesystem::path& path,
    const Config& config) {
  absl::Status failure;
  uint64_t failed_generation = 0;
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    PEAT_ASSIGN_OR_RETURN(std::unique_ptr<Directory> directory,
                          file_system.OpenDirectory(path));
    PEAT_ASSIGN_OR_RETURN(const Contents contents, Inspect(*directory));
    if (contents != Contents::kStore) {
      return absl::NotFoundError("there is no store");
    }
    absl::StatusOr<NewestManifest> manifest = ReadManifest(*directory);
    uint64_t generation = 0;
    if (manifest.ok()) {
      generation = manifest->manifest.generation;
      auto watched = std::make_unique<WatchedDirectory>(std::move(directory));
      WatchedDirectory& watch = *watched;
      std::unique_ptr<Engine> engine(new Engine(file_system, std::move(watched),
                                                config, *std::move(manifest)));
      failure = engine->RecoverToRead();
      if (failure.ok()) {
        watch.Watch(generation);
        return engine;
      }
    } else {
      failure = manifest.status();
    }
    // The same twice with nothing changed between is how it is.
    if (attempt > 0 && generation == failed_generation) return failure;
    failed_generation = generation;
  }
  return failure;
}

absl::StatusOr<bool> Engine::IsOlderCopy(const Manifest& manifest,
                                         const absl::Status& age) const {
  if (age.ok()) return false;
  if (config_.access != Access::kReadOnlyDespiteDamage) return age;
  // Beside a process that writes, Open() begins anew.
  const absl::StatusOr<NewestManifest> now = ReadManifest(*directory_);
  if (now.ok() && now->manifest.generation != manifest.generation) return age;
  return true;
}

absl::Status Engine::RecoverToRead() {
  Manifest manifest = manifest_.Current();
  const bool despite_damage = config_.access == Access::kReadOnlyDespiteDamage;
  // At once: beside a process that writes, it soon is an older one.
  PEAT_ASSIGN_OR_RETURN(
      bool is_older,
      IsOlderCopy(manifest, CheckManifestAge(*directory_, manifest)));
  FoundDamage damage;
  if (despite_damage) {
    PEAT_RETURN_IF_ERROR(
        DropUnreadableTail(*directory_, &manifest, &damage.lost));
  }
  PEAT_ASSIGN_OR_RETURN(LogTail tail,
                        FindLogTail(*directory_, manifest, OpenMode::kRead));
  TakeTime(tail, &manifest_.clock());
  if (!despite_damage) {
    PEAT_RETURN_IF_ERROR(tail.damage);
    PEAT_RETURN_IF_ERROR(CheckLsns(manifest, tail.end));
  }
  if (!is_older) {
    PEAT_ASSIGN_OR_RETURN(
        is_older, IsOlderCopy(manifest, CheckUnnamedMarks(*directory_, manifest,
                                                          tail.end.last_lsn)));
  }
  opened_durable_lsn_ = std::max(tail.last_mark.last_lsn, manifest.durable_lsn);
  const bool is_damaged = is_older || !tail.damage.ok();
  if (!is_damaged) manifest = WithSealedTail(manifest, tail);
  PEAT_ASSIGN_OR_RETURN(std::vector<ReplaySource> sources,
                        despite_damage
                            ? OpenSegmentsDespiteDamage(manifest, &damage)
                            : OpenSegments(manifest));
  if (is_damaged) {
    PEAT_RETURN_IF_ERROR(
        OpenDamagedTail(*directory_, tail, &segments_, &sources));
  }
  if (is_older) {
    // Whatever is not named may hold a later record of any key.
    damage.log = LogDamage{.where = {.file = format::kManifestFileNames[0]},
                           .durable_lsn = UINT64_MAX};
  } else if (is_damaged) {
    const format::SegmentId id = tail.end.segment;
    damage.log = LogDamage{
        .where = {.file = id == 0 ? "log" : format::SegmentFileName(id),
                  .offset = tail.end.end},
        .durable_lsn = manifest.durable_lsn};
  }
  open_stats_.clean = tail.used.empty() && tail.dropped.empty();
  open_stats_.cut = std::move(tail.cut);
  return ReplayInto(sources, std::move(damage));
}

}  // namespace peat::engine
