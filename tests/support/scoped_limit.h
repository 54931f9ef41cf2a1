// A limit of this process, put back at the end of a test.

#ifndef PEAT_TESTS_SUPPORT_SCOPED_LIMIT_H_
#define PEAT_TESTS_SUPPORT_SCOPED_LIMIT_H_

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

namespace peat::testing {

// `value` is cut down to the hard limit.
class ScopedLimit final {
 public:
  ScopedLimit(__rlimit_resource_t resource, rlim_t value)
      : resource_(resource) {
    EXPECT_EQ(getrlimit(resource_, &before_), 0);
    const rlimit limit{std::min(value, before_.rlim_max), before_.rlim_max};
    EXPECT_EQ(setrlimit(resource_, &limit), 0);
  }
  ScopedLimit(const ScopedLimit&) = delete;
  ScopedLimit& operator=(const ScopedLimit&) = delete;
  ~ScopedLimit() { setrlimit(resource_, &before_); }

 private:
  const __rlimit_resource_t resource_;
  rlimit before_ = {};
};

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SCOPED_LIMIT_H_
