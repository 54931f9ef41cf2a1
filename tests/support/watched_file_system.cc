#include "tests/support/watched_file_system.h"

#include <cstring>
#include <utility>
#include <vector>

#include "format/status_macros.h"

namespace peat::testing {
namespace {

using engine::Directory;
using engine::DirectoryLock;
using engine::File;
using engine::MapMode;
using engine::Mapping;
using engine::OpenMode;
using format::ByteView;
using Kind = FileChange::Kind;

// Does `change` between two calls of the watcher.
template <typename Change>
auto Watched(const FileWatcher& watcher, Kind kind, Change change) {
  watcher({.kind = kind});
  auto result = change();
  watcher({.kind = kind});
  return result;
}

// Constructed before the mapping that it observes.
class WatchedStores : public engine::StoreObserver {
 public:
  explicit WatchedStores(const FileWatcher& watcher) : watcher_(watcher) {}

  void OnStore(std::byte* base, uint64_t offset, ByteView bytes) override {
    const FileChange change{.kind = Kind::kStore, .offset = offset};
    const size_t half = bytes.size() / 2;
    watcher_(change);
    Copy(base + offset, bytes.first(half));
    watcher_(change);
    Copy(base + offset + half, bytes.subspan(half));
    watcher_(change);
  }

 private:
  static void Copy(std::byte* to, ByteView bytes) {
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  }

  const FileWatcher& watcher_;
};

class WatchedMapping final : private WatchedStores, public Mapping {
 public:
  WatchedMapping(std::unique_ptr<Mapping> mapping, const FileWatcher& watcher)
      : WatchedStores(watcher),
        Mapping(const_cast<std::byte*>(mapping->data()), mapping->size(), this),
        mapping_(std::move(mapping)) {}

  void Touch(uint64_t offset, uint64_t size) override {
    mapping_->Touch(offset, size);
  }
  void Unload(uint64_t offset, uint64_t size) override {
    mapping_->Unload(offset, size);
  }
  void Protect() override { mapping_->Protect(); }
  void WillNeed(uint64_t offset, uint64_t size) const override {
    mapping_->WillNeed(offset, size);
  }
  void ExpectRandomReads() const override { mapping_->ExpectRandomReads(); }

 private:
  const std::unique_ptr<Mapping> mapping_;
};

class WatchedFile final : public File {
 public:
  WatchedFile(std::unique_ptr<File> file, const FileWatcher& watcher)
      : file_(std::move(file)), watcher_(watcher) {}

  absl::StatusOr<uint64_t> Size() const override { return file_->Size(); }
  absl::Status Allocate(uint64_t size) override {
    return Watched(watcher_, Kind::kSize,
                   [&] { return file_->Allocate(size); });
  }
  absl::Status Truncate(uint64_t size) override {
    return Watched(watcher_, Kind::kSize,
                   [&] { return file_->Truncate(size); });
  }
  absl::StatusOr<size_t> ReadAt(uint64_t offset,
                                std::span<std::byte> out) const override {
    return file_->ReadAt(offset, out);
  }
  absl::Status WriteAt(uint64_t offset, ByteView bytes) override {
    const FileChange change{.kind = Kind::kWrite, .offset = offset};
    const size_t half = bytes.size() / 2;
    watcher_(change);
    PEAT_RETURN_IF_ERROR(file_->WriteAt(offset, bytes.first(half)));
    watcher_(change);
    PEAT_RETURN_IF_ERROR(file_->WriteAt(offset + half, bytes.subspan(half)));
    watcher_(change);
    return absl::OkStatus();
  }
  absl::Status Sync() override {
    return Watched(watcher_, Kind::kSync, [&] { return file_->Sync(); });
  }
  void StartWriteback(uint64_t offset, uint64_t size) override {
    file_->StartWriteback(offset, size);
  }
  absl::StatusOr<std::unique_ptr<Mapping>> Map(uint64_t size,
                                               MapMode mode) override {
    PEAT_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> mapping,
                          file_->Map(size, mode));
    if (mode == MapMode::kRead) return mapping;
    return std::make_unique<WatchedMapping>(std::move(mapping), watcher_);
  }

 private:
  const std::unique_ptr<File> file_;
  const FileWatcher& watcher_;
};

class WatchedDirectory final : public Directory {
 public:
  WatchedDirectory(std::unique_ptr<Directory> directory,
                   const FileWatcher& watcher, uint64_t volume)
      : directory_(std::move(directory)), watcher_(watcher), volume_(volume) {}

  absl::StatusOr<std::unique_ptr<File>> Create(
      const std::string& name) override {
    return Wrap(Watched(watcher_, Kind::kName,
                        [&] { return directory_->Create(name); }));
  }
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& name,
                                             OpenMode mode) const override {
    return Wrap(directory_->Open(name, mode));
  }
  absl::StatusOr<std::vector<std::string>> List() const override {
    return directory_->List();
  }
  absl::Status Unlink(const std::string& name) override {
    return Watched(watcher_, Kind::kName,
                   [&] { return directory_->Unlink(name); });
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return Watched(watcher_, Kind::kName,
                   [&] { return directory_->Rename(from, to); });
  }
  absl::Status Link(const std::string& name, Directory& to) const override {
    return Watched(watcher_, Kind::kName, [&] {
      return directory_->Link(name,
                              *static_cast<WatchedDirectory&>(to).directory_);
    });
  }
  absl::Status RemoveDirectory(const std::string& name) override {
    return Watched(watcher_, Kind::kName,
                   [&] { return directory_->RemoveDirectory(name); });
  }
  absl::StatusOr<bool> IsSame(const Directory& other) const override {
    return directory_->IsSame(
        *static_cast<const WatchedDirectory&>(other).directory_);
  }
  uint64_t Volume() const override {
    return volume_ != 0 ? volume_ : directory_->Volume();
  }
  absl::Status Sync() override {
    return Watched(watcher_, Kind::kSync, [&] { return directory_->Sync(); });
  }
  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(
      const std::string& name) override {
    return directory_->Lock(name);
  }

 private:
  absl::StatusOr<std::unique_ptr<File>> Wrap(
      absl::StatusOr<std::unique_ptr<File>> file) const {
    PEAT_RETURN_IF_ERROR(file.status());
    return std::make_unique<WatchedFile>(*std::move(file), watcher_);
  }

  const std::unique_ptr<Directory> directory_;
  const FileWatcher& watcher_;
  const uint64_t volume_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Directory>> WatchedFileSystem::OpenDirectory(
    const std::filesystem::path& path) {
  PEAT_ASSIGN_OR_RETURN(std::unique_ptr<Directory> directory,
                        engine::PosixFileSystem().OpenDirectory(path));
  return std::make_unique<WatchedDirectory>(std::move(directory), watcher_,
                                            volume_);
}

absl::Status WatchedFileSystem::CreateDirectory(
    const std::filesystem::path& path) {
  return Watched(watcher_, Kind::kName, [&] {
    return engine::PosixFileSystem().CreateDirectory(path);
  });
}

void WatchedFileSystem::Randomize(std::span<std::byte> out) {
  engine::PosixFileSystem().Randomize(out);
}

}  // namespace peat::testing
