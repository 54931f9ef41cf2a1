// Directories and locks of the simulated file system.

#include "tests/support/sim_directory.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/status_macros.h"
#include "tests/support/sim_file.h"

namespace peat::testing {
namespace {

using engine::OpenMode;
using std::filesystem::path;
using MachineLock = std::lock_guard<std::mutex>;

absl::Status TooManyOpen(const std::string& name) {
  return absl::ResourceExhaustedError(
      absl::StrFormat("open %s: too many open files", name));
}

absl::Status CheckName(const std::string& name) {
  const bool is_plain = !name.empty() && name != "." && name != ".." &&
                        name.find('/') == std::string::npos &&
                        name.find('\0') == std::string::npos;
  if (is_plain) return absl::OkStatus();
  return absl::InvalidArgumentError("a file name must be plain, not a path");
}

class SimLock final : public engine::DirectoryLock {
 public:
  // With the mutex held, the lock taken and one open file counted.
  SimLock(std::shared_ptr<SimMachine> machine, std::shared_ptr<SimInode> inode)
      : machine_(std::move(machine)), inode_(std::move(inode)) {
    inode_->AddUser();
  }
  ~SimLock() override {
    const MachineLock hold(machine_->mutex());
    machine_->Unlock(inode_->id());
    machine_->CloseFile();
    inode_->DropUser();
  }

 private:
  const std::shared_ptr<SimMachine> machine_;
  const std::shared_ptr<SimInode> inode_;
};

class SimDirectory final : public engine::Directory {
 public:
  // With the mutex held and one open file counted.
  SimDirectory(std::shared_ptr<SimMachine> machine,
               std::shared_ptr<SimNames> names, path where)
      : machine_(std::move(machine)),
        names_(std::move(names)),
        path_(std::move(where)) {}

  ~SimDirectory() override {
    const MachineLock hold(machine_->mutex());
    machine_->CloseFile();
  }

  absl::StatusOr<std::unique_ptr<engine::File>> Create(
      const std::string& name) override;
  absl::StatusOr<std::unique_ptr<engine::File>> Open(
      const std::string& name, OpenMode mode) const override;
  absl::StatusOr<std::vector<std::string>> List() const override;
  absl::Status Unlink(const std::string& name) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Link(const std::string& name,
                    engine::Directory& to) const override;
  absl::Status RemoveDirectory(const std::string& name) override;
  absl::StatusOr<bool> IsSame(const engine::Directory& other) const override {
    return names_ == static_cast<const SimDirectory&>(other).names_;
  }
  uint64_t Volume() const override { return 0; }
  absl::Status Sync() override;
  absl::StatusOr<std::unique_ptr<engine::DirectoryLock>> Lock(
      const std::string& name) override;

 private:
  std::string PathOf(const std::string& name) const {
    return (path_ / name).string();
  }
  bool IsDirectory(const std::string& name) const {
    return machine_->disk().FindDirectory(PathOf(name)) != nullptr;
  }
  bool IsEmptyDirectory(const std::string& name) const;
  absl::Status RenameDirectory(const std::string& from, const std::string& to);

  const std::shared_ptr<SimMachine> machine_;
  const std::shared_ptr<SimNames> names_;
  const path path_;
};

absl::StatusOr<std::unique_ptr<engine::File>> SimDirectory::Create(
    const std::string& name) {
  PEAT_RETURN_IF_ERROR(CheckName(name));
  const MachineLock hold(machine_->Approach(SimOp::kCreate));
  const SimMachine::Verdict verdict = machine_->Enter(SimOp::kCreate, name);
  if (!verdict.ok() && !verdict.partly) return verdict.status;
  if (names_->Find(name) != nullptr || IsDirectory(name)) {
    return ExistsStatus("open", name);
  }
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  if (!machine_->OpenFile()) return TooManyOpen(name);
  std::shared_ptr<SimInode> inode = machine_->disk().NewInode();
  names_->Create(machine_->event_count(), name, inode);
  if (!verdict.ok()) {
    machine_->CloseFile();
    return verdict.status;
  }
  return OpenSimFile(machine_, std::move(inode), name, OpenMode::kReadWrite);
}

absl::StatusOr<std::unique_ptr<engine::File>> SimDirectory::Open(
    const std::string& name, OpenMode mode) const {
  PEAT_RETURN_IF_ERROR(CheckName(name));
  const MachineLock hold(machine_->mutex());
  const SimMachine::Verdict verdict = machine_->Enter(SimOp::kOpen, name);
  if (!verdict.ok()) return verdict.status;
  if (IsDirectory(name)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("open %s: not a regular file", name));
  }
  std::shared_ptr<SimInode> inode = names_->Find(name);
  if (inode == nullptr) return MissingStatus("open", name);
  if (!machine_->OpenFile()) return TooManyOpen(name);
  return OpenSimFile(machine_, std::move(inode), name, mode);
}

absl::StatusOr<std::vector<std::string>> SimDirectory::List() const {
  const MachineLock hold(machine_->mutex());
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kList, path_.string());
  if (!verdict.ok()) return verdict.status;
  std::vector<std::string> found;
  for (const auto& [name, inode] : names_->cached()) found.push_back(name);
  for (const auto& [where, names] : machine_->disk().directories()) {
    const path directory(where);
    if (directory.parent_path() == path_) {
      found.push_back(directory.filename().string());
    }
  }
  std::ranges::sort(found);
  return found;
}

absl::Status SimDirectory::Unlink(const std::string& name) {
  PEAT_RETURN_IF_ERROR(CheckName(name));
  const MachineLock hold(machine_->Approach(SimOp::kUnlink));
  const SimMachine::Verdict verdict = machine_->Enter(SimOp::kUnlink, name);
  if (!verdict.ok() && !verdict.partly) return verdict.status;
  const std::shared_ptr<SimInode> inode = names_->Find(name);
  if (inode == nullptr) return MissingStatus("unlink", name);
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  names_->Unlink(machine_->event_count(), name);
  machine_->AddOrphan(inode);
  return verdict.status;
}

absl::Status SimDirectory::Rename(const std::string& from,
                                  const std::string& to) {
  PEAT_RETURN_IF_ERROR(CheckName(from));
  PEAT_RETURN_IF_ERROR(CheckName(to));
  const MachineLock hold(machine_->Approach(SimOp::kRename));
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kRename, absl::StrFormat("%s %s", from, to));
  if (!verdict.ok() && !verdict.partly) return verdict.status;
  if (IsDirectory(from)) {
    PEAT_RETURN_IF_ERROR(RenameDirectory(from, to));
    return verdict.status;
  }
  if (names_->Find(from) == nullptr) return MissingStatus("rename", from);
  if (IsDirectory(to)) return ExistsStatus("rename", to);
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  const std::shared_ptr<SimInode> replaced =
      from == to ? nullptr : names_->Find(to);
  names_->Rename(machine_->event_count(), from, to);
  machine_->AddOrphan(replaced);
  return verdict.status;
}

// With the mutex held.
absl::Status SimDirectory::RenameDirectory(const std::string& from,
                                           const std::string& to) {
  SimDisk& disk = machine_->disk();
  if (names_->Find(to) != nullptr ||
      (IsDirectory(to) && !IsEmptyDirectory(to))) {
    return ExistsStatus("rename", to);
  }
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  disk.RemoveDirectory(PathOf(to));
  disk.RenameDirectory(machine_->event_count(), PathOf(from), PathOf(to));
  return absl::OkStatus();
}

bool SimDirectory::IsEmptyDirectory(const std::string& name) const {
  const SimDisk& disk = machine_->disk();
  const std::shared_ptr<SimNames> names = disk.FindDirectory(PathOf(name));
  return names != nullptr && names->cached().empty() &&
         std::ranges::none_of(disk.directories(), [&](const auto& directory) {
           return path(directory.first).parent_path() == PathOf(name);
         });
}

absl::Status SimDirectory::RemoveDirectory(const std::string& name) {
  PEAT_RETURN_IF_ERROR(CheckName(name));
  const MachineLock hold(machine_->Approach(SimOp::kRemoveDirectory));
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kRemoveDirectory, name);
  if (!verdict.ok() && !verdict.partly) return verdict.status;
  if (!IsDirectory(name)) return MissingStatus("rmdir", name);
  if (!IsEmptyDirectory(name)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("rmdir %s: directory not empty", name));
  }
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  machine_->disk().RemoveDirectory(PathOf(name));
  return verdict.status;
}

absl::Status SimDirectory::Link(const std::string& name,
                                engine::Directory& to) const {
  PEAT_RETURN_IF_ERROR(CheckName(name));
  const auto& target = static_cast<const SimDirectory&>(to);
  const MachineLock hold(machine_->Approach(SimOp::kLink));
  const SimMachine::Verdict verdict = machine_->Enter(SimOp::kLink, name);
  if (!verdict.ok() && !verdict.partly) return verdict.status;
  std::shared_ptr<SimInode> inode = names_->Find(name);
  if (inode == nullptr) return MissingStatus("link", name);
  if (target.names_->Find(name) != nullptr || target.IsDirectory(name)) {
    return ExistsStatus("link", name);
  }
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  target.names_->Create(machine_->event_count(), name, std::move(inode));
  return verdict.status;
}

absl::Status SimDirectory::Sync() {
  const MachineLock hold(machine_->Approach(SimOp::kSyncDirectory));
  const SimMachine::Verdict verdict =
      machine_->Enter(SimOp::kSyncDirectory, path_.string());
  if (!verdict.ok()) return verdict.status;
  if (!machine_->NextEvent()) return SimMachine::DeadStatus();
  names_->Sync();
  machine_->disk().SyncRenames(path_.string());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<engine::DirectoryLock>> SimDirectory::Lock(
    const std::string& name) {
  PEAT_RETURN_IF_ERROR(CheckName(name));
  const MachineLock hold(machine_->Approach(SimOp::kLock));
  const SimMachine::Verdict verdict = machine_->Enter(SimOp::kLock, name);
  if (!verdict.ok()) return verdict.status;
  std::shared_ptr<SimInode> inode = names_->Find(name);
  if (inode == nullptr) {
    if (!machine_->NextEvent()) return SimMachine::DeadStatus();
    inode = machine_->disk().NewInode();
    names_->Create(machine_->event_count(), name, inode);
  }
  if (!machine_->OpenFile()) return TooManyOpen(name);
  if (!machine_->Lock(inode->id())) {
    machine_->CloseFile();
    return absl::UnavailableError(
        absl::StrFormat("%s is locked by this process", name));
  }
  return std::make_unique<SimLock>(machine_, std::move(inode));
}

}  // namespace

absl::Status MissingStatus(const char* call, const std::string& name) {
  return absl::NotFoundError(
      absl::StrFormat("%s %s: no such file or directory", call, name));
}

absl::Status ExistsStatus(const char* call, const std::string& name) {
  return absl::AlreadyExistsError(
      absl::StrFormat("%s %s: file exists", call, name));
}

absl::StatusOr<std::unique_ptr<engine::Directory>> OpenSimDirectory(
    const std::shared_ptr<SimMachine>& machine, std::shared_ptr<SimNames> names,
    const path& where) {
  if (!machine->OpenFile()) return TooManyOpen(where.string());
  return std::make_unique<SimDirectory>(machine, std::move(names), where);
}

}  // namespace peat::testing
