// Opening, closing, durability, copies and statistics.

#include "peat/store.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/c/call.h"
#include "api/c/handles.h"
#include "api/c/peat.h"
#include "format/status_macros.h"
#include "peat/audit.h"
#include "peat/options.h"
#include "peat/stats.h"
#include "peat/version.h"

namespace peat::c {
namespace {

using std::chrono::milliseconds;

// One of the enumerators 0 to `max`, which C numbers as C++ does.
template <typename Enum>
absl::Status SetEnum(const char* name, int32_t given, Enum max, Enum* to) {
  if (given < 0 || given > static_cast<int32_t>(max)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s is %d, not 0 to %d", name, given, static_cast<int32_t>(max)));
  }
  *to = static_cast<Enum>(given);
  return absl::OkStatus();
}

absl::Status SetBool(const char* name, peat_choice given, bool* to) {
  if (given < PEAT_DEFAULT || given > PEAT_NO) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s is %d, not 0 to %d", name, given, PEAT_NO));
  }
  if (given != PEAT_DEFAULT) *to = given == PEAT_YES;
  return absl::OkStatus();
}

peat_stats StatsOf(const Stats& stats) {
  peat_stats to = {};
  to.key_count = stats.key_count;
  to.disabled_key_count = stats.disabled_key_count;
  to.forgotten_key_count = stats.forgotten_key_count;
  to.live_bytes = stats.live_bytes;
  to.dead_bytes = stats.dead_bytes;
  to.used_bytes = stats.used_bytes;
  to.spare_bytes = stats.spare_bytes;
  to.tombstone_bytes = stats.tombstone_bytes;
  to.segment_count = stats.segment_count;
  to.value_file_count = stats.value_file_count;
  to.value_file_bytes = stats.value_file_bytes;
  to.index_bytes = stats.index_bytes;
  to.ordered_index_bytes = stats.ordered_index_bytes;
  to.full_log_scans = stats.full_log_scans;
  to.view_count = stats.view_count;
  to.view_saved_count = stats.view_saved_count;
  to.view_saved_bytes = stats.view_saved_bytes;
  to.view_held_bytes = stats.view_held_bytes;
  to.last_lsn = stats.last_lsn;
  to.durable_lsn = stats.durable_lsn;
  to.flush_count = stats.flush_count;
  to.flush_overdue_milliseconds = stats.flush_overdue_milliseconds;
  to.compaction_count = stats.compaction_count;
  to.compaction_written_bytes = stats.compaction_written_bytes;
  to.compaction_removed_bytes = stats.compaction_removed_bytes;
  to.appended_bytes = stats.appended_bytes;
  to.index_image_count = stats.index_image_count;
  to.index_image_bytes = stats.index_image_bytes;
  to.space_amplification = stats.space_amplification;
  to.write_amplification = stats.write_amplification;
  to.slowed_seconds = stats.slowed_seconds;
  to.ordered_index_complete = stats.ordered_index_complete;
  to.reserve_complete = stats.reserve_complete;
  to.open_clean = stats.open.clean;
  to.open_keys_loaded = stats.open.keys_loaded;
  to.open_records_replayed = stats.open.records_replayed;
  to.open_bytes_replayed = stats.open.bytes_replayed;
  to.open_milliseconds = stats.open.milliseconds;
  to.open_ordered_milliseconds = stats.open.ordered_milliseconds;
  to.open_cut_count = stats.open.cut.size();
  to.open_damaged_count = stats.open.damaged.size();
  return to;
}

}  // namespace

absl::StatusOr<Options> OptionsOf(const peat_options* given) {
  PEAT_ASSIGN_OR_RETURN(const peat_options from, Known(given));
  Options to;
  PEAT_RETURN_IF_ERROR(
      SetEnum("mode", from.mode, OpenMode::kReadOnlyDespiteDamage, &to.mode));
  PEAT_RETURN_IF_ERROR(
      SetEnum("sync", from.sync, SyncPolicy::kInterval, &to.sync));
  PEAT_RETURN_IF_ERROR(SetEnum("read_method", from.read_method,
                               ReadMethod::kPositional, &to.read_method));
  PEAT_RETURN_IF_ERROR(SetBool("create_if_missing", from.create_if_missing,
                               &to.create_if_missing));
  PEAT_RETURN_IF_ERROR(SetBool("background_compaction",
                               from.background_compaction,
                               &to.background_compaction));
  PEAT_RETURN_IF_ERROR(SetBool("background_snapshots",
                               from.background_snapshots,
                               &to.background_snapshots));
  PEAT_RETURN_IF_ERROR(SetBool("ordered", from.ordered, &to.ordered));
  if (from.sync_interval_ms != 0) {
    to.sync_interval = milliseconds(from.sync_interval_ms);
  }
  if (from.max_space_amplification != 0) {
    to.max_space_amplification = from.max_space_amplification;
  }
  to.lock_wait = milliseconds(from.lock_wait_ms);
  to.compaction_bytes_per_second = from.compaction_bytes_per_second;
  return to;
}

}  // namespace peat::c

using peat::c::Call;
using peat::c::CheckNotNull;
using peat::c::CheckRoom;
using peat::c::Fill;

// NOLINTBEGIN(readability-identifier-naming,readability-function-size)

const char* peat_version(void) { return PEAT_VERSION_STRING; }

int32_t peat_version_number(void) { return PEAT_VERSION_NUMBER; }

peat_code peat_open(const char* path, const peat_options* options,
                    peat_store** store, peat_error** error) {
  if (store != nullptr) *store = nullptr;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(path, store));
    PEAT_ASSIGN_OR_RETURN(const peat::Options how, peat::c::OptionsOf(options));
    auto made = std::make_unique<peat_store>();
    PEAT_ASSIGN_OR_RETURN(made->store, peat::Store::Open(path, how));
    *store = made.release();
    return absl::OkStatus();
  });
}

peat_code peat_open_with_audit(const char* path, const peat_options* options,
                               peat_store** store, peat_audit** audit,
                               peat_error** error) {
  if (store != nullptr) *store = nullptr;
  if (audit != nullptr) *audit = nullptr;
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(path, store, audit));
    PEAT_ASSIGN_OR_RETURN(const peat::Options how, peat::c::OptionsOf(options));
    auto made = std::make_unique<peat_store>();
    auto made_audit = std::make_unique<peat_audit>();
    PEAT_ASSIGN_OR_RETURN(auto opened, peat::OpenWithAudit(path, how));
    PEAT_ASSIGN_OR_RETURN(
        made_audit->reader,
        peat::AuditReader::Attach(*opened.first, opened.second));
    made->store = std::move(opened.first);
    *store = made.release();
    *audit = made_audit.release();
    return absl::OkStatus();
  });
}

peat_code peat_close(peat_store* store, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store));
    return store->store->Close();
  });
}

void peat_store_free(peat_store* store) {
  (void)Call(nullptr, [&] {
    const std::unique_ptr<peat_store> freed(store);
    return absl::OkStatus();
  });
}

peat_code peat_flush(peat_store* store, uint64_t* lsn, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store));
    PEAT_ASSIGN_OR_RETURN(const peat::Lsn durable, store->store->Flush());
    if (lsn != nullptr) *lsn = durable;
    return absl::OkStatus();
  });
}

peat_code peat_compact(peat_store* store, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store));
    return store->store->Compact();
  });
}

peat_code peat_checkpoint(peat_store* store, const char* new_directory,
                          peat_checkpoint_result* result, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, new_directory));
    PEAT_RETURN_IF_ERROR(CheckRoom(result));
    PEAT_ASSIGN_OR_RETURN(const peat::CheckpointResult made,
                          store->store->Checkpoint(new_directory));
    Fill({.struct_size = 0,
          .lsn = made.lsn,
          .linked_bytes = made.linked_bytes,
          .copied_bytes = made.copied_bytes},
         result);
    return absl::OkStatus();
  });
}

peat_code peat_refresh(peat_store* store, peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store));
    return store->store->Refresh();
  });
}

peat_code peat_get_stats(const peat_store* store, peat_stats* stats,
                         peat_error** error) {
  return Call(error, [&]() -> absl::Status {
    PEAT_RETURN_IF_ERROR(CheckNotNull(store, stats));
    PEAT_RETURN_IF_ERROR(CheckRoom(stats));
    Fill(peat::c::StatsOf(store->store->GetStats()), stats);
    return absl::OkStatus();
  });
}

// NOLINTEND(readability-identifier-naming,readability-function-size)
