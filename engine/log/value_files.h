// Large values, each in a file of its own.
//
// A value file is a segment header, then the value's bytes. It is written
// outside all locks, before the log record that refers to it; a sync of the
// log syncs it first. Its checksum lies in that record. A file that no record
// refers to is an orphan of a crash, and removed at open.
//
// Thread-safe.

#ifndef PEAT_ENGINE_LOG_VALUE_FILES_H_
#define PEAT_ENGINE_LOG_VALUE_FILES_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/log/manifest_store.h"
#include "engine/os/file_system.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace peat::engine {

// The size of the value file that `record` refers to; 0: none.
uint64_t ValueFileSize(const format::Record& record);

// Reads the value that `reference` names and verifies all of it. DataLoss when
// the file is missing, is not the one, or is damaged.
absl::Status ReadValueFile(const Directory& directory,
                           const format::StoreId& store_id,
                           const format::ValueReference& reference,
                           std::string* value);

// What is wrong with a value file that could be read.
struct ValueFlaw {
  uint64_t offset = 0;
  const char* what = "";
};

// Reads the value that `reference` names, and tells what is wrong with its
// file; nullopt: nothing. Fails when that cannot be read: it is not known then.
absl::StatusOr<std::optional<ValueFlaw>> ReadValueOrFlaw(
    const Directory& directory, const format::StoreId& store_id,
    const format::ValueReference& reference, std::string* value);

// Whether the value is there as it was written, which a crash may have
// prevented. Fails when that cannot be read: it is not known then.
absl::StatusOr<bool> ValueIsWhole(const Directory& directory,
                                  const format::StoreId& store_id,
                                  const format::ValueReference& reference);

struct WrittenValue {
  format::ValueReference reference;
  std::shared_ptr<File> file;  // to be synced before the log
};

// Writes `value` to a new file. ResourceExhausted leaves nothing behind.
absl::StatusOr<WrittenValue> WriteValueFile(FileSystem& file_system,
                                            Directory& directory,
                                            ManifestStore& manifest,
                                            std::string_view value);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_VALUE_FILES_H_
