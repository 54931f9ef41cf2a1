// Fuzzes the decoding of manifests.
//
// The first byte of the input is a switch: if odd, the checksum is repaired
// where the count says that it is, so that mutations get past it. The rest is
// decoded. Promised: no crash; what decodes encodes again to the same bytes.

#include <optional>
#include <string>

#include "format/check.h"
#include "format/checksum.h"
#include "format/manifest.h"
#include "tests/fuzz/fuzz_target.h"

namespace peat::format {
namespace {

constexpr size_t kCompatibleFeaturesOffset = 16;

void RepairChecksum(std::string* bytes) {
  const std::optional<size_t> size = ClaimedManifestSize(AsBytes(*bytes));
  if (!size.has_value()) return;
  auto* const to = reinterpret_cast<std::byte*>(bytes->data());
  const size_t checked_size = *size - sizeof(uint64_t);
  Store<uint64_t>(to + checked_size, Checksum64(ByteView(to, checked_size)));
}

void CheckBytes(std::string_view bytes) {
  const auto manifest = DecodeManifest(AsBytes(bytes));
  if (!manifest.ok()) return;
  PEAT_CHECK(ManifestSize(*manifest) <= bytes.size());
  // Compatible features that are not known are read over and not written again.
  if (Load<uint32_t>(AsBytes(bytes), kCompatibleFeaturesOffset) != 0) return;
  const std::string again = EncodeManifest(*manifest);
  PEAT_CHECK(again == bytes.substr(0, again.size()));
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
