// What a test shares with the children that it forks.

#ifndef PEAT_TESTS_SUPPORT_SHARED_H_
#define PEAT_TESTS_SUPPORT_SHARED_H_

#include <sys/mman.h>

#include <new>

#include "format/check.h"

namespace peat::testing {

// A T in memory that children have, too. T is made of atomics.
template <typename T>
class Shared final {
 public:
  Shared()
      : address_(mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    PEAT_CHECK(address_ != MAP_FAILED);
    new (address_) T;
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { munmap(address_, sizeof(T)); }
  T* operator->() { return static_cast<T*>(address_); }

 private:
  void* const address_;
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SHARED_H_
