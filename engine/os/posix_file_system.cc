// The file system of the machine: the engine's only system calls, here and in
// posix_call.cc and posix_lock.cc.
//
// Linux first. The promises are those of file_system.h; what they rest on:
//   Allocate  fallocate, which reserves blocks. Where a file system has none,
//             holes are filled with zeros by large writes.
//   Sync      fdatasync, which also writes the size; fsync for a directory.
//   Map       MAP_SHARED: a store is in the page cache at once, which the
//             kernel keeps when the process dies. Not inherited by a fork.
// A failed fdatasync is reported once and its pages are clean afterwards, so
// nothing here is ever retried but a call that a signal interrupted.

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_format.h"
#include "engine/os/file_system.h"
#include "engine/os/posix_call.h"
#include "engine/os/posix_lock.h"
#include "engine/os/posix_mapping.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

constexpr uint64_t kOffsetMax = std::numeric_limits<off_t>::max();
static_assert(sizeof(off_t) == 8, "files may be larger than 2 GiB");

// How much one write of zeros holds where fallocate is missing.
constexpr size_t kZerosSize = size_t{1} << 20;

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string name)
      : fd_(std::move(fd)), name_(std::move(name)) {}

  absl::StatusOr<uint64_t> Size() const override {
    struct stat status = {};
    if (fstat(fd_.get(), &status) != 0) return Failed("fstat");
    return static_cast<uint64_t>(status.st_size);
  }

  absl::Status Allocate(uint64_t size) override;

  absl::Status Truncate(uint64_t size) override {
    if (size > kOffsetMax) return PosixStatus(EFBIG, "ftruncate", name_);
    const SizeSignalBlock block;
    const auto end = static_cast<off_t>(size);
    if (RetryOnSignal([&] { return ftruncate(fd_.get(), end); }) != 0) {
      return Failed("ftruncate");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> ReadAt(uint64_t offset,
                                std::span<std::byte> out) const override;

  absl::Status WriteAt(uint64_t offset, format::ByteView bytes) override;

  absl::Status Sync() override {
    if (RetryOnSignal([&] { return fdatasync(fd_.get()); }) != 0) {
      return Failed("fdatasync");
    }
    return absl::OkStatus();
  }

  void StartWriteback(uint64_t offset, uint64_t size) override {
    if (offset > kOffsetMax || size > kOffsetMax - offset) return;
    // Takes no error away from a later fdatasync: it waits for nothing.
    (void)sync_file_range(fd_.get(), static_cast<off_t>(offset),
                          static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE);
  }

  absl::StatusOr<std::unique_ptr<Mapping>> Map(uint64_t size,
                                               MapMode mode) override;

 private:
  absl::Status Failed(std::string_view call) const {
    return PosixStatus(errno, call, name_);
  }

  absl::Status FillWithZeros(uint64_t size);
  absl::Status WriteZeros(uint64_t begin, uint64_t end);

  const Descriptor fd_;
  const std::string name_;
};

absl::Status PosixFile::Allocate(uint64_t size) {
  if (size > kOffsetMax) return PosixStatus(EFBIG, "fallocate", name_);
  if (size == 0) return absl::OkStatus();
  const SizeSignalBlock block;
  const auto end = static_cast<off_t>(size);
  if (RetryOnSignal([&] { return fallocate(fd_.get(), 0, 0, end); }) == 0) {
    return absl::OkStatus();
  }
  if (errno != EOPNOTSUPP && errno != ENOSYS) return Failed("fallocate");
  return FillWithZeros(size);
}

// What fallocate would have done: fills the holes below `size`, then extends.
// (posix_fallocate would write one byte per block, and does not say so.)
absl::Status PosixFile::FillWithZeros(uint64_t size) {
  PEAT_ASSIGN_OR_RETURN(const uint64_t old_size, Size());
  const uint64_t kept_end = std::min(size, old_size);
  uint64_t at = 0;
  while (at < kept_end) {
    const off_t hole = lseek(fd_.get(), static_cast<off_t>(at), SEEK_HOLE);
    if (hole < 0) return Failed("lseek");
    const off_t data = lseek(fd_.get(), hole, SEEK_DATA);
    // ENXIO: nothing but the hole up to the end of the file.
    if (data < 0 && errno != ENXIO) return Failed("lseek");
    at = data < 0 ? kept_end : static_cast<uint64_t>(data);
    PEAT_RETURN_IF_ERROR(
        WriteZeros(static_cast<uint64_t>(hole), std::min(at, kept_end)));
  }
  return WriteZeros(old_size, size);
}

absl::Status PosixFile::WriteZeros(uint64_t begin, uint64_t end) {
  if (begin >= end) return absl::OkStatus();
  const std::vector<std::byte> zeros(
      std::min<uint64_t>(kZerosSize, end - begin));
  for (uint64_t at = begin; at < end;) {
    const size_t piece = std::min<uint64_t>(zeros.size(), end - at);
    PEAT_RETURN_IF_ERROR(WriteAt(at, std::span(zeros).first(piece)));
    at += piece;
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> PosixFile::ReadAt(uint64_t offset,
                                         std::span<std::byte> out) const {
  if (offset > kOffsetMax - out.size()) {
    return PosixStatus(EINVAL, "pread", name_);
  }
  size_t done = 0;
  bool has_stalled = false;
  while (done < out.size()) {
    const ssize_t count = RetryOnSignal([&] {
      return pread(fd_.get(), out.data() + done, out.size() - done,
                   static_cast<off_t>(offset + done));
    });
    if (count < 0) return Failed("pread");
    done += static_cast<size_t>(count);
    if (count > 0) continue;
    // The end, or a file system that gave up: that must not look like a file
    // that is cut short, of which recovery would draw conclusions.
    PEAT_ASSIGN_OR_RETURN(const uint64_t size, Size());
    if (size <= offset + done) break;
    if (has_stalled) return PosixStatus(EIO, "pread", name_);
    has_stalled = true;  // it may have grown in between
  }
  PEAT_CHECK(done <= out.size());
  return done;
}

absl::Status PosixFile::WriteAt(uint64_t offset, format::ByteView bytes) {
  if (bytes.size() > kOffsetMax || offset > kOffsetMax - bytes.size()) {
    return PosixStatus(EFBIG, "pwrite", name_);
  }
  const SizeSignalBlock block;
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = RetryOnSignal([&] {
      return pwrite(fd_.get(), bytes.data() + done, bytes.size() - done,
                    static_cast<off_t>(offset + done));
    });
    if (count < 0) return Failed("pwrite");
    // Not seen on any disk, but it must not be a loop without end.
    if (count == 0) return PosixStatus(ENOSPC, "pwrite", name_);
    done += static_cast<size_t>(count);
  }
  PEAT_CHECK(done == bytes.size());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Mapping>> PosixFile::Map(uint64_t size,
                                                        MapMode mode) {
  PEAT_ASSIGN_OR_RETURN(const uint64_t present, Size());
  // A page behind the end of the file is a SIGBUS to whoever reads it.
  if (size > present) {
    return absl::DataLossError(
        absl::StrFormat("mmap %s: mapping needs %d bytes, %d are present",
                        name_, size, present));
  }
  if (size == 0) return std::make_unique<PosixMapping>(nullptr, 0, mode);
  const int protection =
      mode == MapMode::kReadWrite ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const address =
      mmap(nullptr, size, protection, MAP_SHARED, fd_.get(), 0);
  if (address == MAP_FAILED) return Failed("mmap");
  auto mapping = std::make_unique<PosixMapping>(
      static_cast<std::byte*>(address), size, mode);
  if (madvise(address, size, MADV_DONTFORK) != 0) return Failed("madvise");
  if (mode == MapMode::kRead) mapping->ExpectRandomReads();
  return mapping;
}

class PosixDirectory final : public Directory {
 public:
  PosixDirectory(Descriptor fd, std::string path)
      : fd_(std::move(fd)), path_(std::move(path)) {}

  absl::StatusOr<std::unique_ptr<File>> Create(
      const std::string& name) override {
    return OpenFile(name, O_RDWR | O_CREAT | O_EXCL);
  }

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& name,
                                             OpenMode mode) const override {
    return OpenFile(name, mode == OpenMode::kReadWrite ? O_RDWR : O_RDONLY);
  }

  absl::StatusOr<std::vector<std::string>> List() const override;

  absl::Status Unlink(const std::string& name) override {
    PEAT_RETURN_IF_ERROR(CheckName(name));
    if (unlinkat(fd_.get(), name.c_str(), 0) != 0) {
      return PosixStatus(errno, "unlink", name);
    }
    return absl::OkStatus();
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    PEAT_RETURN_IF_ERROR(CheckName(from));
    PEAT_RETURN_IF_ERROR(CheckName(to));
    if (renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) != 0) {
      return PosixStatus(errno, "rename", from);
    }
    return absl::OkStatus();
  }

  absl::Status Link(const std::string& name, Directory& to) const override;

  absl::Status RemoveDirectory(const std::string& name) override {
    PEAT_RETURN_IF_ERROR(CheckName(name));
    if (unlinkat(fd_.get(), name.c_str(), AT_REMOVEDIR) != 0) {
      return PosixStatus(errno, "rmdir", name);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<bool> IsSame(const Directory& other) const override;

  uint64_t Volume() const override {
    struct stat status = {};
    return fstat(fd_.get(), &status) == 0 ? status.st_dev : 0;
  }

  absl::Status Sync() override {
    if (RetryOnSignal([&] { return fsync(fd_.get()); }) != 0) {
      return PosixStatus(errno, "fsync", path_);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(
      const std::string& name) override {
    PEAT_RETURN_IF_ERROR(CheckName(name));
    return LockPosixFile(fd_.get(), name);
  }

 private:
  // A name that leads out of the directory never reaches the kernel.
  static absl::Status CheckName(const std::string& name) {
    const bool is_plain = !name.empty() && name != "." && name != ".." &&
                          name.find('/') == std::string::npos &&
                          name.find('\0') == std::string::npos;
    if (is_plain) return absl::OkStatus();
    return absl::InvalidArgumentError("a file name must be plain, not a path");
  }

  absl::StatusOr<std::unique_ptr<File>> OpenFile(const std::string& name,
                                                 int flags) const {
    PEAT_RETURN_IF_ERROR(CheckName(name));
    Descriptor fd;
    if (const int error = OpenRegular(fd_.get(), name, flags, &fd);
        error != 0) {
      return PosixStatus(error, "open", name);
    }
    return std::make_unique<PosixFile>(std::move(fd), name);
  }

  const Descriptor fd_;
  const std::string path_;
};

absl::Status PosixDirectory::Link(const std::string& name,
                                  Directory& to) const {
  PEAT_RETURN_IF_ERROR(CheckName(name));
  const int to_fd = static_cast<PosixDirectory&>(to).fd_.get();
  if (linkat(fd_.get(), name.c_str(), to_fd, name.c_str(), 0) == 0) {
    return absl::OkStatus();
  }
  constexpr int kCannotShare[] = {EXDEV, EPERM, EMLINK, EOPNOTSUPP};
  const int error = errno;
  absl::Status status = PosixStatus(error, "link", name);
  if (std::ranges::find(kCannotShare, error) == std::end(kCannotShare)) {
    return status;
  }
  return absl::UnimplementedError(status.message());
}

absl::StatusOr<bool> PosixDirectory::IsSame(const Directory& other) const {
  const auto& posix = static_cast<const PosixDirectory&>(other);
  struct stat mine = {};
  struct stat theirs = {};
  if (fstat(fd_.get(), &mine) != 0 || fstat(posix.fd_.get(), &theirs) != 0) {
    return PosixStatus(errno, "fstat", path_);
  }
  return mine.st_dev == theirs.st_dev && mine.st_ino == theirs.st_ino;
}

absl::StatusOr<std::vector<std::string>> PosixDirectory::List() const {
  // A descriptor of its own: a copy of fd_ would share its position.
  Descriptor fd = OpenDescriptor([&] {
    return openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  });
  if (!fd.is_open()) return PosixStatus(errno, "open", path_);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd.get()),
                                                   &closedir);
  if (stream == nullptr) return PosixStatus(errno, "fdopendir", path_);
  (void)fd.Release();  // the stream's
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    // Safe: no other thread has this stream.
    const dirent* const found =
        readdir(stream.get());  // NOLINT(concurrency-mt-unsafe)
    if (found == nullptr) break;
    std::string name = found->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  if (errno != 0) return PosixStatus(errno, "readdir", path_);
  std::ranges::sort(names);
  return names;
}

absl::StatusOr<Descriptor> OpenDirectoryFd(const std::string& path) {
  Descriptor fd = OpenDescriptor(
      [&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd.is_open()) return fd;
  if (errno == ENOTDIR) {
    return absl::InvalidArgumentError(
        absl::StrFormat("open %s: not a directory", path));
  }
  return PosixStatus(errno, "open", path);
}

absl::Status SyncParent(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.parent_path();
  const std::string name = parent.empty() ? "." : parent.string();
  PEAT_ASSIGN_OR_RETURN(const Descriptor fd, OpenDirectoryFd(name));
  if (RetryOnSignal([&] { return fsync(fd.get()); }) != 0) {
    return PosixStatus(errno, "fsync", name);
  }
  return absl::OkStatus();
}

class PosixFileSystemImpl final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(
      const std::filesystem::path& path) override {
    PEAT_ASSIGN_OR_RETURN(Descriptor fd, OpenDirectoryFd(path.string()));
    return std::make_unique<PosixDirectory>(std::move(fd), path.string());
  }

  absl::Status CreateDirectory(const std::filesystem::path& path) override {
    // "a/b/" is "a/b": its parent is "a".
    const std::filesystem::path plain =
        path.has_filename() ? path : path.parent_path();
    const std::string name = plain.string();
    if (mkdir(name.c_str(), 0700) != 0) {
      const int error = errno;
      // It may be there only because an earlier call was cut short, with a name
      // that is not durable yet.
      if (error == EEXIST) PEAT_RETURN_IF_ERROR(SyncParent(plain));
      return PosixStatus(error, "mkdir", name);
    }
    // The umask may have taken away bits that we need.
    if (chmod(name.c_str(), 0700) != 0) {
      return PosixStatus(errno, "chmod", name);
    }
    return SyncParent(plain);
  }

  void Randomize(std::span<std::byte> out) override {
    while (!out.empty()) {
      const ssize_t count =
          RetryOnSignal([&] { return getrandom(out.data(), out.size(), 0); });
      // Fails for a kernel before 3.17 only, and guessable bytes would be
      // worse.
      PEAT_CHECK(count > 0);
      out = out.subspan(static_cast<size_t>(count));
    }
  }
};

}  // namespace

FileSystem& PosixFileSystem() {
  // Never destroyed: a store in a static may outlive this file's statics.
  alignas(PosixFileSystemImpl) static std::byte
      storage[sizeof(PosixFileSystemImpl)];
  static FileSystem* const kInstance =
      std::construct_at(reinterpret_cast<PosixFileSystemImpl*>(storage));
  return *kInstance;
}

}  // namespace peat::engine
