// The machine's file system, and someone who is told of every change that is
// made through it: before, in the midst of (a store or a write), and after it.
//
// What tests of a process that ends use to end it at a certain change: a store
// into a mapping is one, as it is for the simulated file system.
//
// The watcher is called by the thread that makes the change; as thread-safe as
// the watcher is.

#ifndef PEAT_TESTS_SUPPORT_WATCHED_FILE_SYSTEM_H_
#define PEAT_TESTS_SUPPORT_WATCHED_FILE_SYSTEM_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "engine/os/file_system.h"

namespace peat::testing {

struct FileChange {
  enum class Kind { kStore, kWrite, kSize, kSync, kName };
  Kind kind = Kind::kStore;
  // Of a store or write, where it begins.
  uint64_t offset = 0;
};
using FileWatcher = std::function<void(const FileChange&)>;

class WatchedFileSystem final : public engine::FileSystem {
 public:
  // Its directories say that they lie on `volume`; 0: on the machine's.
  explicit WatchedFileSystem(FileWatcher watcher, uint64_t volume = 0)
      : watcher_(std::move(watcher)), volume_(volume) {}

  absl::StatusOr<std::unique_ptr<engine::Directory>> OpenDirectory(
      const std::filesystem::path& path) override;
  absl::Status CreateDirectory(const std::filesystem::path& path) override;
  void Randomize(std::span<std::byte> out) override;

 private:
  const FileWatcher watcher_;
  const uint64_t volume_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_WATCHED_FILE_SYSTEM_H_
