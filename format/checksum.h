// Checksums, all made of XXH3: the only place that includes xxHash for
// integrity. Pure functions, safe from any thread.

#ifndef PEAT_FORMAT_CHECKSUM_H_
#define PEAT_FORMAT_CHECKSUM_H_

#include <cstdint>
#include <string_view>

#include "format/bytes.h"

namespace peat::format {

// Where bytes lie: the salt of their segment and their offset in it. Checksums
// are bound to it, so recycled, misplaced or embedded bytes never validate.
struct Place {
  uint64_t salt;
  uint64_t offset;
};

// The hash of a record's key and value, independent of its place: the costly
// part of a record's checksum, taken outside all locks.
uint64_t PayloadHash(std::string_view key, std::string_view value);

// The payload checksum as it is stored: `payload_hash` bound to `place`.
uint32_t PayloadChecksum(uint64_t payload_hash, Place place);

// The checksum of a record header's checked bytes, bound to `place`.
uint32_t HeaderChecksum(ByteView checked, Place place);

// The checksum of a whole structure: segment header, manifest, value file.
uint64_t Checksum64(ByteView bytes);

}  // namespace peat::format

#endif  // PEAT_FORMAT_CHECKSUM_H_
