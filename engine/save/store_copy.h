// A copy of a store's sealed files in a new directory, by hard links.
//
// What is sealed is never written again, so a copy may share it: two names of
// one file. Where a link is impossible (another file system, one without links)
// the bytes are copied. The copy has a manifest of its own; from then on the
// two stores know nothing of each other.
//
//   Begin    NEW.tmp is made beside NEW, or taken over from a copy that was cut
//            short; its file NEW.checkpoint says so, and is locked
//   Fill     links, manifest, all durable: NEW.tmp is a store
//   Publish  NEW.tmp is renamed to NEW, durably
//
// So NEW is absent or complete, whatever happens when, and of a copy that was
// cut short there is NEW.tmp at most. One that fails takes it back.
//
// Externally synchronised; any number of copies of one store at a time.

#ifndef PEAT_ENGINE_SAVE_STORE_COPY_H_
#define PEAT_ENGINE_SAVE_STORE_COPY_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "format/location.h"
#include "format/manifest.h"

namespace peat::engine {

// What a copy is to hold.
struct CopyContents {
  format::Manifest manifest;  // of sealed segments only
  std::vector<format::SegmentId> value_files = {};
};

struct CopyResult {
  // Bytes of segments and value files.
  uint64_t linked_bytes = 0;  // shared with the store
  uint64_t copied_bytes = 0;
  std::vector<format::SegmentId> missing_value_files;
};

class StoreCopy final {
 public:
  // Makes `target` the place of the copy of the store in `source`; both must
  // outlive this. AlreadyExists if anything has that name, or if TARGET.tmp is
  // not of a copy; InvalidArgument if it would lie in `source`; Unavailable if
  // another copy to it is under way; NotFound if there is no directory to hold
  // it.
  static absl::StatusOr<std::unique_ptr<StoreCopy>> Begin(
      FileSystem& file_system, const Directory& source,
      const std::filesystem::path& target);
  ~StoreCopy();
  StoreCopy(const StoreCopy&) = delete;
  StoreCopy& operator=(const StoreCopy&) = delete;

  // Once. The segments of `contents` must be durable, and stay, until it
  // returns. Value files that are not there are no failure: a write that is
  // refused takes its own away again.
  absl::StatusOr<CopyResult> Fill(const Directory& source,
                                  const CopyContents& contents);

  // Where the copy lies until Publish(): a store that may be changed, by who
  // has closed it again before that.
  const std::filesystem::path& unfinished_path() const {
    return unfinished_path_;
  }

  // Gives the copy its name. Once, after Fill(). If only the last sync of it
  // fails, the copy stays, although it may be gone after a power loss.
  absl::Status Publish();

 private:
  StoreCopy(std::unique_ptr<Directory> parent,
            const std::filesystem::path& target);

  absl::Status TakeDirectory(FileSystem& file_system);
  absl::Status UnderWay() const;
  // Whether the target has become something.
  absl::Status CheckTarget() const;
  // Unlinks what a copy consists of.
  absl::Status Clear();
  absl::Status LinkOrCopy(const Directory& source, const std::string& name,
                          uint64_t size, CopyResult* result);
  absl::Status LinkOrCopyValue(const Directory& source, const std::string& name,
                               CopyResult* result);

  const std::unique_ptr<Directory> parent_;
  const std::string name_;
  const std::string unfinished_name_;
  const std::string marker_name_;
  const std::filesystem::path unfinished_path_;
  std::unique_ptr<Directory> directory_;  // null: not taken
  std::unique_ptr<DirectoryLock> lock_;   // of the marker
  bool is_published_ = false;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SAVE_STORE_COPY_H_
