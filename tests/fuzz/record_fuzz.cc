// Fuzzes the decoding of records and of the values that carry structure.
//
//   offset  size  of the input
//   0       1     odd: repair the checksums, so that mutations get past them
//   1       8     the segment's salt
//   9       8     the record's offset
//   17      ...   the bytes that are decoded
//
// Promised: no crash; what decodes encodes again to the same bytes; what is cut
// short is what says so.

#include <algorithm>
#include <string>

#include "format/check.h"
#include "format/record.h"
#include "tests/fuzz/fuzz_target.h"

namespace peat::format {
namespace {

constexpr size_t kPrefixSize = 17;

// Makes both checksums match the sizes that the header claims, as far as the
// bytes reach.
void RepairChecksums(std::string* bytes, Place place) {
  if (bytes->size() < kRecordHeaderSize) return;
  const std::string_view whole = *bytes;
  const std::string_view payload = whole.substr(kRecordHeaderSize);
  const size_t key_size =
      std::min<size_t>(Load<uint16_t>(AsBytes(*bytes), 20), payload.size());
  const std::string_view key = payload.substr(0, key_size);
  const std::string_view value =
      payload.substr(key_size, Load<uint32_t>(AsBytes(*bytes), 16));
  auto* const to = reinterpret_cast<std::byte*>(bytes->data());
  Store<uint32_t>(to + 4, PayloadChecksum(PayloadHash(key, value), place));
  Store<uint32_t>(to, HeaderChecksum(ByteView(to + 4, 20), place));
}

// Each value is offered to each decoder, not only to that of its kind.
void CheckValue(std::string_view value) {
  if (const auto mark = DecodeMark(value); mark.ok()) {
    PEAT_CHECK(EncodeMark(*mark) == value);
  }
  if (const auto link = DecodeLink(value); link.ok()) {
    PEAT_CHECK(EncodeLink(*link) == value);
  }
  if (const auto frame = DecodeFrame(value); frame.ok()) {
    PEAT_CHECK(EncodeFrame(*frame) == value);
  }
  if (const auto seen = DecodeTime(value); seen.ok()) {
    PEAT_CHECK(EncodeTime(*seen) == value);
  }
  if (const auto reference = DecodeValueReference(value); reference.ok()) {
    PEAT_CHECK(EncodeValueReference(*reference) == value);
  }
}

void CheckBytes(std::string_view bytes, Place place) {
  Record record;
  RecordHeader header;
  const RecordCheck found = CheckRecord(AsBytes(bytes), place, &record);
  const RecordCheck found_header =
      CheckRecordHeader(AsBytes(bytes), place, &header);
  PEAT_CHECK(DecodeRecord(AsBytes(bytes), place).ok() ==
             (found == RecordCheck::kValid));
  PEAT_CHECK(found_header != RecordCheck::kPayloadDamaged);
  PEAT_CHECK((found == RecordCheck::kHeaderDamaged) ==
             (found_header == RecordCheck::kHeaderDamaged));
  if (found == RecordCheck::kCutShort) {
    PEAT_CHECK(bytes.size() < kRecordHeaderSize ||
               bytes.size() < RecordSize(header));
  }
  if (found == RecordCheck::kPayloadDamaged) {
    PEAT_CHECK(RecordSize(record.header) <= bytes.size());
  }
  if (found != RecordCheck::kValid) return;

  std::string again;
  AppendRecord(record.header, record.key, record.value, place, &again);
  PEAT_CHECK(again == bytes.substr(0, again.size()));
  CheckValue(record.value);
}

}  // namespace
}  // namespace peat::format

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using peat::format::AsString;
  using peat::format::ByteView;
  using peat::format::Load;
  using peat::format::Place;
  if (size < peat::format::kPrefixSize) return 0;
  const auto* const input = reinterpret_cast<const std::byte*>(data);
  const Place place = {.salt = Load<uint64_t>(input + 1),
                       .offset = Load<uint64_t>(input + 9) & ~uint64_t{7}};
  std::string bytes(
      AsString(ByteView(input, size).subspan(peat::format::kPrefixSize)));
  if ((data[0] & 1) != 0) peat::format::RepairChecksums(&bytes, place);
  bytes.shrink_to_fit();
  peat::format::CheckBytes(bytes, place);
  return 0;
}
