// Taking a store's pages out of memory, for measurements and tests of reads
// that come from the disk.

#ifndef PEAT_BENCH_PAGE_OUT_H_
#define PEAT_BENCH_PAGE_OUT_H_

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

namespace peat::bench {

// Of all files of `directory` that this process has mapped, which must be
// clean. False if the kernel cannot.
inline bool PageOut(const std::string& directory) {
  std::ifstream maps("/proc/self/maps");
  bool is_done = true;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(directory) == line.npos) continue;
    char* end = nullptr;
    const uint64_t from = std::strtoull(line.c_str(), &end, 16);
    const uint64_t to = std::strtoull(end + 1, nullptr, 16);
    void* address = nullptr;
    std::memcpy(&address, &from, sizeof(address));
    is_done &= madvise(address, to - from, MADV_PAGEOUT) == 0;
  }
  return is_done;
}

}  // namespace peat::bench

#endif  // PEAT_BENCH_PAGE_OUT_H_
