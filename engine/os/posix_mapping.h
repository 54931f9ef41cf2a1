// A file of the machine in memory, shared with everybody who has it open.
//
// Made by posix_file_system.cc only; as thread-safe as mapping.h says.

#ifndef PEAT_ENGINE_OS_POSIX_MAPPING_H_
#define PEAT_ENGINE_OS_POSIX_MAPPING_H_

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "engine/os/fork.h"
#include "engine/os/mapping.h"
#include "format/bytes.h"
#include "format/check.h"

namespace peat::engine {

inline uint64_t PageSize() {
  static const uint64_t kSize = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return kSize;
}

// Whether there is MADV_POPULATE_WRITE, since Linux 5.14. Asked of a page of
// its own: of a segment's it fails in the same way once that is protected.
inline bool KernelTouchesPages() {
  static const bool kDoes = [] {
    void* const page = mmap(nullptr, PageSize(), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    const bool does = madvise(page, PageSize(), MADV_POPULATE_WRITE) == 0;
    PEAT_CHECK(munmap(page, PageSize()) == 0);
    return does;
  }();
  return kDoes;
}

class PosixMapping final : public Mapping {
 public:
  // `data` is null if and only if `size` is 0.
  PosixMapping(std::byte* data, uint64_t size, MapMode mode)
      : Mapping(data, size, nullptr),
        mode_(mode),
        generation_(ForkGeneration()) {}

  ~PosixMapping() override {
    // A forked child did not inherit the mapping, and by now something else may
    // lie at its address.
    if (size() == 0 || generation_ != ForkGeneration()) return;
    PEAT_CHECK(munmap(MutableData(), size()) == 0);
  }

  void Touch(uint64_t offset, uint64_t size) override {
    const Range pages = PagesOf(offset, size);
    if (pages.size == 0 || mode_ == MapMode::kRead) return;
    std::byte* const begin = MutableData() + pages.offset;
    if (KernelTouchesPages()) {
      // Fails, and does no harm, once the mapping is protected.
      (void)madvise(begin, pages.size, MADV_POPULATE_WRITE);
      return;
    }
    const std::lock_guard<std::mutex> hold(touch_mutex_);
    if (is_protected_) return;
    // Adding no bit writes without changing, whatever a concurrent store does
    // to the byte.
    for (uint64_t at = 0; at < pages.size; at += PageSize()) {
      auto* const byte = reinterpret_cast<unsigned char*>(begin + at);
      (void)__atomic_fetch_or(byte, 0, __ATOMIC_RELAXED);
    }
  }

  void Protect() override {
    const std::lock_guard<std::mutex> hold(touch_mutex_);
    if (size() == 0 || mode_ == MapMode::kRead || is_protected_) return;
    // With no page in the tables the change takes 5 us, during which no thread
    // of the process can take a page fault; with 64 MiB there, 500 us.
    (void)madvise(MutableData(), size(), MADV_DONTNEED);
    // It can fail for want of memory for the kernel's tables: then it stays as
    // it is, and the next call tries again.
    is_protected_ = mprotect(MutableData(), size(), PROT_READ) == 0;
  }

  void Unload(uint64_t offset, uint64_t size) override {
    const uint64_t begin = format::RoundUp(offset, PageSize());
    const uint64_t end = (offset + std::min(size, this->size() - offset)) /
                         PageSize() * PageSize();
    if (begin >= end) return;
    // Of a shared mapping of a file this frees no bytes.
    (void)madvise(MutableData() + begin, end - begin, MADV_DONTNEED);
  }

  void WillNeed(uint64_t offset, uint64_t size) const override {
    const Range pages = PagesOf(offset, size);
    if (pages.size == 0) return;
    (void)madvise(MutableData() + pages.offset, pages.size, MADV_WILLNEED);
  }

  void ExpectRandomReads() const override {
    if (size() == 0) return;
    (void)madvise(MutableData(), size(), MADV_RANDOM);
  }

 private:
  struct Range {
    uint64_t offset = 0;
    uint64_t size = 0;
  };

  // madvise and munmap want a pointer to bytes that may change.
  std::byte* MutableData() const { return const_cast<std::byte*>(data()); }

  // The part of the range that lies within the mapping, widened to whole pages.
  Range PagesOf(uint64_t offset, uint64_t size) const {
    if (offset >= this->size() || size == 0) return {};
    const uint64_t end = offset + std::min(size, this->size() - offset);
    const uint64_t begin = offset / PageSize() * PageSize();
    return {.offset = begin, .size = end - begin};
  }

  const MapMode mode_;
  const uint64_t generation_;
  // Of Touch() without the kernel's help, and of Protect().
  std::mutex touch_mutex_;
  bool is_protected_ = false;  // guarded by touch_mutex_
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_POSIX_MAPPING_H_
