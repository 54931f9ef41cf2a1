// The ground: everything Peat asks of an operating system.
//
// Two implementations: PosixFileSystem, and the tests' SimFileSystem, which can
// crash between and within any two of these calls. So each promise about
// durability is stated here, and the engine relies on nothing else.
//
// Durability. Nothing is durable until a Sync that covers it has returned OK:
//   File::Sync           the file's bytes and size (fdatasync)
//   Directory::Sync      the names in the directory: creations, links, renames,
//   unlinks
// What is not durable may, after a power loss, be there wholly, partly (any
// subset of its 512-byte sectors) or not at all; names likewise. After the end
// of the process (kill -9) everything that any call or store did is there, up
// to the store instruction in progress.
//
// Errors: ENOSPC, EDQUOT, EFBIG, EMFILE and ENFILE are ResourceExhausted; EIO
// is DataLoss; ENOENT is NotFound; EEXIST is AlreadyExists; ELOOP (a symbolic
// link) is FailedPrecondition; the rest as absl::ErrnoToStatus has it. Messages
// name the call and the file: "fdatasync 000042.seg". EINTR and short results
// are handled here and never seen by callers.
//
// Thread-safe unless stated: different files may be used at the same time; one
// file may be read, synced and stored to at the same time.

#ifndef PEAT_ENGINE_OS_FILE_SYSTEM_H_
#define PEAT_ENGINE_OS_FILE_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/os/mapping.h"
#include "format/bytes.h"

namespace peat::engine {

// An open file. Closing (the destructor) makes nothing durable.
class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  virtual absl::StatusOr<uint64_t> Size() const = 0;

  // Acquires disk space for [0, size) and extends the file to `size` with
  // zeros, so that no later store or write inside it can fail for lack of
  // space. On failure the file may have any size up to `size`.
  virtual absl::Status Allocate(uint64_t size) = 0;

  virtual absl::Status Truncate(uint64_t size) = 0;

  // Reads up to `out.size()` bytes at `offset`; fewer only at the end of the
  // file. Returns how many.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t offset,
                                        std::span<std::byte> out) const = 0;

  // Writes all of `bytes`.
  virtual absl::Status WriteAt(uint64_t offset, format::ByteView bytes) = 0;

  // Makes the bytes and size of the file durable: everything written, and
  // everything stored through any mapping of it, before the call. After a
  // failure nothing is known of any of it, ever: never call it again.
  virtual absl::Status Sync() = 0;

  // Starts to write [offset, offset + size) to disk without waiting. A hint:
  // promises nothing.
  virtual void StartWriteback(uint64_t offset, uint64_t size) = 0;

  // Maps [0, size), which must lie within the file. kReadWrite needs a file
  // opened for writing. The mapping outlives the File.
  virtual absl::StatusOr<std::unique_ptr<Mapping>> Map(uint64_t size,
                                                       MapMode mode) = 0;
};

enum class OpenMode { kRead, kReadWrite };

// Holds a store's LOCK until it is destroyed.
class DirectoryLock {
 public:
  DirectoryLock() = default;
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  virtual ~DirectoryLock() = default;
};

// An open directory. Names are plain file names, never paths; symbolic links
// are not followed.
class Directory {
 public:
  Directory() = default;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  virtual ~Directory() = default;

  // Creates and opens a new file with mode 0600 (whatever the umask).
  // AlreadyExists if there is one.
  virtual absl::StatusOr<std::unique_ptr<File>> Create(
      const std::string& name) = 0;

  // Opens a regular file. NotFound if there is none.
  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& name,
                                                     OpenMode mode) const = 0;

  // Names of everything in the directory but "." and "..", sorted.
  virtual absl::StatusOr<std::vector<std::string>> List() const = 0;

  virtual absl::Status Unlink(const std::string& name) = 0;

  // Replaces `to` if it exists. Of a directory it replaces an empty one only;
  // no name in it may be in use meanwhile.
  virtual absl::Status Rename(const std::string& from,
                              const std::string& to) = 0;

  // Gives the file `name` the same name in `to`, a directory of the same
  // FileSystem, too. AlreadyExists if `to` has it. Unimplemented if the two
  // cannot share a file: they lie on different file systems, theirs has no hard
  // links, the file has as many as it can, or belongs to somebody else.
  virtual absl::Status Link(const std::string& name, Directory& to) const = 0;

  // Removes the directory `name`, which must be empty.
  virtual absl::Status RemoveDirectory(const std::string& name) = 0;

  // Whether `other`, of the same FileSystem, is the same directory, whatever it
  // was called when it was opened.
  virtual absl::StatusOr<bool> IsSame(const Directory& other) const = 0;

  // Identifies the volume that it lies on, for as long as it is open: files of
  // one volume wait for one disk. 0: not known.
  virtual uint64_t Volume() const = 0;

  // Makes all creations, links, renames and unlinks so far durable.
  virtual absl::Status Sync() = 0;

  // Takes the exclusive lock of `name`, which is created if missing and never
  // unlinked. Unavailable if any process, this one included, has it; the
  // message names the process, where the system tells. Never waits. Opened
  // with O_CLOEXEC; a forked child loses its copy without releasing the lock.
  virtual absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(
      const std::string& name) = 0;
};

class FileSystem {
 public:
  FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  virtual ~FileSystem() = default;

  // Opens an existing directory. NotFound if there is none; InvalidArgument if
  // it is not a directory.
  virtual absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(
      const std::filesystem::path& path) = 0;

  // Creates a directory with mode 0700, its parent must exist, and makes its
  // name durable. AlreadyExists if there is one.
  virtual absl::Status CreateDirectory(const std::filesystem::path& path) = 0;

  // `out` is filled with random bytes from a cryptographic source.
  virtual void Randomize(std::span<std::byte> out) = 0;
};

// The real one. Lives for ever.
FileSystem& PosixFileSystem();

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_FILE_SYSTEM_H_
