// Fuzzes what the command reads: pairs in each format, dumps, receipts, escaped
// fields, hexadecimal digits, times.
//
// The first byte of the input says which; the rest is the text. Promised: no
// crash; what is read and written again reads the same; no limit is passed; a
// dump is loaded or refused with its line.

#include <sys/mman.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <vector>

#include "format/check.h"
#include "peat/store.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/temp_dir.h"
#include "tools/dump_loader.h"
#include "tools/escape.h"
#include "tools/loader.h"
#include "tools/pair_reader.h"
#include "tools/pair_writer.h"
#include "tools/receipt.h"
#include "tools/receipt_check.h"
#include "tools/utc_time.h"

namespace peat::tools {
namespace {

// A file in memory with `text` in it.
class TextFile final {
 public:
  explicit TextFile(std::string_view text)
      : descriptor_(memfd_create("text", MFD_CLOEXEC)) {
    PEAT_CHECK(descriptor_ >= 0);
    PEAT_CHECK(write(descriptor_, text.data(), text.size()) ==
               static_cast<ssize_t>(text.size()));
    PEAT_CHECK(lseek(descriptor_, 0, SEEK_SET) == 0);
  }
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;
  ~TextFile() { close(descriptor_); }

  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

// Small, so that short inputs come to them.
constexpr PairLimits kLimits = {.key_size = 40, .value_size = 60};

std::vector<Pair> ReadPairs(std::string_view text, PairFormat format,
                            absl::Status* status) {
  const TextFile file(text);
  PairReader reader(file.descriptor(), format, kLimits);
  std::vector<Pair> pairs;
  for (;;) {
    Pair pair;
    const absl::StatusOr<bool> found = reader.Next(&pair);
    *status = found.status();
    if (!found.ok() || !*found) break;
    PEAT_CHECK(pair.key.size() <= kLimits.key_size);
    PEAT_CHECK(pair.value.size() <= kLimits.value_size);
    pairs.push_back(std::move(pair));
  }
  PEAT_CHECK(status->ok() || absl::IsInvalidArgument(*status));
  PEAT_CHECK(reader.bytes_read() <= text.size());
  return pairs;
}

void CheckPairs(std::string_view text, PairFormat format) {
  absl::Status status;
  const std::vector<Pair> pairs = ReadPairs(text, format, &status);
  for (const PairFormat other :
       {PairFormat::kTsv, PairFormat::kJsonLines, PairFormat::kNul}) {
    std::string again;
    std::string line;
    bool is_writable = true;
    for (const Pair& pair : pairs) {
      is_writable =
          is_writable &&
          WritePair({pair.key, pair.value, pair.expires_at}, other, &line).ok();
      again += line;
    }
    PEAT_CHECK(is_writable || other == PairFormat::kNul);
    if (!is_writable) continue;
    const std::vector<Pair> same = ReadPairs(again, other, &status);
    PEAT_CHECK(status.ok());
    PEAT_CHECK(same.size() == pairs.size());
    for (size_t i = 0; i < pairs.size(); ++i) {
      PEAT_CHECK(same[i].key == pairs[i].key);
      PEAT_CHECK(same[i].value == pairs[i].value);
      if (other != PairFormat::kJsonLines) continue;
      PEAT_CHECK(same[i].expires_at == pairs[i].expires_at);
    }
  }
}

// Into one store, which all inputs share.
void CheckDump(std::string_view text, bool is_dump) {
  static const testing::TempDir directory(testing::TempDir::Place::kMemory);
  static const std::unique_ptr<Store> store =
      *Store::Open(directory.path() / "store");
  const TextFile file(text);
  PairReader reader(file.descriptor(), PairFormat::kJsonLines, kLimits);
  Progress progress(stderr, Progress::Mode::kNever, 0);
  LoadCounts counts;
  const absl::Status status =
      is_dump ? LoadDump(*store, {}, reader, progress, &counts)
              : Load(*store, {.if_absent = true}, reader, progress, &counts);
  PEAT_CHECK(status.ok() || absl::IsInvalidArgument(status));
  PEAT_CHECK(counts.refused + counts.inserted <= counts.acknowledged);
}

void CheckReceiptLines(const std::string& text) {
  std::istringstream input(text);
  const auto receipts = ReadReceipts(input);
  if (!receipts.ok()) return;
  for (const NumberedReceipt& one : *receipts) {
    OrderedJson object;
    AddReceipt(object, one.receipt);
    PEAT_CHECK(ParseReceipt(object.dump()) == one.receipt);
    (void)ReceiptText(one.receipt);
  }
}

void CheckEscapes(std::string_view text) {
  std::string bytes;
  const std::string escaped = Escape(text);
  PEAT_CHECK(escaped.size() <= kEscapeFactor * text.size());
  PEAT_CHECK(IsUtf8(escaped));
  for (const char byte : escaped) {
    PEAT_CHECK(static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f);
  }
  PEAT_CHECK(Unescape(escaped, &bytes).ok());
  PEAT_CHECK(bytes == text);
  if (Unescape(text, &bytes).ok()) {
    std::string again;
    PEAT_CHECK(Unescape(Escape(bytes), &again).ok());
    PEAT_CHECK(again == bytes);
  }
  PEAT_CHECK(FromHex(ToHex(text)) == text);
  if (const auto found = FromHex(text); found.has_value()) {
    PEAT_CHECK(ToHex(*found).size() == text.size());
  }
}

void CheckTime(const std::string& text) {
  const absl::StatusOr<MaskTimeSpan> span = ParseUtc(text);
  if (!span.ok()) return;
  PEAT_CHECK(span->first <= span->last);
  const absl::StatusOr<MaskTimeSpan> again = ParseUtc(FormatUtc(span->last));
  PEAT_CHECK(again.ok());
  PEAT_CHECK(again->last == span->last);
}

void CheckText(unsigned what, const std::string& text) {
  switch (what) {
    case 0:
      return CheckPairs(text, PairFormat::kTsv);
    case 1:
      return CheckPairs(text, PairFormat::kJsonLines);
    case 2:
      return CheckPairs(text, PairFormat::kNul);
    case 3:
      return CheckDump(text, /*is_dump=*/true);
    case 4:
      return CheckDump(text, /*is_dump=*/false);
    case 5:
      return CheckReceiptLines(text);
    case 6:
      return CheckEscapes(text);
    default:
      return CheckTime(text);
  }
}

}  // namespace
}  // namespace peat::tools

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  peat::tools::CheckText(
      data[0] % 8,
      std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  return 0;
}
