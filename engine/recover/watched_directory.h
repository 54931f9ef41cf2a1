// The directory of a store that is open to read only, which another process may
// be writing: tells a file that is damage to miss from one that the writer has
// removed since.
//
// What was opened stays readable; of what is opened for each read, a name may
// have gone. Then the manifest has moved on, since an edit that takes a segment
// out is durable before anything is unlinked: the answer is Aborted, and the
// store can be opened anew. If the manifest is the same, the file is missing.
//
// Reads only. Thread-safe once Watch() has returned.

#ifndef PEAT_ENGINE_RECOVER_WATCHED_DIRECTORY_H_
#define PEAT_ENGINE_RECOVER_WATCHED_DIRECTORY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/os/file_system.h"

namespace peat::engine {

class WatchedDirectory final : public Directory {
 public:
  explicit WatchedDirectory(std::unique_ptr<Directory> directory)
      : directory_(std::move(directory)) {}

  // From now on the store is open, as of this generation of the manifest.
  // Before that, a file that is not there is NotFound, whatever the reason.
  void Watch(uint64_t generation) { generation_ = generation; }

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& name,
                                             OpenMode mode) const override;
  absl::StatusOr<std::vector<std::string>> List() const override {
    return directory_->List();
  }
  absl::Status Link(const std::string& name, Directory& to) const override {
    return directory_->Link(name, to);
  }
  absl::StatusOr<bool> IsSame(const Directory& other) const override {
    return directory_->IsSame(other);
  }

  uint64_t Volume() const override { return directory_->Volume(); }

  // Never called: nothing is written.
  absl::StatusOr<std::unique_ptr<File>> Create(
      const std::string& name) override;
  absl::Status Unlink(const std::string& name) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveDirectory(const std::string& name) override;
  absl::Status Sync() override;
  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(
      const std::string& name) override;

 private:
  const std::unique_ptr<Directory> directory_;
  std::optional<uint64_t> generation_;  // constant once the store is open
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_RECOVER_WATCHED_DIRECTORY_H_
