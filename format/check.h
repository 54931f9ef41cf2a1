// Assertions: what only a bug in Peat could break.
//
// PEAT_CHECK stays in release builds and guards anything that could put wrong
// bytes on disk or hand out wrong bytes. PEAT_DCHECK covers the rest. Nothing
// that was read from disk, and nothing in the caller's hands, is ever asserted:
// those return a Status.

#ifndef PEAT_FORMAT_CHECK_H_
#define PEAT_FORMAT_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace peat::format {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file,
                                     int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace peat::format

#define PEAT_CHECK(condition)   \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::peat::format::CheckFailed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define PEAT_DCHECK(condition) static_cast<void>(sizeof(!(condition)))
#else
#define PEAT_DCHECK(condition) PEAT_CHECK(condition)
#endif

#endif  // PEAT_FORMAT_CHECK_H_
