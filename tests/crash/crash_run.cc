#include "tests/crash/crash_run.h"

#include <filesystem>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"

namespace peat::testing {

std::map<std::string, std::string> FilesOf(const SimFileSystem& disk) {
  std::map<std::string, std::string> files;
  for (const std::string& name : disk.ListFiles(kStorePath)) {
    files[name] =
        disk.ReadFile(std::string(kStorePath) + "/" + name).value_or("");
  }
  return files;
}

namespace {

using engine::BatchOperation;
using engine::Engine;
using engine::KeyState;
using engine::Operation;
using Kind = ScriptStep::Kind;

// Where checkpoints lie.
constexpr char kCopiesPath[] = "copies";

// What a step does to the model, if it is not refused.
ModelUnit UnitOf(const ScriptStep& step, const Model& model) {
  ModelUnit unit;
  for (const ScriptWrite& write : step.writes) {
    ModelWrite& add = unit.emplace_back();
    add.operation = write.operation;
    add.key = KeyOf(write.key);
    if (write.operation == Operation::kPut) add.value = ValueOf(write);
    add.reason = ReasonOf(write);
  }
  if (step.kind == Kind::kPutIfAbsent &&
      model.ValueOf(unit[0].key) != nullptr) {
    unit.clear();
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

}  // namespace

CrashRun::CrashRun(std::unique_ptr<SimFileSystem> disk,
                   const Settings& settings, Oracle oracle)
    : disk_(std::move(disk)), settings_(settings), oracle_(std::move(oracle)) {}

CrashRun::~CrashRun() { DropStore(); }

void CrashRun::DropStore() {
  if (store_ == nullptr) return;
  // The destructor would flush.
  disk_->CrashAfter(disk_->event_count());
  store_.reset();
}

absl::StatusOr<size_t> CrashRun::FindPrefix(const Engine& store,
                                            size_t floor) const {
  const Model& model = oracle_.model;
  PEAT_ASSIGN_OR_RETURN(const Dump dump, DumpStore(store, settings_.key_count,
                                                   oracle_.has_longest_key));
  const std::optional<size_t> k = model.PrefixOf(dump.last_lsn);
  const std::string limits = absl::StrFormat(
      "last lsn %d; floor %d (lsn %d), durable %d, acknowledged %d, written %d "
      "(lsn %d)",
      dump.last_lsn, floor, model.last_lsn(floor), oracle_.durable,
      oracle_.acknowledged, model.unit_count(),
      model.last_lsn(model.unit_count()));
  if (!k.has_value()) return Broken("half a unit: " + limits);
  if (*k < floor) return Broken("units are lost: " + limits);
  if (model.fingerprint(*k) != dump.fingerprint ||
      model.key_count(*k) != dump.key_count) {
    return Broken("the state is not that of its lsn: " + limits);
  }
  return *k;
}

absl::Status CrashRun::Open(size_t floor) {
  for (int attempt = 0; attempt < settings_.open_attempts; ++attempt) {
    PEAT_RETURN_IF_ERROR(OpenOnce(floor));
    if (is_open() || !is_alive()) return absl::OkStatus();
    // What fails for ever is mended by and by.
    if (attempt == settings_.open_attempts / 2) disk_->ClearFaults();
  }
  return Broken("open fails for ever: " + failure_.ToString());
}

absl::Status CrashRun::OpenOnce(size_t floor) {
  engine::Config config = settings_.config;
  config.at_compaction_point = [this](engine::CompactionPoint point) {
    if (point == engine::CompactionPoint::kPassed) return;
    WriteAmid(point == engine::CompactionPoint::kScanned ? 2 : 1);
  };
  config.at_snapshot_point = [this] { WriteAmid(1); };
  absl::StatusOr<std::unique_ptr<Engine>> store =
      Engine::Open(*disk_, kStorePath, config);
  if (!is_alive()) {
    if (store.ok()) store->reset();
    return absl::OkStatus();
  }
  if (!store.ok()) {
    failure_.Update(store.status());
    if (settings_.expects_faults) return absl::OkStatus();
    return Broken("open failed: " + store.status().ToString());
  }
  store_ = *std::move(store);
  absl::StatusOr<size_t> k = FindPrefix(*store_, floor);
  if (!k.ok() && settings_.expects_faults) {
    disk_->ClearFaults();  // the test's own reading is not to fail
    k = FindPrefix(*store_, floor);
  }
  PEAT_RETURN_IF_ERROR(k.status());
  oracle_.model.CutTo(*k);
  // What recovery has shown stays.
  oracle_.acknowledged = *k;
  oracle_.durable = *k;
  return absl::OkStatus();
}

absl::Status CrashRun::DoAll(const std::vector<ScriptStep>& steps) {
  if (!is_open()) PEAT_RETURN_IF_ERROR(Open(oracle_.durable));
  for (const ScriptStep& step : steps) {
    if (!is_open() || !is_alive()) break;
    PEAT_RETURN_IF_ERROR(Do(step));
  }
  return absl::OkStatus();
}

absl::Status CrashRun::Do(const ScriptStep& step) {
  if (!is_open()) return absl::OkStatus();
  switch (step.kind) {
    case Kind::kFlush:
      return Flush();
    case Kind::kRunSupply:
      store_->RunSupply();
      return absl::OkStatus();
    case Kind::kRunSync:
      store_->RunSync();
      NoteDurable();
      return absl::OkStatus();
    case Kind::kReopen:
      return Reopen();
    case Kind::kCompact:
    case Kind::kCompactAll:
    case Kind::kSaveIndex:
      return Maintain(step);
    case Kind::kCheckpoint:
      return Checkpoint();
    case Kind::kOpenAgain:
      return OpenAgain();
    case Kind::kFailWriteback:
      FailWriteback(step);
      return absl::OkStatus();
    default:
      return Write(step);
  }
}

absl::Status CrashRun::Write(const ScriptStep& step) {
  const size_t before = oracle_.model.unit_count();
  ModelUnit unit = UnitOf(step, oracle_.model);
  for (const ScriptWrite& write : step.writes) {
    if (write.key == kLongestKey) oracle_.has_longest_key = true;
  }
  // Its answer is judged by the state before it.
  Model& model = oracle_.model;
  const ModelAnswer answer = model.AnswerTo(unit);
  absl::Status status = Call(step);
  model.Add(std::move(unit));
  if (!is_alive()) return absl::OkStatus();
  if (answer != ModelAnswer::kDone) {
    if (status.ok()) return Broken("a write was not refused");
    // A unit that changes nothing is as good as acknowledged.
    if (IsAnswer(status, answer)) status = absl::OkStatus();
  }
  if (absl::IsInternal(status)) return status;
  if (status.ok()) {
    oracle_.acknowledged = model.unit_count();
    if (settings_.config.sync == engine::SyncPolicy::kEveryWrite) {
      oracle_.durable = oracle_.acknowledged;
    }
    return absl::OkStatus();
  }
  // A write that fails has been logged whole or not at all.
  const uint64_t lsn = store_->GetStats().last_lsn;
  if (lsn == model.last_lsn(before)) {
    model.CutTo(before);
  } else if (lsn != model.last_lsn(before + 1)) {
    return Broken("a failed write has taken a part of its lsns");
  }
  return Take(status);
}

absl::Status CrashRun::Take(const absl::Status& status) {
  if (status.ok() || !is_alive()) return absl::OkStatus();
  failure_.Update(status);
  if (settings_.expects_faults) return absl::OkStatus();
  return Broken("a call failed: " + status.ToString());
}

absl::Status CrashRun::Call(const ScriptStep& step) {
  if (step.kind == Kind::kBatch) return CallBatch(step);
  return CallOne(step, step.writes[0]);
}

absl::Status CrashRun::CallOne(const ScriptStep& step,
                               const ScriptWrite& write) {
  const std::string key = KeyOf(write.key);
  const std::string value = ValueOf(write);
  const std::string reason = ReasonOf(write);
  const std::string* const old = oracle_.model.ValueOf(key);
  const bool exists = old != nullptr;
  switch (step.kind) {
    case Kind::kPut:
      return store_->Put(key, value);
    case Kind::kPutIfAbsent: {
      PEAT_ASSIGN_OR_RETURN(const bool inserted,
                            store_->PutIfAbsent(key, value));
      return Require(inserted == !exists || !is_alive(),
                     "PutIfAbsent is wrong");
    }
    case Kind::kUpdate: {
      PEAT_ASSIGN_OR_RETURN(const std::optional<std::string> previous,
                            store_->Update(key, value));
      const bool right =
          previous.has_value() == exists && (!exists || *previous == *old);
      return Require(right || !is_alive(), "Update returned a wrong value");
    }
    case Kind::kCompareAndSet: {
      std::optional<std::string> expected;
      if (exists) expected = *old;
      PEAT_ASSIGN_OR_RETURN(const bool was_equal,
                            store_->CompareAndSet(key, expected, value));
      return Require(was_equal || !is_alive(), "CompareAndSet is wrong");
    }
    case Kind::kDisable:
      return store_->Disable(key, reason);
    case Kind::kEnable:
      return store_->Enable(key, reason);
    case Kind::kForget: {
      const bool is_new = oracle_.model.StateOf(key) != KeyState::kForgotten;
      PEAT_ASSIGN_OR_RETURN(const peat::ForgetReceipt receipt,
                            store_->Forget(key, reason));
      const bool right =
          receipt.key_digest.has_value() == is_new &&
          receipt.value_digest.has_value() == exists &&
          (!exists || *receipt.value_digest == engine::DigestOf(*old));
      return Require(right || !is_alive(), "Forget gave a wrong receipt");
    }
    default: {
      PEAT_ASSIGN_OR_RETURN(const bool existed, store_->Delete(key));
      return Require(existed == exists || !is_alive(), "Delete is wrong");
    }
  }
}

absl::Status CrashRun::CallBatch(const ScriptStep& step) {
  std::vector<std::string> bytes;
  bytes.reserve(3 * step.writes.size());
  std::vector<BatchOperation> operations;
  for (const ScriptWrite& write : step.writes) {
    const std::string& key = bytes.emplace_back(KeyOf(write.key));
    const std::string& value = bytes.emplace_back(ValueOf(write));
    const std::string& reason = bytes.emplace_back(ReasonOf(write));
    operations.push_back({.operation = write.operation,
                          .key = key,
                          .value = value,
                          .reason = reason});
  }
  return store_->Write(operations);
}

absl::Status CrashRun::Flush() {
  const size_t acknowledged = oracle_.acknowledged;
  const absl::StatusOr<uint64_t> lsn = store_->Flush();
  if (!lsn.ok() || !is_alive()) return Take(lsn.status());
  if (*lsn < oracle_.model.last_lsn(acknowledged)) {
    return Broken("Flush returned an lsn below what was acknowledged");
  }
  oracle_.durable = acknowledged;
  return absl::OkStatus();
}

// What the store calls durable is a promise, whoever made it so.
void CrashRun::NoteDurable() {
  if (!is_alive()) return;
  const std::optional<size_t> k =
      oracle_.model.PrefixOf(store_->GetStats().durable_lsn);
  if (k.has_value() && *k > oracle_.durable) {
    oracle_.durable = std::min(*k, oracle_.acknowledged);
  }
}

absl::Status CrashRun::Reopen() {
  const absl::Status closed = store_->Close();
  store_.reset();
  if (is_alive() && closed.ok()) oracle_.durable = oracle_.acknowledged;
  PEAT_RETURN_IF_ERROR(Take(closed));
  if (!is_alive()) return absl::OkStatus();
  PEAT_RETURN_IF_ERROR(Open(oracle_.acknowledged));
  if (!is_open() || !closed.ok()) return absl::OkStatus();
  const peat::Stats stats = store_->GetStats();
  return Require(stats.open.clean && stats.open.cut.empty(),
                 "a store that was closed is not clean");
}

absl::Status CrashRun::OpenAgain() {
  const absl::Status status =
      Engine::Open(*disk_, kStorePath, settings_.config).status();
  if (status.ok()) return Broken("a store that is open was opened again");
  return absl::IsUnavailable(status) ? absl::OkStatus() : Take(status);
}

absl::Status CrashRun::Checkpoint() {
  RemoveCopy();
  const absl::Status created = disk_->CreateDirectory(kCopiesPath);
  if (!absl::IsAlreadyExists(created) && !created.ok()) return Take(created);
  OracleCopy& copy = oracle_.copy;
  // A name of its own: another may be in the way that could not be removed.
  copy.path = absl::StrFormat("%s/%d", kCopiesPath, ++oracle_.copy_count);
  copy.floor = oracle_.acknowledged;
  const absl::Status status = store_->Checkpoint(copy.path).status();
  NoteDurable();
  if (!is_alive() || !status.ok()) return Take(status);
  copy.is_promised = true;
  return settings_.expects_faults ? absl::OkStatus() : CheckCopy();
}

void CrashRun::RemoveCopy() {
  const OracleCopy copy = std::exchange(oracle_.copy, {});
  if (copy.path.empty()) return;
  const auto parent = disk_->OpenDirectory(kCopiesPath);
  const auto directory = disk_->OpenDirectory(copy.path);
  if (!parent.ok() || !directory.ok()) return;
  for (const std::string& name : disk_->ListFiles(copy.path)) {
    (void)(*directory)->Unlink(name);
  }
  const std::string name = std::filesystem::path(copy.path).filename();
  (void)(*parent)->RemoveDirectory(name);
}

absl::Status CrashRun::CheckCopy() const {
  const OracleCopy& copy = oracle_.copy;
  if (copy.path.empty()) return absl::OkStatus();
  if (!disk_->OpenDirectory(copy.path).ok()) {
    return Require(!copy.is_promised, "a checkpoint is gone");
  }
  engine::Config config = settings_.config;
  config.access = engine::Access::kReadOnly;
  absl::StatusOr<std::unique_ptr<Engine>> store =
      Engine::Open(*disk_, copy.path, config);
  if (!store.ok()) {
    return Broken("a checkpoint does not open: " + store.status().ToString());
  }
  return FindPrefix(**store, copy.floor).status();
}

absl::Status CrashRun::Maintain(const ScriptStep& step) {
  writes_amid_ = step.writes;
  amid_ = absl::OkStatus();
  absl::Status status = step.kind == Kind::kCompact
                            ? store_->RunCompaction().status()
                        : step.kind == Kind::kSaveIndex ? store_->RunSnapshot()
                                                        : store_->Compact();
  // Of a hash so weak that an image cannot hold what it gives.
  if (absl::IsUnimplemented(status)) status = absl::OkStatus();
  writes_amid_.clear();
  PEAT_RETURN_IF_ERROR(amid_);
  NoteDurable();
  return Take(status);
}

void CrashRun::WriteAmid(size_t point_count) {
  const size_t left = writes_amid_.size() - writes_amid_.size() / point_count;
  while (writes_amid_.size() > left && is_alive()) {
    const ScriptWrite write = writes_amid_.back();
    writes_amid_.pop_back();
    amid_.Update(Write({.kind = Kind::kBatch, .writes = {write}}));
  }
}

void CrashRun::FailWriteback(const ScriptStep& step) {
  const std::vector<std::string> names = disk_->ListFiles(kStorePath);
  if (names.empty()) return;
  const std::string& name = names[step.writes[0].value_seed % names.size()];
  disk_->FailWriteback(std::string(kStorePath) + "/" + name);
}

absl::Status CrashRun::CheckState() const {
  if (!is_open()) return absl::OkStatus();
  PEAT_ASSIGN_OR_RETURN(const size_t k,
                        FindPrefix(*store_, oracle_.model.unit_count()));
  return Require(k == oracle_.model.unit_count(), "the state is an older one");
}

absl::StatusOr<size_t> CrashRun::CheckReadOnly(size_t floor) const {
  const std::map<std::string, std::string> before = FilesOf(*disk_);
  engine::Config config = settings_.config;
  config.access = engine::Access::kReadOnly;
  absl::StatusOr<std::unique_ptr<Engine>> store =
      Engine::Open(*disk_, kStorePath, config);
  size_t k = 0;
  if (store.ok()) {
    PEAT_ASSIGN_OR_RETURN(k, FindPrefix(**store, floor));
  } else if (oracle_.model.last_lsn(floor) > 0 ||
             !absl::IsNotFound(store.status())) {
    return Broken("read-only open failed: " + store.status().ToString());
  }
  if (FilesOf(*disk_) != before) return Broken("reading has changed a file");
  return k;
}

}  // namespace peat::testing
