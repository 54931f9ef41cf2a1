// Where the log ends: what precedes the first record of its next segment.

#ifndef PEAT_ENGINE_LOG_LOG_END_H_
#define PEAT_ENGINE_LOG_LOG_END_H_

#include <cstdint>

#include "format/location.h"
#include "format/manifest.h"

namespace peat::engine {

struct LogEnd {
  format::SegmentId segment = 0;
  uint64_t end = 0;
  format::Lsn last_lsn = 0;
  uint32_t last_checksum = 0;
};

// The end of the sealed part of the log.
LogEnd SealedEnd(const format::Manifest& manifest);

}  // namespace peat::engine

#endif  // PEAT_ENGINE_LOG_LOG_END_H_
