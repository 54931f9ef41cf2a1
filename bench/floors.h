// The physical costs that Peat's own are measured against: the same bytes
// through the same kernel and memory, with nothing of an engine between.
//
// Reads are chained: each address depends on the value that was read before, as
// a lookup's second access depends on its first. Otherwise the processor
// overlaps them and the floor means nothing. Externally synchronised.

#ifndef PEAT_BENCH_FLOORS_H_
#define PEAT_BENCH_FLOORS_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace peat::bench {

// splitmix64: a permutation of 64-bit numbers that looks random.
inline uint64_t Scatter(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// Seconds on a clock that only goes forward.
double Now();

// Memory to read at random from: anonymous, on huge pages, as the index is.
class AnonymousSet {
 public:
  explicit AnonymousSet(size_t size);
  ~AnonymousSet();
  AnonymousSet(const AnonymousSet&) = delete;
  AnonymousSet& operator=(const AnonymousSet&) = delete;
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_;
  size_t size_;
};

// The same as a mapped file in the page cache, as segments are; the file is
// unlinked at once.
class FileSet {
 public:
  FileSet(const std::string& directory, size_t size);
  ~FileSet();
  FileSet(const FileSet&) = delete;
  FileSet& operator=(const FileSet&) = delete;
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_;
  size_t size_;
};

// Seconds for `count` chained random reads, of 8 bytes in `first`, and then,
// unless `second` is null, of 128 bytes in `second` (two cache lines).
double ChainedReads(size_t count, const AnonymousSet& first,
                    const FileSet* second);

// A preallocated file, mapped shared, that is filled with records one behind
// the other: its pages are fresh at first.
class MappedLog {
 public:
  MappedLog(const std::string& directory, size_t size);
  ~MappedLog();
  MappedLog(const MappedLog&) = delete;
  MappedLog& operator=(const MappedLog&) = delete;

  // Copies `size` bytes to the end. There must be room.
  void Append(const void* record, size_t size) {
    __builtin_memcpy(data_ + end_, record, size);
    end_ += size;
  }
  size_t room() const { return size_ - end_; }
  // fdatasync.
  void Sync();

 private:
  int descriptor_;
  char* data_;
  size_t size_;
  size_t end_ = 0;
};

// Seconds to map every segment file in `directory`, read all of it once and
// checksum it with XXH3, on one thread.
double ReadAndChecksum(const std::string& directory, uint64_t* bytes);

// Bytes that this process has in memory, in all mappings but those of segments.
uint64_t ResidentBytesWithoutSegments();

}  // namespace peat::bench

#endif  // PEAT_BENCH_FLOORS_H_
