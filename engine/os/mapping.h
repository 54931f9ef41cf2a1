// A file in memory.
//
// All stores into a mapping go through Store(), which is where the simulated
// file system sees, orders and cuts them: in production the observer is null
// and Store() is a copy. Not even a test stores through data().
//
// Externally synchronised for stores; reads of bytes that no one is storing to
// are safe from any thread.

#ifndef PEAT_ENGINE_OS_MAPPING_H_
#define PEAT_ENGINE_OS_MAPPING_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "format/bytes.h"
#include "format/check.h"

namespace peat::engine {

enum class MapMode { kRead, kReadWrite };

// Sees every store into a mapping. The tests' simulated disk implements it.
class StoreObserver {
 public:
  virtual ~StoreObserver() = default;
  // Called instead of the copy: does it, or a part of it, itself.
  virtual void OnStore(std::byte* base, uint64_t offset,
                       format::ByteView bytes) = 0;
};

class Mapping {
 public:
  Mapping(std::byte* data, uint64_t size, StoreObserver* observer)
      : data_(data), size_(size), observer_(observer) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  virtual ~Mapping() = default;

  // Valid as long as the mapping.
  const std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }

  // Copies `bytes` to `offset`. Needs a kReadWrite mapping.
  void Store(uint64_t offset, format::ByteView bytes) {
    PEAT_DCHECK(offset <= size_);
    PEAT_DCHECK(bytes.size() <= size_ - offset);
    if (observer_ != nullptr) [[unlikely]] {
      observer_->OnStore(data_, offset, bytes);
      return;
    }
    // An empty key or value may have no address, which memcpy may not be given.
    if (bytes.empty()) return;
    std::memcpy(data_ + offset, bytes.data(), bytes.size());
  }

  // Brings the pages of [offset, offset + size) into memory, writable, without
  // changing them. A hint; safe beside concurrent stores.
  virtual void Touch(uint64_t offset, uint64_t size) = 0;

  // Takes the whole pages inside [offset, offset + size) out of this process's
  // page tables; their bytes stay in the page cache, and the next access brings
  // them back. A hint, before writeback: the kernel then need not interrupt
  // the other processors for each page. Safe beside concurrent reads and
  // stores.
  virtual void Unload(uint64_t offset, uint64_t size) = 0;

  // Nothing will be stored any more: a store from anywhere in the process is a
  // fault from now on, SIGSEGV, and no damage to what lies in the file. Reads
  // go on. Safe beside the other calls but Store(); may be called again.
  virtual void Protect() = 0;

  // Tells that [offset, offset + size) will be read soon. A hint.
  virtual void WillNeed(uint64_t offset, uint64_t size) const = 0;

  // Tells that what WillNeed() does not name will be read here and there: a
  // page that is not in memory is then read alone, not along with its
  // neighbours. A hint, and so from the beginning of a kRead mapping.
  virtual void ExpectRandomReads() const = 0;

 private:
  std::byte* const data_;
  const uint64_t size_;
  StoreObserver* const observer_;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_OS_MAPPING_H_
