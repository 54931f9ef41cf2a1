#include "engine/engine.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "engine/load_ordered.h"
#include "engine/recovery.h"
#include "format/check.h"
#include "format/file_name.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

using format::Lsn;
using format::Manifest;
using format::ManifestSegment;
using format::SegmentId;

// Attempts to read beside a process that writes: each sees files vanish or
// change under it only if that process has gone on meanwhile.
constexpr int kReadAttempts = 20;

int ThreadCount(const Config& config) {
  if (config.recovery_threads > 0) return config.recovery_threads;
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(cores, 1, 4);
}

index::KeyHasher MakeHasher(const Config& config, const Manifest& manifest) {
  if (config.weak_hash_bits > 0) {
    return index::KeyHasher::WeakForTest(config.weak_hash_bits);
  }
  return index::KeyHasher(manifest.hash_seed);
}

Config Effective(Config config) {
  // A store beside a writer must not map what may be truncated.
  if (config.access != Access::kReadWrite) {
    config.read_method = ReadMethod::kPositional;
  }
  return config;
}

// By a look at the directory: statistics are asked for rarely.
void CountValueFiles(const Directory& directory, Stats* stats) {
  const absl::StatusOr<std::vector<std::string>> names = directory.List();
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::optional<format::FileName> parsed = format::ParseFileName(name);
    if (!parsed.has_value() || parsed->kind != format::FileKind::kValue) {
      continue;
    }
    const auto file = directory.Open(name, OpenMode::kRead);
    if (!file.ok()) continue;
    ++stats->value_file_count;
    stats->value_file_bytes += (*file)->Size().value_or(0);
  }
}

absl::Status ForeignStatus() {
  return absl::FailedPreconditionError(
      "the store was opened before this process was forked");
}

uint64_t MillisecondsSince(std::chrono::steady_clock::time_point begin) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - begin)
          .count());
}

}  // namespace

Engine::Log::Log(Engine& engine, std::unique_ptr<DirectoryLock> directory_lock,
                 const LogEnd& end)
    : lock(std::move(directory_lock)),
      appender(end),
      supply({.file_system = &engine.file_system_,
              .directory = engine.directory_.get(),
              .manifest = &engine.manifest_,
              .segments = &engine.segments_,
              .appender = &appender,
              .poison = &engine.poison_,
              .config = engine.config_}),
      syncer(engine.directory_.get(), &appender, &engine.poison_, end.last_lsn),
      writer({.file_system = &engine.file_system_,
              .directory = engine.directory_.get(),
              .manifest = &engine.manifest_,
              .index = &engine.index_,
              .hasher = &engine.hasher_,
              .segments = &engine.segments_,
              .appender = &appender,
              .supply = &supply,
              .syncer = &syncer,
              .reader = &*engine.reader_,
              .poison = &engine.poison_,
              .views = &engine.views_,
              .ordered = engine.ordered_.get(),
              .sync_policy = engine.config_.sync,
              .wake_background =
                  [this] {
                    if (!supply_task.has_value()) return;
                    supply_task->Wake();
                    sync_task->Wake();
                  }}),
      housekeeping({.appender = &appender,
                    .supply = &supply,
                    .syncer = &syncer,
                    .manifest = &engine.manifest_,
                    .index = &engine.index_,
                    .poison = &engine.poison_,
                    .config = engine.config_,
                    .flush_later = [this, &engine] {
                      if (!sync_task.has_value()) return;
                      sync_task->WakeAfter(engine.config_.sync_interval);
                    }}) {
  if (!engine.config_.background_threads) return;
  supply_task.emplace([this] { housekeeping.RunSupply(); });
  sync_task.emplace([this] { housekeeping.RunSync(); });
}

Engine::Engine(FileSystem& file_system, std::unique_ptr<Directory> directory,
               const Config& config, const NewestManifest& manifest)
    : file_system_(file_system),
      directory_(std::move(directory)),
      config_(Effective(config)),
      manifest_(directory_.get(), manifest, &poison_),
      hasher_(MakeHasher(config, manifest.manifest)),
      views_(&segments_, &index_, gate_) {}

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
    PEAT_RETURN_IF_ERROR(BackgroundTask::StartWorkers());
  }
  absl::StatusOr<std::unique_ptr<Directory>> directory =
      file_system.OpenDirectory(path);
  if (absl::IsNotFound(directory.status()) && config.create_if_missing) {
    const absl::Status created = file_system.CreateDirectory(path);
    if (!absl::IsAlreadyExists(created)) PEAT_RETURN_IF_ERROR(created);
    directory = file_system.OpenDirectory(path);
  }
  PEAT_RETURN_IF_ERROR(directory.status());
  // Before the lock: nothing is created in a directory of somebody else.
  PEAT_ASSIGN_OR_RETURN(Contents contents, Inspect(**directory));
  if (contents != Contents::kStore && !config.create_if_missing) {
    return absl::NotFoundError("there is no store");
  }
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<DirectoryLock> lock,
                        (*directory)->Lock(format::kLockFileName));
  PEAT_ASSIGN_OR_RETURN(contents, Inspect(**directory));
  NewestManifest manifest;
  if (contents == Contents::kStore) {
    PEAT_ASSIGN_OR_RETURN(manifest, ReadManifest(**directory));
  } else {
    manifest.manifest = NewManifest(file_system);
  }
  std::unique_ptr<Engine> engine(
      new Engine(file_system, *std::move(directory), config, manifest));
  if (contents != Contents::kStore) {
    // Once more for the directory's own name: whoever made it may have been
    // killed before it was durable.
    const absl::Status created = file_system.CreateDirectory(path);
    if (!absl::IsAlreadyExists(created)) PEAT_RETURN_IF_ERROR(created);
    PEAT_RETURN_IF_ERROR(engine->manifest_.Reserve(0));
    PEAT_RETURN_IF_ERROR(engine->manifest_.Edit([](Manifest&) {}));
  }
  PEAT_RETURN_IF_ERROR(engine->RecoverToWrite(std::move(lock)));
  return engine;
}

absl::Status Engine::RecoverToWrite(std::unique_ptr<DirectoryLock> lock) {
  PEAT_RETURN_IF_ERROR(manifest_.Reserve(manifest_.Current().segments.size()));
  PEAT_RETURN_IF_ERROR(CheckIds(*directory_, manifest_.Current()));
  std::vector<ManifestSegment> unused;
  LogEnd end;
  {
    PEAT_ASSIGN_OR_RETURN(
        LogTail tail,
        FindLogTail(*directory_, manifest_.Current(), OpenMode::kReadWrite));
    PEAT_RETURN_IF_ERROR(tail.damage);
    PEAT_RETURN_IF_ERROR(Mend(tail, *directory_, manifest_));
    for (const TailSegment& segment : tail.unused) {
      unused.push_back(segment.entry);
    }
    open_stats_.clean = tail.used.empty() && tail.dropped.empty();
    open_stats_.cut = std::move(tail.cut);
    end = tail.end;
  }
  PEAT_ASSIGN_OR_RETURN(const std::vector<ReplaySource> sources,
                        OpenSealed(*directory_, manifest_.Current(),
                                   config_.read_method, &segments_));
  PEAT_RETURN_IF_ERROR(ReplayInto(sources, std::nullopt));
  RemoveOrphans(*directory_, manifest_.Current(), value_files_at_open_);
  log_ = std::make_unique<Log>(*this, std::move(lock), end);
  views_.SetAppender(&log_->appender);
  for (const ManifestSegment& entry : unused) {
    PEAT_RETURN_IF_ERROR(log_->supply.Reuse(entry));
  }
  // On a full disk the store opens; adding data waits for space.
  const absl::Status reserve = log_->supply.RefillReserve();
  if (!absl::IsResourceExhausted(reserve)) PEAT_RETURN_IF_ERROR(reserve);
  return absl::OkStatus();
}

absl::Status Engine::ReplayInto(const std::vector<ReplaySource>& sources,
                                std::optional<LogDamage> log_damage) {
  const bool despite_damage = config_.access == Access::kReadOnlyDespiteDamage;
  PEAT_ASSIGN_OR_RETURN(ReplayResult result,
                        Replay(sources, {.segments = &segments_,
                                         .index = &index_,
                                         .hasher = &hasher_,
                                         .thread_count = ThreadCount(config_),
                                         .despite_damage = despite_damage,
                                         .log_damage = std::move(log_damage)}));
  open_stats_.records_replayed = result.record_count;
  open_stats_.bytes_replayed = result.byte_count;
  open_stats_.damaged = std::move(result.damaged);
  open_stats_.last_lsn = result.last_lsn;
  value_files_at_open_ = std::move(result.value_files);
  reader_.emplace(Reader::Parts{.index = &index_,
                                .segments = &segments_,
                                .hasher = &hasher_,
                                .directory = directory_.get(),
                                .store_id = manifest_.Current().store_id,
                                .is_damaged = !open_stats_.damaged.empty(),
                                .hidden_up_to = result.hidden_up_to});
  view_reader_.emplace(ViewReader::Parts{.index = &index_,
                                         .segments = &segments_,
                                         .hasher = &hasher_,
                                         .views = &views_,
                                         .hidden_up_to = result.hidden_up_to});
  if (!config_.ordered) return absl::OkStatus();
  ordered_ = std::make_unique<index::OrderedIndex>();
  return LoadOrdered(index_, segments_, ordered_.get());
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
      std::unique_ptr<Engine> engine(new Engine(
          file_system, std::move(directory), config, *std::move(manifest)));
      failure = engine->RecoverToRead();
      if (failure.ok()) return engine;
    } else {
      failure = manifest.status();
    }
    // The same twice with nothing changed between is how it is.
    if (attempt > 0 && generation == failed_generation) return failure;
    failed_generation = generation;
  }
  return failure;
}

absl::Status Engine::RecoverToRead() {
  const Manifest manifest = manifest_.Current();
  const bool despite_damage = config_.access == Access::kReadOnlyDespiteDamage;
  PEAT_ASSIGN_OR_RETURN(LogTail tail,
                        FindLogTail(*directory_, manifest, OpenMode::kRead));
  if (!despite_damage) PEAT_RETURN_IF_ERROR(tail.damage);
  PEAT_ASSIGN_OR_RETURN(
      std::vector<ReplaySource> sources,
      OpenSealed(*directory_, manifest, config_.read_method, &segments_));
  PEAT_RETURN_IF_ERROR(
      OpenTail(*directory_, tail, despite_damage, &segments_, &sources));
  open_stats_.clean = tail.used.empty() && tail.dropped.empty();
  open_stats_.cut = std::move(tail.cut);
  std::optional<LogDamage> log_damage;
  if (!tail.damage.ok()) {
    const format::SegmentId id = tail.end.segment;
    log_damage = LogDamage{
        .where = {.file = id == 0 ? "log" : format::SegmentFileName(id),
                  .offset = tail.end.end},
        .durable_lsn = manifest.durable_lsn};
  }
  return ReplayInto(sources, std::move(log_damage));
}

Engine::~Engine() {
  PEAT_CHECK(!is_foreign());
  (void)Close();
}

absl::Status Engine::Close() {
  // First of all: in a forked child even the mutex may be held for ever.
  if (is_foreign()) return ForeignStatus();
  index::MutexLock lock(&close_mutex_);
  if (close_done_) {
    return absl::FailedPreconditionError("the store is closed");
  }
  close_done_ = true;
  closed_.store(true, std::memory_order_seq_cst);
  gate_->Close();
  // Whoever entered before that leaves; whoever enters later turns back.
  index::Retire([] {});
  index::DrainRetired();
  if (log_ == nullptr) return absl::OkStatus();
  return CloseLog();
}

absl::Status Engine::CloseLog() {
  // Ended, not destroyed: until then they may still wake themselves.
  if (log_->sync_task.has_value()) log_->sync_task->End();
  if (log_->supply_task.has_value()) log_->supply_task->End();
  absl::Status status = poison_.status();
  if (status.ok()) {
    status = log_->syncer.SyncUpTo(log_->appender.last_lsn());
  }
  if (status.ok()) {
    log_->appender.RollForGood();
    status = log_->housekeeping.Seal();
  }
  log_->lock.reset();
  return status;
}

absl::Status Engine::WhyNot() const {
  if (is_foreign()) {
    return ForeignStatus();
  }
  if (closed_.load(std::memory_order_acquire)) {
    return absl::FailedPreconditionError("the store is closed");
  }
  PEAT_CHECK(log_ == nullptr);
  return absl::FailedPreconditionError("the store is open to read only");
}

absl::Status Engine::Get(std::string_view key, std::string* value) const {
  const index::EpochGuard guard;
  if (!IsOpen(guard)) [[unlikely]]
    return WhyNot();
  return reader_->Get(key, value);
}

absl::StatusOr<Pinned> Engine::GetPinned(std::string_view key) const {
  const index::EpochGuard guard;
  if (!IsOpen(guard)) [[unlikely]]
    return WhyNot();
  return reader_->GetPinned(key);
}

absl::Status Engine::MultiGet(std::span<const std::string_view> keys,
                              Reader::Answer answer) const {
  const index::EpochGuard guard;
  if (!IsOpen(guard)) [[unlikely]]
    return WhyNot();
  reader_->MultiGet(keys, answer);
  return absl::OkStatus();
}

absl::Status Engine::Exists(std::string_view key) const {
  const index::EpochGuard guard;
  if (!IsOpen(guard)) [[unlikely]]
    return WhyNot();
  return reader_->Exists(key);
}

absl::Status Engine::Put(std::string_view key, std::string_view value) {
  const index::EpochGuard guard;
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.Put(key, value);
}

absl::StatusOr<bool> Engine::PutIfAbsent(std::string_view key,
                                         std::string_view value) {
  const index::EpochGuard guard;
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.PutIfAbsent(key, value);
}

absl::StatusOr<std::optional<std::string>> Engine::Update(
    std::string_view key, std::string_view value) {
  const index::EpochGuard guard;
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.Update(key, value);
}

absl::StatusOr<bool> Engine::CompareAndSet(
    std::string_view key, std::optional<std::string_view> expected,
    std::string_view desired) {
  const index::EpochGuard guard;
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.CompareAndSet(key, expected, desired);
}

absl::StatusOr<bool> Engine::Delete(std::string_view key) {
  const index::EpochGuard guard;
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.Delete(key);
}

absl::Status Engine::Write(std::span<const BatchOperation> operations) {
  const index::EpochGuard guard;
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  return log_->writer.Write(operations);
}

absl::StatusOr<Lsn> Engine::Flush() {
  const index::EpochGuard guard;
  if (!IsWritable(guard)) [[unlikely]]
    return WhyNot();
  PEAT_RETURN_IF_ERROR(poison_.status());
  PEAT_RETURN_IF_ERROR(log_->syncer.SyncUpTo(log_->appender.last_lsn()));
  return log_->syncer.durable_lsn();
}

Stats Engine::GetStats() const {
  Stats stats;
  const index::EpochGuard guard;
  stats.open = open_stats_;
  if (!IsOpen(guard)) return stats;
  const Manifest manifest = manifest_.Current();
  stats.key_count = index_.size();
  stats.index_bytes = index_.memory_bytes();
  if (ordered_ != nullptr) {
    stats.ordered_index_bytes = ordered_->memory_bytes();
  }
  const Views::Usage views = views_.TakeUsage();
  stats.view_count = views.view_count;
  stats.view_saved_count = views.saved_count;
  stats.view_saved_bytes = views.saved_bytes;
  stats.view_held_bytes = views.held_bytes;
  stats.last_lsn = open_stats_.last_lsn;
  stats.durable_lsn = manifest.durable_lsn;
  if (log_ != nullptr) {
    log_->appender.UpdateEnd();
    stats.last_lsn = log_->appender.last_lsn();
    stats.durable_lsn = log_->syncer.durable_lsn();
    stats.flush_count = log_->syncer.sync_count();
    stats.reserve_complete = log_->supply.reserve_complete();
    stats.spare_bytes = log_->supply.reserve_bytes() + manifest_.disk_bytes();
  }
  absl::flat_hash_map<SegmentId, uint64_t> ends;
  for (const std::shared_ptr<Segment>& segment : segments_.All()) {
    ++stats.segment_count;
    stats.used_bytes += segment->end();
    ends[segment->identity().id] = segment->end();
  }
  for (const ManifestSegment& entry : manifest.segments) {
    if (entry.state != format::SegmentState::kOpen) continue;
    const auto end = ends.find(entry.id);
    if (end != ends.end()) stats.spare_bytes += entry.capacity - end->second;
  }
  stats.live_bytes = segments_.LiveBytes();
  stats.dead_bytes =
      stats.used_bytes - std::min(stats.live_bytes, stats.used_bytes);
  CountValueFiles(*directory_, &stats);
  return stats;
}

}  // namespace peat::engine
