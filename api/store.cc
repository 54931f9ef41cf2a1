// The public interface: checks what the caller hands in, then steps aside.

#include "peat/store.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "api/options.h"
#include "api/store_impl.h"
#include "engine/engine.h"
#include "engine/os/file_system.h"
#include "engine/write/batch_status.h"
#include "format/check.h"
#include "format/mask.h"
#include "format/record.h"
#include "format/status_macros.h"

namespace peat {
namespace {

bool IsKey(std::string_view key) { return key.size() <= format::kKeySizeMax; }

bool IsPair(std::string_view key, std::string_view value) {
  return IsKey(key) && value.size() <= format::kValueSizeMax;
}

// Why a key or pair was refused.
absl::Status TooLarge(std::string_view key, std::string_view value = {}) {
  if (!IsKey(key)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "key has %d bytes, %d are allowed", key.size(), format::kKeySizeMax));
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("value has %d bytes, %d are allowed", value.size(),
                      format::kValueSizeMax));
}

bool IsMaskKind(WriteBatch::Kind kind) {
  return kind != WriteBatch::Kind::kPut && kind != WriteBatch::Kind::kDelete;
}

engine::Operation OperationOf(WriteBatch::Kind kind) {
  switch (kind) {
    case WriteBatch::Kind::kPut:
      return engine::Operation::kPut;
    case WriteBatch::Kind::kDelete:
      return engine::Operation::kDelete;
    case WriteBatch::Kind::kDisable:
      return engine::Operation::kDisable;
    case WriteBatch::Kind::kEnable:
      return engine::Operation::kEnable;
    case WriteBatch::Kind::kForget:
      return engine::Operation::kForget;
  }
  PEAT_CHECK(false);
}

engine::BatchCondition::Kind KindOf(WriteBatch::ConditionKind kind) {
  switch (kind) {
    case WriteBatch::ConditionKind::kAbsent:
      return engine::BatchCondition::Kind::kAbsent;
    case WriteBatch::ConditionKind::kValue:
      return engine::BatchCondition::Kind::kValue;
    case WriteBatch::ConditionKind::kLsn:
      return engine::BatchCondition::Kind::kLsn;
  }
  PEAT_CHECK(false);
}

absl::StatusOr<std::vector<engine::BatchCondition>> ConditionsOf(
    const WriteBatch& batch) {
  std::vector<engine::BatchCondition> conditions;
  conditions.reserve(batch.condition_count());
  for (size_t i = 0; i < batch.condition_count(); ++i) {
    const WriteBatch::Condition from = batch.condition(i);
    if (!IsPair(from.key, from.value)) {
      return engine::WithCondition(TooLarge(from.key, from.value), i);
    }
    conditions.push_back({.kind = KindOf(from.kind),
                          .key = from.key,
                          .value = from.value,
                          .lsn = from.lsn});
  }
  return conditions;
}

using std::chrono::milliseconds;

constexpr int64_t kTimeMax = int64_t{format::kMillisMax};

// The end of what is put, by the store's time; kNever: there is none.
// `operation` is for the message.
absl::StatusOr<format::Millis> ExpiryOf(const PutOptions& options,
                                        std::string_view operation,
                                        const engine::Engine& engine) {
  const std::optional<Time>& at = options.expires_at;
  const std::optional<milliseconds>& after = options.expires_after;
  if (at.has_value() && after.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has both expires_at and expires_after", operation));
  }
  if (at.has_value()) {
    const int64_t time = at->time_since_epoch().count();
    if (time > 0 && time <= kTimeMax) return static_cast<format::Millis>(time);
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has an expires_at of %d ms since 1970, not 1 to %d",
                        operation, time, kTimeMax));
  }
  PEAT_CHECK(after.has_value());
  const int64_t span = after->count();
  if (span <= 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s has an expires_after of %d ms, not above 0", operation, span));
  }
  const format::Millis now = engine.Now();
  if (static_cast<uint64_t>(span) > format::kMillisMax - now) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s has an expires_after of %d ms, which goes beyond %d ms since 1970",
        operation, span, kTimeMax));
  }
  return now + static_cast<uint64_t>(span);
}

// Whether anything is to be asked: the usual put has nothing that ends it.
bool MayExpire(const PutOptions& options) {
  return options.expires_at.has_value() || options.expires_after.has_value();
}

}  // namespace

absl::Status CheckMask(std::string_view key, std::string_view reason) {
  if (!IsKey(key)) return TooLarge(key);
  if (reason.size() <= format::kReasonSizeMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("reason has %d bytes, %d are allowed", reason.size(),
                      format::kReasonSizeMax));
}

absl::Status CheckKey(std::string_view key) {
  return IsKey(key) ? absl::OkStatus() : TooLarge(key);
}

absl::StatusOr<std::vector<engine::BatchOperation>> OperationsOf(
    const WriteBatch& batch, const engine::Engine& engine) {
  std::vector<engine::BatchOperation> operations;
  operations.reserve(batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    const WriteBatch::Operation from = batch.operation(i);
    engine::BatchOperation operation{.operation = OperationOf(from.kind),
                                     .key = from.key};
    absl::Status status;
    if (IsMaskKind(from.kind)) {
      status = CheckMask(from.key, from.value);
      operation.reason = from.value;
    } else {
      if (!IsPair(from.key, from.value))
        status = TooLarge(from.key, from.value);
      operation.value = from.value;
    }
    if (status.ok() && MayExpire(from.options)) {
      const absl::StatusOr<format::Millis> expiry =
          ExpiryOf(from.options, "Put", engine);
      status = expiry.status();
      operation.expiry = expiry.value_or(format::kNever);
    }
    if (!status.ok()) return engine::WithOperation(status, i);
    operations.push_back(operation);
  }
  return operations;
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() = default;

absl::StatusOr<std::unique_ptr<Store>> Store::Open(
    const std::filesystem::path& path, const Options& options) {
  PEAT_ASSIGN_OR_RETURN(const engine::Config config, Validate(options));
  PEAT_ASSIGN_OR_RETURN(
      std::unique_ptr<engine::Engine> engine,
      engine::Engine::Open(engine::PosixFileSystem(), path, config));
  return std::unique_ptr<Store>(
      new Store(std::make_unique<Impl>(std::move(engine), path, config)));
}

absl::Status Store::Close() { return impl_->Close(); }

absl::Status Store::Refresh() { return impl_->Refresh(); }

absl::Status Store::Impl::Close() {
  // In a forked child the mutex may be held for ever.
  if (engine()->is_foreign()) return engine()->Close();
  index::MutexLock lock(&mutex_);
  return owner_->Close();
}

absl::Status Store::Impl::Refresh() {
  PEAT_RETURN_IF_ERROR(engine()->CheckOpen());
  if (!may_change_) {
    return absl::FailedPreconditionError(
        "a store that is open for writing is up to now");
  }
  index::MutexLock lock(&mutex_);
  PEAT_RETURN_IF_ERROR(owner_->CheckOpen());
  PEAT_ASSIGN_OR_RETURN(
      std::shared_ptr<engine::Engine> old,
      engine::Engine::Open(engine::PosixFileSystem(), path_, config_));
  // Time does not go back, also where the program has said it.
  owner_.swap(old);
  owner_->RaiseTime(old->highest_time());
  engine_.store(owner_.get(), std::memory_order_release);
  // Whoever has got the old one uses it before it is closed.
  index::Retire([] {});
  index::DrainRetired();
  return old->Close();
}

absl::Status Store::Get(std::string_view key, std::string* value) const {
  if (!IsKey(key)) [[unlikely]]
    return TooLarge(key);
  return impl_->engine()->Get(key, value);
}

absl::StatusOr<PinnedValue> Store::GetPinned(std::string_view key) const {
  if (!IsKey(key)) [[unlikely]]
    return TooLarge(key);
  PEAT_ASSIGN_OR_RETURN(engine::Pinned pinned, impl_->engine()->GetPinned(key));
  return PinnedValue(std::move(pinned.owner), pinned.value);
}

absl::Status Store::MultiGet(std::span<const std::string_view> keys,
                             std::span<Lookup> results) const {
  if (keys.size() != results.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d keys and %d results", keys.size(), results.size()));
  }
  for (const std::string_view key : keys) {
    if (!IsKey(key)) [[unlikely]]
      return TooLarge(key);
  }
  return impl_->engine()->MultiGet(keys, [&results](size_t index,
                                                    absl::Status status,
                                                    engine::Pinned pinned) {
    results[index].status = std::move(status);
    results[index].value = PinnedValue(std::move(pinned.owner), pinned.value);
  });
}

absl::StatusOr<std::string> Store::Get(std::string_view key) const {
  std::string value;
  PEAT_RETURN_IF_ERROR(Get(key, &value));
  return value;
}

absl::StatusOr<bool> Store::Contains(std::string_view key) const {
  PEAT_ASSIGN_OR_RETURN(const KeyState state, State(key));
  return state == KeyState::kLive || state == KeyState::kDisabled;
}

absl::StatusOr<KeyInfo> Store::Describe(std::string_view key) const {
  PEAT_RETURN_IF_ERROR(CheckKey(key));
  return impl_->engine()->Describe(key);
}

absl::StatusOr<KeyState> Store::State(std::string_view key) const {
  if (!IsKey(key)) [[unlikely]]
    return TooLarge(key);
  return impl_->engine()->State(key);
}

Time Store::Now() const {
  return Time(milliseconds(static_cast<int64_t>(impl_->engine()->Now())));
}

absl::Status Store::AdvanceTime(Time time) {
  const int64_t count = time.time_since_epoch().count();
  if (count > kTimeMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "AdvanceTime to %d ms since 1970, at most %d is allowed", count,
        kTimeMax));
  }
  return impl_->engine()->AdvanceTime(
      static_cast<format::Millis>(std::max<int64_t>(count, 0)));
}

absl::Status Store::Put(std::string_view key, std::string_view value,
                        const PutOptions& options) {
  if (!IsPair(key, value)) [[unlikely]]
    return TooLarge(key, value);
  if (!MayExpire(options)) return impl_->engine()->Put(key, value);
  PEAT_ASSIGN_OR_RETURN(const format::Millis expiry,
                        ExpiryOf(options, "Put", *impl_->engine()));
  return impl_->engine()->Put(key, value, expiry);
}

absl::StatusOr<bool> Store::PutIfAbsent(std::string_view key,
                                        std::string_view value,
                                        const PutOptions& options) {
  if (!IsPair(key, value)) [[unlikely]]
    return TooLarge(key, value);
  if (!MayExpire(options)) return impl_->engine()->PutIfAbsent(key, value);
  PEAT_ASSIGN_OR_RETURN(const format::Millis expiry,
                        ExpiryOf(options, "PutIfAbsent", *impl_->engine()));
  return impl_->engine()->PutIfAbsent(key, value, expiry);
}

absl::StatusOr<std::optional<std::string>> Store::Update(
    std::string_view key, std::string_view value, const PutOptions& options) {
  if (!IsPair(key, value)) [[unlikely]]
    return TooLarge(key, value);
  if (!MayExpire(options)) return impl_->engine()->Update(key, value);
  PEAT_ASSIGN_OR_RETURN(const format::Millis expiry,
                        ExpiryOf(options, "Update", *impl_->engine()));
  return impl_->engine()->Update(key, value, expiry);
}

absl::StatusOr<bool> Store::CompareAndSet(
    std::string_view key, std::optional<std::string_view> expected,
    std::string_view desired, const PutOptions& options) {
  if (!IsPair(key, desired)) [[unlikely]]
    return TooLarge(key, desired);
  format::Millis expiry = format::kNever;
  if (MayExpire(options)) {
    PEAT_ASSIGN_OR_RETURN(expiry,
                          ExpiryOf(options, "CompareAndSet", *impl_->engine()));
  }
  return impl_->engine()->CompareAndSet(key, expected, desired, expiry);
}

absl::Status Store::Modify(
    std::string_view key,
    absl::FunctionRef<absl::StatusOr<Change>(std::optional<std::string_view>)>
        decide) {
  PEAT_RETURN_IF_ERROR(CheckKey(key));
  return impl_->engine()->Modify(
      key,
      [&](std::optional<std::string_view> value) -> absl::StatusOr<Change> {
        PEAT_ASSIGN_OR_RETURN(Change change, decide(value));
        if (!IsPair(key, change.value())) return TooLarge(key, change.value());
        if (!MayExpire(change.options())) return change;
        PEAT_ASSIGN_OR_RETURN(
            const format::Millis expiry,
            ExpiryOf(change.options(), "Modify", *impl_->engine()));
        return Change::Put(change.value(),
                           {.expires_at = Time(milliseconds(expiry))});
      });
}

absl::Status Store::MultiPutIfAbsent(std::span<const KeyValue> pairs,
                                     std::span<Insertion> insertions) {
  if (pairs.size() != insertions.size()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%d pairs and %d insertions", pairs.size(), insertions.size()));
  }
  for (const KeyValue& pair : pairs) {
    if (!IsPair(pair.key, pair.value)) [[unlikely]]
      return TooLarge(pair.key, pair.value);
  }
  return impl_->engine()->MultiPutIfAbsent(
      pairs, [&](size_t index, const absl::StatusOr<bool>& inserted) {
        insertions[index] = {.status = inserted.status(),
                             .inserted = inserted.ok() && *inserted};
      });
}

absl::StatusOr<bool> Store::Delete(std::string_view key) {
  if (!IsKey(key)) [[unlikely]]
    return TooLarge(key);
  return impl_->engine()->Delete(key);
}

absl::Status Store::Disable(std::string_view key, const MaskOptions& options) {
  PEAT_RETURN_IF_ERROR(CheckMask(key, options.reason));
  return impl_->engine()->Disable(key, options.reason);
}

absl::Status Store::Enable(std::string_view key, const MaskOptions& options) {
  PEAT_RETURN_IF_ERROR(CheckMask(key, options.reason));
  return impl_->engine()->Enable(key, options.reason);
}

absl::StatusOr<ForgetReceipt> Store::Forget(std::string_view key,
                                            const MaskOptions& options) {
  PEAT_RETURN_IF_ERROR(CheckMask(key, options.reason));
  return impl_->engine()->Forget(key, options.reason);
}

absl::Status Store::Write(const WriteBatch& batch) {
  PEAT_ASSIGN_OR_RETURN(const std::vector<engine::BatchOperation> operations,
                        OperationsOf(batch, *impl_->engine()));
  PEAT_ASSIGN_OR_RETURN(const std::vector<engine::BatchCondition> conditions,
                        ConditionsOf(batch));
  return impl_->engine()->Write(operations, {.conditions = conditions});
}

absl::StatusOr<Lsn> Store::Flush() { return impl_->engine()->Flush(); }

absl::Status Store::Compact() { return impl_->engine()->Compact(); }

absl::StatusOr<CheckpointResult> Store::Checkpoint(
    const std::filesystem::path& new_directory) {
  PEAT_ASSIGN_OR_RETURN(const engine::CheckpointResult result,
                        impl_->engine()->Checkpoint(new_directory));
  return CheckpointResult{.lsn = result.lsn,
                          .linked_bytes = result.linked_bytes,
                          .copied_bytes = result.copied_bytes};
}

Stats Store::GetStats() const { return impl_->engine()->GetStats(); }

}  // namespace peat
