// The files of a store as the offline commands read them: through the file
// system, without an engine, without a lock, and without a write.
//
// Reads the manifest and opens every segment that it names, as of one moment:
// beside a process that writes, it begins again when the manifest has moved on
// meanwhile, and what it has opened stays readable. Whatever is wrong is part
// of the result, so that the rest can be looked at.
//
// Memory: the segments that are not sealed are held whole, as recovery does;
// the others are read as they are walked.
//
// Externally synchronised, but that several walks may go on at the same time.

#ifndef PEAT_TOOLS_OFFLINE_STORE_FILES_H_
#define PEAT_TOOLS_OFFLINE_STORE_FILES_H_

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "engine/recover/log_tail.h"
#include "format/manifest.h"
#include "tools/offline/record_walk.h"

namespace peat::tools {

// What is wrong with a file, and where.
struct FileFlaw {
  uint64_t offset = 0;
  std::string what;
  // It could not be read, which proves nothing about its bytes.
  bool is_unreadable = false;
};

// Where a segment of the store comes from.
enum class SourceKind {
  kSealed,  // complete up to its end
  kTail,    // of the log behind the last seal, up to the log's end
  kLoose,   // of a damaged log, or without a manifest: whatever validates
};

struct SourceSegment {
  format::ManifestSegment entry = {};
  SourceKind kind = SourceKind::kSealed;
  uint64_t end = 0;  // records lie in [4,096, end)
  std::shared_ptr<const engine::File> file = nullptr;
  format::ByteView bytes = {};        // instead of a file
  std::optional<FileFlaw> flaw = {};  // no record of it can be read
  // What is wrong with a file of which records can be read all the same: it is
  // shorter than it was, or its header is damaged.
  std::optional<FileFlaw> wound = {};

  std::string name() const;
  // Needs `flaw` to be absent. Lives no longer than the store's files.
  RecordWalk Walk() const;
  // The same for a part of it, by a walk that is there already.
  void OpenPart(uint64_t begin, uint64_t part_end, RecordWalk* walk) const;
};

// One of the two copies of the manifest.
struct ManifestCopy {
  absl::Status status = {};  // NotFound: there is no such file
  std::optional<format::Manifest> manifest = {};
};

struct StoreFiles {
  std::unique_ptr<engine::Directory> directory;
  std::vector<std::string> names;  // of everything in it
  std::array<ManifestCopy, 2> copies;
  // The manifest that counts; not OK: there is none to be trusted.
  absl::Status manifest_status;
  std::optional<format::Manifest> manifest;
  // Where the log ends. Not set without a manifest.
  std::optional<engine::LogTail> tail;
  // All that may hold records: sealed ones, ascending by id, then the log's.
  // Without a manifest whatever has a valid header.
  std::vector<SourceSegment> segments;
  // Segments of the store that the manifest does not name: FindStrays().
  std::vector<SourceSegment> strays;

  format::StoreId store_id = {};  // zero if nothing says it

  bool is_store() const;        // any manifest, segment or value file
  uint64_t size_bytes() const;  // of all segments' records
};

// NotFound or InvalidArgument if there is no such directory; Unimplemented if
// the store is of a newer version.
absl::StatusOr<StoreFiles> ReadStoreFiles(engine::FileSystem& file_system,
                                          const std::filesystem::path& path);

// Sets `files->strays`: every file with a valid header of this store's that is
// no part of it, as compaction or a crash leaves them. Needs a manifest.
void FindStrays(StoreFiles* files);

// Keeps writers out of the store in `directory`, which holds `names`, if it has
// a lock file and that may be opened; null: not. Unavailable if one is in.
absl::StatusOr<std::unique_ptr<engine::DirectoryLock>> LockOut(
    engine::Directory& directory, const std::vector<std::string>& names);

// A file alone, whose salt is that of its own header. NotFound when there is
// none, DataLoss when it is no segment of Peat's.
absl::StatusOr<SourceSegment> ReadLoneSegment(
    const engine::Directory& directory, const std::string& name);

// What is wrong with the header of a segment or value file; nullopt: nothing.
std::optional<FileFlaw> CheckSegmentFile(const engine::File& file,
                                         const format::ManifestSegment& entry,
                                         const format::StoreId& store_id);

// The first line of what a failed call says, for a finding.
FileFlaw FlawOf(const absl::Status& status);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_STORE_FILES_H_
