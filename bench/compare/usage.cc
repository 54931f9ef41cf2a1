#include "bench/compare/usage.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "absl/functional/function_ref.h"
#include "bench/compare/engine.h"

namespace peat::bench {
namespace {

// The number that follows `name` in a file of /proc/self.
uint64_t ProcNumber(const char* file, const std::string& name) {
  std::ifstream lines(file);
  std::string word;
  uint64_t number = 0;
  while (lines >> word) {
    if (word == name && lines >> number) return number;
  }
  Fail("driver", std::string(file) + " has no " + name);
}

void ForEachFile(const std::string& directory,
                 absl::FunctionRef<void(int descriptor, uint64_t size)> use) {
  namespace fs = std::filesystem;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const int descriptor = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    // An engine's thread may have removed it meanwhile.
    if (descriptor < 0) continue;
    struct stat stat = {};
    fstat(descriptor, &stat);
    use(descriptor, static_cast<uint64_t>(stat.st_size));
    close(descriptor);
  }
}

}  // namespace

uint64_t AnonymousBytes() {
  return ProcNumber("/proc/self/status", "RssAnon:") << 10;
}

uint64_t CachedBytes(const std::string& directory) {
  constexpr uint64_t kWindow = uint64_t{1} << 30;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t cached = 0;
  ForEachFile(directory, [&](int descriptor, uint64_t size) {
    for (uint64_t offset = 0; offset < size; offset += kWindow) {
      const uint64_t length = std::min(kWindow, size - offset);
      void* const data = mmap(nullptr, length, PROT_READ, MAP_SHARED,
                              descriptor, static_cast<off_t>(offset));
      if (data == MAP_FAILED) Fail("driver", "mmap of a file failed");
      std::vector<unsigned char> pages((length + page - 1) / page);
      if (mincore(data, length, pages.data()) != 0) {
        Fail("driver", "mincore failed");
      }
      munmap(data, length);
      cached += page * static_cast<uint64_t>(std::ranges::count_if(
                           pages, [](unsigned char in) { return in & 1; }));
    }
  });
  return cached;
}

uint64_t DiskBytes(const std::string& directory) {
  uint64_t bytes = 0;
  ForEachFile(directory, [&](int descriptor, uint64_t) {
    struct stat stat = {};
    fstat(descriptor, &stat);
    bytes += static_cast<uint64_t>(stat.st_blocks) * 512;
  });
  return bytes;
}

uint64_t WrittenBytes() {
  const uint64_t written = ProcNumber("/proc/self/io", "write_bytes:");
  const uint64_t cancelled =
      ProcNumber("/proc/self/io", "cancelled_write_bytes:");
  return written - std::min(written, cancelled);
}

void DropCached(const std::string& directory) {
  ForEachFile(directory, [](int descriptor, uint64_t) {
    if (fdatasync(descriptor) != 0) Fail("driver", "fdatasync failed");
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  });
}

}  // namespace peat::bench
