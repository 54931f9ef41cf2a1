#include "peat/audit.h"

#include <array>
#include <utility>
#include <vector>

#include "api/store_impl.h"
#include "engine/engine.h"
#include "engine/os/file_system.h"
#include "engine/query/mask_scan.h"
#include "engine/write/digest.h"
#include "format/check.h"
#include "format/mask.h"
#include "format/status_macros.h"

namespace peat {
namespace {

MaskKind KindOf(format::RecordKind kind) {
  switch (kind) {
    case format::RecordKind::kDisable:
      return MaskKind::kDisable;
    case format::RecordKind::kEnable:
      return MaskKind::kEnable;
    default:
      PEAT_CHECK(kind == format::RecordKind::kForget);
      return MaskKind::kForget;
  }
}

uint64_t Microseconds(MaskTime time) {
  const auto count = time.time_since_epoch().count();
  return count < 0 ? 0 : static_cast<uint64_t>(count);
}

engine::MaskQuery QueryOf(const MaskQuery& query) {
  return {.key = query.key,
          .prefix = query.prefix,
          .first_lsn = query.first_lsn,
          .last_lsn = query.last_lsn,
          .first_time = Microseconds(query.first_time),
          .last_time = Microseconds(query.last_time),
          .disables = query.disables,
          .enables = query.enables,
          .forgets = query.forgets,
          .newest_first = query.newest_first};
}

using SharedEngine = std::shared_ptr<engine::Engine>;

// In a forked child nothing of the parent's is touched, not even to let go.
void LetGo(SharedEngine engine) {
  if (engine->is_foreign()) Abandon(std::move(engine));
}

}  // namespace

class MaskCursor::Impl {
 public:
  Impl(SharedEngine engine, const MaskQuery& query)
      : engine_(std::move(engine)) {
    absl::StatusOr<std::unique_ptr<engine::MaskScan>> scan =
        engine_->ScanMasks(QueryOf(query));
    if (!scan.ok()) {
      status_ = scan.status();
      return;
    }
    scan_ = *std::move(scan);
    Next();
  }
  ~Impl() { LetGo(std::move(engine_)); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  bool is_valid() const { return is_valid_; }
  const absl::Status& status() const { return status_; }
  const Mask& mask() const { return mask_; }

  void Next() {
    is_valid_ = false;
    if (!status_.ok()) return;
    // A closed store shows nothing any more.
    status_ = engine_->CheckOpen();
    if (!status_.ok()) return;
    is_valid_ = scan_->Next();
    status_ = scan_->status();
    if (!is_valid_) return;
    const format::Record& record = scan_->record();
    const format::Mask& mask = scan_->mask();
    mask_ = {.kind = KindOf(scan_->kind()),
             .key = std::string(record.key),
             .lsn = record.header.lsn,
             .time = MaskTime(std::chrono::microseconds(mask.time)),
             .reason = std::string(mask.reason),
             .value_lsn = mask.value_lsn,
             .is_whole = record.header.kind != format::RecordKind::kAuditStub};
  }

  absl::StatusOr<std::string> value() const {
    if (!mask_.is_whole || mask_.value_lsn == 0) {
      return absl::NotFoundError("no value is kept with this mask");
    }
    std::string value;
    PEAT_RETURN_IF_ERROR(engine_->CopyValue(scan_->record(), &value));
    return value;
  }

  absl::StatusOr<ForgetReceipt> receipt() const {
    if (mask_.kind != MaskKind::kForget) {
      return absl::FailedPreconditionError("only a forget has a receipt");
    }
    ForgetReceipt receipt{.store_id = engine_->store_id(),
                          .lsn = mask_.lsn,
                          .key_digest = engine::DigestOf(mask_.key)};
    if (mask_.value_lsn != 0) {
      PEAT_ASSIGN_OR_RETURN(const std::string kept, value());
      receipt.value_digest = engine::DigestOf(kept);
      const std::string_view noted = scan_->mask().value_digest;
      if (format::AsString(*receipt.value_digest) != noted) {
        return absl::DataLossError(
            "the preserved value is not the one that was forgotten");
      }
    }
    return receipt;
  }

 private:
  SharedEngine engine_;
  std::unique_ptr<engine::MaskScan> scan_;
  bool is_valid_ = false;
  Mask mask_;
  absl::Status status_;
};

MaskCursor::MaskCursor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MaskCursor::~MaskCursor() = default;
MaskCursor::MaskCursor(MaskCursor&&) noexcept = default;
MaskCursor& MaskCursor::operator=(MaskCursor&&) noexcept = default;

bool MaskCursor::Valid() const { return impl_->is_valid(); }
void MaskCursor::Next() { impl_->Next(); }
const absl::Status& MaskCursor::status() const { return impl_->status(); }
const Mask& MaskCursor::mask() const { return impl_->mask(); }
absl::StatusOr<std::string> MaskCursor::value() const { return impl_->value(); }
absl::StatusOr<ForgetReceipt> MaskCursor::receipt() const {
  return impl_->receipt();
}

absl::StatusOr<std::pair<std::unique_ptr<Store>, AuditToken>> OpenWithAudit(
    const std::filesystem::path& path, const Options& options) {
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                        Store::Open(path, options));
  AuditToken token(store->impl_->identity());
  return std::pair(std::move(store), std::move(token));
}

class AuditReader::Impl {
 public:
  explicit Impl(SharedEngine engine) : engine_(std::move(engine)) {}
  ~Impl() { LetGo(std::move(engine_)); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  const SharedEngine& engine() const { return engine_; }

 private:
  SharedEngine engine_;
};

AuditReader::AuditReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AuditReader::~AuditReader() = default;

absl::StatusOr<std::unique_ptr<AuditReader>> AuditReader::Open(
    const std::filesystem::path& path) {
  PEAT_ASSIGN_OR_RETURN(
      std::unique_ptr<engine::Engine> engine,
      engine::Engine::Open(engine::PosixFileSystem(), path,
                           {.access = engine::Access::kReadOnly}));
  return std::unique_ptr<AuditReader>(
      new AuditReader(std::make_unique<Impl>(std::move(engine))));
}

absl::StatusOr<std::unique_ptr<AuditReader>> AuditReader::Attach(
    const Store& store, const AuditToken& token) {
  if (token.store_ != store.impl_->identity()) {
    return absl::PermissionDeniedError("the token is of another store");
  }
  const SharedEngine engine = store.impl_->shared_engine();
  PEAT_RETURN_IF_ERROR(engine->CheckOpen());
  return std::unique_ptr<AuditReader>(
      new AuditReader(std::make_unique<Impl>(engine)));
}

std::unique_ptr<MaskCursor> AuditReader::Masks(const MaskQuery& query) const {
  return std::unique_ptr<MaskCursor>(new MaskCursor(
      std::make_unique<MaskCursor::Impl>(impl_->engine(), query)));
}

absl::StatusOr<MaskTally> AuditReader::Count(const MaskQuery& query) const {
  PEAT_ASSIGN_OR_RETURN(const std::unique_ptr<engine::MaskScan> scan,
                        impl_->engine()->ScanMasks(QueryOf(query)));
  MaskTally tally;
  while (scan->Next()) {
    switch (KindOf(scan->kind())) {
      case MaskKind::kDisable:
        ++tally.disables;
        break;
      case MaskKind::kEnable:
        ++tally.enables;
        break;
      case MaskKind::kForget:
        ++tally.forgets;
        break;
    }
  }
  PEAT_RETURN_IF_ERROR(scan->status());
  return tally;
}

absl::StatusOr<std::string> AuditReader::Reveal(std::string_view key) const {
  PEAT_RETURN_IF_ERROR(CheckKey(key));
  std::string value;
  PEAT_RETURN_IF_ERROR(impl_->engine()->Reveal(key, &value));
  return value;
}

}  // namespace peat
