// Fuzzes the decoding of segment headers.
//
// The first byte of the input is a switch: if odd, the checksum is repaired, so
// that mutations get past it. The rest is decoded. Promised: no crash; what
// decodes encodes again to the same bytes.

#include <string>

#include "format/check.h"
#include "format/checksum.h"
#include "format/segment_header.h"
#include "tests/fuzz/fuzz_target.h"

namespace peat::format {
namespace {

constexpr size_t kCompatibleFeaturesOffset = 16;
constexpr size_t kChecksumOffset = 64;

void RepairChecksum(std::string* bytes) {
  if (bytes->size() < kSegmentHeaderUsedSize) return;
  auto* const to = reinterpret_cast<std::byte*>(bytes->data());
  Store<uint64_t>(to + kChecksumOffset,
                  Checksum64(ByteView(to, kChecksumOffset)));
}

void CheckBytes(std::string_view bytes) {
  const auto header = DecodeSegmentHeader(AsBytes(bytes));
  PEAT_CHECK(absl::IsOutOfRange(header.status()) ==
             (bytes.size() < kSegmentHeaderUsedSize));
  if (!header.ok()) return;
  // Compatible features that are not known are read over and not written again.
  if (Load<uint32_t>(AsBytes(bytes), kCompatibleFeaturesOffset) != 0) return;
  PEAT_CHECK(EncodeSegmentHeader(*header) ==
             bytes.substr(0, kSegmentHeaderUsedSize));
}

}  // namespace
}  // namespace peat::format

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1) != 0) peat::format::RepairChecksum(&bytes);
  peat::format::CheckBytes(bytes);
  return 0;
}
