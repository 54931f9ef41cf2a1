// A new store, written record by record from what was read of another one, as
// compaction would: records keep their lsns, live data goes to compacted
// segments, what is kept for the audit to audit segments. The log of the new
// store begins with one sealed segment that holds the record with the last lsn,
// so that new writes go on behind it.
//
// It has the old store's id, so that receipts stay valid, and none of its
// segment ids, so that no older file can be taken for one of its own. Until
// Finish() there is no manifest, and so no store. Everything is synced.
//
// Externally synchronised.

#ifndef PEAT_TOOLS_OFFLINE_STORE_WRITER_H_
#define PEAT_TOOLS_OFFLINE_STORE_WRITER_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "format/manifest.h"
#include "format/record.h"

namespace peat::tools {

class StoreWriter final {
 public:
  // What the new store has of the old one.
  struct Origin {
    format::StoreId store_id = {};
    format::SegmentId next_id = 1;      // above all that it has given out
    format::SegmentId last_log_id = 1;  // that its log ended in
    uint64_t generation = 0;
  };

  // The directory `path` must exist and be empty.
  static absl::StatusOr<std::unique_ptr<StoreWriter>> Create(
      engine::FileSystem& file_system, const std::filesystem::path& path,
      const Origin& origin);
  ~StoreWriter();
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  // Adds a record that a store shows, or one that is kept for the audit alone
  // (a forget or a stub).
  absl::Status AddLive(const format::Record& record);
  absl::Status AddForAudit(const format::Record& record);

  // Adds the value that `reference` names.
  absl::Status AddValue(const format::ValueReference& reference,
                        std::string_view value);

  // Ends the log with `last`, whose lsn is that of the store; nullopt: there is
  // none. Nothing can be added any more.
  absl::Status Finish(const std::optional<format::Record>& last);

 private:
  class Output;

  StoreWriter(engine::FileSystem& file_system,
              std::unique_ptr<engine::Directory> directory,
              const Origin& origin);
  absl::Status Add(format::SegmentKind kind, const format::Record& record,
                   std::unique_ptr<Output>* output);
  absl::StatusOr<std::unique_ptr<Output>> NewOutput(format::SegmentKind kind,
                                                    uint64_t size);
  absl::Status FinishOutput(std::unique_ptr<Output>* output);

  engine::FileSystem& file_system_;
  const std::unique_ptr<engine::Directory> directory_;
  const Origin origin_;
  format::Manifest manifest_;
  std::unique_ptr<Output> live_;
  std::unique_ptr<Output> audit_;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_STORE_WRITER_H_
