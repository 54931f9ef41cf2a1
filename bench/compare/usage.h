// What a process and its files take: memory, page cache, disk, and what is
// written. Linux only.
//
// Thread-safe: reads what the kernel says.

#ifndef PEAT_BENCH_COMPARE_USAGE_H_
#define PEAT_BENCH_COMPARE_USAGE_H_

#include <cstdint>
#include <string>

namespace peat::bench {

// Memory of this process that is not of a file, resident, in bytes.
uint64_t AnonymousBytes();

// Bytes of the files below `directory` that are in the page cache, mapped or
// not.
uint64_t CachedBytes(const std::string& directory);

// Bytes that the files below `directory` take on disk.
uint64_t DiskBytes(const std::string& directory);

// Bytes that this process has sent to the disk so far: pages of files that it
// made dirty, less those that were deleted before they were written.
uint64_t WrittenBytes();

// Takes the files below `directory` out of the page cache, after a sync.
void DropCached(const std::string& directory);

}  // namespace peat::bench

#endif  // PEAT_BENCH_COMPARE_USAGE_H_
