// Which Peat this is. CMake and the package take the version from here.

#ifndef PEAT_API_PEAT_VERSION_H_
#define PEAT_API_PEAT_VERSION_H_

// Grows when programs have to be changed for it.
#define PEAT_VERSION_MAJOR 0
// Grows with what is new. Before version 1.0.0, as PEAT_VERSION_MAJOR.
#define PEAT_VERSION_MINOR 1
// Grows with what is mended.
#define PEAT_VERSION_PATCH 0
// The three, as text.
#define PEAT_VERSION_STRING "0.1.0"

// One number that grows with the version, for the preprocessor: 0.1.0 is 100.
#define PEAT_VERSION_NUMBER \
  (PEAT_VERSION_MAJOR * 10000 + PEAT_VERSION_MINOR * 100 + PEAT_VERSION_PATCH)

#endif  // PEAT_API_PEAT_VERSION_H_
