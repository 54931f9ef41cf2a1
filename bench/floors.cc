#include "bench/floors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace peat::bench {
namespace {

constexpr size_t kHugePageSize = size_t{2} << 20;

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

// An unlinked, preallocated file.
int MakeFile(const std::string& directory, size_t size) {
  std::string name = directory + "/floor-XXXXXX";
  const int descriptor = mkstemp(name.data());
  if (descriptor < 0) Fail("mkstemp");
  unlink(name.c_str());
  if (posix_fallocate(descriptor, 0, static_cast<off_t>(size)) != 0) {
    Fail("posix_fallocate");
  }
  return descriptor;
}

char* MapFile(int descriptor, size_t size) {
  void* const data =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) Fail("mmap");
  return static_cast<char*>(data);
}

void Fill(std::byte* data, size_t size) {
  for (size_t i = 0; i + 8 <= size; i += 8) {
    const uint64_t value = Scatter(i);
    std::memcpy(data + i, &value, 8);
  }
}

// The 128 bytes of `size` that `seed` picks: by a multiplication, as an index
// computes its bucket.
size_t Pick(uint64_t seed, size_t size) {
  return ((seed >> 32) * (size / 128) >> 32) * 128;
}

uint64_t LoadAt(const std::byte* from) {
  uint64_t value;
  std::memcpy(&value, from, 8);
  return value;
}

// What is computed here is needed, as far as the compiler knows.
void Use(uint64_t value) { asm volatile("" : : "r"(value)); }

}  // namespace

double Now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

AnonymousSet::AnonymousSet(size_t size)
    : size_((size + kHugePageSize - 1) / kHugePageSize * kHugePageSize) {
  void* const data = std::aligned_alloc(kHugePageSize, size_);
  if (data == nullptr) Fail("aligned_alloc");
  madvise(data, size_, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(data);
  Fill(data_, size_);
}

AnonymousSet::~AnonymousSet() { std::free(data_); }

FileSet::FileSet(const std::string& directory, size_t size) : size_(size) {
  const int descriptor = MakeFile(directory, size);
  data_ = reinterpret_cast<std::byte*>(MapFile(descriptor, size));
  close(descriptor);
  Fill(data_, size_);
}

FileSet::~FileSet() { munmap(data_, size_); }

double ChainedReads(size_t count, const AnonymousSet& first,
                    const FileSet* second) {
  uint64_t value = 1;
  const double begin = Now();
  for (size_t i = 0; i < count; ++i) {
    value = Scatter(value ^ LoadAt(first.data() + Pick(value, first.size())));
    if (second == nullptr) continue;
    const std::byte* const record =
        second->data() + Pick(value, second->size());
    value = Scatter(value ^ LoadAt(record) ^ LoadAt(record + 64));
  }
  const double seconds = Now() - begin;
  Use(value);
  return seconds;
}

MappedLog::MappedLog(const std::string& directory, size_t size)
    : descriptor_(MakeFile(directory, size)),
      data_(MapFile(descriptor_, size)),
      size_(size) {}

MappedLog::~MappedLog() {
  munmap(data_, size_);
  close(descriptor_);
}

void MappedLog::Sync() {
  if (fdatasync(descriptor_) != 0) Fail("fdatasync");
}

double ReadAndChecksum(const std::string& directory, uint64_t* bytes) {
  *bytes = 0;
  uint64_t sum = 0;
  const double begin = Now();
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".seg") continue;
    const int descriptor = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) Fail("open");
    const size_t size = entry.file_size();
    void* const data =
        mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (data == MAP_FAILED) Fail("mmap");
    madvise(data, size, MADV_SEQUENTIAL);
    sum ^= XXH3_64bits(data, size);
    munmap(data, size);
    close(descriptor);
    *bytes += size;
  }
  Use(sum);
  return Now() - begin;
}

uint64_t ResidentBytesWithoutSegments() {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool counts = true;
  uint64_t kilobytes = 0;
  while (std::getline(maps, line)) {
    const size_t colon = line.find(':');
    const size_t dash = line.find('-');
    if (dash != std::string::npos && dash < colon) {
      // A mapping's first line: 7f..-7f.. rw-s ... /path/000042.seg
      counts = line.find(".seg") == std::string::npos;
      continue;
    }
    if (!counts || line.rfind("Rss:", 0) != 0) continue;
    kilobytes += std::strtoull(line.c_str() + 4, nullptr, 10);
  }
  return kilobytes << 10;
}

}  // namespace peat::bench
