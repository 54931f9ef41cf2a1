// Engine: snapshots, cursors, and streams of changes.

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "engine/engine.h"

namespace peat::engine {

QueryParts Engine::PartsForQueries() const {
  return {.gate = gate_,
          .reader = &*view_reader_,
          .views = &views_,
          .ordered = ordered_.get(),
          .build = ordered_builder_.has_value() ? ordered_builder_->state()
                                                : nullptr,
          .mask_counts = mask_counts_,
          .log_passes = log_passes_,
          .despite_damage = config_.access == Access::kReadOnlyDespiteDamage,
          .is_damaged = !open_stats_.damaged.empty(),
          .collected_bytes_max = config_.collected_bytes_max};
}

std::unique_ptr<Snapshot> Engine::OpenSnapshot() const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) return std::make_unique<Snapshot>(WhyNot());
  return std::make_unique<Snapshot>(PartsForQueries(), &*reader_,
                                    views_.Open());
}

std::unique_ptr<Cursor> Engine::Scan(Query query) const {
  std::shared_ptr<const View> view;
  {
    const index::EpochGuard guard(epochs_);
    if (!IsOpen(guard)) return std::make_unique<Cursor>(WhyNot());
    view = views_.Open();
  }
  return std::make_unique<Cursor>(PartsForQueries(), &*reader_, std::move(view),
                                  std::move(query));
}

format::Lsn Engine::last_lsn() const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) return 0;
  return log_ != nullptr ? log_->appender.last_lsn() : opened_lsn_;
}

absl::StatusOr<std::unique_ptr<ChangeReader>> Engine::OpenChanges(
    std::optional<format::Lsn> after, bool durable_only) const {
  const index::EpochGuard guard(epochs_);
  if (!IsOpen(guard)) return WhyNot();
  return ChangeReader::Open(
      {.gate = gate_,
       .core = &core_,
       .signal = log_ != nullptr ? log_->appender.signal() : nullptr,
       .opened_lsn = opened_lsn_,
       .opened_durable_lsn = std::min(opened_durable_lsn_, opened_lsn_)},
      after, durable_only);
}

}  // namespace peat::engine
