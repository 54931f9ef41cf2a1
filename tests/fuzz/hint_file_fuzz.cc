// Fuzzes the reading of hint files.
//
// The first byte of the input is a switch: if odd, the checksums are repaired
// where the counts say that they are, so that mutations get past them. The rest
// is a hint file of one certain segment. Promised: no crash; what is found lies
// in the file; a key filter that decodes encodes again to the same bytes, and
// answers for any key.

#include <string>

#include "format/check.h"
#include "format/checksum.h"
#include "format/hint_file.h"
#include "format/key_filter.h"
#include "tests/fuzz/fuzz_target.h"

namespace peat::format {
namespace {

constexpr size_t kSectionCountOffset = 12;
constexpr size_t kSectionsOffset = 72;
constexpr size_t kSectionSize = 32;

// The segment of the seeds, and of FORMAT.md's example.
constexpr StoreId kStoreId = {
    std::byte{0x00}, std::byte{0x01}, std::byte{0x02}, std::byte{0x03},
    std::byte{0x04}, std::byte{0x05}, std::byte{0x06}, std::byte{0x07},
    std::byte{0x08}, std::byte{0x09}, std::byte{0x0a}, std::byte{0x0b},
    std::byte{0x0c}, std::byte{0x0d}, std::byte{0x0e}, std::byte{0x0f}};
constexpr ManifestSegment kSegment = {.id = 7,
                                      .salt = 0x1122334455667788,
                                      .capacity = 1 << 20,
                                      .end = 8192,
                                      .first_lsn = 3,
                                      .last_lsn = 9,
                                      .last_checksum = 0xabcdef,
                                      .kind = SegmentKind::kLog,
                                      .state = SegmentState::kSealed};

void RepairChecksums(std::string* bytes) {
  if (bytes->size() < kSectionsOffset + sizeof(uint64_t)) return;
  auto* const to = reinterpret_cast<std::byte*>(bytes->data());
  const auto count = Load<uint32_t>(AsBytes(*bytes), kSectionCountOffset);
  if (count > kHintSectionCountMax) return;
  const size_t checked_size = kSectionsOffset + count * kSectionSize;
  if (checked_size + sizeof(uint64_t) > bytes->size()) return;
  for (size_t at = kSectionsOffset; at < checked_size; at += kSectionSize) {
    const auto offset = Load<uint64_t>(AsBytes(*bytes), at + 8);
    const auto size = Load<uint64_t>(AsBytes(*bytes), at + 16);
    if (offset > bytes->size() || size > bytes->size() - offset) continue;
    Store<uint64_t>(to + at + 24, Checksum64(ByteView(to + offset, size)));
  }
  Store<uint64_t>(to + checked_size, Checksum64(ByteView(to, checked_size)));
}

void CheckBytes(std::string_view bytes) {
  const absl::StatusOr<ByteView> section = FindHintSection(
      AsBytes(bytes), kStoreId, kSegment, HintSectionKind::kKeyFilter);
  if (!section.ok()) return;
  const std::string_view found = AsString(*section);
  PEAT_CHECK(found.data() >= bytes.data() &&
             found.data() + found.size() <= bytes.data() + bytes.size());
  const absl::StatusOr<KeyFilter> filter = KeyFilter::Decode(*section);
  if (!filter.ok()) return;
  PEAT_CHECK(filter->Encode() == found);
  (void)filter->MayContain(FilterHash("apple"));
  (void)filter->MayContain(~uint64_t{0});
}

}  // namespace
}  // namespace peat::format

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1) != 0) peat::format::RepairChecksums(&bytes);
  peat::format::CheckBytes(bytes);
  return 0;
}
